"""What makes arrays, objects and texts of the outputs of filters."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import formats
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, Variables, constant, counted, several, single
from spine.lang.jq.scope import Compilers, Scope


def _array(node: n.Array, scope: Scope) -> Code:
    if node.body is None:
        return single(lambda _value, _variables: [])
    body = scope.code(node.body)
    if scope.counted and body.one is None:
        return single(lambda value, variables: list(counted(body, value, variables)))
    return single(lambda value, variables: list(body.many(value, variables)))


def _object(node: n.Object, scope: Scope) -> Code:
    entries = [(scope.code(key), scope.code(value), key) for key, value in node.entries]
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
        constant(part) if isinstance(part, str) else _converted(scope.code(part), convert)
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


CODES: Compilers[Code] = {
    n.Array: _array,
    n.Object: _object,
    n.Text: _text,
    n.Format: _format,
}
