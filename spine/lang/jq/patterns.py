"""`as` with patterns, which take a value apart: `. as {a: [$first, $second]} ?// $all | ...`."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, Variables, counted, several, single
from spine.lang.jq.scope import Compilers, Scope

Destruct = Callable[[Any, Variables], Iterator[Variables]]
"""Yields the variables with those that a pattern takes from a value."""


def _bind(node: n.Bind, scope: Scope) -> Code:
    if node.name is None:
        return _bind_patterns(node, scope)
    source = scope.code(node.source)
    inner, (key,) = scope.bound(node.name)
    body = inner.code(node.body)
    if source.one is not None and body.one is not None:
        first, second = source.one, body.one
        return single(
            lambda value, variables: second(value, {**variables, key: first(value, variables)})
        )
    is_counted = scope.counted

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        outputs = counted(source, value, variables) if is_counted else source.many(value, variables)
        for item in outputs:
            yield from body.many(value, {**variables, key: item})

    return several(many)


def _bind_patterns(node: n.Bind, scope: Scope) -> Code:
    source = scope.code(node.source)
    inner, takers = compile_patterns(node.patterns, scope)
    body = inner.code(node.body)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for item in source.many(value, variables):
            yield from attempts(takers, item, variables, lambda env: body.many(value, env))

    return several(many)


def attempts(
    takers: list[Destruct],
    item: Any,
    variables: Variables,
    body: Callable[[Variables], Iterator[Any]],
) -> Iterator[Any]:
    """Yield what a body gives with the first pattern with which nothing fails."""
    for take in takers[:-1]:
        try:
            for env in take(item, variables):
                yield from body(env)
        except v.JqError:
            continue
        return
    for env in takers[-1](item, variables):
        yield from body(env)


def compile_patterns(patterns: tuple[n.Node, ...], scope: Scope) -> tuple[Scope, list[Destruct]]:
    """Return the scope of the body, and for each pattern what takes values apart.

    A variable of one pattern is null where another is taken.
    """
    names = list(dict.fromkeys(name for pattern in patterns for name in names_of(pattern)))
    inner, keys = scope.bound(*names)
    absent = dict.fromkeys(keys) if len(patterns) > 1 else {}
    takers = [_compile(pattern, inner) for pattern in patterns]
    if not absent:
        return inner, takers

    def without(take: Destruct) -> Destruct:
        return lambda value, variables: take(value, {**variables, **absent})

    return inner, [without(take) for take in takers]


def names_of(pattern: n.Node) -> Iterator[str]:
    """Yield the variables that a pattern binds."""
    if isinstance(pattern, n.NamePattern):
        yield pattern.name
    elif isinstance(pattern, n.ArrayPattern):
        for element in pattern.elements:
            yield from names_of(element)
    elif isinstance(pattern, n.ObjectPattern):
        for _, name, inner in pattern.members:
            if name is not None:
                yield name
            if inner is not None:
                yield from names_of(inner)


def _compile(pattern: n.Node, scope: Scope) -> Destruct:
    if isinstance(pattern, n.NamePattern):
        key = scope.variables[pattern.name]
        return lambda value, variables: iter([{**variables, key: value}])
    if isinstance(pattern, n.ArrayPattern):
        return _array([_compile(element, scope) for element in pattern.elements])
    assert isinstance(pattern, n.ObjectPattern)
    return _object([_member(member, scope) for member in pattern.members])


def _array(elements: list[Destruct]) -> Destruct:
    def take(value: Any, variables: Variables, at: int = 0) -> Iterator[Variables]:
        if value is not None and not isinstance(value, list):
            raise v.JqError(f"expected an array but got: {v.shown(value)}")
        if at == len(elements):
            yield variables
            return
        for env in elements[at](v.index(value, at), variables):
            yield from take(value, env, at + 1)

    return take


def _member(member: tuple[n.Node, str | None, n.Node | None], scope: Scope) -> Destruct:
    key_node, name, inner = member
    key_code = scope.code(key_node)
    bound = None if name is None else scope.variables[name]
    take_inner = None if inner is None else _compile(inner, scope)

    def take(value: Any, variables: Variables) -> Iterator[Variables]:
        for key in key_code.many(value, variables):
            if not isinstance(key, str):
                raise v.JqError(f"expected a string for object key but got: {v.shown(key)}")
            found = v.index(value, key)
            env = variables if bound is None else {**variables, bound: found}
            if take_inner is None:
                yield env
            else:
                yield from take_inner(found, env)

    return take


def _object(members: list[Destruct]) -> Destruct:
    def take(value: Any, variables: Variables, at: int = 0) -> Iterator[Variables]:
        if at == len(members):
            yield variables
            return
        for env in members[at](value, variables):
            yield from take(value, env, at + 1)

    return take


CODES: Compilers[Code] = {n.Bind: _bind}
