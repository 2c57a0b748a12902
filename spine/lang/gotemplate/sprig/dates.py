"""Dates: the clock, layouts, durations."""

from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError
from spine.lang.gotemplate.numbers import whole
from spine.lang.gotime import (
    LOCAL,
    UTC,
    ZERO,
    Duration,
    Time,
    Zone,
    parse_duration,
    parse_time,
    zone,
)
from spine.lang.gotime.durations import HOUR, LARGEST, MINUTE, SECOND, SMALLEST, wrap

_DAY = 24 * HOUR
_UNITS = (
    (365 * _DAY, "y"),
    (30 * _DAY, "mo"),
    (_DAY, "d"),
    (HOUR, "h"),
    (MINUTE, "m"),
    (SECOND, "s"),
)


def _moment(value: Any) -> Time:
    """Return a time, or Unix seconds as one; anything else, a text too, is the present."""
    if isinstance(value, Time):
        return value
    if isinstance(value, int) and not isinstance(value, bool | Duration):
        return Time(int(value), 0, LOCAL)
    return Time.now()


def _zone(name: str) -> Zone:
    try:
        return zone(name)
    except EvaluationError:
        return UTC


def _date_in_zone(layout: str, value: Any, name: str) -> str:
    return _moment(value).within(_zone(name)).format(layout)


def _date(layout: str, value: Any) -> str:
    return _date_in_zone(layout, value, "Local")


def _html_date(value: Any) -> str:
    return _date("2006-01-02", value)


def _must_modify(text: str, when: Time) -> Time:
    return when.add(parse_duration(text))


def _modify(text: str, when: Time) -> Time:
    try:
        return _must_modify(text, when)
    except EvaluationError:
        return when


def _must_to_date(layout: str, text: str) -> Time:
    return parse_time(layout, text, LOCAL)


def _to_date(layout: str, text: str) -> Time:
    try:
        return _must_to_date(layout, text)
    except EvaluationError:
        return Time(ZERO)


def _ago(value: Any) -> str:
    return str(Time.now().sub(_moment(value)).round(SECOND))


def _duration(value: Any) -> str:
    seconds = 0
    if isinstance(value, str):
        number = whole(value) if value.strip("+-").isdigit() else None
        if number is not None:
            number = int(value)
            seconds = max(SMALLEST, min(LARGEST, number))
    elif type(value) is int:  # Go's int64 only
        seconds = value
    return str(Duration(wrap(seconds * SECOND)))


def _duration_round(value: Any) -> str:
    length = 0
    if isinstance(value, str):
        try:
            length = parse_duration(value)
        except EvaluationError:
            length = 0
    elif type(value) is int:
        length = value
    elif isinstance(value, Time):
        length = Time.now().sub(value)
    for unit, name in _UNITS:
        if abs(length) > unit:
            return f"{abs(length) // unit}{name}"
    return "0s"


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("now", "", Time.now),
    ("date", "string any", _date),
    ("dateInZone", "string any string", _date_in_zone),
    ("date_in_zone", "string any string", _date_in_zone),
    ("htmlDate", "any", _html_date),
    ("htmlDateInZone", "any string", lambda value, name: _date_in_zone("2006-01-02", value, name)),
    ("dateModify", "string time", _modify),
    ("date_modify", "string time", _modify),
    ("mustDateModify", "string time", _must_modify),
    ("must_date_modify", "string time", _must_modify),
    ("toDate", "string string", _to_date),
    ("mustToDate", "string string", _must_to_date),
    ("unixEpoch", "time", lambda when: str(when.unix)),
    ("ago", "any", _ago),
    ("duration", "any", _duration),
    ("durationRound", "any", _duration_round),
]
