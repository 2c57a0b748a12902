"""Time zones: UTC, the zone of the process, named ones of the tz database, fixed offsets."""

import time
from datetime import UTC as _UTC
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from spine.lang import EvaluationError

_FIRST = -62135596800
"""Unix seconds of the first of January of year 1, where Python's calendar begins."""
_LAST = 253402300799
"""Unix seconds of the last second of year 9999, where it ends."""
_DAY = 86400


class Zone(Protocol):
    """Says what clocks show."""

    @property
    def name(self) -> str:
        """Name of the place, such as `Europe/Berlin`; empty where there is only an offset."""

    def at(self, unix: int) -> tuple[str, int]:
        """Return the abbreviation, and the seconds east of Greenwich, at a Unix time."""


class Fixed(NamedTuple):
    """The same all year round."""

    name: str
    offset: int
    """Seconds east of Greenwich."""

    def at(self, unix: int) -> tuple[str, int]:  # noqa: ARG002 -- always the same
        """Return name and offset."""
        return self.name, self.offset


UTC: Zone = Fixed("UTC", 0)


class _Named:
    """A zone of the tz database."""

    __slots__ = ("_info", "name")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self._info = info

    def at(self, unix: int) -> tuple[str, int]:
        """Return the abbreviation and the offset that the database has for a time."""
        inside = min(max(unix, _FIRST + _DAY), _LAST - _DAY)
        moment = (datetime(1970, 1, 1, tzinfo=_UTC) + timedelta(seconds=inside)).astimezone(
            self._info
        )
        offset = moment.utcoffset()
        return moment.tzname() or "", 0 if offset is None else int(offset.total_seconds())


class _Local:
    """The zone of the process."""

    __slots__ = ()
    name = "Local"

    def at(self, unix: int) -> tuple[str, int]:
        """Return what the C library has for a time."""
        clock = time.localtime(min(max(unix, _FIRST + _DAY), _LAST - _DAY))
        return clock.tm_zone, clock.tm_gmtoff


LOCAL: Zone = _Local()


@lru_cache(maxsize=256)
def zone(name: str) -> Zone:
    """Return a zone by its name: empty and `UTC` are UTC, `Local` is that of the process.

    Raises EvaluationError where the tz database has no such zone.
    """
    if name in {"", "UTC"}:
        return UTC
    if name == "Local":
        return LOCAL
    try:
        return _Named(name, ZoneInfo(name))
    except (KeyError, ValueError, OSError) as exc:
        raise EvaluationError(f"looking for time zone {name[:60]!r}: there is none") from exc
