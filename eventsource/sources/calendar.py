"""Calendar: an event at each tick of a schedule or an interval.

All replicas tell each tick, so none is missed while one is replaced. The id of an event is made
of EventSource, event name and the moment that the tick was due, so the bus keeps one of them. A
replica that was stopped and tells a tick late first looks whether another one told it, as the bus
may have forgotten its id. A tick that the bus does not take is tried again until it does.
"""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Self, TypeVar

from pydantic import field_validator, model_validator
from typing_extensions import override

from eventsource import gotime
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine import cron
from spine.errors import BusError, ConfigError, EventError
from spine.lang import gojson
from spine.model import Model, warn
from spine.runtime import RECONNECT, Env, Memory, seconds

T = TypeVar("T")

log = logging.getLogger(__name__)

LATE = 60.0
"""Seconds after which the bus may have forgotten the id of a tick that another replica told."""
NAP = 60.0
"""Seconds after which a sleeper looks at the clock again, as it may have been set."""


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Tick:
    """One tick."""

    __slots__ = ("_metadata", "_time")

    def __init__(self, time: str, metadata: Mapping[str, str] | None = None) -> None:
        self._time, self._metadata = time, dict(metadata or {})

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        metadata = b',"metadata":%b' % gojson.dumps(self._metadata) if self._metadata else b""
        return b'{"eventTime":%b%b}' % (gojson.quote(self._time), metadata)


class Catchup(Model):
    """What happens with ticks that came while nobody was there."""

    enabled: bool = False
    """Whether they are made up for at start."""
    max_duration: str = ""
    """How far back, as in `24h`; without end where it is empty."""

    @field_validator("max_duration")
    @classmethod
    def _duration(cls, text: str) -> str:
        if text:
            _seconds(text)
        return text


class PersistenceConfigMap(Model):
    """The ConfigMap in which Argo Events keeps the position."""

    name: str = ""
    """Its name."""
    create_if_not_exist: bool = False
    """Whether it is made where it is missing."""


class Persistence(Model):
    """Whether the last tick is remembered across restarts."""

    catchup: Catchup | None = None
    """What happens with ticks that were missed."""
    config_map: PersistenceConfigMap | None = None
    """Accepted; the position is kept in the store of the bus."""


class Calendar(Source):
    """Emits an event at each tick."""

    type: ClassVar[str] = "calendar"
    example: ClassVar[Payload] = Tick("2026-11-21 08:50:00 +0000 UTC", {"team": "web"})
    schedule: str = ""
    """When, as in `30 6 * * MON-FRI`: minute, hour, day of month, month, weekday."""
    interval: str = ""
    """Distance between ticks where there is no schedule, as in `10s`; 1s at least."""
    timezone: str = ""
    """Zone of the schedule, as in `Europe/Berlin`; that of the process where it is empty."""
    exclusion_dates: list[str] = []
    """Days without ticks: `EXDATE:20240101T000000Z`, `2024-01-01`; the time of day is ignored."""
    persistence: Persistence | None = None
    """Whether the last tick is remembered across restarts."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which ticks become events."""

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, name: str) -> str:
        _as_value_error(cron.find_zone, name)
        return name

    @field_validator("interval")
    @classmethod
    def _interval(cls, text: str) -> str:
        if text:
            _as_value_error(cron.every, text)
        return text

    @field_validator("exclusion_dates")
    @classmethod
    def _exclusions(cls, texts: list[str]) -> list[str]:
        for line in filter(_OTHER.match, texts):
            warn(f"exclusionDates: {line}: ignored, only EXDATE and plain dates have an effect")
        _excluded(texts)
        return texts

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.schedule and not self.interval:
            msg = "needs a schedule or an interval (write schedule: '*/5 * * * *', or interval: 5m)"
            raise ValueError(msg)
        if self.schedule and self.interval:
            warn("interval: ignored, as the schedule wins")
        if self.persistence is not None and self.persistence.config_map is not None:
            warn("persistence.configMap: the position is kept in the store of the bus instead")
        _as_value_error(cron.parse, self.schedule, self._zone()) if self.schedule else None
        return self

    def _zone(self) -> Any:
        return cron.find_zone(self.timezone)

    def plan(self) -> cron.Plan:
        """Return what gives the ticks."""
        if self.schedule:
            return cron.parse(self.schedule, self._zone())
        return cron.every(self.interval)

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        plan, off, zone = self.plan(), _excluded(self.exclusion_dates), self._zone()
        if self.persistence is not None and env.memory is None:
            raise ConfigError(
                f"remembering the ticks of event {env.name!r}: this process keeps nothing",
                hint="leave persistence away",
            )
        started, here = now(), cron.local_zone()
        last = await self._resume(env.memory, started)
        env.listening()
        while True:
            due = plan.next(last)
            if due is None:
                raise ConfigError(f"finding the tick after {last}: there is none any more")
            last = due
            due = due.astimezone(zone)
            if due.date() in off:
                continue
            await _sleep_until(due)
            if not self._makes_up() and _late(plan, due):
                log.warning("skipping a missed tick", extra={"eventName": env.name, "due": due})
                continue  # the machine slept, or the bus was away: the latest of several is enough
            if due > started and await _told_by_another(env, due):
                continue
            shown = gotime.text(due) if due <= started else gotime.reading(now().astimezone(here))
            tick = Tick(shown, self.metadata)
            await _insist(env, partial(emit, tick, id=tick_id(env, due)))
            if env.memory is not None and (self.persistence is not None or _rare(plan, due)):
                await _insist(env, partial(env.memory.edit, partial(_later, due)))

    async def _resume(self, memory: Memory | None, started: datetime) -> datetime:
        """Return the moment after which the first tick is looked for."""
        catchup = self._makes_up()
        kept = await memory.get() if memory is not None and catchup else None
        if kept is None or catchup is None:
            return started
        last = _kept(kept) or started
        if catchup.max_duration:
            last = max(last, started - timedelta(seconds=seconds(catchup.max_duration)))
        return min(last, started)

    def _makes_up(self) -> Catchup | None:
        catchup = self.persistence.catchup if self.persistence else None
        return catchup if catchup and catchup.enabled else None


