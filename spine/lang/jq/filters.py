"""The built-in functions of jq that run one filter on the input or its elements, or choose."""

import math
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from spine.lang.jq import mathematics
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, Variables, several, single
from spine.lang.jq.containers import from_entries, to_entries, total

SELECTING: dict[str, frozenset[str]] = {
    "values": frozenset(["boolean", "number", "string", "array", "object"]),
    "nulls": frozenset(["null"]),
    "booleans": frozenset(["boolean"]),
    "numbers": frozenset(["number"]),
    "strings": frozenset(["string"]),
    "arrays": frozenset(["array"]),
    "objects": frozenset(["object"]),
    "iterables": frozenset(["array", "object"]),
    "scalars": frozenset(["null", "boolean", "number", "string"]),
}


def _error(value: Any, _variables: Variables) -> Any:
    raise v.JqError(value)


def _only(test: Callable[[float], bool]) -> Code:
    def many(value: Any, _variables: Variables) -> Iterator[Any]:
        if v.kind(value) == "number" and test(v.as_double(value)):
            yield value

    return several(many)


GENERATING: dict[str, Code] = {
    "finites": _only(math.isfinite),
    "normals": _only(mathematics.is_normal),
    "empty": several(lambda _value, _variables: iter(())),
    "error": single(_error),
}

# ---------------------------------------------------------------------------- of a filter


def _map(body: Code) -> Code:
    if body.one is not None:
        one = body.one
        return single(lambda value, env: [one(item, env) for item in v.items(value)])
    return single(
        lambda value, env: [out for item in v.items(value) for out in body.many(item, env)]
    )


def _select(test: Code) -> Code:
    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for item in test.many(value, variables):
            if v.truthy(item):
                yield value

    return several(many)


def _with_entries(body: Code) -> Code:
    mapped = _map(body).one
    assert mapped is not None
    entries = mapped
    return single(lambda value, env: from_entries(entries(to_entries(value), env)))


def _first(body: Code) -> Code:
    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for item in body.many(value, variables):
            yield item
            return

    return several(many)


def _last(body: Code) -> Code:
    def many(value: Any, variables: Variables) -> Iterator[Any]:
        yield from list(body.many(value, variables))[-1:]

    return several(many)


def quantified(source: Code, test: Code, *, wanted: bool) -> Code:
    """Return whether a test holds for any, or fails for none, of a filter's outputs."""

    def one(value: Any, variables: Variables) -> bool:
        for item in source.many(value, variables):
            if any(v.truthy(out) is wanted for out in test.many(item, variables)):
                return wanted
        return not wanted

    return single(one)


_ELEMENTS = several(lambda value, _: iter(v.items(value)))


def _by(name: str, use: Callable[[list[tuple[Any, Any]]], Any]) -> Callable[[Code], Code]:
    """Return a function of elements with the key that a filter gives each."""

    def compile_by(body: Code) -> Code:
        def one(value: Any, variables: Variables) -> Any:
            elements = v.items(value)
            keys = [list(body.many(item, variables)) for item in elements]
            if not isinstance(value, list):
                raise v.inapplicable(f"{name}({v.preview(keys)})", value)
            return use(list(zip(map(v.sort_key, keys), elements, strict=True)))

        return single(one)

    return compile_by


def _key(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _groups(pairs: list[tuple[Any, Any]]) -> list[list[Any]]:
    return [[item for _, item in group] for _, group in groupby(sorted(pairs, key=_key), _key)]


def _lowest(pairs: list[tuple[Any, Any]]) -> Any:
    return min(pairs, key=_key)[1] if pairs else None


def _highest(pairs: list[tuple[Any, Any]]) -> Any:
    return max(reversed(pairs), key=_key)[1] if pairs else None


OF_FILTER: dict[str, Callable[[Code], Code]] = {
    "map": _map,
    "select": _select,
    "with_entries": _with_entries,
    "first": _first,
    "last": _last,
    "add": lambda body: single(lambda value, env: total(list(body.many(value, env)))),
    "any": lambda test: quantified(_ELEMENTS, test, wanted=True),
    "all": lambda test: quantified(_ELEMENTS, test, wanted=False),
    "sort_by": _by("sort_by", lambda pairs: [item for _, item in sorted(pairs, key=_key)]),
    "group_by": _by("group_by", _groups),
    "unique_by": _by("unique_by", lambda pairs: [group[0] for group in _groups(pairs)]),
    "min_by": _by("min_by", _lowest),
    "max_by": _by("max_by", _highest),
}
