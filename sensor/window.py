"""Time windows: whether a moment lies between two times of day in a time zone.

Texts and daylight saving follow Go, as the peer's do: `15:04:05` with an optional fraction, and
a time that a clock change skips or repeats is taken with the offset that Go would pick.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from spine.errors import ConfigError

Within = Callable[[datetime | None], bool]
"""Tells whether a moment (None: the year 1) lies in the window."""

_CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:[.,](\d+))?")
_EPOCH = date(1970, 1, 1).toordinal()
_SECOND = 10**9
_DAY = 86_400
_YEAR_ONE = datetime(401, 1, 1, tzinfo=UTC)
"""Same weekday and offsets as the year 1, but with room for zones west of Greenwich."""


def compile_window(start: str, stop: str, zone: str = "") -> Within:
    """Return the window from `start` up to but without `stop`, over midnight if stop is earlier.

    Equal bounds are the whole day. Raises ConfigError for what is no time of day and no time zone.
    """
    tz = time_zone(zone)
    first, last = time_of_day(start), time_of_day(stop)
    if isinstance(tz, timezone):  # no clock changes: compare times of day
        return _plain(first, last, tz)

    def within(moment: datetime | None) -> bool:
        local = (moment or _YEAR_ONE).astimezone(tz)
        at = _nanoseconds(local)
        day = (local.toordinal() - _EPOCH) * _DAY
        begin, end = _instant(day, first, tz), _instant(day, last, tz)
        return begin <= at < end if begin < end else at >= begin or at < end

    return within


def _plain(first: int, last: int, tz: timezone) -> Within:
    def within(moment: datetime | None) -> bool:
        local = (moment or _YEAR_ONE).astimezone(tz)
        at = (local.hour * 3600 + local.minute * 60 + local.second) * _SECOND
        at += local.microsecond * 1000
        return first <= at < last if first < last else at >= first or at < last

    return within


def _nanoseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * _DAY + since.seconds) * _SECOND + since.microseconds * 1000


def _instant(day: int, clock: int, tz: tzinfo) -> int:
    """Return unix nanoseconds of a time of day, by the rule of Go's time.Date.

    The offset is looked up as if the local time were UTC, and once more with that offset.
    """
    local = day + clock // _SECOND
    offset = _offset(local, tz)
    if offset:
        local -= _offset(local - offset, tz)
    return local * _SECOND + clock % _SECOND


def _offset(unix: int, tz: tzinfo) -> int:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix)
    offset = moment.astimezone(tz).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def local_time(moment: datetime | None, zone: str = "") -> str:
    """Return a moment as a clock in a time zone shows it; `absent` where there is none."""
    if moment is None:
        return "absent"
    shown = moment.astimezone(time_zone(zone)).strftime("%Y-%m-%d %H:%M:%S")
    return f"{shown} {zone or 'UTC'}"


def time_of_day(text: str) -> int:
    """Return the nanoseconds since midnight of a text such as `09:00:00`. Raises ConfigError."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"reading time of day {text!r}: not hours, minutes and seconds", hint="write 09:00:00"
        )
    hour, minute, second = int(match[1]), int(match[2]), int(match[3])
    for value, limit, unit in ((hour, 24, "hour"), (minute, 60, "minute"), (second, 60, "second")):
        if value >= limit:
            raise ConfigError(
                f"reading time of day {text!r}: {unit} out of range",
                hint="midnight is 00:00:00" if unit == "hour" else "",
            )
    fraction = int(f"{match[4] or '0':0<9}"[:9])
    return (hour * 3600 + minute * 60 + second) * _SECOND + fraction


def time_zone(name: str) -> tzinfo:
    """Return a time zone by its IANA name; empty is UTC. Raises ConfigError."""
    if name in {"", "UTC"}:
        return UTC
    if name == "Local":
        return _local()
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as exc:  # ZoneInfoNotFoundError is a KeyError
        raise _no_zone(name) from exc
    except KeyError as exc:
        raise _no_zone(name) from exc


def _no_zone(name: str) -> ConfigError:
    return ConfigError(
        f"finding timezone {name!r}: there is none of that name",
        hint="write a name such as Europe/Oslo or UTC",
    )


def _local() -> tzinfo:
    path = Path("/etc/localtime")
    if not path.exists():
        return UTC
    with path.open("rb") as file:
        return ZoneInfo.from_file(file)
