"""JSON text, read level by level and only where a path leads.

Each level is decoded once, by a C library, into slices of the text, so that numbers and white
space come out as they went in. Of repeated keys the first counts.
"""

import json
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import msgspec
from typing_extensions import override

from spine.lang import EvaluationError, gojson
from spine.lang.gjson import scan
from spine.lang.gonumber import format_decimal, parse_float

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode
_decoder = json.JSONDecoder(parse_int=float, object_pairs_hook=lambda pairs: dict(pairs[::-1]))
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)  # nesting without end stays an error
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt])|.?)', re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_TRUE = frozenset({"1", "t", "true"})
_UNKNOWN = object()


class Kind(Enum):
    """The type of a value; the texts are the ones that manifests and logs know."""

    NULL = "Null"
    FALSE = "False"
    NUMBER = "Number"
    STRING = "String"
    TRUE = "True"
    JSON = "JSON"
    """An object or an array."""


_KINDS = {ord(digit): Kind.NUMBER for digit in "-0123456789"} | {
    ord('"'): Kind.STRING,
    ord("t"): Kind.TRUE,
    ord("f"): Kind.FALSE,
    ord("{"): Kind.JSON,
    ord("["): Kind.JSON,
}


class Result(msgspec.Struct, eq=False, gc=False):
    """One JSON value: its text and what comparisons and parameters make of it."""

    data: bytes
    """The exact JSON text."""

    # what is known of it so far, which nobody gives
    members: "dict[str, Result | msgspec.Raw] | None" = None
    """Those of an object that was opened: slices of its text until somebody asks for them."""
    repeated: "list[tuple[str, Result]] | None" = None
    """All members in order, where it is known that a key occurs more than once."""
    settled: bool = False
    """Whether it is known for all keys."""
    _elements: "list[Result] | None" = None
    _rescanned: bool = False
    _text: str | None = None

    @override
    def __repr__(self) -> str:
        return f"Result({self.raw})"

    @property
    def kind(self) -> Kind:
        """The JSON type."""
        return _KINDS.get(self.data[0], Kind.NULL) if self.data else Kind.NULL

    @property
    def raw(self) -> str:
        """The exact JSON text; bytes that are not UTF-8 show as U+FFFD."""
        return self.data.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """The string form: of a string its content, of null nothing, of others their JSON."""
        text = self._text
        if text is None:
            text = self._text = self._spelled()
        return text

    def _spelled(self) -> str:
        kind = self.kind
        if kind is Kind.STRING:
            return unquote(self.data)
        if kind is Kind.NUMBER:
            return _number_text(self.raw)
        return "" if kind is Kind.NULL else self.raw

    @property
    def number(self) -> float:
        """The number; of true 1, of a string what it spells, else 0."""
        kind = self.kind
        if kind is Kind.NUMBER:
            try:
                return float(self.data)
            except ValueError:  # the text is not valid JSON
                return 0.0
        if kind is Kind.STRING:
            return parse_float(self.text) or 0.0
        return 1.0 if kind is Kind.TRUE else 0.0

    @property
    def boolean(self) -> bool:
        """The truth; of a number that it is not 0, of a string that it spells true."""
        kind = self.kind
        if kind is Kind.STRING:
            return self.text.lower() in _TRUE
        return kind is Kind.TRUE or (kind is Kind.NUMBER and self.number != 0)

    # ------------------------------------------------------------------------ levels

    @property
    def is_object(self) -> bool:
        """Whether this is an object."""
        return self.data[:1] == b"{"

    @property
    def is_array(self) -> bool:
        """Whether this is an array."""
        return self.data[:1] == b"["

    @property
    def repeats(self) -> bool:
        """Whether it is known that a key of this object occurs more than once."""
        return self.repeated is not None

    def member(self, key: str, needle: bytes | None = None) -> "Result | None":
        """Return the first member of that key; the needle is the key in quotes, if known."""
        members = self.open() if self.members is None else self.members
        found = members.get(key)
        if found is None or isinstance(found, Result):
            return found
        if not self.settled and self.data.count(needle or in_quotes(key)) != 1:
            self._settle()
            return self.member(key)
        result = members[key] = Result(bytes(found))
        return result

    def pairs(self) -> Iterator[tuple[str, "Result"]]:
        """Yield all members in order, repeated ones as well."""
        if self.members is None:
            self.open()
        if not self.settled:
            self._settle()
        if self.repeated is not None:
            yield from self.repeated
        else:
            for key in self.members or ():
                if (found := self.member(key)) is not None:
                    yield key, found

    def elements(self) -> list["Result"]:
        """Return the elements of this array."""
        if self._elements is None:
            try:
                self._elements = [Result(bytes(raw)) for raw in _array.decode(self.data)]
            except _UNREADABLE:
                spans = scan.elements(self.data)
                self._elements = [Result(self.data[start:end]) for start, end in spans]
        return self._elements

    def opens(self) -> bool:
        """Whether this is an object, and all of its text is JSON; it is opened then."""
        if self.members is None and self.data[:1] == b"{":
            try:
                self.open()
            except RecursionError:
                return False
            return self.members is not None and self.repeated is None and not self._rescanned
        return False

    def open(self) -> "dict[str, Result | msgspec.Raw]":
        """Return the members of this object."""
        try:
            members: dict[str, Result | msgspec.Raw] = _object.decode(self.data)  # type: ignore[assignment]  # filled later
        except _UNREADABLE:
            self._rescan()
            return self.members or {}
        self.members = members
        if _encode(members) == self.data:  # the usual case: no space, and no key twice
            self.settled = True
        elif b"\\" in self.data and b"\\u" in self.data:  # keys may be spelled in several ways
            self._settle()
        return self.members

    def _settle(self) -> None:
        """Find out whether keys are repeated, by walking along the decoded members."""
        self.settled = True
        data, at = self.data, 1
        for key, value in (self.members or {}).items():
            size = len(value.data) if isinstance(value, Result) else len(bytes(value))
            at = scan.skip_gap(data, at)
            end = scan.value_end(data, at)
            if unquote(data[at:end]) != key:
                self._rescan()
                return
            at = scan.skip_gap(data, end) + size
        end = scan.skip_gap(data, at)
        if data[end : end + 1] != b"}":
            self._rescan()

    def _rescan(self) -> None:
        """Read the members one by one; the first of a key is the one that counts."""
        self.settled = self._rescanned = True
        data = self.data
        pairs = [
            (unquote(data[slice(*key)]), Result(data[slice(*value)]))
            for key, value in scan.members(data)
        ]
        self.members = {}
        for key, value in pairs:
            self.members.setdefault(key, value)
        self.repeated = pairs if len(pairs) != len(self.members) else None


