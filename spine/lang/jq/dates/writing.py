"""Writes moments as layouts of `strftime` say."""

import re
from collections.abc import Callable

from spine.lang.gotime.instants import MONTHS, WEEKDAYS
from spine.lang.jq.dates.moments import Moment

_FIELD = re.compile(r"%([-_0^#]?)([0-9]{0,3})(:{0,3}z|[A-Za-z%+])")
_COMPOUND = {
    "c": "%a %b %e %H:%M:%S %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "R": "%H:%M",
    "r": "%I:%M:%S %p",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "x": "%m/%d/%y",
    "v": "%e-%b-%Y",
    "+": "%a %b %e %H:%M:%S %Z %Y",
}


def _week(moment: Moment, first: int) -> int:
    """Return the week of the year; weeks begin on a weekday, and before it is week 0."""
    return (moment.year_day + 7 - (moment.weekday - first) % 7) // 7


_NUMBERS: dict[str, tuple[Callable[[Moment], int], int, str]] = {
    "Y": (lambda m: m.year, 4, "0"),
    "C": (lambda m: m.year // 100, 2, "0"),
    "y": (lambda m: m.year % 100, 2, "0"),
    "m": (lambda m: m.month, 2, "0"),
    "d": (lambda m: m.day, 2, "0"),
    "e": (lambda m: m.day, 2, " "),
    "H": (lambda m: m.hour, 2, "0"),
    "k": (lambda m: m.hour, 2, " "),
    "I": (lambda m: (m.hour + 11) % 12 + 1, 2, "0"),
    "l": (lambda m: (m.hour + 11) % 12 + 1, 2, " "),
    "M": (lambda m: m.minute, 2, "0"),
    "S": (lambda m: m.second, 2, "0"),
    "f": (lambda m: int(m.fraction * 1_000_000), 6, "0"),
    "j": (lambda m: m.year_day + 1, 3, "0"),
    "G": (lambda m: m.iso_week[0], 4, "0"),
    "g": (lambda m: m.iso_week[0] % 100, 2, "0"),
    "V": (lambda m: m.iso_week[1], 2, "0"),
    "U": (lambda m: _week(m, 0), 2, "0"),
    "W": (lambda m: _week(m, 1), 2, "0"),
    "u": (lambda m: (m.weekday + 6) % 7 + 1, 1, "0"),
    "w": (lambda m: m.weekday, 1, "0"),
    "s": (lambda m: m.unix, 1, "0"),
}
_NAMES: dict[str, Callable[[Moment], str]] = {
    "A": lambda m: WEEKDAYS[m.weekday],
    "a": lambda m: WEEKDAYS[m.weekday][:3],
    "B": lambda m: MONTHS[m.month - 1],
    "b": lambda m: MONTHS[m.month - 1][:3],
    "h": lambda m: MONTHS[m.month - 1][:3],
    "p": lambda m: "PM" if m.hour >= 12 else "AM",  # noqa: PLR2004 -- noon
    "Z": lambda _: "UTC",
    "z": lambda _: "+0000",
    ":z": lambda _: "+00:00",
    "::z": lambda _: "+00:00:00",
    ":::z": lambda _: "+00",
    "n": lambda _: "\n",
    "t": lambda _: "\t",
    "%": lambda _: "%",
}


def _written(match: re.Match[str], moment: Moment) -> str:
    flag, width, field = match.groups()
    if field in _COMPOUND:
        text = _FIELD.sub(lambda inner: _written(inner, moment), _COMPOUND[field])
    elif field in _NUMBERS:
        number, places, pad = _NUMBERS[field]
        pad = {"_": " ", "0": "0"}.get(flag, pad)
        value = number(moment)
        sign, text = "-" if value < 0 else "", str(abs(value))
        return sign + (text if flag == "-" else text.rjust(int(width or places) - len(sign), pad))
    elif field in _NAMES:
        text = _NAMES[field](moment)
    else:
        return match[0]
    if flag == "^":
        text = text.upper()
    elif flag == "#":
        text = text.lower() if field in {"Z", "p"} else text.swapcase()
    return text


def written(moment: Moment, layout: str) -> str:
    """Return a moment as a layout writes it."""
    return _FIELD.sub(lambda match: _written(match, moment), layout)
