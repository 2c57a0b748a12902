"""What `@name:argument` in a path does to the text that it meets: text in, text out."""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from spine.lang import gojson
from spine.lang.gjson import scan
from spine.lang.gjson.document import Result, parse, unquote
from spine.lang.gjson.pretty import pretty

Modify = Callable[[bytes], bytes]
"""Changes JSON text; empty text is nothing."""

_STRING_OR_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*"?)|[\x00-\x20]+', re.DOTALL)


def compile_modifier(name: str, argument: str) -> Modify:
    """Return what a modifier does; all but `dig`, which takes a path."""
    if name == "pretty":
        return lambda text: pretty(text, _options(argument))
    if name == "flatten":
        deep = _options(argument).get("deep") is True
        return lambda text: _flatten(text, deep=deep)
    if name == "join":
        preserve = _options(argument).get("preserve") is True
        return lambda text: _join(text, preserve=preserve)
    return _PLAIN[name]


def _options(argument: str) -> dict[str, object]:
    try:
        options = msgspec.json.decode(argument.encode())
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return {}
    return options if isinstance(options, dict) else {}


def _this(text: bytes) -> bytes:
    return text


def _reverse(text: bytes) -> bytes:
    value = parse(text)
    if value is not None and value.is_array:
        return _array(item.data for item in reversed(value.elements()))
    if value is not None and value.is_object:
        return _object(reversed(list(_members(value))))
    return text


def _ugly(text: bytes) -> bytes:
    return _STRING_OR_SPACE.sub(lambda match: match[1] or b"", text)


def _valid(text: bytes) -> bytes:
    return text if gojson.valid(text) else b""


def _flatten(text: bytes, *, deep: bool) -> bytes:
    value = parse(text)
    if value is None or not value.is_array:
        return text
    return _array(item.data for item in _flat(value, deep=deep))


def _flat(value: Result, *, deep: bool) -> Iterator[Result]:
    for item in value.elements():
        if not item.is_array:
            yield item
        elif deep:
            yield from _flat(item, deep=True)
        else:
            yield from item.elements()


def _join(text: bytes, *, preserve: bool) -> bytes:
    value = parse(text)
    if value is None or not value.is_array:
        return text
    pairs = [pair for item in value.elements() if item.is_object for pair in _members(item)]
    if preserve:
        return _object(iter(pairs))
    last = {unquote(key): (key, text) for key, text in pairs}
    return _object(iter(last.values()))


def _keys(text: bytes) -> bytes:
    value = parse(text)
    if value is None:
        return b"[]"
    if value.is_object:
        return _array(key for key, _ in _members(value))
    return _array(b"null" for _ in (value.elements() if value.is_array else [value]))


def _values(text: bytes) -> bytes:
    value = parse(text)
    if value is None:
        return b"[]"
    if value.is_object:
        return _array(item for _, item in _members(value))
    return text if value.is_array else _array([value.data])


def _to_string(text: bytes) -> bytes:
    return gojson.quote(text.decode("utf-8", "replace"))


def _from_string(text: bytes) -> bytes:
    value = parse(text)
    return value.text.encode() if value is not None and gojson.valid(text) else b""


def _group(text: bytes) -> bytes:
    value = parse(text)
    if value is None or not value.is_object:
        return b""
    groups: list[list[tuple[bytes, bytes]]] = []
    for key, column in _members(value):
        for row, item in enumerate(Result(column).elements() if column[:1] == b"[" else []):
            if row == len(groups):
                groups.append([])
            groups[row].append((key, item.data))
    return _array(_object(iter(group)) for group in groups)


def descendants(value: Result) -> Iterator[Result]:
    """Yield a value and all in it, parents first."""
    yield value
    if value.is_array:
        for item in value.elements():
            yield from descendants(item)
    elif value.is_object:
        for _, item in value.pairs():
            yield from descendants(item)


def _members(value: Result) -> Iterator[tuple[bytes, bytes]]:
    """Yield the texts of keys and values, repeated keys as well."""
    for key, item in scan.members(value.data):
        yield value.data[slice(*key)], value.data[slice(*item)]


def _array(items: Iterable[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)


def _object(pairs: Iterator[tuple[bytes, bytes]]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % pair for pair in pairs)


_PLAIN: dict[str, Modify] = {
    "this": _this,
    "reverse": _reverse,
    "ugly": _ugly,
    "valid": _valid,
    "keys": _keys,
    "values": _values,
    "tostr": _to_string,
    "fromstr": _from_string,
    "group": _group,
}
