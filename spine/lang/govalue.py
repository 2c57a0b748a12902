"""Go's types, for programs that ask for them: `typeOf`, `%T`, comparison by kind.

Python's values stand for Go's: int is int64, float float64, list `[]interface {}`, dict
`map[string]interface {}`. Where Go has another type, a class of the same shape says so. A text
with bytes that are no UTF-8 has them as lone surrogates (`surrogateescape`).
"""

import re
from collections.abc import Mapping

from typing_extensions import override

from spine.lang.gotime import Duration, Month, Time, Weekday


class Int(int):
    """Go's `int`, the type of whole numbers in a program."""

    __slots__ = ()


class Byte(int):
    """Go's `uint8`, the type of a letter of a text."""

    __slots__ = ()


class Strings(list[str]):
    """Go's `[]string`."""

    __slots__ = ()


NIL_LIST: list[object] = []
NIL_STRINGS = Strings()
"""Go's nil lists: those which functions give that found nothing. JSON writes them as null."""


class Ints(list[int]):
    """Go's `[]int`."""

    __slots__ = ()


class Lists(list[list[object]]):
    """Go's `[][]interface {}`."""

    __slots__ = ()


class StringMap(dict[str, str]):
    """Go's `map[string]string`."""

    __slots__ = ()


class Pairs(list[list[object]]):
    """Go's `[][2]interface {}`."""

    __slots__ = ()


class Pair(list[object]):
    """Go's `[2]interface {}`."""

    __slots__ = ()


class AnyMap(dict[object, object]):
    """Go's `map[interface {}]interface {}`; keys are made by `key_of`."""

    __slots__ = ()


class Groups(dict[object, list[object]]):
    """Go's `map[interface {}][]interface {}`; keys are made by `key_of`."""

    __slots__ = ()


class _Key:
    """A key of a map that Python would take for another one: 1.0 or true beside 1."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    @override
    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Key)
            and type(other.value) is type(self.value)
            and other.value == self.value
        )

    @override
    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


def key_of(value: object) -> object:
    """Return a value that can be hashed as a key of a map of any keys."""
    if type(value) is Int:
        return int(value)
    return value if type(value) in {int, str, type(None)} else _Key(value)


def value_of(key: object) -> object:
    """Return the value that a key stands for."""
    return key.value if isinstance(key, _Key) else key


_NAMES: Mapping[type, tuple[str, str]] = {
    type(None): ("<nil>", "invalid"),
    bool: ("bool", "bool"),
    int: ("int64", "int64"),
    Int: ("int", "int"),
    Byte: ("uint8", "uint8"),
    float: ("float64", "float64"),
    complex: ("complex128", "complex128"),
    str: ("string", "string"),
    bytes: ("[]uint8", "slice"),
    list: ("[]interface {}", "slice"),
    tuple: ("[]interface {}", "slice"),
    Strings: ("[]string", "slice"),
    Ints: ("[]int", "slice"),
    Lists: ("[][]interface {}", "slice"),
    dict: ("map[string]interface {}", "map"),
    StringMap: ("map[string]string", "map"),
    Pairs: ("[][2]interface {}", "slice"),
    Pair: ("[2]interface {}", "array"),
    AnyMap: ("map[interface {}]interface {}", "map"),
    Groups: ("map[interface {}][]interface {}", "map"),
    Time: ("time.Time", "struct"),
    Duration: ("time.Duration", "int64"),
    Month: ("time.Month", "int"),
    Weekday: ("time.Weekday", "int"),
}

_ELEMENT_TYPES: Mapping[type, type] = {Strings: str, Ints: Int, Lists: list, StringMap: str}


def type_name(value: object) -> str:
    """Return the Go type of a value, such as `float64` or `[]interface {}`."""
    return _described(value)[0]


def kind_name(value: object) -> str:
    """Return the Go kind of a value, such as `slice`; nil is `invalid`."""
    return _described(value)[1]


def _described(value: object) -> tuple[str, str]:
    known = _NAMES.get(type(value))
    if known is not None:
        return known
    for parent in type(value).__mro__:
        if parent in _NAMES:
            return _NAMES[parent]
    if callable(value):
        return "func()", "func"
    return f"*{type(value).__module__.rpartition('.')[2]}.{type(value).__name__}", "ptr"


def has_plain_elements(value: object) -> bool:
    """Say whether the elements of a list or map are of type `interface {}`."""
    return type(value) not in _ELEMENT_TYPES


# ---------------------------------------------------------------------------- bytes in texts

_FOREIGN = re.compile("[\ud800-\udfff]")


def encode(text: str) -> bytes:
    """Return the bytes that Go has for a text."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass" if _mixed(text) else "surrogateescape")


def _mixed(text: str) -> bool:
    return any(not "\udc80" <= letter <= "\udcff" for letter in _FOREIGN.findall(text))


def decode(data: bytes) -> str:
    """Return the text of bytes; those that are no UTF-8 stay what they are."""
    return data.decode(errors="surrogateescape")


def clean(text: str) -> str:
    """Return a text for the world: each byte that is no UTF-8 becomes U+FFFD, as in Go's JSON."""
    if text.isascii() or not _FOREIGN.search(text):
        return text
    return _FOREIGN.sub("\ufffd", decode(encode(text)))
