"""Dates of jq: seconds since 1970, broken-down times `[2015,2,5,23,51,47,4,63]`, and texts.

Everything is in UTC, the zone of the peer's image. The month of a broken-down time counts from 0;
the last two are the days of the week (from Sunday) and of the year (from 0).
"""

import math
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from spine.lang.gotime.instants import MONTHS, WEEKDAYS, civil, days_of
from spine.lang.jq import values as v

_DAY = 86_400
_LAST = 9_223_371_974_719_179_007
"""Where Go's seconds end."""
_LONGEST = 10_000
_ISO = "%Y-%m-%dT%H:%M:%SZ"


class Moment(NamedTuple):
    """A moment as calendar and clock show it."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    fraction: float
    days: int
    """Since 1970-01-01."""

    @property
    def unix(self) -> int:
        """Seconds since 1970."""
        return self.days * _DAY + self.hour * 3600 + self.minute * 60 + self.second

    @property
    def weekday(self) -> int:
        """Days since Sunday."""
        return (self.days + 4) % 7

    @property
    def year_day(self) -> int:
        """Days since New Year."""
        return self.days - days_of(self.year, 1, 1)

    @property
    def iso_week(self) -> tuple[int, int]:
        """Year and week by ISO 8601: a week belongs to the year of its Thursday."""
        thursday = self.days - (self.weekday + 6) % 7 + 3
        year = civil(thursday)[0]
        return year, (thursday - days_of(year, 1, 1)) // 7 + 1


def _moment(seconds: int, fraction: float = 0.0) -> Moment:
    days, rest = divmod(seconds, _DAY)
    year, month, day = civil(days)
    return Moment(year, month, day, rest // 3600, rest // 60 % 60, rest % 60, fraction, days)


def _of_number(value: float) -> Moment:
    if math.isnan(value) or abs(value) > _LAST:
        return _moment(_LAST, 0.145224192)
    whole = math.floor(value)
    return _moment(whole, value - whole)


def _broken(moment: Moment) -> list[Any]:
    second = moment.second + round(moment.fraction, 9) if moment.fraction else moment.second
    date = [moment.year, moment.month - 1, moment.day, moment.hour, moment.minute, second]
    return [*date, moment.weekday, moment.year_day]


def _of_broken(value: list[Any], name: str) -> Moment:
    if not all(v.kind(part) == "number" and math.isfinite(part) for part in value):
        why = "expected an array of 8 numbers"
        raise v.JqError(f"{name} cannot be applied to {v.preview(value)}: {why}")
    parts = [int(part) for part in value[:6]] + [0] * (6 - len(value))
    fraction = value[5] - int(value[5]) if len(value) > 5 else 0.0  # noqa: PLR2004 -- seconds
    if any(abs(part) > 1 << 52 for part in parts):
        raise v.JqError(f"{name} cannot be applied to {v.preview(value)}: it is out of range")
    year, month, day, hour, minute, second = parts
    days = days_of(year, month + 1, day)
    seconds = days * _DAY + hour * 3600 + minute * 60 + second
    if fraction < 0:
        seconds, fraction = seconds - 1, fraction + 1
    return _moment(seconds, fraction)


def _taken(value: Any, name: str) -> Moment:
    """Return the moment of a number or a broken-down time. Raises JqError."""
    if v.kind(value) == "number":
        return _of_number(value)
    if isinstance(value, list):
        return _of_broken(value, name)
    raise v.inapplicable(name, value)


# ---------------------------------------------------------------------------- functions


def gmtime(value: Any) -> list[Any]:
    """Return the broken-down time of a number of seconds."""
    if v.kind(value) != "number":
        raise v.inapplicable("gmtime", value)
    return _broken(_of_number(value))


def mktime(value: Any) -> Any:
    """Return the seconds of a broken-down time."""
    if not isinstance(value, list):
        raise v.inapplicable("mktime", value)
    moment = _of_broken(value, "mktime")
    return moment.unix + round(moment.fraction, 9) if moment.fraction else moment.unix


def strftime(value: Any, layout: Any) -> str:
    """Return a moment as a layout writes it."""
    if not isinstance(layout, str):
        shown = _broken(_of_number(value)) if v.kind(value) == "number" else value
        raise v.inapplicable(f"strftime({v.preview(layout)})", shown)
    moment = _taken(value, f"strftime({v.preview(layout)})")
    if len(layout) > _LONGEST:
        raise v.JqError("the layout of strftime is too long")
    return _FIELD.sub(lambda match: _written(match, moment), layout)


def to_date(value: Any) -> str:
    """Return a moment by ISO 8601."""
    return strftime(value, _ISO)


def strptime(value: Any, layout: Any) -> list[Any]:
    """Return the broken-down time that a text shows."""
    if not isinstance(value, str) or not isinstance(layout, str):
        raise v.inapplicable(f"strptime({v.preview(layout)})", value)
    return _broken(_read(value, layout))


def from_date(value: Any) -> Any:
    """Return the seconds of a text by ISO 8601."""
    if not isinstance(value, str):
        raise v.inapplicable('strptime("%Y-%m-%dT%H:%M:%S%z")', value)
    return _read(value, "%Y-%m-%dT%H:%M:%S%z").unix


def now(_value: Any) -> float:
    """Return the seconds since 1970."""
    return time.time()


# ---------------------------------------------------------------------------- writing

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


# ---------------------------------------------------------------------------- reading


class _Reading:
    """What has been read of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[str, int] = {}
        self.fraction = 0.0


