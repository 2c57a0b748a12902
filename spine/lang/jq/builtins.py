"""The built-in functions of jq that are covered: those whose work grows with their input only."""

import math
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import orjson

from spine.lang.gonumber import parse_float
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, NotCovered, Variables, several, single
from spine.lang.jq.compiler import Scope, compile_node

Filter = Code


def compile_call(node: n.Call, scope: Scope) -> Code:  # noqa: PLR0911 -- one for each shape
    """Return the code of a function call. Raises NotCovered."""
    name, arguments = node.name, node.arguments
    if not arguments:
        if name in _OF_INPUT:
            function = _OF_INPUT[name]
            return single(lambda value, _: function(value))
        if name in _SELECTING:
            kinds = _SELECTING[name]
            return several(lambda value, _: iter([value] if v.kind(value) in kinds else []))
        if name in _GENERATING:
            return _GENERATING[name]
    if len(arguments) == 1:
        argument = compile_node(arguments[0], scope)
        if name in _OF_ARGUMENT:
            return _applied(_OF_ARGUMENT[name], argument)
        if name in _OF_FILTER:
            return _OF_FILTER[name](argument)
        if name == "del":
            from spine.lang.jq import updates

            return updates.compile_delete(arguments[0], scope)
    if len(arguments) == 2 and name in {"any", "all"}:  # noqa: PLR2004 -- generator and test
        source, test = (compile_node(argument, scope) for argument in arguments)
        return _quantified(source, test, wanted=name == "any")
    raise NotCovered(f"{name}/{len(arguments)}")


def _applied(function: Callable[[Any, Any], Any], argument: Code) -> Code:
    if argument.one is not None:
        one = argument.one
        return single(lambda value, env: function(value, one(value, env)))
    return several(lambda value, env: (function(value, a) for a in argument.many(value, env)))


# ---------------------------------------------------------------------------- of the input


def _length(value: Any) -> Any:
    if value is None:
        return 0
    if isinstance(value, bool):
        raise v.inapplicable("length", value)
    return abs(value) if isinstance(value, int | float) else len(value)


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return sorted(value)
    return list(range(len(_list(value, "keys"))))


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise v.inapplicable(name, value)
    return value


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise v.inapplicable(name, value)
    return value


def _add(value: Any) -> Any:
    if not isinstance(value, list | dict):
        raise v.inapplicable("add", value)
    return _sum(v.items(value))


def _sum(items: list[Any]) -> Any:
    kinds = {type(item) for item in items} - {type(None)}
    if kinds == {str}:
        return "".join(item for item in items if item)
    if kinds == {list}:
        return [part for item in items if item for part in item]
    if kinds == {dict}:
        return {key: part for item in items if item for key, part in item.items()}
    total = None
    for item in items:
        total = v.add(total, item)
    return total


def _to_number(value: Any) -> Any:
    if v.kind(value) == "number":
        return value
    text = _string(value, "tonumber")
    number = parse_float(text) if text.isascii() and not _ODD & set(text) else None
    if number is None:
        raise v.JqError(f"tonumber cannot be applied to {v.to_json(text)}: invalid number")
    digits = text.removeprefix("+").removeprefix("-")
    return int(text) if digits.isdigit() and len(digits) < _MOST_DIGITS else number


_ODD = set("_xXpPnNiI ")
_MOST_DIGITS = 16


def _from_json(value: Any) -> Any:
    text = _string(value, "fromjson")
    try:
        return v.doubles(orjson.loads(text))
    except orjson.JSONDecodeError as exc:
        raise v.JqError(f"fromjson cannot be applied to {v.to_json(text)}: {exc}") from None


