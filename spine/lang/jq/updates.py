"""What is done at the paths of a filter: `=`, `|=`, `+=`, `path`, `del`, `pick`."""

from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import places
from spine.lang.jq.code import Code, Paths, Variables, constant, several, single
from spine.lang.jq.operators import OPERATIONS, alternative
from spine.lang.jq.scope import Compilers, Scope
from spine.lang.jq.strays import Path, straight


def _update(node: n.Update, scope: Scope) -> Code:
    """Return the code of an assignment. Raises NotCovered."""
    paths, right = scope.paths(node.left), scope.code(node.right)
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
    paths = scope.paths(node)

    def one(value: Any, variables: Variables) -> Any:
        found = list(straight(paths, value, variables))
        return places.without(places.copied(value), found)

    return single(one)


def compile_path(node: n.Node, scope: Scope) -> Code:
    """Return the code of `path(filter)`."""
    paths = scope.paths(node)
    return several(lambda value, env: (list(path) for path in straight(paths, value, env)))


def compile_pick(node: n.Node, scope: Scope) -> Code:
    """Return the code of `pick(filter)`: the value with what is at those paths alone."""
    paths = scope.paths(node)

    def one(value: Any, variables: Variables) -> Any:
        made = None
        for path in straight(paths, value, variables):
            made = places.set_at(made, path, places.get_at(value, path))
        return made

    return single(one)


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


CODES: Compilers[Code] = {n.Update: _update}
