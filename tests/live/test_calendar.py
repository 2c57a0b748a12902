"""The calendar on the real clock."""

import asyncio
import json
from typing import Any

from hooks import running


async def beats(it: Any, count: int) -> list[dict[str, Any]]:
    """Wait for so many ticks; return the data of all that came."""
    async with asyncio.timeout(60):
        while await it.count() < count:
            await asyncio.sleep(0.05)
    return [json.loads(event.data or b"") for event in await it.events()]


def seconds(found: list[dict[str, Any]]) -> list[str]:
    """Return the second of each tick, as YYYY-MM-DD HH:MM:SS."""
    return [one["eventTime"][:19] for one in found]


async def test_ticks_once_a_second_on_the_real_clock():
    spec = {"calendar": {"beat": {"interval": "1s", "metadata": {"a": "b"}}}}
    async with running(spec) as source:
        found = await beats(source, 3)
        events = await source.events()

    assert sorted(set(seconds(found))) == seconds(found)
    assert len({e.id for e in events}) == len(events)
    assert found[0]["metadata"] == {"a": "b"}
    assert " m=+" in found[0]["eventTime"]
    assert {(e.source, e.subject, e.type) for e in events} == {("hooks", "beat", "calendar")}


async def test_two_replicas_make_one_event_of_a_tick():
    spec = {"calendar": {"beat": {"schedule": "@every 1s"}}}
    async with running(spec) as one, running(spec, bus=one.bus):
        found = await beats(one, 3)

    assert sorted(set(seconds(found))) == seconds(found)
