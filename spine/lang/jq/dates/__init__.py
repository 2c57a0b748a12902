"""The built-in functions of jq on dates: moments as seconds, broken down, and as texts."""

import time
from typing import Any

from spine.lang.jq import values as v
from spine.lang.jq.dates.moments import LONGEST, Moment, broken, of_broken, of_number
from spine.lang.jq.dates.reading import read
from spine.lang.jq.dates.writing import written

_ISO = "%Y-%m-%dT%H:%M:%SZ"


def _taken(value: Any, name: str) -> Moment:
    """Return the moment of a number or a broken-down time. Raises JqError."""
    if v.kind(value) == "number":
        return of_number(value)
    if isinstance(value, list):
        return of_broken(value, name)
    raise v.inapplicable(name, value)


def gmtime(value: Any) -> list[Any]:
    """Return the broken-down time of a number of seconds."""
    if v.kind(value) != "number":
        raise v.inapplicable("gmtime", value)
    return broken(of_number(value))


def mktime(value: Any) -> Any:
    """Return the seconds of a broken-down time."""
    if not isinstance(value, list):
        raise v.inapplicable("mktime", value)
    moment = of_broken(value, "mktime")
    return moment.unix + round(moment.fraction, 9) if moment.fraction else moment.unix


def strftime(value: Any, layout: Any) -> str:
    """Return a moment as a layout writes it."""
    if not isinstance(layout, str):
        shown = broken(of_number(value)) if v.kind(value) == "number" else value
        raise v.inapplicable(f"strftime({v.preview(layout)})", shown)
    moment = _taken(value, f"strftime({v.preview(layout)})")
    if len(layout) > LONGEST:
        raise v.JqError("the layout of strftime is too long")
    return written(moment, layout)


def to_date(value: Any) -> str:
    """Return a moment by ISO 8601."""
    return strftime(value, _ISO)


def strptime(value: Any, layout: Any) -> list[Any]:
    """Return the broken-down time that a text shows."""
    if not isinstance(value, str) or not isinstance(layout, str):
        raise v.inapplicable(f"strptime({v.preview(layout)})", value)
    return broken(read(value, layout))


def from_date(value: Any) -> Any:
    """Return the seconds of a text by ISO 8601."""
    if not isinstance(value, str):
        raise v.inapplicable('strptime("%Y-%m-%dT%H:%M:%S%z")', value)
    return read(value, "%Y-%m-%dT%H:%M:%S%z").unix


def now(_value: Any) -> float:
    """Return the seconds since 1970."""
    return time.time()
