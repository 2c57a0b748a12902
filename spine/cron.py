"""Cron schedules in the dialect of Argo Events, in any time zone.

Five fields, `*` and `?` for any, lists, ranges, steps, names of months and weekdays, a prefix
`TZ=Area/City`, and the descriptors (`@daily`, `@every 5m`). Days of month and of week are
alternatives where both are restricted. A local time that a change of clocks skips has no tick;
one that it repeats has two.

cronsim does the arithmetic, on local times without a zone; reading the dialect, which differs
from cronsim's, and placing local times in the zone is done here.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from spine.errors import ConfigError
from spine.runtime import seconds

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
LONG_AGO = timedelta(days=366 * 16)
"""How far back a tick is looked for: 29 February may be away for eight years."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    base: int = 0
    """Number of the first name."""


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("day of week", 0, 6, _DAYS, 0),
)


@dataclass(frozen=True, slots=True)
class Every:
    """Ticks at a fixed distance, on whole seconds."""

    distance: timedelta

    def next(self, after: datetime) -> datetime | None:
        """Return the tick that follows a moment."""
        return (after + self.distance).replace(microsecond=0)

    def previous(self, before: datetime) -> datetime | None:
        """Return the latest tick before a moment, in UTC, counted from 1970.

        From there, and not from when a process began, so that all processes agree.
        """
        since = before - _EPOCH
        return _EPOCH + self.distance * (-(-since // self.distance) - 1)


@dataclass(frozen=True, slots=True)
class Cron:
    """Ticks where the clock on the wall shows certain times."""

    expression: str
    """Six fields as cronsim reads them."""
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """Return the first tick after a moment, in UTC; None: there is none.

        In UTC because Python compares moments of one zone by their clocks, and finds no moment
        equal to one that a clock shows twice.
        """
        after, now = after.astimezone(self.zone), after.astimezone(UTC)
        wall = after.replace(tzinfo=None, fold=0)
        again = self._repeats(after)
        found: list[datetime] = []
        try:
            for local in CronSim(self.expression, wall - again):
                if found and local > wall + again:
                    break
                found += [tick for tick in self._instants(local) if tick > now]
                if found and not again:
                    break
        except (CronSimError, OverflowError):
            return None
        return min(found, default=None)

    def previous(self, before: datetime) -> datetime | None:
        """Return the latest tick before a moment, in UTC; None: there was none in a long time.

        Found by asking what follows, so that both directions agree wherever clocks change.
        """
        high = before.astimezone(UTC)
        span = MINUTE
        while (tick := self._within(high - span, high)) is None:
            span *= 2
            if span > LONG_AGO:
                return None
        while high - tick > SECOND:
            middle = tick + (high - tick) / 2
            later = self._within(middle, high)
            if later is None:
                high = middle + INSTANT  # the middle itself may be a tick
            else:
                tick = later
        return tick

    def _within(self, after: datetime, before: datetime) -> datetime | None:
        tick = self.next(after)
        return tick if tick is not None and tick < before else None

    def _repeats(self, moment: datetime) -> timedelta:
        """Return by how much the clock will go back while it shows the time of this moment."""
        if moment.fold:
            return timedelta()
        later = moment.replace(fold=1)
        now, then = moment.utcoffset(), later.utcoffset()
        assert now is not None
        assert then is not None
        return max(now - then, timedelta()) if _real(moment) else timedelta()

    def _instants(self, local: datetime) -> Iterator[datetime]:
        first = local.replace(tzinfo=self.zone)
        second = first.replace(fold=1)
        if _real(first):
            yield _utc(first)
            if first.utcoffset() != second.utcoffset():
                yield _utc(second)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _real(moment: datetime) -> bool:
    """Whether the clock ever shows this local time."""
    there = _utc(moment).astimezone(moment.tzinfo)
    return there.replace(tzinfo=None, fold=0) == moment.replace(tzinfo=None, fold=0)


Plan = Cron | Every


def parse(text: str, zone: tzinfo, *, ever: bool = True) -> Plan:
    """Read a schedule; `zone` is for one that names none. Raises ConfigError.

    Argo Events takes five fields only; the descriptors are ours. With `ever`, one that no date
    ever fits is an error too.
    """
    doing = f"reading schedule {text!r}"
    prefix = re.match(r"(?:CRON_)?TZ=(\S*)\s+", text)
    if prefix:
        zone = find_zone(prefix[1])
        text = text[prefix.end() :]
    words = text.split()
    if words and words[0].startswith("@"):
        if words[0] == "@every" and len(words) == 2:  # noqa: PLR2004 -- the word and its duration
            return every(words[1])
        if len(words) != 1 or words[0] not in _DESCRIPTORS:
            known = ", ".join([*_DESCRIPTORS, "@every 5m"])
            raise ConfigError(f"{doing}: unknown descriptor", hint=f"known are {known}")
        words = _DESCRIPTORS[words[0]].split()
    if len(words) != len(_FIELDS):
        seconds_hint = "; there is no field for seconds" if len(words) == len(_FIELDS) + 1 else ""
        raise ConfigError(
            f"{doing}: has {len(words)} field{'' if len(words) == 1 else 's'}, not five",
            hint=f"write minute hour day month weekday, as in 30 6 * * MON-FRI{seconds_hint}",
        )
    parts = []
    for field, word in zip(_FIELDS, words, strict=True):
        try:
            parts.append(_field(field, word))
        except ValueError as exc:
            raise ConfigError(f"{doing}: {field.name} {word!r}: {exc}") from exc
    plan = Cron(" ".join(["0", *parts]), zone)
    if ever and plan.next(datetime.now(UTC)) is None:
        raise ConfigError(f"{doing}: no date ever fits", hint="no month has such a day")
    return plan


def every(text: str) -> Every:
    """Read a distance between ticks. Raises ConfigError."""
    distance = seconds(text)
    if distance < 1:
        raise ConfigError(
            f"reading interval {text!r}: is below one second",
            hint="a calendar ticks at most once a second",
        )
    try:
        return Every(timedelta(seconds=distance))
    except OverflowError as exc:
        raise ConfigError(f"reading interval {text!r}: is too long") from exc


def _field(field: _Field, word: str) -> str:
    """Return a field as cronsim reads it: `*`, or a list of numbers. Raises ValueError."""
    numbers: set[int] = set()
    star = False
    for term in word.split(","):
        low, high, step, any_value = _term(field, term)
        numbers.update(range(low, high + 1, step))
        star = star or any_value
    return "*" if star else ",".join(str(n) for n in sorted(numbers))


def _term(field: _Field, term: str) -> tuple[int, int, int, bool]:
    """Return bounds, step, and whether it leaves the field unrestricted."""
    span, slash, stride = term.partition("/")
    step = _number(stride, "step") if slash else 1
    if step == 0:
        msg = "a step must be at least 1"
        raise ValueError(msg)
    if span in {"*", "?"}:
        return field.low, field.high, step, step == 1
    first, dash, last = span.partition("-")
    low = _value(field, first)
    high = _value(field, last) if dash else field.high if slash else low
    if low > high:
        msg = f"{first} is after {last}"
        raise ValueError(msg)
    return low, high, step, False


def _value(field: _Field, text: str) -> int:
    if text.lower() in field.names:
        return field.names.index(text.lower()) + field.base
    number = _number(text, "value")
    if not field.low <= number <= field.high:
        hint = "; Sunday is 0" if field.name == "day of week" and number == 7 else ""  # noqa: PLR2004 -- Sunday elsewhere
        msg = f"{number} is not within {field.low} and {field.high}{hint}"
        raise ValueError(msg)
    return number


def _number(text: str, what: str) -> int:
    if not text:
        msg = f"a {what} is missing"
        raise ValueError(msg)
    if not (text.isascii() and text.isdigit()):
        msg = f"{text!r} is no {what}"
        raise ValueError(msg)
    return int(text)


# ---------------------------------------------------------------------------- zones


def find_zone(name: str) -> tzinfo:
    """Return a time zone; an empty name and `Local` are that of the process. Raises ConfigError."""
    if name in {"", "Local"}:
        return local_zone()
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:  # unknown, escaping the database, a folder
        from difflib import get_close_matches

        near = get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {near[0]}" if near else "write it like Europe/Berlin"
        raise ConfigError(f"reading timezone {name!r}: there is none", hint=hint) from exc


def local_zone() -> tzinfo:
    """Return the time zone of the process: `TZ`, else that of the machine, else UTC."""
    if "TZ" in os.environ:
        try:
            return ZoneInfo(os.environ["TZ"].removeprefix(":") or "UTC")
        except (KeyError, ValueError, OSError):
            return UTC
    try:
        path = str(Path("/etc/localtime").resolve(strict=True))
        return ZoneInfo(path.partition("zoneinfo/")[2])
    except (KeyError, ValueError, OSError):
        return UTC
