"""The calendar source: its configuration, and its ticks in virtual time."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from config_kit import reader

from eventsource.sources import calendar
from eventsource.sources.calendar import Calendar
from spine.errors import BusError, ConfigError, SourceError
from spine.model import InvalidModel

START = datetime(2024, 3, 15, 10, 29, 58, 400_000, tzinfo=UTC)


read = reader(Calendar, {})


# ---------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "needs a schedule or an interval"),
        ({"schedule": "* * * *"}, "reading schedule '* * * *': has 4 fields"),
        ({"schedule": "0 0 31 2 *"}, "no date ever fits"),
        ({"interval": "500ms"}, "below one second"),
        ({"interval": "5"}, "not a number with a unit"),
        ({"interval": "-5s"}, "below one second"),
        ({"interval": "5s", "timezone": "Mars/Base"}, "timezone 'Mars/Base': there is none"),
        ({"interval": "5s", "exclusionDates": ["EXDATE:20240230"]}, "'20240230' is no date"),
        ({"interval": "5s", "exclusionDates": ["EXDATE:20240315T103000Z,"]}, "'' is no date"),
        ({"interval": "5s", "exclusionDates": ["tomorrow"]}, "'tomorrow' is no date"),
        ({"interval": "5s", "persistence": {"catchup": {"maxDuration": "1d"}}}, "duration '1d'"),
        ({"interval": "5s", "filter": {"expression": "true &&"}}, "it ends too early"),
        ({"shedule": "0 0 * * *", "interval": "5s"}, "unknown field (did you mean schedule)"),
    ],
)
def test_refused(raw, message):
    with pytest.raises(InvalidModel) as caught:
        read(**raw)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        ({"schedule": "0 0 * * *", "interval": "5s"}, "the schedule wins"),
        ({"interval": "5s", "exclusionDates": ["RRULE:FREQ=DAILY"]}, "ignored, only EXDATE"),
        ({"interval": "5s", "persistence": {"configMap": {"name": "c"}}}, "store of the bus"),
    ],
)
def test_taken_with_a_warning(raw, warning):
    assert any(warning in w for w in read(**raw)[1])


@pytest.mark.parametrize(
    "text",
    [
        "EXDATE:20240315T103000Z",
        "EXDATE:20240101T000000Z,20240315T000000Z",
        "EXDATE:20240315",
        "exdate:20240315T000000Z",
        "EXDATE;TZID=UTC:20240315T103000Z",
        "2024-03-15",
        "20240315",
        "2024-03-15T10:30:00Z",
    ],
)
def test_forms_of_an_exclusion(text):
    assert START.date() in calendar._excluded([text])


# ---------------------------------------------------------------------------- ticks


class World:
    """A clock that moves with the loop, a bus that may refuse, a memory."""

    def __init__(self, env: Any) -> None:
        self.value: bytes | None = None
        self.ticks: list[tuple[float, str, str]] = []
        """Seconds since START, eventTime, id."""
        self.refuse_until = 0.0
        self.listening = False
        self.slept = 0.0
        """Seconds by which the clock went on while the loop stood still."""
        self.env = replace(env, memory=self, listening=self._listening)

    def _listening(self) -> None:
        self.listening = True

    def elapsed(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed() + self.slept)

    async def get(self) -> bytes | None:
        return self.value

    async def put(self, value: bytes) -> None:
        self.value = value

    async def edit(self, change) -> None:
        self.value = change(self.value)

    async def emit(self, payload, *, id=None, time=None, origin=None) -> None:
        if self.elapsed() < self.refuse_until:
            raise BusError("publishing: no answer", retry_after=1)
        shown = json.loads(payload.encode())["eventTime"]
        self.ticks.append((round(self.elapsed(), 1), shown, id))

    async def run(self, seconds: float, **raw: Any) -> None:
        source, _ = read(**raw)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await source.run(self.env, self.emit)

    @property
    def times(self) -> list[float]:
        return [at for at, *_ in self.ticks]


@pytest.fixture
def world(env, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    made = World(env)
    monkeypatch.setattr(calendar, "now", made.now)
    return made


virtual = pytest.mark.looptime(start=0)


@virtual
async def test_schedule(world):
    await world.run(150, schedule="* * * * *")
    assert world.listening
    assert world.times == [1.6, 61.6, 121.6]
    assert world.ticks[0][1].startswith("2024-03-15 10:30:00 +0000 UTC m=+")


@virtual
async def test_interval_begins_one_interval_after_start_on_whole_seconds(world):
    await world.run(35, interval="10s")
    assert world.times == [9.6, 19.6, 29.6]


@virtual
async def test_ids_are_those_of_the_moment_and_not_of_the_run(world):
    await world.run(70, schedule="* * * * *")
    ids = [tick[2] for tick in world.ticks]
    assert len(set(ids)) == len(ids)

    other = World(world.env)
    other.now = world.now
    await other.run(60, schedule="*/1 * * * *")
    assert {tick[2] for tick in other.ticks}.isdisjoint(ids)  # later moments

    again = calendar.tick_id(world.env, START.replace(minute=30, second=0, microsecond=0))
    assert again == ids[0]
    assert calendar.tick_id(replace(world.env, name="other"), START) != calendar.tick_id(
        world.env, START
    )


@virtual
async def test_excluded_days_are_whole_and_those_of_the_zone(world):
    # 10:30 UTC is 23:30 on the 15th in Auckland: half an hour later it is the 16th there
    raw = {"schedule": "*/30 * * * *", "timezone": "Pacific/Auckland"}
    await world.run(3700, exclusionDates=["2024-03-15"], **raw)
    assert world.times == [1801.6, 3601.6]


@virtual
async def test_refused_tick_is_tried_again_as_the_same(world):
    world.refuse_until = 100
    await world.run(150, schedule="30 10 * * *")
    assert len(world.ticks) == 1
    at, shown, made = world.ticks[0]
    assert 100 <= at <= 103
    assert shown.startswith("2024-03-15 10:30:00 +0000 UTC m=")
    assert made == calendar.tick_id(world.env, START.replace(minute=30, second=0, microsecond=0))


@virtual
async def test_of_many_missed_ticks_only_the_last_is_made_up_for(world):
    world.refuse_until = 200  # ticks at 1.6 (tried until 200), 61.6, 121.6, 181.6
    await world.run(230, schedule="* * * * *")
    assert len(world.ticks) == 2
    assert world.ticks[1][2] == calendar.tick_id(
        world.env, START.replace(minute=33, second=0, microsecond=0)
    )


@virtual
async def test_with_catchup_none_is_missed(world):
    world.refuse_until = 200
    await world.run(230, schedule="* * * * *", persistence={"catchup": {"enabled": True}})
    assert len(world.ticks) == 4


@virtual
async def test_catchup_after_a_restart(world):
    world.value = b'{"eventTime":"2024-03-15 10:27:00 +0000 UTC m=+0.02"}'
    raw = {
        "schedule": "* * * * *",
        "timezone": "America/New_York",
        "persistence": {"catchup": {"enabled": True}},
    }
    await world.run(2, **raw)

    assert world.times == [0.0, 0.0, 1.6]
    assert [t[1] for t in world.ticks[:2]] == [
        "2024-03-15 06:28:00 -0400 EDT",
        "2024-03-15 06:29:00 -0400 EDT",
    ]
    assert world.ticks[2][1].startswith("2024-03-15 10:30:00 +0000 UTC m=+")
    assert world.value == b'{"eventTime":"2024-03-15 06:30:00 -0400 EDT"}'


@virtual
async def test_catchup_is_bounded(world):
    world.value = b'{"eventTime":"2020-01-01 00:00:00 +0000 UTC"}'
    catchup = {"enabled": True, "maxDuration": "3m"}
    await world.run(1, schedule="* * * * *", persistence={"catchup": catchup})
    assert len(world.ticks) == 3


@virtual
@pytest.mark.parametrize(
    "value", [None, b"nonsense", b'{"eventTime":"x"}', b"[]", b'{"eventTime":1}']
)
async def test_nothing_to_catch_up_from(world, value):
    world.value = value
    await world.run(2, schedule="* * * * *", persistence={"catchup": {"enabled": True}})
    assert world.times == [1.6]


@virtual
async def test_position_is_only_written_without_catchup(world):
    world.value = b'{"eventTime":"2024-03-15 10:00:00 +0000 UTC"}'
    await world.run(2, schedule="* * * * *", persistence={})
    assert world.times == [1.6]
    assert world.value == b'{"eventTime":"2024-03-15 10:30:00 +0000 UTC"}'


@virtual
async def test_position_from_the_future_does_not_stop_the_clock(world):
    world.value = b'{"eventTime":"2034-03-15 10:00:00 +0000 UTC"}'
    await world.run(2, schedule="* * * * *", persistence={"catchup": {"enabled": True}})
    assert world.times == [1.6]


async def stopped_for_ten_minutes(world, told: bytes | None, **raw: Any) -> None:
    """Run over 11:00 as a process that was stopped meanwhile, while another one told of it."""

    def stop() -> None:
        world.slept, world.value = 600.0, told

    asyncio.get_running_loop().call_later(1700, stop)
    await world.run(1790, **raw)


HOURLY = {"schedule": "0 * * * *"}
WITH_CATCHUP = {"schedule": "*/10 * * * *", "persistence": {"catchup": {"enabled": True}}}


@virtual
@pytest.mark.parametrize("raw", [HOURLY, WITH_CATCHUP], ids=["hourly", "with catch-up"])
async def test_a_replica_that_was_stopped_does_not_repeat_what_another_told(world, raw):
    """By then the bus has long forgotten the id."""
    await stopped_for_ten_minutes(world, b'{"eventTime":"2024-03-15 11:00:00 +0000 UTC"}', **raw)
    assert not [at for at in world.times if at > 1700]


@virtual
@pytest.mark.parametrize("raw", [HOURLY, WITH_CATCHUP], ids=["hourly", "with catch-up"])
async def test_what_nobody_told_meanwhile_is_told_late(world, raw):
    await stopped_for_ten_minutes(world, b'{"eventTime":"2024-03-15 10:50:00 +0000 UTC"}', **raw)
    assert len([at for at in world.times if at > 1700]) == 1
    assert b"11:00:00" in world.value


@virtual
async def test_a_replica_that_is_behind_sets_nothing_back(world):
    kept = b'{"eventTime":"2024-03-15 10:29:59 +0000 UTC"}'
    world.value = kept
    at = datetime(2024, 3, 15, 10, 29, tzinfo=UTC)
    await asyncio.sleep(1)
    assert calendar._later(at, kept) is kept


@virtual
async def test_frequent_ticks_write_nothing(world):
    await world.run(150, schedule="* * * * *")
    assert world.value is None


async def test_persistence_needs_a_memory(env):
    source, _ = read(interval="5s", persistence={})
    with pytest.raises(ConfigError, match="keeps nothing"):
        await source.run(env, None)


@virtual
async def test_other_errors_are_not_swallowed(world):
    async def emit(*_: Any, **__: Any) -> None:
        raise SourceError("no")

    world.emit = emit
    with pytest.raises(SourceError):
        await world.run(10, schedule="* * * * *")


def test_payload():
    tick = calendar.Tick("2024-03-15 10:30:00 +0000 UTC", {"b": "<", "a": "1"})
    assert (
        tick.encode() == b'{"eventTime":"2024-03-15 10:30:00 +0000 UTC",'
        b'"metadata":{"a":"1","b":"\\u003c"}}'
    )
