"""Paths of what each kind of filter gives: `.a[0]`, `.[]`, `a | b`, `a // b`, `if`..."""

from collections.abc import Iterator
from typing import Any

from spine.lang.jq import control, functions, patterns, tracked
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Paths, Variables
from spine.lang.jq.scope import Compilers, Scope
from spine.lang.jq.strays import Stray, members, onward, recursed, same


def _identity(_node: n.Identity, _scope: Scope) -> Paths:
    return lambda path, value, _: iter([(path, value)])


def _index(node: n.Index, scope: Scope) -> Paths:
    target, key = scope.paths(node.target), scope.code(node.key)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for name in key.many(value, variables):
            for place, found in target(path, value, variables):
                try:
                    inner = v.index(found, name)
                    place = onward(place, found)  # noqa: PLW2901 -- the same one, checked
                except v.JqError:
                    if node.optional:
                        continue
                    raise
                yield (*place, name), inner

    return paths


def _slice(node: n.Slice, scope: Scope) -> Paths:
    ends = n.Object(
        (
            (n.Literal("end"), node.end or n.Literal(None)),
            (n.Literal("start"), node.start or n.Literal(None)),
        )
    )
    return _index(n.Index(node.target, ends, node.optional), scope)


def _iterate(node: n.Iterate, scope: Scope) -> Paths:
    target = scope.paths(node.target)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for place, found in target(path, value, variables):
            if isinstance(place, Stray) or not isinstance(found, list | dict):
                if node.optional:
                    continue
                v.items(found)
                onward(place, found, "on iterating against")
            yield from members(place, found)

    return paths


def _recurse(_node: n.Recurse, scope: Scope) -> Paths:
    step = n.Iterate(n.Identity(), optional=True)
    return recursed(scope.paths(step))


def _pipe(node: n.Pipe, scope: Scope) -> Paths:
    left, right = scope.paths(node.left), scope.paths(node.right)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for place, found in left(path, value, variables):
            yield from right(place, found, variables)

    return paths


def _comma(node: n.Comma, scope: Scope) -> Paths:
    left, right = scope.paths(node.left), scope.paths(node.right)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        yield from left(path, value, variables)
        yield from right(path, value, variables)

    return paths


def _binary(node: n.Binary, scope: Scope) -> Paths:
    if node.operator != "//":
        return scope.untracked(node)
    left, right = scope.paths(node.left), scope.paths(node.right)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        some = False
        try:
            for place, found in left(path, value, variables):
                if v.truthy(found):
                    some = True
                    yield place, found
        except v.JqError:
            pass
        if not some:
            yield from right(path, value, variables)

    return paths


def _if(node: n.If, scope: Scope) -> Paths:
    test = scope.code(node.test)
    body, other = scope.paths(node.body), scope.paths(node.other)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for item in test.many(value, variables):
            yield from (body if v.truthy(item) else other)(path, value, variables)

    return paths


def _try(node: n.Try, scope: Scope) -> Paths:
    body = scope.paths(node.body)
    handler = None if node.handler is None else scope.code(node.handler)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        found = body(path, value, variables)
        while True:
            try:
                pair = next(found)
            except StopIteration:
                return
            except v.JqError as exc:
                if handler is not None:
                    base, at = path if isinstance(path, Stray) else (path, value)
                    for made in handler.many(exc.value, variables):
                        yield (base if same(made, at) else Stray(base, at)), made
                return
            yield pair

    return paths


def _bind(node: n.Bind, scope: Scope) -> Paths:
    source = scope.code(node.source)
    inner, takers = patterns.compile_patterns(node.patterns, scope)
    body = inner.paths(node.body)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for item in source.many(value, variables):
            yield from patterns.attempts(
                takers, item, variables, lambda env: body(path, value, env)
            )

    return paths


def _label(node: n.Label, scope: Scope) -> Paths:
    inner, key = scope.with_label(node.name)
    body = inner.paths(node.body)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        target = object()
        with control.landing(target):
            yield from body(path, value, {**variables, key: target})

    return paths


def _define(node: n.Define, scope: Scope) -> Paths:
    return functions.defined(node, scope).paths(node.rest)


def _call(node: n.Call, scope: Scope) -> Paths:
    name = f"{node.name}/{len(node.arguments)}"
    callee = scope.functions.get(name)
    if callee is not None:
        return callee.paths(node.arguments, scope)
    compiler = tracked.COMPILERS.get(name)
    return scope.untracked(node) if compiler is None else compiler(node.arguments, scope)


PATHS: Compilers[Paths] = {
    n.Identity: _identity,
    n.Index: _index,
    n.Slice: _slice,
    n.Iterate: _iterate,
    n.Recurse: _recurse,
    n.Group: lambda node, scope: scope.paths(node.body),
    n.Pipe: _pipe,
    n.Comma: _comma,
    n.Binary: _binary,
    n.If: _if,
    n.Try: _try,
    n.Bind: _bind,
    n.Label: _label,
    n.Define: _define,
    n.Call: _call,
}
