"""Paths of what a filter gives, and what is done at them: `=`, `|=`, `+=`, `path`, `del`.

As in gojq a filter's paths are followed while it runs: from a value that is not what its path
leads to (one that was made, say) nothing can be reached.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from spine.lang.jq import nodes as n
from spine.lang.jq import places
from spine.lang.jq import values as v
from spine.lang.jq.code import BUDGET, Code, Scope, Variables, constant, several, single
from spine.lang.jq.compiler import OPERATIONS, alternative, compile_node

Path = tuple[Any, ...]


class Stray(NamedTuple):
    """The path of a value that is not what stands there."""

    path: Path
    at: Any
    """What stands there."""


Paths = Callable[[Any, Any, Variables], Iterator[tuple[Any, Any]]]
"""Yields paths, or Strays, each with the value, from where one stands."""
Later = Callable[[], Paths]
"""Compiles when it is needed: most filters are never asked for their paths."""


def compile_update(node: n.Update, scope: Scope) -> Code:
    """Return the code of an assignment. Raises NotCovered."""
    paths, right = compile_paths(node.left, scope), compile_node(node.right, scope)
    if node.operator == "|=":
        return single(lambda value, env: updated(value, env, paths, right))
    if node.operator == "=":

        def assigned(value: Any, env: Variables, new: Any) -> Any:
            return updated(value, env, paths, constant(new))
    else:
        operation = node.operator[:-1]

        def assigned(value: Any, env: Variables, new: Any) -> Any:
            return updated(value, env, paths, _operated(operation, new))

    if right.one is not None:
        one = right.one
        return single(lambda value, env: assigned(value, env, one(value, env)))
    return several(lambda value, env: (assigned(value, env, new) for new in right.many(value, env)))


def _operated(operation: str, new: Any) -> Code:
    if operation == "//":
        return alternative(single(lambda value, _: value), constant(new))
    function = OPERATIONS[operation]
    return single(lambda value, _: function(value, new))


def compile_delete(node: n.Node, scope: Scope) -> Code:
    """Return the code of `del(path)`. Raises NotCovered."""
    paths = compile_paths(node, scope)

    def one(value: Any, variables: Variables) -> Any:
        found = list(straight(paths, value, variables))
        return places.without(places.copied(value), found)

    return single(one)


def compile_path(node: n.Node, scope: Scope) -> Code:
    """Return the code of `path(filter)`."""
    paths = compile_paths(node, scope)
    return several(lambda value, env: (list(path) for path in straight(paths, value, env)))


def compile_pick(node: n.Node, scope: Scope) -> Code:
    """Return the code of `pick(filter)`: the value with what is at those paths alone."""
    paths = compile_paths(node, scope)

    def one(value: Any, variables: Variables) -> Any:
        made = None
        for path in straight(paths, value, variables):
            made = places.set_at(made, path, places.get_at(value, path))
        return made

    return single(one)


def straight(paths: Paths, value: Any, variables: Variables) -> Iterator[Path]:
    """Yield paths from a value on. Raises JqError for a Stray."""
    for path, found in paths((), value, variables):
        if isinstance(path, Stray):
            raise v.JqError(f"invalid path against: {v.shown(found)}")
        yield path


def updated(value: Any, variables: Variables, paths: Paths, change: Code) -> Any:
    """Return a value with the first output of a filter at each path; none deletes the path."""
    found = list(straight(paths, value, variables))
    made, gone = places.copied(value), list[Path]()
    for path in found:
        for new in change.many(places.get_at(made, path), variables):
            made = places.put_at(made, path, places.copied(new), value)
            break
        else:
            gone.append(path)
    return places.without(made, gone)


# ---------------------------------------------------------------------------- paths of filters


def compile_paths(node: n.Node, scope: Scope) -> Paths:
    """Return what yields the paths of what a filter gives. Raises NotCovered."""
    compiler = _COMPILERS.get(type(node))
    return _untracked(node, scope) if compiler is None else compiler(node, scope)


def later(node: n.Node, scope: Scope) -> Later:
    """Return what compiles the paths of a filter once they are needed."""
    made: list[Paths] = []

    def compiled() -> Paths:
        if not made:
            made.append(compile_paths(node, scope))
        return made[0]

    return compiled


def astray(code: Code, path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
    """Yield the outputs of a filter that makes values; one that stands there has its path."""
    base, at = path if isinstance(path, Stray) else (path, value)
    for made in code.many(value, variables):
        yield (base if _same(made, at) else Stray(base, at)), made


def _same(made: Any, at: Any) -> bool:
    if made is at:
        return True
    return not isinstance(at, list | dict) and v.kind(made) == v.kind(at) and v.equal(made, at)


def onward(path: Any, found: Any, how: str = "against") -> Any:
    """Return a path that one may go on from. Raises JqError for a Stray."""
    if isinstance(path, Stray):
        raise v.JqError(f"invalid path {how}: {v.shown(found)}")
    return path


def _untracked(node: n.Node, scope: Scope) -> Paths:
    code = compile_node(node, scope)
    return lambda path, value, variables: astray(code, path, value, variables)


def _identity(_node: n.Identity, _scope: Scope) -> Paths:
    return lambda path, value, _: iter([(path, value)])


def _index(node: n.Index, scope: Scope) -> Paths:
    target, key = compile_paths(node.target, scope), compile_node(node.key, scope)

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
    target = compile_paths(node.target, scope)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for place, found in target(path, value, variables):
            if isinstance(place, Stray) or not isinstance(found, list | dict):
                if node.optional:
                    continue
                v.items(found)
                onward(place, found, "on iterating against")
            yield from members(place, found)

    return paths


def members(place: Path, found: Any) -> Iterator[tuple[Path, Any]]:
    """Yield what is in a value, with its path."""
    names = sorted(found) if isinstance(found, dict) else range(len(v.items(found)))
    for name in names:
        yield (*place, name), found[name]


def _recurse(_node: n.Recurse, scope: Scope) -> Paths:
    step = n.Iterate(n.Identity(), optional=True)
    return recursed(compile_paths(step, scope))


def recursed(body: Paths) -> Paths:
    """Return the paths of `recurse(body)`."""

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        step, waiting = variables[BUDGET].step, [iter([(path, value)])]
        while waiting:
            for place, found in waiting[-1]:
                step()
                yield place, found
                waiting.append(body(place, found, variables))
                break
            else:
                waiting.pop()

    return paths


def _pipe(node: n.Pipe, scope: Scope) -> Paths:
    left, right = compile_paths(node.left, scope), compile_paths(node.right, scope)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for place, found in left(path, value, variables):
            yield from right(place, found, variables)

    return paths


def _comma(node: n.Comma, scope: Scope) -> Paths:
    left, right = compile_paths(node.left, scope), compile_paths(node.right, scope)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        yield from left(path, value, variables)
        yield from right(path, value, variables)

    return paths


def _binary(node: n.Binary, scope: Scope) -> Paths:
    if node.operator != "//":
        return _untracked(node, scope)
    left, right = compile_paths(node.left, scope), compile_paths(node.right, scope)

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
    test = compile_node(node.test, scope)
    body, other = compile_paths(node.body, scope), compile_paths(node.other, scope)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for item in test.many(value, variables):
            yield from (body if v.truthy(item) else other)(path, value, variables)

    return paths


def _try(node: n.Try, scope: Scope) -> Paths:
    body = compile_paths(node.body, scope)
    handler = None if node.handler is None else compile_node(node.handler, scope)

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
                        yield (base if _same(made, at) else Stray(base, at)), made
                return
            yield pair

    return paths


def _bind(node: n.Bind, scope: Scope) -> Paths:
    from spine.lang.jq import patterns

    source = compile_node(node.source, scope)
    inner, takers = patterns.compile_patterns(node.patterns, scope)
    body = compile_paths(node.body, inner)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        for item in source.many(value, variables):
            yield from patterns.attempts(
                takers, item, variables, lambda env: body(path, value, env)
            )

    return paths


def _label(node: n.Label, scope: Scope) -> Paths:
    from spine.lang.jq import control

    inner, key = scope.with_label(node.name)
    body = compile_paths(node.body, inner)

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        target = object()
        with control.landing(target):
            yield from body(path, value, {**variables, key: target})

    return paths


def _define(node: n.Define, scope: Scope) -> Paths:
    from spine.lang.jq import control

    return compile_paths(node.rest, control.defined(node, scope))


def _call(node: n.Call, scope: Scope) -> Paths:
    name = f"{node.name}/{len(node.arguments)}"
    callee = scope.functions.get(name)
    if callee is not None:
        return callee.paths(node.arguments, scope)  # type: ignore[no-any-return]  # Paths
    from spine.lang.jq.tracked import COMPILERS

    compiler = COMPILERS.get(name)
    return _untracked(node, scope) if compiler is None else compiler(node.arguments, scope)


_COMPILERS: dict[type[n.Node], Callable[[Any, Scope], Paths]] = {
    n.Identity: _identity,
    n.Index: _index,
    n.Slice: _slice,
    n.Iterate: _iterate,
    n.Recurse: _recurse,
    n.Group: lambda node, scope: compile_paths(node.body, scope),
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
