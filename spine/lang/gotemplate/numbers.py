"""Numbers as they stand in a template: Go's literals, of whichever type fits."""

import re

from spine.lang.gofmt import unquote
from spine.lang.gonumber import parse_float
from spine.lang.gotemplate.tree import Number
from spine.lang.govalue import Int

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_WHOLE = re.compile(
    r"([+-]?)(?:0[xX]((?:_?[0-9a-fA-F])+)|0[oO]?((?:_?[0-7])+)|0[bB]((?:_?[01])+)"
    r"|([1-9](?:_?[0-9])*|0))"
)
_BASES = (16, 8, 2, 10)
_LONGEST = 400


def character(text: str) -> Number:
    """Return the number of a character in quotes. Raises ValueError."""
    letter = unquote(text[1:-1], "'")
    if len(letter) != 1 or (text[1] == "'" and len(text) == 3):  # noqa: PLR2004 -- '''
        raise ValueError(f"malformed character constant: {text}")
    return Number(text, Int(ord(letter)), ord(letter), float(ord(letter)))


def number(text: str) -> Number:
    """Return the number of a literal. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError(f"number syntax: {text[:20]}… is too long")
    if text.endswith("i"):
        return _imaginary(text)
    integer = whole(text)
    if integer is not None:
        if not _LOWEST <= integer <= 2 * _HIGHEST + 1:
            raise ValueError(f"integer overflow: {text}")
        return Number(text, Int(integer) if integer <= _HIGHEST else None, integer, float(integer))
    real = parse_float(text)
    if real is None or real in {float("inf"), float("-inf")}:
        raise ValueError(f"bad number syntax: {text}")
    if not re.search("[.eEpP]", text):
        raise ValueError(f"integer overflow: {text}")
    fits = real.is_integer() and _LOWEST <= real <= _HIGHEST
    return Number(text, real, int(real) if fits else None, real)


def complex_number(text: str) -> Number:
    """Return the number of a literal such as `1+2i`. Raises ValueError."""
    split = max(text.rfind("+"), text.rfind("-"))
    real, imaginary = parse_float(text[:split]), parse_float(text[split:-1])
    if real is None or imaginary is None:
        raise ValueError(f"bad number syntax: {text}")
    return Number(text, complex(real, imaginary))


def _imaginary(text: str) -> Number:
    value = parse_float(text[:-1])
    if value is None:
        raise ValueError(f"bad number syntax: {text}")
    return Number(text, complex(0, value))


def whole(text: str) -> int | None:
    """Return the whole number of a literal in any base, None if it is none."""
    if len(text) > _LONGEST:
        return None
    match = _WHOLE.fullmatch(text)
    if match is None:
        return None
    for base, digits in zip(_BASES, match.groups()[1:], strict=True):
        if digits is not None:
            return int(match[1] + digits.replace("_", ""), base)
    return None