Step = tuple[str, bytes, int]
"""A key, the key in quotes, and the index that it is in an array."""

REPEATED = Result(b"")
"""Stands for what may be in a later member of a key that occurs more than once."""


def follow(value: Result, steps: Sequence[Step]) -> Result | None:
    """Return what plain keys and indices lead to, None where nothing is, or REPEATED."""
    nothing = None
    for name, needle, number in steps:
        found: Result | None = None
        members = value.members
        if members is None and value.data[:1] == b"{":
            members = value.open()
        if members is not None:
            known = members.get(name)
            if known is None or isinstance(known, Result):
                found = known
            elif value.settled:
                found = members[name] = Result(bytes(known))
            else:
                found = value.member(name, needle)
            if value.repeated is not None:
                nothing = REPEATED
        elif value.data[:1] == b"[" and number < len(elements := value.elements()):
            found = elements[number]
        if found is None:
            return nothing
        value = found
    return value


class Document:
    """A JSON text that paths are looked up in; `valid` says whether it is one JSON value.

    Looking up in a text that is not valid JSON finds what can be found.
    """

    __slots__ = ("_decoded", "_valid", "data", "root")

    root: Result
    """The whole text as a value."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root = Result(data.lstrip())
        self._valid: bool | None = None
        self._decoded: Any = _UNKNOWN

    @property
    def valid(self) -> bool:
        """Whether the text is one JSON value."""
        if self._valid is None:
            whole = self.root.data is self.data  # no white space before it, of whatever kind
            self._valid = (whole and self.root.opens()) or gojson.valid(self.data)
        return self._valid

    @property
    def decoded(self) -> Any:
        """All of it as Python values: every number a float, of repeated keys the first counts.

        Made once, and not to be changed. Raises EvaluationError where it cannot be read.
        """
        if self._decoded is _UNKNOWN:
            try:
                data = gojson.without_lone_surrogates(self.data) or self.data
                self._decoded = _decoder.decode(data.decode(errors="surrogateescape"))
            except (ValueError, RecursionError) as exc:
                raise EvaluationError(f"reading JSON: {exc}") from exc
        return self._decoded


def in_quotes(key: str) -> bytes:
    """Return a key as it usually stands in a text."""
    return b'"%b"' % key.encode("utf-8", "replace")


def parse(data: bytes) -> Result | None:
    """Return the value that a text starts with, None if it starts with none."""
    start = scan.skip_space(data, 0)
    if data[start : start + 1] in {b"{", b"["}:
        return Result(data[start:])
    end = scan.value_end(data, start)
    value = Result(data[start:end])
    if value.kind is Kind.NULL and value.data != b"null":
        return None
    if value.kind in {Kind.TRUE, Kind.FALSE} and value.data not in {b"true", b"false"}:
        return None
    return value


def unquote(data: bytes) -> str:
    """Return the content of a JSON string; lone surrogates become U+FFFD."""
    if b"\\" not in data:
        return data.strip(b'"').decode("utf-8", "replace")
    try:
        return _string.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = data[1:-1] if data[-1:] == b'"' else data[1:]
        plain = _ESCAPE.sub(_unescape, text.decode("utf-8", "replace"))
        return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return _ESCAPED.get(match[2], match[2]) if match[2] else ""


def _number_text(raw: str) -> str:
    """Return digits as they are, anything else as the shortest decimal."""
    digits = raw.removeprefix("-")
    if digits.isascii() and digits.isdigit():
        return raw
    value = parse_float(raw)
    return raw if value is None else format_decimal(value)
