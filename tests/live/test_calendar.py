"""The calendar on the real clock."""

import asyncio
import json

from hooks import running


async def test_ticks_once_a_second_on_the_real_clock():
    spec = {"calendar": {"beat": {"interval": "1s", "metadata": {"a": "b"}}}}
    async with running(spec) as source:
        await asyncio.sleep(3.2)
        events = await source.events()

    assert 2 <= len(events) <= 4
    assert len({e.id for e in events}) == len(events)
    payload = json.loads(events[0].data or b"")
    assert payload["metadata"] == {"a": "b"}
    assert " m=+" in payload["eventTime"]
    assert {(e.source, e.subject, e.type) for e in events} == {("hooks", "beat", "calendar")}


async def test_two_replicas_make_one_event_of_a_tick():
    spec = {"calendar": {"beat": {"schedule": "@every 1s"}}}
    async with running(spec) as one, running(spec, bus=one.bus):
        await asyncio.sleep(3.2)
        events = await one.events()
    assert 2 <= len(events) <= 4
