"""sjson paths: where a value is written into JSON text.

    setter = sjson.compile("spec.arguments.parameters.0.value")
    setter.set_text(b'{"spec": {}}', "hello")

Text that is not written to stays byte for byte, order and spelling included. Parts that are
missing are made: an array for a number or `-1`, an object for anything else; `:1` is always a key.
A path with `*`, `?`, `#`, `@` or `|` changes the places that match, and nothing where none does.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import msgspec
from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError, gojson
from spine.lang.gjson import grammar, scan
from spine.lang.gjson.document import Result, unquote
from spine.lang.gjson.path import matches

_PLAIN_TEXT = re.compile(r"[ !#-\[\]-\x7f]*")
_COLON = re.compile(rb"\s*:\s*")
_MOST_PADDING = 100_000
"""Elements that a single write may add to an array; more is a slip, and would fill the memory."""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a plain path."""

    name: str
    forced: bool
    """Whether it was written with `:` and makes an object."""
    needle: bytes
    """The name as JSON text."""

    @property
    def index(self) -> int | None:
        """The element that the name stands for in an array that has it."""
        digits = self.name.isascii() and self.name.isdigit() and len(self.name) < 20  # noqa: PLR2004 -- digits of 64 bits
        return int(self.name) if digits else None

    @property
    def gap(self) -> int | None:
        """The index at which a new element is put; None for what makes an object."""
        if self.forced:
            return None
        return self.index if self.name else 0

    @property
    def appends(self) -> bool:
        """Whether it stands for the place behind the last element."""
        return self.name == "-1" and not self.forced


class Setter:
    """A compiled path to write to."""

    def __init__(self, path: str, parts: tuple[Part, ...] | None) -> None:
        self.path = path
        self._parts = parts

    @override
    def __repr__(self) -> str:
        return f"Setter({self.path!r})"

    def set(self, text: bytes, raw: bytes) -> bytes:
        """Return the text with a JSON value written at the path; empty text is a new document.

        Raises EvaluationError where the path asks for a name in an array.
        """
        try:
            if self._parts is None:
                return _replace_matches(text, self.path, raw)
            return _write(text, self._parts, 0, raw)
        except RecursionError as exc:
            raise EvaluationError(f"writing to {self.path!r}: nested too deeply") from exc
        except _Refusal as exc:
            raise EvaluationError(f"writing to {self.path!r}: {exc}") from None

    def set_text(self, text: bytes, value: str) -> bytes:
        """Return the text with a string written at the path. Raises EvaluationError."""
        return self.set(text, quote(value))


_DEPTH = 500
"""Levels of a path; JSON much deeper is refused by all who read it."""


class _Refusal(Exception):
    """Why a place cannot be written to."""


@lru_cache(maxsize=4096)
def compile(path: str) -> Setter:  # noqa: A001 -- as re.compile
    """Compile a path. Raises ConfigError for an empty one."""
    if not path:
        raise ConfigError("compiling destination '': it is empty", hint="name a key, such as a.b.0")
    parts = _parse(path)
    if parts is not None and len(parts) > _DEPTH:
        raise ConfigError(f"compiling destination {path[:40]!r}...: it is deeper than {_DEPTH}")
    return Setter(path, parts)


def quote(text: str) -> bytes:
    """Return a text as a JSON string; plain ASCII stays as it is, also `<`, `>` and `&`."""
    if _PLAIN_TEXT.fullmatch(text):
        return b'"%b"' % text.encode()
    return gojson.quote(text)


def _parse(path: str) -> tuple[Part, ...] | None:
    """Return the components, None if the path looks for matches."""
    parts: list[Part] = []
    name: list[str] = []
    forced, at = path.startswith(":"), 1 if path.startswith(":") else 0
    while at < len(path):
        char = path[at]
        if char in "|#@*?":
            return None
        if char == ".":
            parts.append(_part(name, forced=forced))
            name = []
            forced = path[at + 1 : at + 2] == ":"
            at += 1 if forced else 0
        elif char == "\\":
            at += 1
            name.append(path[at : at + 1])
        else:
            name.append(char)
        at += 1
    parts.append(_part(name, forced=forced))
    return tuple(parts)


def _part(name: list[str], *, forced: bool) -> Part:
    text = "".join(name)
    return Part(text, forced, quote(text))


# ---------------------------------------------------------------------------- plain paths


