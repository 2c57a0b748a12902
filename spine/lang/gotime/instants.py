"""Instants as Go has them: nanoseconds, a zone, the Gregorian calendar for every year.

Python's datetime ends at microseconds and at the years 1 and 9999, where Go's zero time lies at
the very edge; so an instant is Unix seconds, nanoseconds and a zone, with a calendar of its own.
"""

import time
from collections.abc import Callable
from datetime import UTC as _UTC
from datetime import datetime, timedelta, tzinfo
from functools import total_ordering
from typing import Any, NamedTuple

from typing_extensions import override

from spine.lang import EvaluationError
from spine.lang.gotime.durations import SECOND, Duration, clamp, wrap
from spine.lang.gotime.zones import LOCAL, UTC, Fixed, Zone

DAY = 86400
ZERO = -62135596800
"""Unix seconds of Go's zero time: midnight of the first of January of year 1, UTC."""
_YEARS = 100_000_000_000
"""Years beyond which no calendar is kept; 64 bits of seconds end before three times that."""
_SECONDS = _YEARS * 366 * DAY

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


class Month(int):
    """A month, from 1; its text is the English name."""

    __slots__ = ()

    @override
    def __str__(self) -> str:
        return MONTHS[self - 1] if 1 <= self <= len(MONTHS) else f"%!Month({int(self)})"


class Weekday(int):
    """A day of the week, Sunday is 0; its text is the English name."""

    __slots__ = ()

    @override
    def __str__(self) -> str:
        return WEEKDAYS[self] if 0 <= self < len(WEEKDAYS) else f"%!Weekday({int(self)})"