def _to_entries(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [{"key": at, "value": item} for at, item in enumerate(value)]
    if not isinstance(value, dict):
        raise v.inapplicable("keys", value)  # as gojq says
    return [{"key": key, "value": value[key]} for key in sorted(value)]


def _from_entries(value: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for entry in v.items(value):
        if not isinstance(entry, dict):
            raise v.JqError(f"expected an object but got: {v.shown(entry)}")
        key = next((entry[name] for name in _KEY_NAMES if v.truthy(entry.get(name))), None)
        if not isinstance(key, str):
            raise v.JqError(f"expected a string for object key but got: {v.shown(key)}")
        made[key] = next((entry[name] for name in _VALUE_NAMES if name in entry), None)
    return made


_KEY_NAMES = ("key", "name", "Key", "Name")
_VALUE_NAMES = ("value", "Value")


def _flatten(value: Any, depth: Any = math.inf) -> list[Any]:
    if v.kind(depth) != "number" or depth < 0:
        raise v.JqError(f"flatten depth should not be negative: {v.to_json(depth)}")
    if not isinstance(value, list | dict):
        raise v.inapplicable("flatten", value)
    flat: list[Any] = []
    for item in v.items(value):
        if isinstance(item, list) and depth >= 1:
            flat += _flatten(item, depth - 1)
        else:
            flat.append(item)
    return flat


def _rounded(function: Callable[[float], float], name: str) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if v.kind(value) != "number":
            raise v.inapplicable(name, value)
        if isinstance(value, int) or not math.isfinite(value):
            return value
        whole = v.narrowed(int(function(value)))
        return whole or math.copysign(0.0, value)

    return apply


def _absolute(value: Any) -> Any:
    if v.kind(value) != "number":
        raise v.inapplicable("abs", value)
    return abs(value)


def _case(name: str, start: str, distance: int) -> Callable[[Any], str]:
    table = {code: code + distance for code in range(ord(start), ord(start) + 26)}
    return lambda value: _string(value, name).translate(table)


def _stripped(name: str, strip: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: strip(_string(value, name))


_SPACE = " \t\n\r\f\v\x85\xa0"

_OF_INPUT: dict[str, Callable[[Any], Any]] = {
    "length": _length,
    "utf8bytelength": lambda value: len(_string(value, "utf8bytelength").encode()),
    "not": lambda value: not v.truthy(value),
    "keys": _keys,
    "type": v.kind,
    "tostring": v.to_text,
    "tojson": v.to_json,
    "tonumber": _to_number,
    "fromjson": _from_json,
    "add": _add,
    "any": lambda value: any(map(v.truthy, v.items(value))),
    "all": lambda value: all(map(v.truthy, v.items(value))),
    "first": lambda value: v.index(value, 0),
    "last": lambda value: v.index(value, -1),
    "reverse": lambda value: _list(value, "reverse")[::-1],
    "sort": lambda value: v.ordered(_list(value, "sort")),
    "unique": lambda value: _distinct(v.ordered(_list(value, "unique"))),
    "min": lambda value: min(_list(value, "min"), key=v.sort_key, default=None),
    "max": lambda value: max(reversed(_list(value, "max")), key=v.sort_key, default=None),
    "flatten": _flatten,
    "to_entries": _to_entries,
    "from_entries": _from_entries,
    "ascii_downcase": _case("ascii_downcase", "A", 32),
    "ascii_upcase": _case("ascii_upcase", "a", -32),
    "trim": _stripped("trim", lambda text: text.strip(_SPACE)),
    "ltrim": _stripped("ltrim", lambda text: text.lstrip(_SPACE)),
    "rtrim": _stripped("rtrim", lambda text: text.rstrip(_SPACE)),
    "floor": _rounded(math.floor, "floor"),
    "ceil": _rounded(math.ceil, "ceil"),
    "round": _rounded(lambda x: math.copysign(math.floor(abs(x) + 0.5), x), "round"),
    "abs": _absolute,
    "env": lambda _value: {},
    "nan": lambda _value: math.nan,
    "infinite": lambda _value: math.inf,
}


def _distinct(items: list[Any]) -> list[Any]:
    return [next(group) for _, group in groupby(items, key=v.sort_key)]


_SELECTING: dict[str, frozenset[str]] = {
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


_GENERATING: dict[str, Code] = {
    "empty": several(lambda _value, _variables: iter(())),
    "error": single(_error),
}

# ---------------------------------------------------------------------------- of one argument


def _has(value: Any, key: Any) -> bool:
    if isinstance(value, dict) and isinstance(key, str):
        return key in value
    if isinstance(value, list) and v.kind(key) == "number":
        return bool(0 <= key < len(value))
    if value is None:
        return False
    raise v.inapplicable(f"has({v.preview(key)})", value)


def _affix(name: str, apply: Callable[[str, str], Any]) -> Callable[[Any, Any], Any]:
    def affix(value: Any, part: Any) -> Any:
        if not isinstance(value, str) or not isinstance(part, str):
            raise v.inapplicable(f"{name}({v.preview(part)})", value)
        return apply(value, part)

    return affix


def _split(value: Any, by: Any) -> list[str]:
    return v.split(_string(value, "split"), _string(by, "split"))


def _join(value: Any, by: Any) -> str:
    if not isinstance(value, list | dict):
        raise v.inapplicable(f"join({v.preview(by)})", value)
    parts = [_joined(item) for item in v.items(value)]
    if len(parts) > 1 and not isinstance(by, str):
        raise v.inapplicable(f"join({v.preview(by)})", value)
    return by.join(parts) if isinstance(by, str) else "".join(parts)


def _joined(item: Any) -> str:
    if item is None:
        return ""
    if isinstance(item, list | dict):
        raise v.JqError(f'cannot add: string ("") and {v.shown(item)}')
    return v.to_text(item)


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, dict) and isinstance(part, dict):
        return all(key in value and _contains_in(value[key], item) for key, item in part.items())
    if isinstance(value, list) and isinstance(part, list):
        return all(any(_contains_in(item, wanted) for item in value) for wanted in part)
    if isinstance(value, str) and isinstance(part, str):
        return part in value
    if v.kind(value) == v.kind(part):
        return v.equal(value, part)
    raise v.inapplicable(f"contains({v.preview(part)})", value)


def _contains_in(value: Any, part: Any) -> bool:
    """Say whether a part contains another; parts of different types do not."""
    return v.kind(value) == v.kind(part) and _contains(value, part)


def _plus(_value: Any, number: Any) -> Any:
    if v.kind(number) != "number":
        raise v.JqError(f"cannot plus: {v.shown(number)}")
    return number


def _error_with(_value: Any, argument: Any) -> Any:
    raise v.JqError(argument)


_OF_ARGUMENT: dict[str, Callable[[Any, Any], Any]] = {
    "has": _has,
    "in": lambda value, container: _has(container, value),
    "contains": _contains,
    "inside": lambda value, whole: _contains(whole, value),
    "startswith": _affix("startswith", str.startswith),
    "endswith": _affix("endswith", str.endswith),
    "ltrimstr": _affix("ltrimstr", str.removeprefix),
    "rtrimstr": _affix("rtrimstr", str.removesuffix),
    "split": _split,
    "join": _join,
    "flatten": _flatten,
    "nth": v.index,
    "error": _error_with,
    "_plus": _plus,
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
    return single(lambda value, env: _from_entries(entries(_to_entries(value), env)))


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


def _quantified(source: Code, test: Code, *, wanted: bool) -> Code:
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


_OF_FILTER: dict[str, Callable[[Code], Code]] = {
    "map": _map,
    "select": _select,
    "with_entries": _with_entries,
    "first": _first,
    "last": _last,
    "add": lambda body: single(lambda value, env: _sum(list(body.many(value, env)))),
    "any": lambda test: _quantified(_ELEMENTS, test, wanted=True),
    "all": lambda test: _quantified(_ELEMENTS, test, wanted=False),
    "sort_by": _by("sort_by", lambda pairs: [item for _, item in sorted(pairs, key=_key)]),
    "group_by": _by("group_by", _groups),
    "unique_by": _by("unique_by", lambda pairs: [group[0] for group in _groups(pairs)]),
    "min_by": _by("min_by", _lowest),
    "max_by": _by("max_by", _highest),
}
