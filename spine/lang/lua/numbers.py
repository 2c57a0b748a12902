"""Numbers in texts, as gopher-lua reads them."""

import math
import re

from spine.lang.gonumber import parse_float

_WHOLE = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_BASES = {"0x": 16, "0b": 2, "0o": 8}


def read(text: str) -> float | None:
    """Return the number that a text is in arithmetic; None if it is none."""
    text = text.strip(" \t\n")
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        sign, digits = whole[1], whole[2].lower()
        base = _BASES.get(digits[:2], 8 if digits[0] == "0" and len(digits) > 1 else 10)
        value = int(digits.removeprefix("0x").removeprefix("0b").removeprefix("0o"), base)
        if value < 2**63:
            return float(-value if sign == "-" else value)
    found = parse_float(text)
    return found if found is None or math.isfinite(found) or "n" in text.lower() else None


def literal(text: str) -> str:
    """Return a number in Lua source; infinity and NaN as expressions."""
    if text in {"inf", "-inf", "nan"}:
        return {"inf": "(1/0)", "-inf": "(-1/0)", "nan": "(0/0)"}[text]
    return text
