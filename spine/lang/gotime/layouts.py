"""Layouts: how Go writes and reads times, by the example of `Mon Jan 2 15:04:05 MST 2006`.

A layout is cut once into what stands for a part of the time and what stands for itself. Reading
is as lenient as Go's: letters of names in either case, runs of spaces, a fraction of a second
that the layout does not have.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from spine.lang import EvaluationError
from spine.lang.gotime.instants import MONTHS, WEEKDAYS, Clock, Time, days_in, instant
from spine.lang.gotime.zones import LOCAL, UTC, Fixed, Zone

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


class _Piece(NamedTuple):
    literal: str
    """Text before the token."""
    token: str
    """Part of the time; empty at the end of the layout."""


@lru_cache(maxsize=1024)
def _pieces(layout: str) -> tuple[_Piece, ...]:
    pieces, at = [], 0
    for match in _TOKEN.finditer(layout):
        pieces.append(_Piece(layout[at : match.start()], match[0]))
        at = match.end()
    pieces.append(_Piece(layout[at:], ""))
    return tuple(pieces)


# ---------------------------------------------------------------------------- writing


def format_time(when: Time, layout: str) -> str:
    """Return a time as a layout writes it. Raises EvaluationError for an absurdly long layout."""
    _bounded(layout)
    clock = when.clock
    out = []
    for literal, token in _pieces(layout):
        out.append(literal)
        if token:
            writer = _WRITERS.get(token)
            out.append(writer(clock) if writer is not None else _other(when, token))
    return "".join(out)


def _bounded(text: str) -> None:
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


# ---------------------------------------------------------------------------- reading


class _Read:
    """What was read of a time so far."""

    def __init__(self, text: str) -> None:
        self.rest = text
        self.year = 0
        self.month = self.day = self.year_day = -1
        self.hour = self.minute = self.second = self.nano = 0
        self.afternoon: bool | None = None
        self.utc = False
        self.offset: int | None = None
        self.zone = ""

    def number(self, widest: int, *, fixed: bool) -> int:
        """Take a number of at most so many digits, exactly so many if fixed."""
        end = 0
        while end < min(widest, len(self.rest)) and "0" <= self.rest[end] <= "9":
            end += 1
        if end == 0 or (fixed and end != widest):
            raise ValueError("a number is missing")
        value, self.rest = int(self.rest[:end]), self.rest[end:]
        return value

    def name(self, names: list[str], length: int | None) -> int:
        """Take one of several names, in either case; returns its place."""
        for index, name in enumerate(names):
            wanted = name[:length].lower()
            if self.rest[: len(wanted)].lower() == wanted:
                self.rest = self.rest[len(wanted) :]
                return index
        raise ValueError(f"{names[0][:length]!r} or the like is missing")


def parse_time(layout: str, text: str, zone: Zone | None = None) -> Time:
    """Return the time that a text says in a layout.

    A text without a zone is in `zone`, by default UTC. Raises EvaluationError.
    """
    _bounded(layout)
    _bounded(text)
    read = _Read(text)
    try:
        _walk(layout, read)
        return _made(read, UTC if zone is None else zone, LOCAL if zone is None else zone)
    except ValueError as exc:
        raise EvaluationError(f"reading time {text[:80]!r} as {layout!r}: {exc}") from exc


def _walk(layout: str, read: _Read) -> None:
    pieces = _pieces(layout)
    for index, (literal, token) in enumerate(pieces):
        _skip(literal, read)
        if not token:
            break
        reader = _READERS.get(token)
        if reader is not None:
            reader(read)
        elif token[0] in ".,":
            _read_fraction(read, token)
        else:
            _read_offset(read, token)
        if token in {"05", "5"}:
            _unasked_fraction(read, pieces[index + 1])
    if read.rest:
        raise ValueError(f"{read.rest[:40]!r} is left over")


def _skip(literal: str, read: _Read) -> None:
    """Pass over what stands for itself; spaces match any number of spaces, even none at the end."""
    at = 0
    while at < len(literal):
        if literal[at] == " ":
            if read.rest and read.rest[0] != " ":
                raise ValueError("a space is missing")
            at += len(literal) - at - len(literal[at:].lstrip(" "))
            read.rest = read.rest.lstrip(" ")
        elif read.rest[:1] != literal[at]:
            raise ValueError(f"{literal[at]!r} is missing")
        else:
            at, read.rest = at + 1, read.rest[1:]


def _unasked_fraction(read: _Read, following: _Piece) -> None:
    """Take a fraction of a second that the layout does not have."""
    if following.token[:1] in {".", ","}:
        return
    match = re.match(r"[.,]([0-9]+)", read.rest)
    if match is not None:
        read.nano = _nanoseconds(match[1])
        read.rest = read.rest[match.end() :]


def _nanoseconds(digits: str) -> int:
    return int(digits[:9].ljust(9, "0"))


def _within(value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        raise ValueError(f"{what} {value} is out of range")
    return value


def _read_year(read: _Read) -> None:
    read.year = read.number(4, fixed=True)


def _read_short_year(read: _Read) -> None:
    year = read.number(2, fixed=True)
    read.year = year + (1900 if year >= 69 else 2000)  # noqa: PLR2004 -- Go's pivot, from Unix


def _read_month(*, fixed: bool) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        read.month = _within(read.number(2, fixed=fixed), 1, 12, "month")

    return reader


def _read_month_name(length: int | None) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        read.month = read.name(MONTHS, length) + 1

    return reader


def _read_weekday(length: int | None) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        read.name(WEEKDAYS, length)

    return reader


def _read_day(*, fixed: bool, padded: bool = False) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        if padded:
            read.rest = read.rest.removeprefix(" ")
        read.day = read.number(2, fixed=fixed)

    return reader


def _read_year_day(*, fixed: bool) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        for _ in range(0 if fixed else 2):
            read.rest = read.rest.removeprefix(" ")
        read.year_day = read.number(3, fixed=fixed)

    return reader


def _read_hour(high: int, *, fixed: bool) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        read.hour = _within(read.number(2, fixed=fixed), 0, high, "hour")

    return reader


def _read_minute(*, fixed: bool) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        read.minute = _within(read.number(2, fixed=fixed), 0, 59, "minute")

    return reader


def _read_second(*, fixed: bool) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        read.second = _within(read.number(2, fixed=fixed), 0, 59, "second")

    return reader


def _read_half(morning: str, afternoon: str) -> Callable[[_Read], None]:
    def reader(read: _Read) -> None:
        half, read.rest = read.rest[:2], read.rest[2:]
        if half not in {morning, afternoon}:
            raise ValueError(f"{morning} or {afternoon} is missing")
        if half == afternoon:
            read.afternoon = True
        elif read.afternoon is None:
            read.afternoon = False

    return reader


_ZONE = re.compile(r"ChST|MeST|GMT(?:[+-](?:0*[0-9]|0*1[0-9]|0*2[0-3])(?![0-9]))?|[A-Z]{3,6}")
_SIGNED = re.compile(r"[+-]([0-9]+)")


def _read_zone(read: _Read) -> None:
    if read.rest.startswith("UTC"):
        read.utc, read.rest = True, read.rest[3:]
        return
    match = _SIGNED.match(read.rest)
    if match is not None:
        if len(read.rest) < 3 or int(match[1][:9]) > 23:  # noqa: PLR2004 -- hours of a day
            raise ValueError("a time zone is missing")
    else:
        match = _ZONE.match(read.rest)
        if match is None or not _is_abbreviation(match[0]):
            raise ValueError("a time zone is missing")
    read.zone, read.rest = match[0], read.rest[match.end() :]


def _is_abbreviation(text: str) -> bool:
    if text.startswith("GMT") or text in {"ChST", "MeST", "WITA"}:
        return True
    return len(text) == 3 or (len(text) in {4, 5} and text.endswith("T"))  # noqa: PLR2004 -- EST


def _read_fraction(read: _Read, token: str) -> None:
    text = read.rest
    if token[1] == "0":
        digits = text[1 : len(token)]
        if text[:1] not in {".", ","} or len(digits) < len(token) - 1 or not _digits(digits):
            raise ValueError("the fraction of a second is missing")
        read.nano, read.rest = _nanoseconds(digits), text[len(token) :]
        return
    match = re.match(r"[.,]([0-9]+)", text)
    if match is not None:
        read.nano, read.rest = _nanoseconds(match[1]), text[match.end() :]


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _read_offset(read: _Read, token: str) -> None:
    if token[0] == "Z" and read.rest.startswith("Z"):
        read.utc, read.rest = True, read.rest[1:]
        return
    match = re.match("([+-])" + _SHAPES[token[1:]], read.rest)
    if match is None:
        raise ValueError("the offset of the time zone is missing")
    sign, *parts = match.groups()
    hours, minutes, seconds = (*map(int, parts), 0, 0)[:3]
    _within(hours, 0, 24, "hours of the offset")
    _within(minutes, 0, 60, "minutes of the offset")
    _within(seconds, 0, 60, "seconds of the offset")
    offset = (hours * 60 + minutes) * 60 + seconds
    read.offset = -offset if sign == "-" else offset
    read.rest = read.rest[match.end() :]


_TWO = "([0-9]{2})"
_SHAPES = {
    "07": _TWO,
    "0700": _TWO * 2,
    "07:00": f"{_TWO}:{_TWO}",
    "070000": _TWO * 3,
    "07:00:00": f"{_TWO}:{_TWO}:{_TWO}",
}

_READERS: dict[str, Callable[[_Read], None]] = {
    "2006": _read_year,
    "06": _read_short_year,
    "January": _read_month_name(None),
    "Jan": _read_month_name(3),
    "01": _read_month(fixed=True),
    "1": _read_month(fixed=False),
    "Monday": _read_weekday(None),
    "Mon": _read_weekday(3),
    "02": _read_day(fixed=True),
    "_2": _read_day(fixed=False, padded=True),
    "2": _read_day(fixed=False),
    "002": _read_year_day(fixed=True),
    "__2": _read_year_day(fixed=False),
    "15": _read_hour(23, fixed=False),
    "03": _read_hour(12, fixed=True),
    "3": _read_hour(12, fixed=False),
    "04": _read_minute(fixed=True),
    "4": _read_minute(fixed=False),
    "05": _read_second(fixed=True),
    "5": _read_second(fixed=False),
    "PM": _read_half("AM", "PM"),
    "pm": _read_half("am", "pm"),
    "MST": _read_zone,
}


def _made(read: _Read, default: Zone, local: Zone) -> Time:
    """Make the instant of what was read. Raises ValueError for a day that does not exist."""
    hour = read.hour
    if read.afternoon and hour < 12:  # noqa: PLR2004 -- noon
        hour += 12
    elif read.afternoon is False and hour == 12:  # noqa: PLR2004 -- midnight
        hour = 0
    date, clock = _date(read), (hour, read.minute, read.second)
    if read.utc:
        return instant(date, clock, read.nano)
    if read.offset is not None:
        when = instant(date, clock, read.nano, Fixed(read.zone, read.offset))
        name, offset = local.at(when.unix)
        same = offset == read.offset and read.zone in {"", name}
        return when.within(local) if same else when
    if read.zone:
        return _named(instant(date, clock, read.nano, local), read, local, (date, clock))
    return instant(date, clock, read.nano, default)


def _named(
    when: Time, read: _Read, local: Zone, shown: tuple[tuple[int, int, int], tuple[int, int, int]]
) -> Time:
    """Return a time with an abbreviation: that of the zone if it has it, else one of no offset."""
    if local.at(when.unix)[0] == read.zone:
        return when
    offset = 0
    if read.zone.startswith("GMT") and read.zone != "GMT":
        offset = int(read.zone[3:]) * 3600
    return instant(*shown, read.nano, Fixed(read.zone, offset))


def _date(read: _Read) -> tuple[int, int, int]:
    year, month, day = read.year, read.month, read.day
    if read.year_day >= 0:
        return _date_of_year(read)
    month, day = max(month, 1), 1 if day < 0 else day
    if not 1 <= day <= days_in(year, month):
        raise ValueError(f"day {day} is out of range")
    return year, month, day


def _date_of_year(read: _Read) -> tuple[int, int, int]:
    year, rest = read.year, read.year_day
    month = 1
    while month <= len(MONTHS) and rest > days_in(year, month):
        rest -= days_in(year, month)
        month += 1
    if rest < 1 or month > len(MONTHS):
        raise ValueError(f"day {read.year_day} of the year is out of range")
    if read.month not in {-1, month} or read.day not in {-1, rest}:
        raise ValueError("the day of the year is another day than the date")
    return year, month, rest