class _Unread(Exception):
    """A text is not what its layout says."""


def _read(text: str, layout: str) -> Moment:
    reading = _Reading(text)
    try:
        _read_all(reading, layout)
        return _made(reading)
    except _Unread as exc:
        raise v.JqError(
            f"strptime({v.preview(layout)}) cannot be applied to {v.preview(text)}: failed to "
            f"parse {v.to_json(text)} with {v.to_json(layout)}: {exc}"
        ) from None


def _read_all(reading: _Reading, layout: str) -> None:
    if len(layout) > _LONGEST or len(reading.text) > _LONGEST:
        raise _Unread("it is too long")
    _follow(reading, layout)
    if reading.at < len(reading.text):
        raise _Unread(f"unparsed string {v.to_json(reading.text[reading.at :])}")


def _follow(reading: _Reading, layout: str) -> None:
    at = 0
    while at < len(layout):
        letter = layout[at]
        if letter != "%" or at + 1 == len(layout):
            if reading.text[reading.at : reading.at + 1] != letter:
                raise _Unread(f"expected {letter!r}")
            reading.at += 1
            at += 1
            continue
        at += 1
        while layout[at : at + 1] in {"-", "_", "0", ":"}:
            at += 1
        _take(reading, layout[at : at + 1])
        at += 1


_READ_COMPOUND = {
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "c": "%a %b %e %H:%M:%S %Y",
    "X": "%H:%M:%S",
    "x": "%m/%d/%y",
    "r": "%I:%M:%S %p",
    "v": "%e-%b-%Y",
    "+": "%a %b %e %H:%M:%S %Z %Y",
}
_READ_NUMBERS = {
    "Y": (4, -9999, 9999),
    "G": (4, 0, 9999),
    "C": (2, 0, 99),
    "y": (2, 0, 99),
    "g": (2, 0, 99),
    "m": (2, 1, 12),
    "d": (2, 1, 31),
    "e": (2, 1, 31),
    "H": (2, 0, 23),
    "k": (2, 0, 23),
    "I": (2, 1, 12),
    "l": (2, 1, 12),
    "M": (2, 0, 59),
    "S": (2, 0, 60),
    "j": (3, 1, 366),
    "U": (2, 0, 53),
    "W": (2, 0, 53),
    "V": (2, 1, 53),
    "u": (1, 1, 7),
    "w": (1, 0, 6),
}
_SPACED = frozenset("ekl")
_ZONE = re.compile(r"Z|([+-])([0-9]{2}):?([0-9]{2})?")
_ZONE_NAME = re.compile(r"[A-Z]{1,5}")
_SPACE = re.compile(r"\s*")
_EPOCH = re.compile(r"[+-]?[0-9]{1,18}")
_FRACTION = re.compile(r"[0-9]{1,9}")


