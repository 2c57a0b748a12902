"""Upper and lower case of letters beyond ASCII, one letter for one, as Go has it."""

import sys
from functools import cache

_FIRST = 0x80
_SURROGATES = range(0xD800, 0xE000)


@cache
def letters() -> tuple[str, str]:
    """Return lines of a letter, a space and its upper case; and likewise for lower case."""
    upper, lower = [], []
    for code in range(_FIRST, min(sys.maxunicode, 0x1FFFF)):
        if code in _SURROGATES:
            continue
        char = chr(code)
        if (big := _single(char, char.upper(), char.title())) != char:
            upper.append(f"{char} {big}\n")
        if (small := _single(char, char.lower(), char.lower()[:1])) != char:
            lower.append(f"{char} {small}\n")
    return "".join(upper), "".join(lower)


def _single(char: str, changed: str, otherwise: str) -> str:
    if len(changed) == 1:
        return changed
    return otherwise if len(otherwise) == 1 else char