class Clock(NamedTuple):
    """What calendar and clock show."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    name: str
    """Abbreviation of the zone; empty where only the offset is known."""
    offset: int
    """Seconds east of Greenwich."""


@total_ordering
class Time:
    """An instant, and the zone in which it is shown."""

    __slots__ = ("_clock", "nano", "unix", "zone")

    def __init__(self, unix: int, nano: int = 0, zone: Zone = UTC) -> None:
        if not -_SECONDS <= unix <= _SECONDS:
            raise EvaluationError(f"reckoning with time: {unix} seconds from 1970 is too far away")
        self.unix = unix
        self.nano = nano
        self.zone = zone
        self._clock: Clock | None = None

    @staticmethod
    def now() -> "Time":
        """Return the present in the zone of the process."""
        unix, nano = divmod(time.time_ns(), SECOND)
        return Time(unix, nano, LOCAL)

    @staticmethod
    def of(moment: datetime) -> "Time":
        """Return a datetime; one without a zone is taken for UTC."""
        aware = moment if moment.tzinfo else moment.replace(tzinfo=_UTC)
        delta = aware - datetime(1970, 1, 1, tzinfo=_UTC)
        return Time(delta.days * DAY + delta.seconds, delta.microseconds * 1000, _zone(aware))

    def datetime(self) -> datetime:
        """Return it in UTC, without its nanoseconds. Raises EvaluationError outside 1 to 9999."""
        try:
            start = datetime(1970, 1, 1, tzinfo=_UTC)
            return start + timedelta(seconds=self.unix, microseconds=self.nano // 1000)
        except OverflowError as exc:
            raise EvaluationError(f"taking {self} for a date: the year is out of range") from exc

    @property
    def clock(self) -> Clock:
        """What calendar and clock show in its zone."""
        if self._clock is None:
            name, offset = self.zone.at(self.unix)
            days, rest = divmod(self.unix + offset, DAY)
            hour, rest = divmod(rest, 3600)
            self._clock = Clock(*civil(days), hour, *divmod(rest, 60), name, offset)
        return self._clock

    # ------------------------------------------------------------------ comparison

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Time) and (self.unix, self.nano) == (other.unix, other.nano)

    def __lt__(self, other: "Time") -> bool:
        return (self.unix, self.nano) < (other.unix, other.nano)

    @override
    def __hash__(self) -> int:
        return hash((self.unix, self.nano))

    def before(self, other: "Time") -> bool:
        """Say whether it is earlier."""
        return self < other

    def after(self, other: "Time") -> bool:
        """Say whether it is later."""
        return other < self

    def equal(self, other: "Time") -> bool:
        """Say whether it is the same instant, whatever the zones."""
        return self == other

    def compare(self, other: "Time") -> int:
        """Return -1 if it is earlier, 0 if it is the same, 1 if it is later."""
        return (other < self) - (self < other)

    def is_zero(self) -> bool:
        """Say whether it is Go's zero time, the beginning of year 1."""
        return self.unix == ZERO and self.nano == 0

    # ------------------------------------------------------------------ reckoning

    def add(self, duration: int) -> "Time":
        """Return it later by nanoseconds."""
        seconds, nano = divmod(self.nano + duration, SECOND)
        return Time(self.unix + seconds, nano, self.zone)

    def sub(self, other: "Time") -> Duration:
        """Return the duration since another instant, at most 292 years."""
        return clamp((self.unix - other.unix) * SECOND + self.nano - other.nano)

    def add_date(self, years: int, months: int, days: int) -> "Time":
        """Return it later by years, months and days; 31 January and a month is 3 March."""
        at = self.clock
        date = (at.year + years, at.month + months, at.day + days)
        return instant(date, (at.hour, at.minute, at.second), self.nano, self.zone)

    def truncate(self, unit: int) -> "Time":
        """Return it rounded down to a multiple of a duration since year 1."""
        return self if unit <= 0 else self.add(-self._rest(unit))

    def round(self, unit: int) -> "Time":
        """Return it rounded to the nearest multiple of a duration since year 1, halves up."""
        if unit <= 0:
            return self
        rest = self._rest(unit)
        return self.add(-rest if 2 * rest < unit else unit - rest)

    def _rest(self, unit: int) -> int:
        return ((self.unix - ZERO) * SECOND + self.nano) % unit

    def within(self, zone: Zone) -> "Time":
        """Return the same instant, shown in another zone."""
        return Time(self.unix, self.nano, zone)

    def utc(self) -> "Time":
        """Return the same instant, shown in UTC."""
        return self.within(UTC)

    def local(self) -> "Time":
        """Return the same instant, shown in the zone of the process."""
        return self.within(LOCAL)

    # ------------------------------------------------------------------ parts

    def year_day(self) -> int:
        """Return the day of the year, from 1."""
        at = self.clock
        return days_of(at.year, at.month, at.day) - days_of(at.year, 1, 1) + 1

    def weekday(self) -> Weekday:
        """Return the day of the week."""
        return Weekday(((self.unix + self.clock.offset) // DAY + 4) % 7)

    def unix_nano(self) -> int:
        """Return the nanoseconds since 1970."""
        return self.unix * SECOND + self.nano

    def format(self, layout: str) -> str:
        """Return it as Go's layout `layout` writes it."""
        from spine.lang.gotime.layouts import format_time

        return format_time(self, layout)

    @override
    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    @override
    def __repr__(self) -> str:
        return f"Time({self})"


METHODS: dict[str, Callable[..., Any]] = {
    "Format": Time.format,
    "Unix": lambda when: when.unix,
    "UnixMilli": lambda when: when.unix_nano() // 1_000_000,
    "UnixMicro": lambda when: when.unix_nano() // 1_000,
    "UnixNano": lambda when: wrap(when.unix_nano()),
    "Year": lambda when: when.clock.year,
    "Month": lambda when: Month(when.clock.month),
    "Day": lambda when: when.clock.day,
    "Hour": lambda when: when.clock.hour,
    "Minute": lambda when: when.clock.minute,
    "Second": lambda when: when.clock.second,
    "Nanosecond": lambda when: when.nano,
    "Weekday": Time.weekday,
    "YearDay": Time.year_day,
    "Add": Time.add,
    "AddDate": Time.add_date,
    "Sub": Time.sub,
    "Before": Time.before,
    "After": Time.after,
    "Equal": Time.equal,
    "Compare": Time.compare,
    "IsZero": Time.is_zero,
    "UTC": Time.utc,
    "Local": Time.local,
    "In": Time.within,
    "Location": lambda when: when.zone.name or "",
    "Truncate": Time.truncate,
    "Round": Time.round,
    "String": str,
}


def _zone(moment: datetime) -> Zone:
    offset = moment.utcoffset()
    if not offset:
        return UTC
    info: tzinfo | None = moment.tzinfo
    key = getattr(info, "key", None)
    if isinstance(key, str):
        from spine.lang.gotime.zones import zone

        return zone(key)
    return Fixed("", int(offset.total_seconds()))


# ---------------------------------------------------------------------------- the calendar


def days_of(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date; month and day may be out of their ranges.

    The formula counts years from March, so that the leap day is the last:
    https://howardhinnant.github.io/date_algorithms.html
    """
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if month <= 2:  # noqa: PLR2004 -- January and February end the year before
        year -= 1
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def civil(days: int) -> tuple[int, int, int]:
    """Return year, month and day of a number of days since 1970-01-01."""
    era, day = divmod(days + 719468, 146097)
    of_era = (day - day // 1460 + day // 36524 - day // 146096) // 365
    of_year = day - (365 * of_era + of_era // 4 - of_era // 100)
    part = (5 * of_year + 2) // 153
    month = part + 3 if part < 10 else part - 9  # noqa: PLR2004 -- March is part 0
    return of_era + era * 400 + (month <= 2), month, of_year - (153 * part + 2) // 5 + 1  # noqa: PLR2004


def days_in(year: int, month: int) -> int:
    """Return the number of days of a month."""
    return days_of(year, month + 1, 1) - days_of(year, month, 1)


def instant(
    date: tuple[int, int, int], clock: tuple[int, int, int], nano: int = 0, zone: Zone = UTC
) -> Time:
    """Return the instant at which calendar and clock of a zone show something.

    Raises EvaluationError for a year beyond all calendars.
    """
    if abs(date[0]) > _YEARS or abs(date[1]) > _YEARS or abs(date[2]) > _YEARS:
        raise EvaluationError(f"reckoning with time: year {date[0]} is too far away")
    hour, minute, second = clock
    shown = days_of(*date) * DAY + hour * 3600 + minute * 60 + second
    offset = zone.at(shown)[1]
    if offset:
        offset = zone.at(shown - offset)[1]
    return Time(shown - offset, nano, zone)
