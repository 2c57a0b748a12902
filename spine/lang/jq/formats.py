"""`@json`, `@base64` and their like: values to text."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from spine.lang.jq.values import JqError, inapplicable, shown, to_json, to_text

_HTML = {ord("<"): "&lt;", ord(">"): "&gt;", ord("&"): "&amp;", ord("'"): "&apos;", 34: "&quot;"}
_WRONG_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}", re.DOTALL)
_TSV = {ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r", ord("\\"): "\\\\"}


def find(name: str) -> Callable[[Any], str]:
    """Return what a format does; one that nobody knows fails where it is used."""
    return _FORMATS.get(name) or (lambda _value: _unknown(name))


def _unknown(name: str) -> str:
    raise JqError(f"format not defined: @{name}")


def _unquoted(value: Any) -> str:
    text = to_text(value)
    if wrong := _WRONG_ESCAPE.search(text):
        why = f"invalid URL escape {to_json(wrong[0])}"
        raise JqError(f"@urid cannot be applied to {to_json(text)}: {why}")
    return unquote(text)


def _base64d(value: Any) -> str:
    text = to_text(value)
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        raise JqError(f"@base64d cannot be applied to {to_json(text)}: not base64") from None


def _row(value: Any, name: str, cell: Callable[[str], str], separator: str) -> str:
    if not isinstance(value, list):
        raise inapplicable(f"@{name}", value)
    return separator.join(_cell(item, name, cell) for item in value)


def _cell(value: Any, name: str, cell: Callable[[str], str]) -> str:
    if value is None and name != "sh":
        return ""
    if isinstance(value, list | dict):
        raise JqError(f"@{name} cannot format an array including: {shown(value)}")
    return cell(value) if isinstance(value, str) else to_json(value)


def _shell(value: Any) -> str:
    cells = value if isinstance(value, list) else [value]
    return _row(cells, "sh", lambda text: "'" + text.replace("'", "'\\''") + "'", " ")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


_FORMATS: dict[str, Callable[[Any], str]] = {
    "text": to_text,
    "json": to_json,
    "html": lambda value: to_text(value).translate(_HTML),
    "uri": lambda value: quote(to_text(value), safe="-_.~"),
    "urid": _unquoted,
    "base64": lambda value: base64.b64encode(to_text(value).encode()).decode(),
    "base64d": _base64d,
    "csv": lambda value: _row(value, "csv", _quoted, ","),
    "tsv": lambda value: _row(value, "tsv", lambda text: text.translate(_TSV), "\t"),
    "sh": _shell,
}
