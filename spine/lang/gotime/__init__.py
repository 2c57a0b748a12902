"""Time as Go has it: layouts, durations, zones, and the methods that programs call.

Templates and expressions were written for Go's `time`, so its spellings, leniency and limits are
part of their meaning. An instant is a `Time` (nanoseconds, any year; zero is year 1), a length of
time a `Duration` (nanoseconds). `METHODS` has what a program may call on each by its Go name. The
text of the present has no monotonic reading (`m=+0.1`), which says nothing to anybody.
"""

from collections.abc import Callable, Mapping
from typing import Any

from spine.lang.gotime import durations, instants
from spine.lang.gotime.durations import Duration, parse_duration
from spine.lang.gotime.instants import ZERO, Month, Time, Weekday, instant
from spine.lang.gotime.layouts import LAYOUTS, RFC3339, RFC3339_NANO, format_time
from spine.lang.gotime.reading import parse_time
from spine.lang.gotime.zones import LOCAL, UTC, Fixed, Zone, zone

__all__ = [
    "LAYOUTS",
    "LOCAL",
    "METHODS",
    "RFC3339",
    "RFC3339_NANO",
    "UTC",
    "ZERO",
    "Duration",
    "Fixed",
    "Month",
    "Time",
    "Weekday",
    "Zone",
    "format_time",
    "instant",
    "method",
    "parse_duration",
    "parse_time",
    "zone",
]

METHODS: Mapping[type, Mapping[str, Callable[..., Any]]] = {
    Time: instants.METHODS,
    Duration: durations.METHODS,
    Month: {"String": str},
    Weekday: {"String": str},
}
"""Type -> Go name -> function; the value itself is its first argument."""


def method(value: object, name: str) -> Callable[..., Any] | None:
    """Return what a value can be asked by a Go name, None if it cannot.

    The function takes the value first: `method(when, "Format")(when, "2006")`.
    """
    methods = METHODS.get(type(value))
    return None if methods is None else methods.get(name)
