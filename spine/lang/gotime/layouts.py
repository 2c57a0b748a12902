"""Layouts: how Go writes times, by the example of `Mon Jan 2 15:04:05 MST 2006`.

A layout is cut once into what stands for a part of the time and what stands for itself.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from spine.lang import EvaluationError
from spine.lang.gotime.instants import MONTHS, WEEKDAYS, Clock, Time

RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_NANO = "2006-01-02T15:04:05.999999999Z07:00"

LAYOUTS = {
    "Layout": "01/02 03:04:05PM '06 -0700",
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": RFC3339,
    "RFC3339Nano": RFC3339_NANO,
    "Kitchen": "3:04PM",
    "Stamp": "Jan _2 15:04:05",
    "StampMilli": "Jan _2 15:04:05.000",
    "StampMicro": "Jan _2 15:04:05.000000",
    "StampNano": "Jan _2 15:04:05.000000000",
    "DateTime": "2006-01-02 15:04:05",
    "DateOnly": "2006-01-02",
    "TimeOnly": "15:04:05",
}
"""Layouts that Go has names for."""

_TOKEN = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|__2|_2(?!006)|[345]|PM|pm"
    r"|[-Z](?:07(?::00:00|0000|:00|00|))|[.,](?:0+|9+)(?![0-9])"
)
_LONGEST = 10_000
"""Letters of a layout or a text that is looked at."""


class Piece(NamedTuple):
    """Text, and the part of a time that follows it."""

    literal: str
    """Text before the token."""
    token: str
    """Part of the time; empty at the end of the layout."""


@lru_cache(maxsize=1024)
def pieces(layout: str) -> tuple[Piece, ...]:
    """Return the pieces of a layout, in order."""
    found, at = [], 0
    for match in _TOKEN.finditer(layout):
        found.append(Piece(layout[at : match.start()], match[0]))
        at = match.end()
    found.append(Piece(layout[at:], ""))
    return tuple(found)


# ---------------------------------------------------------------------------- writing


def format_time(when: Time, layout: str) -> str:
    """Return a time as a layout writes it. Raises EvaluationError for an absurdly long layout."""
    bounded(layout)
    clock = when.clock
    out = []
    for literal, token in pieces(layout):
        out.append(literal)
        if token:
            writer = _WRITERS.get(token)
            out.append(writer(clock) if writer is not None else _other(when, token))
    return "".join(out)


def bounded(text: str) -> None:
    """Raise EvaluationError for an absurdly long layout or text."""
    if len(text) > _LONGEST:
        raise EvaluationError(f"reading a time: a text of {len(text)} letters is too long")


def _year(clock: Clock) -> str:
    return f"{clock.year:04d}" if clock.year >= 0 else f"-{-clock.year:04d}"


_WRITERS: dict[str, Callable[[Clock], str]] = {
    "2006": _year,
    "06": lambda c: f"{max(c.year, 0) % 100:02d}",
    "January": lambda c: MONTHS[c.month - 1],
    "Jan": lambda c: MONTHS[c.month - 1][:3],
    "01": lambda c: f"{c.month:02d}",
    "1": lambda c: str(c.month),
    "02": lambda c: f"{c.day:02d}",
    "_2": lambda c: f"{c.day:2d}",
    "2": lambda c: str(c.day),
    "15": lambda c: f"{c.hour:02d}",
    "03": lambda c: f"{c.hour % 12 or 12:02d}",
    "3": lambda c: str(c.hour % 12 or 12),
    "04": lambda c: f"{c.minute:02d}",
    "4": lambda c: str(c.minute),
    "05": lambda c: f"{c.second:02d}",
    "5": lambda c: str(c.second),
    "PM": lambda c: "PM" if c.hour >= 12 else "AM",  # noqa: PLR2004 -- noon
    "pm": lambda c: "pm" if c.hour >= 12 else "am",  # noqa: PLR2004 -- noon
    "MST": lambda c: c.name or _offset(c.offset, "-0700"),
}


def _other(when: Time, token: str) -> str:
    match token:
        case "Monday":
            return WEEKDAYS[when.weekday()]
        case "Mon":
            return WEEKDAYS[when.weekday()][:3]
        case "002":
            return f"{when.year_day():03d}"
        case "__2":
            return f"{when.year_day():3d}"
    if token[0] in ".,":
        return _fraction(when.nano, token)
    return _offset(when.clock.offset, token)


def _fraction(nano: int, token: str) -> str:
    digits = f"{nano:09d}"[: len(token) - 1].ljust(len(token) - 1, "0")
    if token[1] == "9":
        digits = digits.rstrip("0")
        if not digits:
            return ""
    return token[0] + digits


def _offset(offset: int, token: str) -> str:
    if token[0] == "Z" and offset == 0:
        return "Z"
    sign, rest = ("-", -offset) if offset < 0 else ("+", offset)
    # a part of a minute counts towards zero, and the sign follows the whole minutes
    minutes, seconds = divmod(rest, 60)
    if minutes == 0:
        sign = "+"
    colon = ":" if ":" in token else ""
    text = f"{sign}{minutes // 60:02d}"
    if len(token) > 3:  # noqa: PLR2004 -- more than hours
        text += f"{colon}{minutes % 60:02d}"
    if len(token) > 6:  # noqa: PLR2004 -- more than minutes
        text += f"{colon}{seconds:02d}"
    return text
