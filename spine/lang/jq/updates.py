"""Assignments and `del`: paths into a value, and the value with other contents there."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, NotCovered, Variables, constant, several, single
from spine.lang.jq.compiler import OPERATIONS, Scope, alternative, compile_node

Path = tuple[Any, ...]
Paths = Callable[[Path, Any, Variables], Iterator[tuple[Path, Any]]]
"""Yields paths, each with what is there, from where one stands."""

_MOST_ELEMENTS = 1 << 20


def compile_update(node: n.Update, scope: Scope) -> Code:
    """Return the code of an assignment. Raises NotCovered."""
    paths, right = _compile(node.left, scope), compile_node(node.right, scope)
    if node.operator == "|=":
        return single(lambda value, env: _updated(value, env, paths, right))
    if node.operator == "=":

        def assigned(value: Any, env: Variables, new: Any) -> Any:
            return _updated(value, env, paths, constant(new))
    else:
        operation = node.operator[:-1]

        def assigned(value: Any, env: Variables, new: Any) -> Any:
            return _updated(value, env, paths, _operated(operation, new))

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
    paths = _compile(node, scope)

    def one(value: Any, variables: Variables) -> Any:
        return _without(copied(value), [path for path, _ in paths((), value, variables)])

    return single(one)


def _updated(value: Any, variables: Variables, paths: Paths, change: Code) -> Any:
    """Return a value with the first output of a filter at each path; none deletes the path."""
    places = [path for path, _ in paths((), value, variables)]
    made, gone = copied(value), list[Path]()
    for path in places:
        for new in change.many(_found(made, path), variables):
            try:
                made = _put(made, path, copied(new))
            except v.JqError as exc:
                what = f"setpath({v.preview(list(path))}; {v.preview(new)})"
                raise v.JqError(
                    f"{what} cannot be applied to {v.preview(value)}: {exc.value}"
                ) from None
            break
        else:
            gone.append(path)
    return _without(made, gone)


# ---------------------------------------------------------------------------- paths of filters


def _compile(node: n.Node, scope: Scope) -> Paths:
    compiler = _COMPILERS.get(type(node))
    if compiler is None:
        raise NotCovered(f"a path of {type(node).__name__}")
    return compiler(node, scope)


def _identity(_node: n.Identity, _scope: Scope) -> Paths:
    return lambda path, value, _: iter([(path, value)])


def _index(node: n.Index, scope: Scope) -> Paths:
    target, key = _compile(node.target, scope), compile_node(node.key, scope)

    def paths(path: Path, value: Any, variables: Variables) -> Iterator[tuple[Path, Any]]:
        for name in key.many(value, variables):
            for place, found in target(path, value, variables):
                try:
                    inner = v.index(found, name)
                except v.JqError:
                    if node.optional:
                        continue
                    raise
                yield (*place, name), inner

    return paths


def _iterate(node: n.Iterate, scope: Scope) -> Paths:
    target = _compile(node.target, scope)

    def paths(path: Path, value: Any, variables: Variables) -> Iterator[tuple[Path, Any]]:
        for place, found in target(path, value, variables):
            if node.optional and not isinstance(found, list | dict):
                continue
            names = sorted(found) if isinstance(found, dict) else range(len(v.items(found)))
            for name in names:
                yield (*place, name), found[name]

    return paths


def _pipe(node: n.Pipe, scope: Scope) -> Paths:
    left, right = _compile(node.left, scope), _compile(node.right, scope)

    def paths(path: Path, value: Any, variables: Variables) -> Iterator[tuple[Path, Any]]:
        for place, found in left(path, value, variables):
            yield from right(place, found, variables)

    return paths


def _comma(node: n.Comma, scope: Scope) -> Paths:
    left, right = _compile(node.left, scope), _compile(node.right, scope)

    def paths(path: Path, value: Any, variables: Variables) -> Iterator[tuple[Path, Any]]:
        yield from left(path, value, variables)
        yield from right(path, value, variables)

    return paths


def _if(node: n.If, scope: Scope) -> Paths:
    test = compile_node(node.test, scope)
    body, other = _compile(node.body, scope), _compile(node.other, scope)

    def paths(path: Path, value: Any, variables: Variables) -> Iterator[tuple[Path, Any]]:
        for item in test.many(value, variables):
            yield from (body if v.truthy(item) else other)(path, value, variables)

    return paths


def _call(node: n.Call, scope: Scope) -> Paths:
    if node.name == "empty" and not node.arguments:
        return lambda _path, _value, _variables: iter(())
    if node.name != "select" or len(node.arguments) != 1:
        raise NotCovered(f"a path of {node.name}")
    test = compile_node(node.arguments[0], scope)

    def paths(path: Path, value: Any, variables: Variables) -> Iterator[tuple[Path, Any]]:
        for item in test.many(value, variables):
            if v.truthy(item):
                yield path, value

    return paths


_COMPILERS: dict[type[n.Node], Callable[[Any, Scope], Paths]] = {
    n.Identity: _identity,
    n.Index: _index,
    n.Iterate: _iterate,
    n.Group: lambda node, scope: _compile(node.body, scope),
    n.Pipe: _pipe,
    n.Comma: _comma,
    n.If: _if,
    n.Call: _call,
}

# ---------------------------------------------------------------------------- changing values


def copied(value: Any) -> Any:
    """Return a copy that shares no container with the value."""
    if value.__class__ is dict:
        return {key: copied(item) for key, item in value.items()}
    if value.__class__ is list:
        return [copied(item) for item in value]
    return value


def _get(value: Any, path: Path) -> Any:
    for key in path:
        value = v.index(value, key)
    return value


def _found(value: Any, path: Path) -> Any:
    try:
        return _get(value, path)
    except v.JqError:
        raise v.inapplicable(f"getpath({v.preview(list(path))})", value) from None


def _put(value: Any, path: Path, new: Any) -> Any:
    """Put something at a path into a value, which is changed; return the value."""
    if not path:
        return new
    key, rest = path[0], path[1:]
    if isinstance(key, str):
        made = {} if value is None else value
        if not isinstance(made, dict):
            raise v.JqError(f"expected an object but got: {v.shown(value)}")
        made[key] = _put(made.get(key), rest, new)
        return made
    if v.kind(key) != "number":
        raise v.JqError(f"expected a string for object key but got: {v.shown(key)}")
    return _put_element(value, key, rest, new)


def _put_element(value: Any, key: float, rest: Path, new: Any) -> Any:
    made = [] if value is None else value
    if not isinstance(made, list):
        raise v.JqError(f"expected an array but got: {v.shown(value)}")
    at = math.floor(key) if math.isfinite(key) else _MOST_ELEMENTS
    if at < -len(made):
        raise v.JqError(f"array index should not be negative: {at}")
    if at >= _MOST_ELEMENTS:
        raise v.JqError(f"array index too large: {at}")
    made += [None] * (at + 1 - len(made))
    made[at] = _put(made[at], rest, new)
    return made


def _without(value: Any, paths: list[Path]) -> Any:
    """Delete paths from a value, which is changed."""
    lists: dict[int, list[Any]] = {}
    for path in sorted(paths, key=len, reverse=True):  # inner ones while outer ones still exist
        if not path:
            return None
        holder, key = _get(value, path[:-1]), path[-1]
        if isinstance(holder, dict) and isinstance(key, str):
            holder.pop(key, None)
        elif isinstance(holder, list) and v.kind(key) == "number":
            if -len(holder) <= int(key) < len(holder):
                holder[int(key)] = _GONE
                lists[id(holder)] = holder
        elif holder is not None and holder is not _GONE:
            raise v.JqError(f"cannot delete {v.to_json(key)} of: {v.shown(holder)}")
    for holder in lists.values():
        holder[:] = [item for item in holder if item is not _GONE]
    return value


_GONE = object()
