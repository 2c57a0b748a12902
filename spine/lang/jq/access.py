"""What takes values out of others: `.`, variables, `.a`, `.[0]`, `.[1:2]`, `.[]`."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, One, Variables, combined, constant, several, single
from spine.lang.jq.scope import Compilers, NotDefined, Scope


def _identity(_node: n.Identity, _scope: Scope) -> Code:
    return single(lambda value, _: value)


def _literal(node: n.Literal, _scope: Scope) -> Code:
    return constant(node.value)


def _variable(node: n.Variable, scope: Scope) -> Code:
    key = scope.variables.get(node.name)
    if key is not None:
        return single(lambda _, variables: variables[key])
    if node.name == "ENV":
        return constant({})
    from difflib import get_close_matches

    near = get_close_matches(node.name, scope.variables, n=1)
    hint = f"did you mean ${near[0]}" if near else ""
    raise NotDefined(f"variable not defined: ${node.name}", hint)


def _index(node: n.Index, scope: Scope) -> Code:
    keys = _literal_keys(node)
    if keys is not None:
        return single(_walk(keys))
    target, key = scope.code(node.target), scope.code(node.key)
    return combined(v.index, target, key) if not node.optional else _silent(v.index, target, key)


def _silent(operation: Callable[[Any, Any], Any], left: Code, right: Code) -> Code:
    """Return an operation that gives nothing where it fails."""

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for after in right.many(value, variables):
            for before in left.many(value, variables):
                try:
                    item = operation(before, after)
                except v.JqError:
                    continue
                yield item

    return several(many)


def _literal_keys(node: n.Node) -> tuple[Any, ...] | None:
    if isinstance(node, n.Identity):
        return ()
    if isinstance(node, n.Index) and isinstance(node.key, n.Literal) and not node.optional:
        before = _literal_keys(node.target)
        return None if before is None else (*before, node.key.value)
    return None


def _walk(keys: tuple[Any, ...]) -> One:
    def walk(value: Any, _variables: Variables) -> Any:
        for key in keys:
            if value.__class__ is dict and key.__class__ is str:
                value = value.get(key)
            else:
                value = v.index(value, key)
        return value

    return walk


def _slice(node: n.Slice, scope: Scope) -> Code:
    target = scope.code(node.target)
    start = scope.code(node.start or n.Literal(None))
    end = scope.code(node.end or n.Literal(None))
    limits = _pairs(start, end)
    operation = _cut_between
    return (
        _silent(operation, target, limits) if node.optional else combined(operation, target, limits)
    )


def _cut_between(target: Any, limits: tuple[Any, Any]) -> Any:
    return v.cut(target, *limits)


def _pairs(first: Code, second: Code) -> Code:
    """Return pairs of outputs; those of the second filter vary faster."""
    return combined(lambda after, before: (before, after), second, first)


def _iterate(node: n.Iterate, scope: Scope) -> Code:
    target = scope.code(node.target)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for container in target.many(value, variables):
            if not node.optional or isinstance(container, list | dict):
                yield from v.items(container)

    return several(many)


CODES: Compilers[Code] = {
    n.Identity: _identity,
    n.Literal: _literal,
    n.Variable: _variable,
    n.Index: _index,
    n.Slice: _slice,
    n.Iterate: _iterate,
}