def _write(text: bytes, parts: tuple[Part, ...], level: int, raw: bytes) -> bytes:
    part = parts[level]
    at = scan.skip_space(text, 0)
    first = text[at : at + 1]
    place = None
    if first == b"{":
        place = _member(text, at, part)
    elif first == b"[":
        place = _element(text, at, part)
    if place is not None:
        start, end = place
        last = level == len(parts) - 1
        new = raw if last else _write(text[start:end], parts, level + 1, raw)
        return text[:start] + new + text[end:]
    new = _built(parts, level + 1, raw)
    if first == b"{":
        return _with_member(text, at, part, new)
    if first == b"[":
        return _with_element(text, at, part, new)
    if part.gap is not None:
        return b"[%b]" % _padded(part.gap, new)
    return b"{%b:%b}" % (part.needle, new)


def _member(text: bytes, at: int, part: Part) -> scan.Span | None:
    """Return the place of a member's value; a short cut where the key is there at most once."""
    if b"\\u" not in text and b"\\/" not in text:
        count = text.count(part.needle)
        if count == 0:
            return None
        if count == 1 and (place := _only_member(text, part)):
            return place
    for key, value in scan.members(text, at):
        if unquote(text[slice(*key)]) == part.name:
            return value
    return None


def _only_member(text: bytes, part: Part) -> scan.Span | None:
    try:
        value = _object.decode(text).get(part.name)
    except _UNREADABLE:
        return None
    colon = _COLON.match(text, text.find(part.needle) + len(part.needle))
    if value is None or colon is None:
        return None
    return colon.end(), colon.end() + len(bytes(value))


def _element(text: bytes, at: int, part: Part) -> scan.Span | None:
    if part.index is None:
        return None
    return next(islice(scan.elements(text, at), part.index, None), None)


def _with_member(text: bytes, at: int, part: Part, new: bytes) -> bytes:
    head = text[at:].rstrip().removesuffix(b"}")
    comma = b"" if not head[1:].strip() else b","
    return b"%b%b%b:%b}" % (head, comma, part.needle, new)


def _with_element(text: bytes, at: int, part: Part, new: bytes) -> bytes:
    if part.gap is not None:
        elements = [text[slice(*place)] for place in scan.elements(text, at)]
        elements.append(_padded(part.gap - len(elements), new))
        return b"[%b]" % b",".join(elements)
    if not part.appends:
        raise _Refusal(f"{part.name!r} is not an index of the array there (use a number or -1)")
    head = text[at:].rstrip().removesuffix(b"]")
    comma = b"" if not head[1:].strip() else b","
    return b"%b%b%b]" % (head, comma, new)


def _built(parts: tuple[Part, ...], level: int, raw: bytes) -> bytes:
    """Return a value in the containers that the rest of the path asks for."""
    for part in reversed(parts[level:]):
        if part.gap is not None:
            raw = b"[%b]" % _padded(part.gap, raw)
        elif part.appends:
            raw = b"[%b]" % raw
        else:
            raw = b"{%b:%b}" % (part.needle, raw)
    return raw


def _padded(count: int, raw: bytes) -> bytes:
    if count > _MOST_PADDING:
        raise _Refusal(f"{count} empty elements would be added, more than {_MOST_PADDING}")
    return b"null," * count + raw


# ---------------------------------------------------------------------------- paths that match


def _replace_matches(text: bytes, path: str, raw: bytes) -> bytes:
    start = scan.skip_space(text, 0)
    for begin, end in sorted(_places(text, start, path), reverse=True):
        text = text[:begin] + raw + text[end:]
    return text


def _places(text: bytes, at: int, path: str) -> list[scan.Span]:
    """Return the places that a path matches in the value at a position."""
    computed = path[:1] in {"[", "{", "!"} or (path[:1] == "@" and grammar.modifier(path))
    if computed and len(path) > 1:
        return []
    first = text[at : at + 1]
    if first == b"{":
        return _members(text, at, grammar.key(path))
    return _elements(text, at, grammar.index(path)) if first == b"[" else []


def _members(text: bytes, at: int, key: grammar.Key) -> list[scan.Span]:
    if key.pipe is not None:
        return []
    for name, value in scan.members(text, at):
        if key.matches(unquote(text[slice(*name)])):
            found = [value] if key.rest is None else _places(text, value[0], key.rest)
            if found:
                return found
    return []


def _elements(text: bytes, at: int, index: grammar.Index) -> list[scan.Span]:
    if index.pipe is not None or (index.count and index.each is None):
        return []
    rest = index.each if index.each is not None else index.rest
    found: list[scan.Span] = []
    for number, place in enumerate(scan.elements(text, at)):
        if _chosen(index, number, text[slice(*place)]):
            found += [place] if rest is None else _places(text, place[0], rest)
            if index.number is not None or (index.condition and not index.condition.every):
                break
    return found


def _chosen(index: grammar.Index, number: int, element: bytes) -> bool:
    if index.condition is not None:
        return matches(index.condition)(Result(element))
    return index.count or index.number == number
