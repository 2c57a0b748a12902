"""Reading times in Go's layouts.

As lenient as Go: letters of names in either case, runs of spaces, a fraction of a second that the
layout does not have, two digits where one would do.
"""

import re
from collections.abc import Callable

from spine.lang import EvaluationError
from spine.lang.gotime.instants import MONTHS, WEEKDAYS, Time, days_in, instant
from spine.lang.gotime.layouts import Piece, bounded, pieces
from spine.lang.gotime.zones import LOCAL, UTC, Fixed, Zone


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
    bounded(layout)
    bounded(text)
    read = _Read(text)
    try:
        _walk(layout, read)
        return _made(read, UTC if zone is None else zone, LOCAL if zone is None else zone)
    except ValueError as exc:
        raise EvaluationError(f"reading time {text[:80]!r} as {layout!r}: {exc}") from exc


def _walk(layout: str, read: _Read) -> None:
    parts = pieces(layout)
    for index, (literal, token) in enumerate(parts):
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
            _unasked_fraction(read, parts[index + 1])
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


def _unasked_fraction(read: _Read, following: Piece) -> None:
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
