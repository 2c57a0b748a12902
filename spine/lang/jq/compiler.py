"""Compiles the common part of jq to closures, many times faster than a call of libjq.

Results are those of gojq, which the peers run: keys in order, numbers as doubles, its messages.
What is not covered raises NotCovered and is left to libjq as a whole; a name that nobody knows
raises NotDefined.
"""

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import formats
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import (
    BUDGET,
    Code,
    NotCovered,
    One,
    Scope,
    Variables,
    combined,
    constant,
    several,
    single,
)


class NotDefined(Exception):
    """A name that stands for nothing."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.hint = hint


def compile_node(node: n.Node, scope: Scope) -> Code:
    """Return the code of a part of a program. Raises NotCovered."""
    compiler = _COMPILERS.get(type(node))
    if compiler is None:
        raise NotCovered(type(node).__name__)
    return compiler(node, scope)


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


# ---------------------------------------------------------------------------- paths


def _index(node: n.Index, scope: Scope) -> Code:
    keys = _literal_keys(node)
    if keys is not None:
        return single(_walk(keys))
    target, key = compile_node(node.target, scope), compile_node(node.key, scope)
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
    target = compile_node(node.target, scope)
    start = compile_node(node.start or n.Literal(None), scope)
    end = compile_node(node.end or n.Literal(None), scope)
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
    target = compile_node(node.target, scope)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for container in target.many(value, variables):
            if not node.optional or isinstance(container, list | dict):
                yield from v.items(container)

    return several(many)


# ---------------------------------------------------------------------------- construction


def _array(node: n.Array, scope: Scope) -> Code:
    if node.body is None:
        return single(lambda _value, _variables: [])
    body = compile_node(node.body, scope)
    if scope.counted and body.one is None:
        return single(lambda value, variables: list(_counted(body, value, variables)))
    return single(lambda value, variables: list(body.many(value, variables)))


def _counted(body: Code, value: Any, variables: Variables) -> Iterator[Any]:
    collect = variables[BUDGET].collect
    for item in body.many(value, variables):
        collect(item)
        yield item


def _object(node: n.Object, scope: Scope) -> Code:
    entries = [
        (compile_node(key, scope), compile_node(value, scope), key) for key, value in node.entries
    ]
    plain = [
        (key.value, value.one)
        for _, value, key in entries
        if isinstance(key, n.Literal) and isinstance(key.value, str) and value.one is not None
    ]
    if len(plain) == len(entries):
        return single(lambda value, env: {name: one(value, env) for name, one in plain})

    def many(value: Any, variables: Variables, at: int = 0) -> Iterator[dict[str, Any]]:
        if at == len(entries):
            yield {}
            return
        for key in entries[at][0].many(value, variables):
            for item in entries[at][1].many(value, variables):
                for rest in many(value, variables, at + 1):
                    if not isinstance(key, str):
                        raise v.JqError(f"expected a string for object key but got: {v.shown(key)}")
                    yield {key: item, **rest}

    if all(key.one is not None and value.one is not None for key, value, _ in entries):
        return single(lambda value, variables: next(many(value, variables)))
    return several(many)


def _text(node: n.Text, scope: Scope) -> Code:
    convert = formats.find(node.format or "text")
    parts = [
        constant(part) if isinstance(part, str) else _converted(compile_node(part, scope), convert)
        for part in node.parts
    ]
    ones = [part.one for part in parts if part.one is not None]
    if len(ones) == len(parts):
        return single(lambda value, env: "".join([one(value, env) for one in ones]))

    def many(value: Any, variables: Variables, at: int = len(parts)) -> Iterator[str]:
        if at == 0:
            yield ""
            return
        for after in parts[at - 1].many(value, variables):
            for before in many(value, variables, at - 1):
                yield before + after

    return several(many)


def _converted(code: Code, convert: Callable[[Any], str]) -> Code:
    if code.one is not None:
        one = code.one
        return single(lambda value, variables: convert(one(value, variables)))
    return several(lambda value, env: (convert(item) for item in code.many(value, env)))


def _format(node: n.Format, _scope: Scope) -> Code:
    convert = formats.find(node.name)
    return single(lambda value, _: v.checked_text(convert(value)))


# ---------------------------------------------------------------------------- operators


def _negate(node: n.Negate, scope: Scope) -> Code:
    written = _integer(node.body)
    if written is not None:
        return constant(-written)
    return combined(_negative, constant(None), compile_node(node.body, scope))


def _negative(_nothing: None, value: Any) -> Any:
    if v.kind(value) != "number":
        raise v.JqError(f"cannot negate: {v.shown(value)}")
    return -value if value else -0.0 * math.copysign(1, value)


def _pipe(node: n.Pipe, scope: Scope) -> Code:
    left, right = compile_node(node.left, scope), compile_node(node.right, scope)
    return piped(left, right, counted=scope.counted)


def piped(left: Code, right: Code, *, counted: bool = False) -> Code:
    """Return `left | right`."""
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one
        return single(lambda value, variables: second(first(value, variables), variables))

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        outputs = _counted(left, value, variables) if counted else left.many(value, variables)
        for item in outputs:
            yield from right.many(item, variables)

    return several(many)


def _comma(node: n.Comma, scope: Scope) -> Code:
    left, right = compile_node(node.left, scope), compile_node(node.right, scope)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        yield from left.many(value, variables)
        yield from right.many(value, variables)

    return several(many)


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": v.add,
    "-": v.subtract,
    "*": v.multiply,
    "/": v.divide,
    "%": v.modulo,
    "==": v.equal,
    "!=": lambda left, right: not v.equal(left, right),
    "<": lambda left, right: v.compare(left, right) < 0,
    "<=": lambda left, right: v.compare(left, right) <= 0,
    ">": lambda left, right: v.compare(left, right) > 0,
    ">=": lambda left, right: v.compare(left, right) >= 0,
}


def _binary(node: n.Binary, scope: Scope) -> Code:
    exact = _exact(node)
    if exact is not None:
        return constant(exact)
    left, right = compile_node(node.left, scope), compile_node(node.right, scope)
    match node.operator:
        case "//":
            return alternative(left, right)
        case "and" | "or":
            return _logic(left, right, stop=node.operator == "or")
    return combined(OPERATIONS[node.operator], left, right)


def _exact(node: n.Binary) -> int | None:
    """Return what two integers of the program give, with all digits as in gojq."""
    operation = _EXACT.get(node.operator)
    left = _exact(node.left) if isinstance(node.left, n.Binary) else _integer(node.left)
    right = _integer(node.right)
    if operation is None or left is None or right is None:
        return None
    return operation(left, right)


def _integer(node: n.Node) -> int | None:
    while isinstance(node, n.Group):
        node = node.body
    value = node.value if isinstance(node, n.Literal) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_EXACT: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def alternative(left: Code, right: Code) -> Code:
    """Return `left // right`: the true outputs of one, or else the outputs of the other."""
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one

        def one(value: Any, variables: Variables) -> Any:
            found = first(value, variables)
            return found if v.truthy(found) else second(value, variables)

        return single(one)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        found = False
        for item in left.many(value, variables):
            if v.truthy(item):
                found = True
                yield item
        if not found:
            yield from right.many(value, variables)

    return several(many)


def _logic(left: Code, right: Code, *, stop: bool) -> Code:
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one

        def one(value: Any, variables: Variables) -> bool:
            if v.truthy(first(value, variables)) is stop:
                return stop
            return v.truthy(second(value, variables))

        return single(one)

    def many(value: Any, variables: Variables) -> Iterator[bool]:
        for item in left.many(value, variables):
            if v.truthy(item) is stop:
                yield stop
            else:
                yield from map(v.truthy, right.many(value, variables))

    return several(many)


# ---------------------------------------------------------------------------- control


def _if(node: n.If, scope: Scope) -> Code:
    test, body = compile_node(node.test, scope), compile_node(node.body, scope)
    other = compile_node(node.other, scope)
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
    body = compile_node(node.body, scope)
    handler = None if node.handler is None else compile_node(node.handler, scope)

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


def _bind(node: n.Bind, scope: Scope) -> Code:
    if node.name is None:
        from spine.lang.jq import patterns

        return patterns.compile_bind(node, scope)
    source = compile_node(node.source, scope)
    inner, (key,) = scope.bound(node.name)
    body = compile_node(node.body, inner)
    if source.one is not None and body.one is not None:
        first, second = source.one, body.one
        return single(
            lambda value, variables: second(value, {**variables, key: first(value, variables)})
        )
    counted = scope.counted

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        outputs = _counted(source, value, variables) if counted else source.many(value, variables)
        for item in outputs:
            yield from body.many(value, {**variables, key: item})

    return several(many)


def _call(node: n.Call, scope: Scope) -> Code:
    from spine.lang.jq import calls

    return calls.compile_call(node, scope)


def _control(node: n.Node, scope: Scope) -> Code:
    from spine.lang.jq import control

    return control.compile_node(node, scope)


def _update(node: n.Update, scope: Scope) -> Code:
    from spine.lang.jq import updates

    return updates.compile_update(node, scope)


_COMPILERS: dict[type[n.Node], Callable[[Any, Scope], Code]] = {
    n.Identity: _identity,
    n.Literal: _literal,
    n.Variable: _variable,
    n.Index: _index,
    n.Slice: _slice,
    n.Iterate: _iterate,
    n.Group: lambda node, scope: compile_node(node.body, scope),
    n.Array: _array,
    n.Object: _object,
    n.Text: _text,
    n.Format: _format,
    n.Negate: _negate,
    n.Pipe: _pipe,
    n.Comma: _comma,
    n.Binary: _binary,
    n.If: _if,
    n.Try: _try,
    n.Bind: _bind,
    n.Call: _call,
    n.Update: _update,
    n.Recurse: _control,
    n.Reduce: _control,
    n.Foreach: _control,
    n.Label: _control,
    n.Break: _control,
    n.Define: _control,
}
