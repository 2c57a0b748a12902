"""Functions that a program defines, and how they are called: with filters, which are closures."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import nodes as n
from spine.lang.jq.code import BUDGET, Code, Paths, Variables, constant, several
from spine.lang.jq.scope import Callee, Compilers, Later, Scope
from spine.lang.jq.strays import astray


class _Function:
    """A function; its body may call it before it is compiled."""

    def __init__(self, node: n.Define, scope: Scope) -> None:
        self.name = f"{node.name}/{len(node.parameters)}"
        self.code: Code | None = None
        self._paths: Later | None = None
        self._node = node
        self.keys = [scope.fresh(name) for name in node.parameters]
        inner = scope.with_function(self.name, self.callee())
        values = [name[1:] for name in node.parameters if name.startswith("$")]
        inner, self.value_keys = inner.bound(*values)
        for name, key in zip(node.parameters, self.keys, strict=True):
            inner = inner.with_function(f"{name.removeprefix('$')}/0", _parameter(key))
        self._inner = inner
        self.code = inner.code(node.body)

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
        codes = [scope.code(argument) for argument in arguments]
        paths = [scope.later(argument) for argument in arguments]
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

    def call_paths(self, arguments: tuple[n.Node, ...], scope: Scope) -> Paths:
        """Return what yields the paths of a call."""
        enter = self._entering(arguments, scope)
        if self._paths is None:
            self._paths = self._inner.later(self._node.body)
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
            yield from astray(code, path, value, outer)
        else:
            yield from later()(path, value, outer)

    code = several(many)
    return Callee(lambda _arguments, _scope: code, lambda _arguments, _scope: paths)


def _define(node: n.Define, scope: Scope) -> Code:
    return defined(node, scope).code(node.rest)


def defined(node: n.Define, scope: Scope) -> Scope:
    """Return the scope in which a function is defined."""
    function = _Function(node, scope)
    return scope.with_function(function.name, function.callee())


CODES: Compilers[Code] = {n.Define: _define}
