"""Calls of functions: those of the program first, then the built-in ones, wherever they live."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from spine.lang.jq import (
    builtins,
    filters,
    loops,
    matching,
    mathematics,
    places,
    streams,
    syntax,
    updates,
)
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, Variables, several, single
from spine.lang.jq.scope import NotCovered, NotDefined, Scope

Call = Callable[[tuple[n.Node, ...], Scope], Code]


def compile_call(node: n.Call, scope: Scope) -> Code:
    """Return the code of a function call. Raises NotCovered or NotDefined."""
    name, arguments = f"{node.name}/{len(node.arguments)}", node.arguments
    callee = scope.functions.get(name)
    if callee is not None:
        return callee.call(arguments, scope)
    made = _of_tables(node.name, arguments, scope)
    if made is not None:
        return made
    for calls in _calls():
        if name in calls:
            return calls[name](arguments, scope)
    if name in _LEFT:
        raise NotCovered(name)
    if node.name in {"input", "inputs"}:
        raise NotDefined(f"{name} is not allowed", "there is one input, the data: .")
    raise NotDefined(f"function not defined: {name}", _meant(node.name, len(arguments), scope))


def _meant(name: str, number: int, scope: Scope) -> str:
    """Return what to write for a function that there is not."""
    from difflib import get_close_matches

    known = {
        *scope.functions,
        *(call for calls in _calls() for call in calls),
        *(f"{one}/0" for one in (*builtins.OF_INPUT, *filters.SELECTING, *filters.GENERATING)),
        *(f"{one}/1" for one in (*builtins.OF_ARGUMENT, *filters.OF_FILTER)),
    }
    same = sorted(call for call in known if call.partition("/")[0] == name)
    if same:
        return f"there is {', '.join(same)}: a name and its number of arguments"
    names = sorted({call.partition("/")[0] for call in known})
    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]}"
    return "" if number else f"write .{name} for a field, {json.dumps(name)} for a text"


_LEFT = n.words("j0/0 j1/0 jn/2 y0/0 y1/0 yn/2")
"""Functions that libjq has or refuses: Bessel's."""


def _of_tables(name: str, arguments: tuple[n.Node, ...], scope: Scope) -> Code | None:
    """Return the code of a function that takes values, or one filter."""
    if not arguments:
        if name in builtins.OF_INPUT:
            function = builtins.OF_INPUT[name]
            return single(lambda value, _: function(value))
        if name in filters.SELECTING:
            kinds = filters.SELECTING[name]
            return several(lambda value, _: iter([value] if v.kind(value) in kinds else []))
        return filters.GENERATING.get(name)
    if len(arguments) == 1 and name in builtins.OF_ARGUMENT:
        return _applied(builtins.OF_ARGUMENT[name], scope.code(arguments[0]))
    if len(arguments) == 1 and name in filters.OF_FILTER:
        return filters.OF_FILTER[name](scope.code(arguments[0]))
    return None


@cache
def _calls() -> tuple[dict[str, Call], ...]:
    """Return the functions that compile their arguments themselves."""
    natives = {
        "setpath/2": places.set_path,
        "test/2": matching.test,
        **mathematics.OF_ARGUMENTS,
    }
    paths: dict[str, Call] = {
        "del/1": lambda arguments, scope: updates.compile_delete(arguments[0], scope),
        "path/1": lambda arguments, scope: updates.compile_path(arguments[0], scope),
        "pick/1": lambda arguments, scope: updates.compile_pick(arguments[0], scope),
    }
    own: dict[str, Call] = {
        "any/2": lambda arguments, scope: _quantified_over(arguments, scope, wanted=True),
        "all/2": lambda arguments, scope: _quantified_over(arguments, scope, wanted=False),
    }
    return (
        own,
        paths,
        {name: _native(function) for name, function in natives.items()},
        matching.CALLS,
        loops.CALLS,
        streams.CALLS,
        {name: _written(name, text) for name, text in _WRITTEN.items()},
    )


def _quantified_over(arguments: tuple[n.Node, ...], scope: Scope, *, wanted: bool) -> Code:
    source, test = (scope.code(argument) for argument in arguments)
    return filters.quantified(source, test, wanted=wanted)


def _native(function: Callable[..., Any]) -> Call:
    """Return a function of the input and several values; the last of them vary slowest."""

    def compile_native(arguments: tuple[n.Node, ...], scope: Scope) -> Code:
        codes = [scope.code(argument) for argument in arguments]
        ones = [code.one for code in codes if code.one is not None]
        if len(ones) == len(codes):
            return single(lambda value, env: function(value, *[one(value, env) for one in ones]))

        def many(
            value: Any, env: Variables, given: tuple[Any, ...] = (), left: int = len(codes)
        ) -> Iterator[Any]:
            if not left:
                yield function(value, *given)
                return
            for one in codes[left - 1].many(value, env):
                yield from many(value, env, (one, *given), left - 1)

        return several(many)

    return compile_native


_WRITTEN = {
    "paths/0": "path(..) | select(length > 0)",
    "paths/1": "path(.. | select(f)) | select(length > 0)",
    "map_values/1": ".[] |= f",
}
"""Functions that are written in jq itself; `f` is their argument."""


def _written(name: str, text: str) -> Call:
    def compile_written(arguments: tuple[n.Node, ...], scope: Scope) -> Code:
        plain, _, count = name.partition("/")
        define = f"def {plain}(f): {text}; " if count == "1" else f"def {plain}: {text}; "
        tree = syntax.parse(f"{define} {plain}{'(f)' if count == '1' else ''}").tree
        assert isinstance(tree, n.Define)
        called = n.Define(tree.name, tree.parameters, tree.body, n.Call(plain, arguments))
        return scope.code(called)

    return compile_written


def _applied(function: Callable[[Any, Any], Any], argument: Code) -> Code:
    if argument.one is not None:
        one = argument.one
        return single(lambda value, env: function(value, one(value, env)))
    return several(lambda value, env: (function(value, a) for a in argument.many(value, env)))
