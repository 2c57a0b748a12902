"""What repeats, jumps and names: `reduce`, `foreach`, `label`, `break`, `def`, `..`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq import patterns
from spine.lang.jq import values as v
from spine.lang.jq.code import (
    BUDGET,
    Callee,
    Code,
    Scope,
    Variables,
    constant,
    several,
    single,
)
from spine.lang.jq.compiler import NotDefined
from spine.lang.jq.compiler import compile_node as compile_any


def compile_node(node: n.Node, scope: Scope) -> Code:
    """Return the code of one of these. Raises NotCovered."""
    return _COMPILERS[type(node)](node, scope)


# ---------------------------------------------------------------------------- folding


def _items(node: n.Reduce | n.Foreach, scope: Scope) -> tuple[Scope, Any]:
    """Return the inner scope, and what yields the variables for each item of the source."""
    source = compile_any(node.source, scope)
    inner, (take,) = patterns.compile_patterns((node.pattern,), scope)

    def items(value: Any, variables: Variables) -> Iterator[Variables]:
        for item in source.many(value, variables):
            yield from take(item, variables)

    return inner, items


def _reduce(node: n.Reduce, scope: Scope) -> Code:
    inner, items = _items(node, scope)
    start, update = compile_any(node.start, scope), compile_any(node.update, inner)

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
    start, update = compile_any(node.start, scope), compile_any(node.update, inner)
    extract = compile_any(node.extract, inner)

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
    body = compile_any(node.body, inner)

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


# ---------------------------------------------------------------------------- functions


class _Function:
    """A function; its body may call it before it is compiled."""

    def __init__(self, node: n.Define, scope: Scope) -> None:
        self.name = f"{node.name}/{len(node.parameters)}"
        self.code: Code | None = None
        self._paths: Any = None
        self._node = node
        self.keys = [scope.fresh(name) for name in node.parameters]
        inner = scope.with_function(self.name, self.callee())
        values = [name[1:] for name in node.parameters if name.startswith("$")]
        inner, self.value_keys = inner.bound(*values)
        for name, key in zip(node.parameters, self.keys, strict=True):
            inner = inner.with_function(f"{name.removeprefix('$')}/0", _parameter(key))
        self._inner = inner
        self.code = compile_any(node.body, inner)

    def callee(self) -> Callee:
        return Callee(self.call, self.call_paths)

    def call(self, arguments: tuple[n.Node, ...], scope: Scope) -> Code:
        """Return the code of a call."""
        if not arguments and self.code is not None:
            return self.code
        enter = self._entering(arguments, scope)
        function = self

        def many(value: Any, variables: Variables) -> Iterator[Any]:
            variables[BUDGET].step()
            code = function.code
            assert code is not None
            for env in enter(value, variables):
                yield from code.many(value, env)

        return several(many)

    def _entering(
        self, arguments: tuple[n.Node, ...], scope: Scope
    ) -> Callable[[Any, Variables], Iterator[Variables]]:
        """Return what yields the variables of the body, for each combination of values."""
        if not arguments:
            return lambda _value, variables: iter((variables,))
        from spine.lang.jq import updates

        codes = [compile_any(argument, scope) for argument in arguments]
        paths = [updates.later(argument, scope) for argument in arguments]
        values = [
            (code, key)
            for code, name, key in zip(codes, self._node.parameters, self.keys, strict=True)
            if name.startswith("$")
        ]
        value_keys = self.value_keys

        def enter(value: Any, variables: Variables) -> Iterator[Variables]:
            closures = {
                key: (code, path, variables)
                for key, code, path in zip(self.keys, codes, paths, strict=True)
            }
            yield from given(value, variables, {**variables, **closures}, 0)

        def given(value: Any, variables: Variables, env: Variables, at: int) -> Iterator[Variables]:
            if at == len(values):
                yield env
                return
            code, key = values[at]
            for one in code.many(value, variables):
                inner = {**env, value_keys[at]: one, key: (constant(one), None, variables)}
                yield from given(value, variables, inner, at + 1)

        return enter

    def call_paths(self, arguments: tuple[n.Node, ...], scope: Scope) -> Any:
        """Return what yields the paths of a call."""
        from spine.lang.jq import updates

        enter = self._entering(arguments, scope)
        if self._paths is None:
            self._paths = updates.later(self._node.body, self._inner)
        body = self._paths

        def paths(path: Any, value: Any, variables: Variables) -> Iterator[Any]:
            variables[BUDGET].step()
            for env in enter(value, variables):
                yield from body()(path, value, env)

        return paths


def _parameter(key: str) -> Callee:
    """Return how a parameter is called: where it was given, with the variables there."""

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        code, _, outer = variables[key]
        return code.many(value, outer)  # type: ignore[no-any-return]  # a Code

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[Any]:
        code, later, outer = variables[key]
        if later is None:
            from spine.lang.jq import updates

            yield from updates.astray(code, path, value, outer)
        else:
            yield from later()(path, value, outer)

    code = several(many)
    return Callee(lambda _arguments, _scope: code, lambda _arguments, _scope: paths)


def _define(node: n.Define, scope: Scope) -> Code:
    return compile_any(node.rest, defined(node, scope))


def defined(node: n.Define, scope: Scope) -> Scope:
    """Return the scope in which a function is defined."""
    function = _Function(node, scope)
    return scope.with_function(function.name, function.callee())


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


_COMPILERS: dict[type[n.Node], Callable[[Any, Scope], Code]] = {
    n.Reduce: _reduce,
    n.Foreach: _foreach,
    n.Label: _label,
    n.Break: _break,
    n.Define: _define,
    n.Recurse: _recurse,
}
