"""Values as streams of leaves `[path, value]`, and tables of rows by their keys."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import places
from spine.lang.jq import values as v
from spine.lang.jq.code import BUDGET, Code, Variables, several, single
from spine.lang.jq.scope import Scope

Arguments = tuple[n.Node, ...]


def _leaves(value: Any, path: list[Any], *, last: bool) -> Iterator[list[Any]]:
    """Yield the leaves of a value; where a container ends, its last path stands alone."""
    if not value or not isinstance(value, list | dict):
        yield [path, value]
    else:
        names = sorted(value) if isinstance(value, dict) else range(len(value))
        for name in names:
            yield from _leaves(value[name], [*path, name], last=name == names[-1])
    if last and path:
        yield [path]


def _to_stream(value: Any, _variables: Variables) -> Iterator[Any]:
    return _leaves(value, [], last=False)


def _from_stream(arguments: Arguments, scope: Scope) -> Code:
    source = scope.code(arguments[0])

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        made, some = None, False
        for event in source.many(value, variables):
            variables[BUDGET].step()
            path = v.index(event, 0)
            depth = len(v.items(path))
            if len(event) > 1:
                if not depth:
                    yield event[1]
                    continue
                made = places.put_at(made, path, places.copied(event[1]), made)
                some = True
            elif depth == 1 and some:
                yield made
                made, some = None, False

    return several(many)


def _truncate_stream(arguments: Arguments, scope: Scope) -> Code:
    source = scope.code(arguments[0])

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        if v.kind(value) != "number":
            raise v.JqError(f"cannot use {v.shown(value)} as a depth")
        for event in source.many(None, variables):
            path = v.items(v.index(event, 0))
            if len(path) > value:
                yield [path[int(value) :], *event[1:]]

    return several(many)


# ---------------------------------------------------------------------------- tables


def _index(arguments: Arguments, scope: Scope) -> Code:
    rows = n.Iterate(n.Identity()) if len(arguments) == 1 else arguments[0]
    source, key = scope.code(rows), scope.code(arguments[-1])

    def one(value: Any, variables: Variables) -> Any:
        made: dict[str, Any] = {}
        for row in source.many(value, variables):
            for name in key.many(row, variables):
                made[v.to_text(name)] = row
        return made

    return single(one)


def _is_in(arguments: Arguments, scope: Scope) -> Code:
    wanted = scope.code(arguments[0]) if len(arguments) > 1 else None
    others = scope.code(arguments[-1])

    def one(value: Any, variables: Variables) -> bool:
        for found in [value] if wanted is None else wanted.many(value, variables):
            if any(v.equal(found, other) for other in others.many(value, variables)):
                return True
        return False

    return single(one)


def _join(arguments: Arguments, scope: Scope) -> Code:
    codes = [scope.code(argument) for argument in arguments]
    table = codes[0]

    def rows(
        source: Iterator[Any], key: Code, found: Any, variables: Variables
    ) -> Iterator[list[Any]]:
        for row in source:
            for name in key.many(row, variables):
                yield [row, v.index(found, name)]

    def listed(value: Any, variables: Variables) -> Iterator[Any]:
        for found in table.many(value, variables):
            yield list(rows(iter(v.items(value)), codes[1], found, variables))

    def streamed(value: Any, variables: Variables) -> Iterator[Any]:
        for found in table.many(value, variables):
            for row in rows(codes[1].many(value, variables), codes[2], found, variables):
                if len(codes) == 3:  # noqa: PLR2004 -- without a filter for the pairs
                    yield row
                else:
                    yield from codes[3].many(row, variables)

    return several(listed if len(codes) == 2 else streamed)  # noqa: PLR2004 -- table and key


_STREAM = several(_to_stream)

CALLS: dict[str, Callable[[Arguments, Scope], Code]] = {
    "tostream/0": lambda _arguments, _scope: _STREAM,
    "fromstream/1": _from_stream,
    "truncate_stream/1": _truncate_stream,
    "INDEX/1": _index,
    "INDEX/2": _index,
    "IN/1": _is_in,
    "IN/2": _is_in,
    "JOIN/2": _join,
    "JOIN/3": _join,
    "JOIN/4": _join,
}
