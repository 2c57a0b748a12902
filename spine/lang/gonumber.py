"""Numbers as Go's strconv reads and writes them.

Manifests hold numbers as text (`value: ["1e3"]`), and texts are made from numbers; both follow
strconv: ParseFloat, FormatFloat(x, 'f', -1, 64) and the float format of encoding/json.
"""

import math
import re

_DECIMAL = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9]+)?"
)
_HEX = re.compile(
    r"[+-]?0[xX]_?(?:[0-9a-fA-F](?:_?[0-9a-fA-F])*\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+"
)
_SPECIAL = {"inf": math.inf, "infinity": math.inf, "nan": math.nan}


def parse_float(text: str) -> float | None:
    """Return the number that ParseFloat reads, infinite when out of range; None if it refuses."""
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _HEX.fullmatch(text):
        try:
            return float.fromhex(text.replace("_", ""))
        except OverflowError:
            return -math.inf if text.startswith("-") else math.inf
    sign = -1.0 if text.startswith("-") else 1.0
    special = _SPECIAL.get(text.lstrip("+-").lower()) if text[1:2] not in {"+", "-"} else None
    return None if special is None else special * sign


def format_decimal(value: float) -> str:
    """Return the shortest decimal without an exponent: `1e3` is `1000`, infinity is `+Inf`."""
    if not math.isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"  # noqa: PLR0124 -- NaN
    text = repr(value)
    mark = text.find("e")
    if mark < 0:
        return text.removesuffix(".0")
    return _shift(text[:mark], int(text[mark + 1 :]))


def format_json(value: float) -> str:
    """Return the number as encoding/json writes it: an exponent below 1e-6 and from 1e21."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    mark = text.find("e")
    if mark < 0:
        return text if abs(value) >= 1e-6 or value == 0 else _exponent(value)  # noqa: PLR2004
    if 1e-6 <= abs(value) < 1e21:  # noqa: PLR2004 -- the limits of encoding/json
        return _shift(text[:mark], int(text[mark + 1 :]))
    return _exponent(value)


def _exponent(value: float) -> str:
    """Return mantissa and exponent; only a negative exponent loses its leading zero."""
    mantissa, _, power = repr(value).partition("e")
    if power.startswith("-"):
        return f"{mantissa}e-{power[1:].lstrip('0')}"
    return f"{mantissa}e+{power.lstrip('+').zfill(2)}"


def _shift(mantissa: str, power: int) -> str:
    """Write `mantissa * 10**power` without an exponent."""
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if fraction == "0":
        fraction = ""
    digits, point = whole + fraction, len(whole) + power
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"
