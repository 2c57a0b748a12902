"""Encodings: JSON, base64, base32, digests."""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Any

import msgspec

from spine.lang import EvaluationError, gojson
from spine.lang.gotime import RFC3339_NANO, Time
from spine.lang.govalue import NIL_LIST, NIL_STRINGS, clean, decode, encode, type_name

# ---------------------------------------------------------------------------- JSON


def _plain(value: Any) -> Any:
    """Return a value as JSON has it. Raises EvaluationError for what it has not."""
    if isinstance(value, dict):
        return {clean(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return None if _is_nil(value) else [_plain(item) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return clean(value)
    return int(value) if isinstance(value, int) else _written(value)


def _is_nil(value: list[Any]) -> bool:
    return value is NIL_LIST or value is NIL_STRINGS


def _written(value: Any) -> str:
    """Return the text that JSON has for what is no JSON value."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Time):
        return value.format(RFC3339_NANO)
    if callable(value) or isinstance(value, complex):
        raise EvaluationError(f"writing JSON: {type_name(value)} is not a JSON value")
    return str(value)


def _must_json(value: Any) -> str:
    return gojson.dumps(_plain(value)).decode()


def _must_pretty(value: Any) -> str:
    return msgspec.json.format(_must_json(value), indent=2)


def _must_raw(value: Any) -> str:
    text = gojson.plain(_plain(value)).decode()
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _or_empty(call: Callable[[Any], str]) -> Callable[[Any], str]:
    def lenient(value: Any) -> str:
        try:
            return call(value)
        except EvaluationError:
            return ""

    return lenient


def _must_from_json(text: str) -> Any:
    raw = encode(text)
    try:
        value = msgspec.json.decode(gojson.without_lone_surrogates(raw) or raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise EvaluationError(f"reading JSON: {exc}") from exc
    return _floats(value)


def _floats(value: Any) -> Any:
    """Return a value with all its numbers as float64, as Go decodes them."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _from_json(text: str) -> Any:
    try:
        return _must_from_json(text)
    except EvaluationError:
        return None


# ---------------------------------------------------------------------------- base64, base32

_WHOLE_64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_LETTER_64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_LETTER_32 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_PAD = ord("=")


def _b64dec(text: str) -> str:
    data = encode(text)
    body = data.translate(None, b"\r\n")
    if _WHOLE_64.fullmatch(body):
        return decode(base64.b64decode(body))
    return f"illegal base64 data at input byte {_fault_64(data)}"


def _fault_64(data: bytes) -> int:
    """Return the offset that Go names for what is no base64."""
    letters = [(at, byte) for at, byte in enumerate(data) if byte not in b"\r\n"]
    for start in range(0, len(letters), 4):
        group = letters[start : start + 4]
        for place, (at, byte) in enumerate(group):
            if byte in _LETTER_64:
                continue
            if byte != _PAD or place < 2:  # noqa: PLR2004 -- two letters make a byte
                return at
            if place == 2 and len(group) < 4:  # noqa: PLR2004 -- a group
                return len(data)
            if place == 2 and group[3][1] != _PAD:  # noqa: PLR2004 -- a group
                return group[3][0] - 1
            return letters[start + 4][0]
        if len(group) < 4:  # noqa: PLR2004 -- a group
            return len(data) - len(group)
    return len(data)


def _b32dec(text: str) -> str:
    data = encode(text).translate(None, b"\r\n")
    pad = data.find(_PAD)
    end = len(data) if pad < 0 else pad - pad % 8 + 8
    fault = _fault_32(data, end if pad >= 0 else 0)
    if fault >= 0:
        return f"illegal base32 data at input byte {fault}"
    return decode(base64.b32decode(data[:end]))


def _fault_32(data: bytes, end: int) -> int:
    """Return the offset that Go names for what is no base32, -1 if it is.

    `end` is the offset behind the group with the first padding, 0 where there is none.
    """
    at = next((at for at, byte in enumerate(data) if byte not in _LETTER_32), None)
    if at is None:
        return len(data) - len(data) % 8 if len(data) % 8 else -1
    place, rest = at % 8, data[at + 1 :]
    if data[at] != _PAD or place < 2 or len(rest) >= 8:  # noqa: PLR2004 -- two letters make a byte
        return at
    if len(data) < end:
        return len(data)
    wrong = next((i for i in range(at + 1, end) if data[i] != _PAD), None)
    if wrong is not None:
        return wrong - 1
    return at if place in {3, 6} else -1


def _digest(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, encode(text), usedforsecurity=False).hexdigest()


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("toJson", "any", _or_empty(_must_json)),
    ("mustToJson", "any", _must_json),
    ("toPrettyJson", "any", _or_empty(_must_pretty)),
    ("mustToPrettyJson", "any", _must_pretty),
    ("toRawJson", "any", _must_raw),
    ("mustToRawJson", "any", _must_raw),
    ("fromJson", "string", _from_json),
    ("mustFromJson", "string", _must_from_json),
    ("b64enc", "string", lambda text: base64.b64encode(encode(text)).decode()),
    ("b64dec", "string", _b64dec),
    ("b32enc", "string", lambda text: base64.b32encode(encode(text)).decode()),
    ("b32dec", "string", _b32dec),
    ("sha1sum", "string", _digest("sha1")),
    ("sha256sum", "string", _digest("sha256")),
    ("sha512sum", "string", _digest("sha512")),
    ("adler32sum", "string", lambda text: str(zlib.adler32(encode(text)))),
]
