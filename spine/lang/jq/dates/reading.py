"""Reads moments from texts as layouts of `strptime` say."""

import re
from collections.abc import Callable

from spine.lang.gotime.instants import MONTHS, WEEKDAYS, days_of
from spine.lang.jq import values as v
from spine.lang.jq.dates.moments import DAY, LONGEST, Moment, moment


class _Reading:
    """What has been read of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[str, int] = {}
        self.fraction = 0.0


class _Unread(Exception):
    """A text is not what its layout says."""


def read(text: str, layout: str) -> Moment:
    """Return the moment that a text shows. Raises JqError."""
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
    if len(layout) > LONGEST or len(reading.text) > LONGEST:
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
        return moment(found["s"], reading.fraction)
    hour = found.get("H", 0)
    if "I" in found:
        hour = found["I"] % 12 + 12 * found.get("p", 0)
    seconds = _days(found) * DAY + hour * 3600 + found.get("M", 0) * 60 + found.get("S", 0)
    return moment(seconds - found.get("z", 0), reading.fraction)


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
