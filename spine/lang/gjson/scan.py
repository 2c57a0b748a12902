"""Finds the members and elements of JSON text by position, one level at a time.

Used where a decoder cannot serve: repeated keys, texts that are not one JSON value (JSON lines),
and places that are to be written to. Never raises: what cannot be read ends the scan.
"""

import re
from collections.abc import Iterator

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_SCALAR = re.compile(rb"[^\s,:\[\]{}\"]+")
_GAP = re.compile(rb"[\s,:]*")
_SPACE = re.compile(rb"\s*")

Span = tuple[int, int]
"""Start and end in a text."""


def skip_space(text: bytes, at: int) -> int:
    """Return the position of the first byte that is not white space."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def value_end(text: bytes, at: int) -> int:
    """Return where the value that starts at a position ends; the position if none starts there."""
    first = text[at : at + 1]
    if first == b'"':
        match = _STRING.match(text, at)
    elif first in {b"{", b"["}:
        return _container_end(text, at)
    else:
        match = _SCALAR.match(text, at)
    return match.end() if match else at


def members(text: bytes, start: int = 0) -> Iterator[tuple[Span, Span]]:
    """Yield key and value of each member of the object that starts at a position."""
    at = skip_gap(text, start + 1)
    while text[at : at + 1] == b'"':
        key_end = value_end(text, at)
        value = skip_gap(text, key_end)
        end = value_end(text, value)
        if end == value:
            return
        yield (at, key_end), (value, end)
        at = skip_gap(text, end)


def elements(text: bytes, start: int = 0) -> Iterator[Span]:
    """Yield the place of each element of the array that starts at a position."""
    yield from values(text, start + 1)


def values(text: bytes, start: int = 0) -> Iterator[Span]:
    """Yield the places of values that follow each other, as in JSON lines."""
    at = skip_gap(text, start)
    while (end := value_end(text, at)) > at:
        yield at, end
        at = skip_gap(text, end)


def skip_gap(text: bytes, at: int) -> int:
    """Return the position of the first byte that is neither white space, comma nor colon."""
    match = _GAP.match(text, at)
    return match.end() if match else at


def _container_end(text: bytes, at: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, at):
        byte = text[token.start()]
        if byte in b"{[":
            depth += 1
        elif byte in b"}]":
            depth -= 1
            if depth == 0:
                return token.end()
    return len(text)
