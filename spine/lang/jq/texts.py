"""The built-in functions of jq that read texts, take them apart, and put them together."""

import math
from collections.abc import Callable
from typing import Any

import orjson

from spine.lang.gonumber import parse_float
from spine.lang.jq import arithmetic
from spine.lang.jq import values as v


def _to_number(value: Any) -> Any:
    if v.kind(value) == "number":
        return value
    text = v.string(value, "tonumber")
    number = parse_float(text) if text.isascii() and not _ODD & set(text) else None
    if number is None:
        raise v.JqError(f"tonumber cannot be applied to {v.to_json(text)}: invalid number")
    digits = text.removeprefix("+").removeprefix("-")
    return int(text) if digits.isdigit() and len(digits) < _MOST_DIGITS else number


_ODD = set("_xXpPnNiI ")
_MOST_DIGITS = 16


def _from_json(value: Any) -> Any:
    text = v.string(value, "fromjson")
    try:
        return v.doubles(orjson.loads(text))
    except orjson.JSONDecodeError as exc:
        raise v.JqError(f"fromjson cannot be applied to {v.to_json(text)}: {exc}") from None


def _case(name: str, start: str, distance: int) -> Callable[[Any], str]:
    table = {code: code + distance for code in range(ord(start), ord(start) + 26)}
    return lambda value: v.string(value, name).translate(table)


def _stripped(name: str, strip: Callable[[str], str]) -> Callable[[Any], str]:
    return lambda value: strip(v.string(value, name))


_SPACE = " \t\n\r\f\v\x85\xa0"


def _implode(value: Any) -> str:
    if not isinstance(value, list) or any(v.kind(code) != "number" for code in value):
        raise v.inapplicable("implode", value)
    return "".join(map(_letter, value))


def _letter(code: float) -> str:
    known = math.isfinite(code) and 0 <= code < _SURROGATES.start
    known = known or (math.isfinite(code) and _SURROGATES.stop <= code <= _LAST_LETTER)
    return chr(int(code)) if known else "\ufffd"


_SURROGATES = range(0xD800, 0xE000)
_LAST_LETTER = 0x10FFFF


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    if isinstance(value, str):
        raise v.JqError(f"toboolean cannot be applied to {v.preview(value)}: invalid boolean")
    raise v.inapplicable("toboolean", value)


def _affix(name: str, apply: Callable[[str, str], Any]) -> Callable[[Any, Any], Any]:
    def affix(value: Any, part: Any) -> Any:
        if not isinstance(value, str) or not isinstance(part, str):
            raise v.inapplicable(f"{name}({v.preview(part)})", value)
        return apply(value, part)

    return affix


def _split(value: Any, by: Any) -> list[str]:
    return arithmetic.split(v.string(value, "split"), v.string(by, "split"))


def _join(value: Any, by: Any) -> str:
    if not isinstance(value, list | dict):
        raise v.inapplicable(f"join({v.preview(by)})", value)
    parts = [_joined(item) for item in v.items(value)]
    if len(parts) > 1 and not isinstance(by, str | None):
        raise v.inapplicable(f"join({v.preview(by)})", value)
    return by.join(parts) if isinstance(by, str) else "".join(parts)


def _joined(item: Any) -> str:
    if item is None:
        return ""
    if isinstance(item, list | dict):
        raise v.JqError(f'cannot add: string ("") and {v.shown(item)}')
    return v.to_text(item)


def _trim_text(text: str, part: str) -> str:
    text = text.removeprefix(part)
    return text.removesuffix(part)


OF_INPUT: dict[str, Callable[[Any], Any]] = {
    "utf8bytelength": lambda value: len(v.string(value, "utf8bytelength").encode()),
    "tonumber": _to_number,
    "fromjson": _from_json,
    "ascii_downcase": _case("ascii_downcase", "A", 32),
    "ascii_upcase": _case("ascii_upcase", "a", -32),
    "trim": _stripped("trim", lambda text: text.strip(_SPACE)),
    "ltrim": _stripped("ltrim", lambda text: text.lstrip(_SPACE)),
    "rtrim": _stripped("rtrim", lambda text: text.rstrip(_SPACE)),
    "explode": lambda value: [ord(letter) for letter in v.string(value, "explode")],
    "implode": _implode,
    "toboolean": _to_boolean,
}
OF_ARGUMENT: dict[str, Callable[[Any, Any], Any]] = {
    "trimstr": _affix("trimstr", _trim_text),
    "startswith": _affix("startswith", str.startswith),
    "endswith": _affix("endswith", str.endswith),
    "ltrimstr": _affix("ltrimstr", str.removeprefix),
    "rtrimstr": _affix("rtrimstr", str.removesuffix),
    "split": _split,
    "join": _join,
}
