"""The functions that every Go template has."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

from spine.lang import EvaluationError
from spine.lang.gofmt import sprint, sprintf, sprintln
from spine.lang.gotemplate.functions import Function
from spine.lang.gotime import Duration, Month, Time, Weekday
from spine.lang.govalue import Byte, Int, StringMap, encode, type_name

_KINDS: Mapping[type, str] = {
    bool: "bool",
    int: "int",
    Int: "int",
    Byte: "int",
    Duration: "int",
    Month: "int",
    Weekday: "int",
    float: "float",
    complex: "complex",
    str: "string",
}
"""Kinds that can be compared; signed and unsigned integers are of one kind."""

_INCOMPATIBLE = "incompatible types for comparison"


# ---------------------------------------------------------------------------- comparison


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise EvaluationError("missing argument for comparison")
    kind = _KINDS.get(type(first))
    for other in others:  # noqa: SIM110 -- any() would cost as much as the comparison
        if _same(first, kind, other):
            return True
    return False


def _same(first: Any, kind: str | None, other: Any) -> bool:
    other_kind = _KINDS.get(type(other))
    if kind != other_kind:
        if first is not None and other is not None:
            raise EvaluationError(f"{_INCOMPATIBLE}: {type_name(first)} and {type_name(other)}")
        return False
    if kind is not None:
        return bool(first == other)
    if first is None or other is None:
        return first is other
    if isinstance(first, Time) and isinstance(other, Time):
        return first == other and first.zone is other.zone
    raise EvaluationError(f"non-comparable types {type_name(first)} and {type_name(other)}")


def _ne(first: Any, second: Any) -> bool:
    return not _eq(first, second)


def _lt(first: Any, second: Any) -> bool:
    kind, other = _KINDS.get(type(first)), _KINDS.get(type(second))
    if kind is None or other is None:
        raise EvaluationError("invalid type for comparison")
    if kind != other:
        raise EvaluationError(f"{_INCOMPATIBLE}: {type_name(first)} and {type_name(second)}")
    if kind in {"bool", "complex"}:
        raise EvaluationError("invalid type for comparison")
    return bool(first < second)


def _le(first: Any, second: Any) -> bool:
    return _lt(first, second) or _eq(first, second)


def _gt(first: Any, second: Any) -> bool:
    return not _le(first, second)


def _ge(first: Any, second: Any) -> bool:
    return not _lt(first, second)


# ---------------------------------------------------------------------------- parts


def _len(value: Any) -> Int:
    if isinstance(value, str):
        return Int(len(value) if value.isascii() else len(encode(value)))
    if isinstance(value, list | dict | bytes):
        return Int(len(value))
    raise EvaluationError("len of nil" if value is None else f"len of type {type_name(value)}")


def _index(item: Any, *keys: Any) -> Any:
    if item is None:
        raise EvaluationError("index of untyped nil")
    for key in keys:
        item = _at(item, key)
    return item


def _at(item: Any, key: Any) -> Any:
    if isinstance(item, dict):
        if not isinstance(key, str):
            got = "nil" if key is None else f"type {type_name(key)}"
            raise EvaluationError(f"a key has {got}; should be string")
        return item.get(key, "" if isinstance(item, StringMap) else None)
    if isinstance(item, str):
        data = encode(item)
        return Byte(data[_position(key, len(data))])
    if isinstance(item, list | bytes):
        found = item[_position(key, len(item))]
        return Byte(found) if isinstance(item, bytes) else found
    if item is None:
        raise EvaluationError("index of nil pointer")
    raise EvaluationError(f"can't index item of type {type_name(item)}")


def _position(key: Any, length: int) -> int:
    if isinstance(key, bool) or not isinstance(key, int):
        got = "nil" if key is None else f"type {type_name(key)}"
        raise EvaluationError(f"cannot index slice/array with {got}")
    if not 0 <= key < length:
        raise EvaluationError(f"index out of range: {int(key)}")
    return int(key)


def _call(function: Any, *args: Any) -> Any:
    if function is None:
        raise EvaluationError("call of nil")
    if not callable(function):
        raise EvaluationError(f"non-function of type {type_name(function)}")
    try:
        return function(*args)
    except (TypeError, ValueError) as exc:
        raise EvaluationError(str(exc)) from exc


# ---------------------------------------------------------------------------- texts


def _shown(values: tuple[Any, ...]) -> str:
    """Return arguments as one text, as printing them would."""
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint(["<no value>" if value is None else value for value in values])


_HTML = str.maketrans(
    {'"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"}
)
_JS = {
    "\\": r"\\",
    "'": r"\'",
    '"': r"\"",
    "<": r"\u003C",
    ">": r"\u003E",
    "&": r"\u0026",
    "=": r"\u003D",
}


def _js_letter(letter: str) -> str:
    if letter in _JS:
        return _JS[letter]
    if letter < " " or not (letter.isprintable() or "\ud800" <= letter <= "\udfff"):
        code = ord(letter)
        return f"\\u{code:04X}"
    return letter


def _js(*values: Any) -> str:
    return "".join(map(_js_letter, _shown(values)))


def _urlquery(*values: Any) -> str:
    return quote_plus(encode(_shown(values)))


def _first(value: Any, *_others: Any) -> Any:
    """Stand for and, or: they are compiled, as they look at no more than they need."""
    return value


_ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("and", "any ...any", _first),
    ("or", "any ...any", _first),
    ("not", "any", lambda value: not value),
    ("eq", "any ...any", _eq),
    ("ne", "any any", _ne),
    ("lt", "any any", _lt),
    ("le", "any any", _le),
    ("gt", "any any", _gt),
    ("ge", "any any", _ge),
    ("len", "any", _len),
    ("index", "any ...any", _index),
    ("call", "any ...any", _call),
    ("print", "...any", lambda *values: sprint(values)),
    ("println", "...any", lambda *values: sprintln(values)),
    ("printf", "string ...any", lambda text, *values: sprintf(text, values)),
    ("html", "...any", lambda *values: _shown(values).translate(_HTML)),
    ("js", "...any", _js),
    ("urlquery", "...any", _urlquery),
]

_DEEP = frozenset(("print", "println", "printf", "html", "js", "urlquery", "call"))

BUILTINS: Mapping[str, Function] = {
    name: Function(name, kinds, call, deep=name in _DEEP) for name, kinds, call in _ALL
}
"""Name -> function."""
