"""What the methods of times and durations take and give."""

from collections.abc import Mapping
from typing import NamedTuple

from spine.lang.exprlang.nodes import (
    BOOL,
    DURATION,
    FLOAT,
    INT,
    MONTH,
    STRING,
    TIME,
    WEEKDAY,
    ZONE,
    Kind,
)


class Method(NamedTuple):
    """A method by its Go signature."""

    gives: Kind
    takes: tuple[Kind, ...] = ()


METHODS: Mapping[str, Mapping[str, Method]] = {
    "time": {
        "Format": Method(STRING, (STRING,)),
        **dict.fromkeys(
            [
                "Unix",
                "UnixMilli",
                "UnixMicro",
                "UnixNano",
                "Year",
                "Day",
                "Hour",
                "Minute",
                "Second",
                "Nanosecond",
            ],
            Method(INT),
        ),
        "Month": Method(MONTH),
        "Weekday": Method(WEEKDAY),
        "Add": Method(TIME, (DURATION,)),
        "AddDate": Method(TIME, (INT, INT, INT)),
        "Sub": Method(DURATION, (TIME,)),
        **dict.fromkeys(["Before", "After", "Equal"], Method(BOOL, (TIME,))),
        "Compare": Method(INT, (TIME,)),
        "IsZero": Method(BOOL),
        "UTC": Method(TIME),
        "Local": Method(TIME),
        "In": Method(TIME, (ZONE,)),
        "Location": Method(ZONE),
        "Truncate": Method(TIME, (DURATION,)),
        "Round": Method(TIME, (DURATION,)),
        "String": Method(STRING),
    },
    "duration": {
        **dict.fromkeys(["Hours", "Minutes", "Seconds"], Method(FLOAT)),
        **dict.fromkeys(["Milliseconds", "Microseconds", "Nanoseconds"], Method(INT)),
        "Truncate": Method(DURATION, (DURATION,)),
        "Round": Method(DURATION, (DURATION,)),
        "Abs": Method(DURATION),
        "String": Method(STRING),
    },
    "month": {"String": Method(STRING)},
    "weekday": {"String": Method(STRING)},
}
"""Kind -> Go name -> method. Those of the values themselves are in `spine.lang.gotime`."""
