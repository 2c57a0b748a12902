"""JSON text as Go's encoding/json writes it.

Keys sorted, `<`, `>`, `&`, U+2028 and U+2029 escaped, numbers without a needless exponent. Peers
compare and hash such texts, so bytes matter. The work is done by C libraries; only values with
floats, which Go spells differently, take a slow path.
"""

import json
import math
import re
import sys
from typing import Any

import msgspec
import orjson

from spine.lang import EvaluationError
from spine.lang.gonumber import format_json

_WHOLE = re.compile(rb"\.0[,\]}]")
_EXPONENT = re.compile(rb"[:,\[]-?[0-9][0-9.]*e[-+0-9]")
"""Floats that Go spells differently, within text; a string may look like one as well."""
_ZEROS = bytes.maketrans(b"123456789", b"000000000")

_LESS, _GREATER, _AND, _LEAD = b"<>&\xe2"
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
_LONE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LARGEST = sys.float_info.max
_skim = msgspec.json.Decoder(msgspec.Raw)


def dumps(value: Any) -> bytes:
    """Return a value as JSON. Raises EvaluationError for what JSON cannot hold."""
    return escape(plain(value))


def plain(value: Any, *, finite: bool = True) -> bytes:
    """Return a value as JSON in which `<`, `>` and `&` stay as they are.

    With `finite` false, NaN is null and infinity the largest number. Raises EvaluationError.
    """
    if isinstance(value, float):
        return _number(value, finite=finite).encode()
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if _is_foreign(text) or (b"null" in text and _has_endless(value)):
            return orjson.dumps(_spelled(value, finite=finite), option=orjson.OPT_SORT_KEYS)
    except TypeError:  # includes orjson's own error: large integers, lone surrogates, odd types
        return _slow(value, finite=finite)
    return text


def _is_foreign(text: bytes) -> bool:
    """Say whether a text may have floats that Go spells differently; quick if it has none."""
    if _WHOLE.search(text):
        return True
    return b"0e" in text.translate(_ZEROS) and _EXPONENT.search(text) is not None


def _has_endless(value: Any) -> bool:
    """Say whether NaN or infinity, which orjson writes as null, is in a value."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return True
    return False


def compact(raw: bytes) -> bytes:
    """Return JSON text without white space, numbers spelled as they are.

    Raises EvaluationError if it is not one JSON value.
    """
    try:
        return escape(msgspec.json.format(raw, indent=-1))
    except (msgspec.DecodeError, RecursionError) as exc:
        fixed = without_lone_surrogates(raw)
        if fixed is None or not valid(fixed):
            raise EvaluationError(f"reading JSON: {exc}") from exc
        return escape(_squeeze(raw))


def quote(text: str) -> bytes:
    """Return a text as a JSON string."""
    return escape(_string(text))


def _string(text: str) -> bytes:
    try:
        return orjson.dumps(text)
    except TypeError:
        return orjson.dumps(_SURROGATE.sub("\ufffd", text))


def escape(text: bytes) -> bytes:
    """Escape in valid JSON what Go escapes for the sake of HTML and JavaScript."""
    # four single bytes are found ten times faster than one pattern: this is on every event's way
    if _LESS in text or _GREATER in text or _AND in text or _LEAD in text:
        for plain, escaped in _ESCAPES:  # valid JSON has them nowhere but inside strings
            text = text.replace(plain, escaped)
    return text


def valid(raw: bytes) -> bool:
    """Say whether a text is one JSON value; lone surrogates are allowed, as in Go."""
    try:
        _skim.decode(raw)
    except msgspec.DecodeError:
        fixed = without_lone_surrogates(raw)
        return fixed is not None and valid(fixed)
    except RecursionError:
        return False
    return True


def without_lone_surrogates(raw: bytes) -> bytes | None:
    """Return a text of the same length with U+FFFD for lone surrogates; None if it has none.

    Our parsers refuse them; Go reads each as U+FFFD.
    """
    if b"\\ud" not in raw and b"\\uD" not in raw:
        return None
    fixed = _LONE.sub(lambda match: b"\\ufffd" if match[1] else match[0], raw)
    return None if fixed == raw else fixed


# ---------------------------------------------------------------------------- the slow paths

_STRING_OR_SPACE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)


def _squeeze(raw: bytes) -> bytes:
    return _STRING_OR_SPACE.sub(lambda match: match[1] or b"", raw)


def _spelled(value: Any, *, finite: bool) -> Any:
    """Replace floats by what orjson writes as Go would."""
    if isinstance(value, float):
        return orjson.Fragment(_number(value, finite=finite))
    if isinstance(value, dict):
        return {key: _spelled(item, finite=finite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item, finite=finite) for item in value]
    return value


def _number(value: float, *, finite: bool) -> str:
    if math.isfinite(value):
        return format_json(value)
    if finite:
        raise EvaluationError(f"writing JSON: {value} is not a JSON number")
    return "null" if math.isnan(value) else format_json(math.copysign(_LARGEST, value))


def _slow(value: Any, *, finite: bool) -> bytes:
    """Write what orjson refuses: integers beyond 64 bits, lone surrogates, deep nesting."""
    out: list[bytes] = []
    try:
        _write(value, out, finite)
    except RecursionError as exc:
        raise EvaluationError("writing JSON: the value is nested too deeply") from exc
    return b"".join(out)


def _write(value: Any, out: list[bytes], finite: bool) -> None:
    if value is None or isinstance(value, bool | int):
        out.append(json.dumps(value).encode())
    elif isinstance(value, float):
        out.append(_number(value, finite=finite).encode())
    elif isinstance(value, str):
        out.append(_string(value))
    elif isinstance(value, dict):
        _write_object(value, out, finite)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            out.append(b"," if index else b"[")
            _write(item, out, finite)
        out.append(b"]" if value else b"[]")
    else:
        raise EvaluationError(f"writing JSON: {type(value).__name__} is not a JSON value")


def _write_object(value: dict[Any, Any], out: list[bytes], finite: bool) -> None:
    for index, key in enumerate(sorted(value, key=str)):
        if not isinstance(key, str):
            raise EvaluationError(f"writing JSON: key {key!r} is not a string")
        out.append(b"," if index else b"{")
        out.append(_string(key))
        out.append(b":")
        _write(value[key], out, finite)
    out.append(b"}" if value else b"{}")