def _late(plan: cron.Plan, due: datetime) -> bool:
    """Whether the tick after this one is due already."""
    after = plan.next(due)
    return after is not None and after <= now()


def _rare(plan: cron.Plan, due: datetime) -> bool:
    """Whether the next tick is so far away that this one may yet be told late."""
    after = plan.next(due)
    return after is None or (after - due).total_seconds() > LATE


async def _told_by_another(env: Env, due: datetime) -> bool:
    """Whether a tick that is late was told by a replica that was not."""
    if env.memory is None or (now() - due).total_seconds() < LATE:
        return False
    value = await _insist(env, env.memory.get)
    last = None if value is None else _kept(value)
    return last is not None and due <= last <= now()


def _later(due: datetime, kept: bytes | None) -> bytes:
    """Return what is remembered after a tick; a replica that is behind sets nothing back."""
    before = None if kept is None else _kept(kept)
    if kept is not None and before is not None and due <= before <= now():
        return kept
    return Tick(gotime.text(due)).encode()


def tick_id(env: Env, due: datetime) -> str:
    """Return the id of the event of a tick."""
    parts = (env.object, env.name, due.astimezone(UTC).isoformat())
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()


def _kept(value: bytes) -> datetime | None:
    """Return the moment in a remembered payload, ours or one of Argo Events."""
    try:
        return gotime.parse(str(json.loads(value)["eventTime"]))
    except (ValueError, KeyError, TypeError, EventError) as exc:
        log.warning("starting from now: the kept position is unreadable", extra={"error": str(exc)})
        return None


async def _sleep_until(due: datetime) -> None:
    while (left := (due - now()).total_seconds()) > 0:  # noqa: ASYNC110 -- waits for a clock
        await asyncio.sleep(min(left, NAP))


async def _insist(env: Env, do: Callable[[], Awaitable[T]]) -> T:
    """Do something with the bus, however often it takes."""
    attempt = 1
    while True:
        try:
            return await do()
        except BusError as exc:
            wait = RECONNECT.wait(attempt) if exc.retry_after is None else exc.retry_after
            extra = {"eventName": env.name, "error": str(exc), "wait": round(wait, 2)}
            log.warning("the bus did not take a tick, trying again", extra=extra)
        attempt += 1
        await asyncio.sleep(wait)


_EXDATE = re.compile(r"EXDATE(?:;[^:]*)?:", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ]\d\d:?\d\d(?::?\d\d)?(?:Z|[+-]\d\d:?\d\d)?)?")
_OTHER = re.compile(r"(?:RRULE|EXRULE|RDATE|DTSTART|DTEND)[;:]", re.IGNORECASE)
"""Lines of iCalendar that have no effect, here as in Argo Events."""


def _excluded(texts: list[str]) -> frozenset[date]:
    return frozenset(day for text in texts if not _OTHER.match(text) for day in _days(text))


def _days(text: str) -> Iterator[date]:
    """Yield the days of an exclusion. Raises ValueError."""
    for part in _EXDATE.sub("", text, count=1).split(","):
        match = _DATE.fullmatch(part.strip())
        try:
            if match is None:
                raise ValueError  # noqa: TRY301 -- the same answer as for a date that is none
            yield date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            msg = f"{part!r} is no date (write EXDATE:20240101T000000Z or 2024-01-01)"
            raise ValueError(msg) from None


def _seconds(text: str) -> float:
    value: float = _as_value_error(seconds, text)
    return value


def _as_value_error(read: Callable[..., Any], *args: Any) -> Any:
    """Call a reader inside a validator, where errors must be ValueErrors."""
    try:
        return read(*args)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
