"""What chooses, repeats and jumps: `if`, `try`, `reduce`, `foreach`, `label`, `break`, `..`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import patterns
from spine.lang.jq import values as v
from spine.lang.jq.code import BUDGET, Code, Variables, several, single
from spine.lang.jq.scope import Compilers, NotDefined, Scope

# ---------------------------------------------------------------------------- choosing


def _if(node: n.If, scope: Scope) -> Code:
    test, body = scope.code(node.test), scope.code(node.body)
    other = scope.code(node.other)
    if test.one is not None and body.one is not None and other.one is not None:
        check, yes, no = test.one, body.one, other.one
        return single(
            lambda value, env: yes(value, env) if v.truthy(check(value, env)) else no(value, env)
        )

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for item in test.many(value, variables):
            branch = body if v.truthy(item) else other
            yield from branch.many(value, variables)

    return several(many)


def _try(node: n.Try, scope: Scope) -> Code:
    body = scope.code(node.body)
    handler = None if node.handler is None else scope.code(node.handler)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        outputs = body.many(value, variables)
        while True:
            try:
                item = next(outputs)
            except StopIteration:
                return
            except v.JqError as exc:
                if handler is not None:
                    yield from handler.many(exc.value, variables)
                return
            yield item

    if body.one is not None and handler is not None and handler.one is not None:
        return single(lambda value, variables: next(many(value, variables)))
    return several(many)


# ---------------------------------------------------------------------------- folding


def _items(node: n.Reduce | n.Foreach, scope: Scope) -> tuple[Scope, Any]:
    """Return the inner scope, and what yields the variables for each item of the source."""
    source = scope.code(node.source)
    inner, (take,) = patterns.compile_patterns((node.pattern,), scope)

    def items(value: Any, variables: Variables) -> Iterator[Variables]:
        for item in source.many(value, variables):
            yield from take(item, variables)

    return inner, items


def _reduce(node: n.Reduce, scope: Scope) -> Code:
    inner, items = _items(node, scope)
    start, update = scope.code(node.start), inner.code(node.update)

    def fold(value: Any, variables: Variables, state: Any) -> Any:
        turn = variables[BUDGET].turn
        for number, env in enumerate(items(value, variables), 1):
            for made in update.many(state, env):
                state = made
            turn(number, state)
        return state

    if start.one is not None:
        one = start.one
        return single(lambda value, env: fold(value, env, one(value, env)))
    return several(lambda value, env: (fold(value, env, s) for s in start.many(value, env)))


def _foreach(node: n.Foreach, scope: Scope) -> Code:
    inner, items = _items(node, scope)
    start, update = scope.code(node.start), inner.code(node.update)
    extract = inner.code(node.extract)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        turn, number = variables[BUDGET].turn, 0
        for state in start.many(value, variables):
            for env in items(value, variables):
                number += 1
                turn(number, state)
                for made in update.many(state, env):
                    state = made  # noqa: PLW2901 -- the next item goes on from here
                    yield from extract.many(made, env)

    return several(many)


# ---------------------------------------------------------------------------- jumping


class Jump(Exception):
    """`break` on its way to its label."""

    def __init__(self, target: object) -> None:
        super().__init__()
        self.target = target


def _label(node: n.Label, scope: Scope) -> Code:
    inner, key = scope.with_label(node.name)
    body = inner.code(node.body)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        target = object()
        with landing(target):
            yield from body.many(value, {**variables, key: target})

    return several(many)


@contextmanager
def landing(target: object) -> Iterator[None]:
    """End the block where a jump to this target comes in."""
    try:
        yield
    except Jump as jump:
        if jump.target is not target:
            raise


def _break(node: n.Break, scope: Scope) -> Code:
    key = scope.labels.get(node.name)
    if key is None:
        raise NotDefined(f"label not defined: ${node.name}")

    def one(_value: Any, variables: Variables) -> Any:
        raise Jump(variables[key])

    return single(one)


# ---------------------------------------------------------------------------- all there is


def _recurse(_node: n.Recurse, _scope: Scope) -> Code:
    return several(everything)


def everything(value: Any, variables: Variables) -> Iterator[Any]:
    """Yield a value and all that is in it."""
    step, waiting = variables[BUDGET].step, [value]
    while waiting:
        one = waiting.pop()
        step()
        yield one
        if isinstance(one, list | dict):
            waiting += reversed(v.items(one))


CODES: Compilers[Code] = {
    n.If: _if,
    n.Try: _try,
    n.Reduce: _reduce,
    n.Foreach: _foreach,
    n.Label: _label,
    n.Break: _break,
    n.Recurse: _recurse,
}