def _take(reading: _Reading, field: str) -> None:
    if field in _READ_COMPOUND:
        _follow(reading, _READ_COMPOUND[field])
    elif field in _READ_NUMBERS:
        _take_number(reading, field)
    elif field in _READ_OTHERS:
        _READ_OTHERS[field](reading, field)
    else:
        raise _Unread(f'unexpected format "%{field}"')


def _take_number(reading: _Reading, field: str) -> None:
    most, low, high = _READ_NUMBERS[field]
    spaces = " *" if field in _SPACED else ""
    match = re.compile(rf"{spaces}[0-9]{{1,{most}}}").match(reading.text, reading.at)
    if match is None or not low <= int(match[0]) <= high:
        raise _Unread(f'cannot parse "%{field}"')
    reading.found[{"e": "d", "k": "H", "l": "I"}.get(field, field)] = int(match[0])
    reading.at = match.end()


def _match(reading: _Reading, pattern: re.Pattern[str], field: str) -> re.Match[str]:
    match = pattern.match(reading.text, reading.at)
    if match is None:
        raise _Unread(f'cannot parse "%{field}"')
    reading.at = match.end()
    return match


def _take_name(reading: _Reading, field: str) -> None:
    names, key = (WEEKDAYS, "weekday") if field in "aA" else (MONTHS, "m")
    rest = reading.text[reading.at : reading.at + 12].lower()
    for number, name in enumerate(names):
        for shown in (name, name[:3]):
            if rest.startswith(shown.lower()):
                reading.at += len(shown)
                reading.found[key] = number + (key == "m")
                return
    raise _Unread(f'cannot parse "%{field}"')


def _take_half(reading: _Reading, field: str) -> None:
    half = reading.text[reading.at : reading.at + 2].upper()
    if half not in {"AM", "PM"}:
        raise _Unread(f'cannot parse "%{field}"')
    reading.found["p"] = int(half == "PM")
    reading.at += 2


def _take_epoch(reading: _Reading, field: str) -> None:
    reading.found["s"] = int(_match(reading, _EPOCH, field)[0])


def _take_fraction(reading: _Reading, field: str) -> None:
    reading.fraction = float(f"0.{_match(reading, _FRACTION, field)[0]}")


def _take_zone(reading: _Reading, field: str) -> None:
    match = _match(reading, _ZONE, field)
    if match[1]:
        offset = int(match[2]) * 3600 + int(match[3] or 0) * 60
        reading.found["z"] = -offset if match[1] == "-" else offset


def _take_zone_name(reading: _Reading, field: str) -> None:
    _match(reading, _ZONE_NAME, field)


def _take_letter(reading: _Reading, field: str) -> None:
    letter = {"n": "\n", "t": "\t"}.get(field, field)
    if reading.text[reading.at : reading.at + 1] != letter:
        raise _Unread(f"expected {letter!r}")
    reading.at += 1


_READ_OTHERS: dict[str, Callable[[_Reading, str], None]] = {
    **dict.fromkeys("aAbBh", _take_name),
    **dict.fromkeys("ntZ%", _take_letter),
    "p": _take_half,
    "s": _take_epoch,
    "f": _take_fraction,
    "z": _take_zone,
    "Z": _take_zone_name,
}


def _made(reading: _Reading) -> Moment:
    found = reading.found
    if "s" in found:
        return _moment(found["s"], reading.fraction)
    hour = found.get("H", 0)
    if "I" in found:
        hour = found["I"] % 12 + 12 * found.get("p", 0)
    seconds = _days(found) * _DAY + hour * 3600 + found.get("M", 0) * 60 + found.get("S", 0)
    return _moment(seconds - found.get("z", 0), reading.fraction)


def _days(found: dict[str, int]) -> int:
    year = found.get("Y")
    if year is None:
        short = found.get("y")
        if short is not None:
            century = found.get("C", 20 if short < 69 else 19)  # noqa: PLR2004 -- as POSIX has it
            year = century * 100 + short
        else:
            year = found["C"] * 100 if "C" in found else 1900
    if "j" in found:
        return days_of(year, 1, 1) + found["j"] - 1
    if "G" in found and "V" in found:
        first = days_of(found["G"], 1, 4)
        monday = first - (first + 3) % 7
        return monday + (found["V"] - 1) * 7 + found.get("u", 1) - 1
    return days_of(year, found.get("m", 1), found.get("d", 1))
