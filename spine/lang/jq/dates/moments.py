"""Moments of jq's dates: seconds since 1970, and broken-down times `[2015,2,5,23,51,47,4,63]`.

Everything is in UTC, the zone of the peer's image. The month of a broken-down time counts from 0;
the last two are the days of the week (from Sunday) and of the year (from 0).
"""

import math
from typing import Any, NamedTuple

from spine.lang.gotime.instants import civil, days_of
from spine.lang.jq import values as v

DAY = 86_400
"""Seconds."""
LONGEST = 10_000
"""Letters of a layout, and of a text that is read by one."""
_LAST = 9_223_371_974_719_179_007
"""Where Go's seconds end."""


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
        return self.days * DAY + self.hour * 3600 + self.minute * 60 + self.second

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


def moment(seconds: int, fraction: float = 0.0) -> Moment:
    """Return the moment of seconds since 1970."""
    days, rest = divmod(seconds, DAY)
    year, month, day = civil(days)
    return Moment(year, month, day, rest // 3600, rest // 60 % 60, rest % 60, fraction, days)


def of_number(value: float) -> Moment:
    """Return the moment of a number of seconds, also beyond what Go counts."""
    if math.isnan(value) or abs(value) > _LAST:
        return moment(_LAST, 0.145224192)
    whole = math.floor(value)
    return moment(whole, value - whole)


def broken(moment: Moment) -> list[Any]:
    """Return the broken-down time of a moment."""
    second = moment.second + round(moment.fraction, 9) if moment.fraction else moment.second
    date = [moment.year, moment.month - 1, moment.day, moment.hour, moment.minute, second]
    return [*date, moment.weekday, moment.year_day]


def of_broken(value: list[Any], name: str) -> Moment:
    """Return the moment of a broken-down time. Raises JqError, which names the function."""
    if not all(v.kind(part) == "number" and math.isfinite(part) for part in value):
        why = "expected an array of 8 numbers"
        raise v.JqError(f"{name} cannot be applied to {v.preview(value)}: {why}")
    parts = [int(part) for part in value[:6]] + [0] * (6 - len(value))
    fraction = value[5] - int(value[5]) if len(value) > 5 else 0.0  # noqa: PLR2004 -- seconds
    if any(abs(part) > 1 << 52 for part in parts):
        raise v.JqError(f"{name} cannot be applied to {v.preview(value)}: it is out of range")
    year, month, day, hour, minute, second = parts
    days = days_of(year, month + 1, day)
    seconds = days * DAY + hour * 3600 + minute * 60 + second
    if fraction < 0:
        seconds, fraction = seconds - 1, fraction + 1
    return moment(seconds, fraction)
