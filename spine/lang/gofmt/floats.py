"""Floats as Go's fmt and strconv write them.

`%v` and `%g` are the shortest text that reads back, with an exponent below 1e-4 and from 1e21 in
JSON but already from 1e6 (where digits run out) here: 1000000.0 is `1e+06`.
"""

import math
import struct


def shortest(value: float) -> str:
    """Return a float as `%v` writes it: `3`, `0.1`, `1e+06`, `1.2345675e+06`, `+Inf`."""
    text = repr(value)
    if text[-2:] == ".0" and len(text) <= 8:  # noqa: PLR2004 -- at most six digits
        return text[:-2]
    size = abs(value)
    if not 1e-4 <= size < 1e6:  # noqa: PLR2004 -- Go's limits; also what is no number
        return _exponent(value)
    return text.removesuffix(".0")


def _exponent(value: float) -> str:
    if not math.isfinite(value):
        return special(value)
    digits, power = scientific(value)
    mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
    sign = "-" if value < 0 else ""
    return f"{sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def special(value: float) -> str:
    """Return the text of what is no number."""
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def scientific(value: float) -> tuple[str, int]:
    """Return the shortest digits of a finite float, and the power of ten of the first."""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    exponent = len(whole) - 1 - (len(digits) - len(stripped)) + int(power or "0")
    return stripped.rstrip("0") or "0", exponent if stripped else 0


def written(value: float, verb: str, precision: int | None) -> str:
    """Return a float as a verb of strconv writes it; no precision is the shortest."""
    if not math.isfinite(value):
        return special(value)
    lower = verb.lower()
    if lower == "b":
        return _binary(value)
    if lower == "x":
        text = _hexadecimal(value, precision)
    elif precision is None:
        text = _shortest(value, lower)
    elif lower == "g":
        text = _fixed_g(value, precision)
    else:
        text = f"{value:.{precision}{lower}}"
    return text.upper() if verb.isupper() and verb != "F" else text


def _shortest(value: float, verb: str) -> str:
    if verb == "g":
        return shortest(value)
    digits, power = scientific(value)
    places = len(digits) - 1 if verb == "e" else max(len(digits) - 1 - power, 0)
    return f"{value:.{places}{verb}}"


def _fixed_g(value: float, precision: int) -> str:
    return f"{value:.{precision}g}"


def _parts(value: float) -> tuple[str, int, int]:
    """Return sign, mantissa and exponent of a float's 64 bits."""
    bits = int.from_bytes(struct.pack(">d", value), "big")
    exponent, mantissa = bits >> 52 & 0x7FF, bits & (1 << 52) - 1
    if exponent:
        mantissa |= 1 << 52
    else:
        exponent = 1
    return "-" if bits >> 63 else "", mantissa, exponent - 1075


def _binary(value: float) -> str:
    sign, mantissa, exponent = _parts(value)
    return f"{sign}{mantissa}p{exponent:+d}"


def _hexadecimal(value: float, precision: int | None) -> str:
    sign, mantissa, exponent = _parts(value)
    if mantissa == 0:
        places = "." + "0" * precision if precision else ""
        return f"{sign}0x0{places}p+00"
    shift = 53 - mantissa.bit_length()
    mantissa, exponent = mantissa << shift, exponent - shift + 52
    if precision is not None and precision < 13:  # noqa: PLR2004 -- hex digits of a mantissa
        mantissa, exponent = _rounded(mantissa, exponent, 52 - 4 * precision)
    digits = f"{mantissa & (1 << 52) - 1:013x}"
    digits = digits.rstrip("0") if precision is None else digits[:precision].ljust(precision, "0")
    power = f"p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return f"{sign}0x1{'.' if digits else ''}{digits}{power}"


def _rounded(mantissa: int, exponent: int, drop: int) -> tuple[int, int]:
    """Round the lowest bits of a mantissa away, to even."""
    rest = mantissa & (1 << drop) - 1
    mantissa >>= drop
    half = 1 << drop - 1
    if rest > half or (rest == half and mantissa & 1):
        mantissa += 1
    mantissa <<= drop
    return (mantissa >> 1, exponent + 1) if mantissa >> 53 else (mantissa, exponent)
