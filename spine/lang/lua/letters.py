"""Upper and lower case of letters beyond ASCII, one letter for one, as Go has it."""

from functools import cache

_BLOCKS = (
    *((0x80, 0x600), (0x10A0, 0x1100), (0x13A0, 0x1400), (0x1C80, 0x2000), (0x2100, 0x2190)),
    *((0x2480, 0x2500), (0x2C00, 0x2E00), (0xA640, 0xA800), (0xAB30, 0xABC0), (0xFF00, 0xFF60)),
    *((0x10400, 0x105C0), (0x10C80, 0x10D80), (0x118A0, 0x118E0), (0x16E40, 0x16EC0)),
    (0x1E900, 0x1E960),
)
"""Where Unicode has letters of two cases; all others are the same in both."""


@cache
def letters() -> tuple[str, str]:
    """Return lines of a letter, a space and its upper case; and likewise for lower case."""
    upper, lower = [], []
    for char in (chr(code) for first, end in _BLOCKS for code in range(first, end)):
        if (big := _single(char, char.upper(), char.title())) != char:
            upper.append(f"{char} {big}\n")
        if (small := _single(char, char.lower(), char.lower()[:1])) != char:
            lower.append(f"{char} {small}\n")
    return "".join(upper), "".join(lower)


def _single(char: str, changed: str, otherwise: str) -> str:
    if len(changed) == 1:
        return changed
    return otherwise if len(otherwise) == 1 else char
