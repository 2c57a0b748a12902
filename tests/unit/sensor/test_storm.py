"""Three replicas of a Sensor on a bus that is slow, refuses and loses answers; one is killed often.

Every event counts once, whatever it is held for: it is in one action or dead letter, by its key,
however often that is done.
"""

import asyncio
import json
from collections import defaultdict
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from bad_bus import BadBus, Weather
from delivery_kit import Target, dead
from sensor_kit import dependency, event, plan, running, trigger, use_targets

from delivery.action import Action
from spine.errors import BusError, TriggerError
from spine.event import decode

pytestmark = pytest.mark.looptime

EVENTS = 40
ALL = {"dependencyName": "a", "dataKey": "#.n", "useRawData": True}


def holding(**how: Any) -> Any:
    """A trigger whose body is all values of an action."""
    made = trigger("t", payload=["a"], **how)
    made["template"]["http"]["payload"] = [{"src": ALL, "dest": "id.a"}]
    return plan([dependency("a")], [made])


PLANS = {
    "plain": plan([dependency("a")], [trigger("t", payload=["a"])]),
    "both": plan([dependency("a"), dependency("b")], [trigger("t", "a && b", payload=["a", "b"])]),
    "batch": holding(batch={"count": 5, "duration": "30s"}),
    "in order": plan(
        [dependency("a")],
        [trigger("t", payload=["a"], orderBy={"dependencyName": "a", "dataKey": "n"})],
    ),
    "one key": plan(
        [dependency("a")],
        [trigger("t", payload=["a"], orderBy={"dependencyName": "a", "value": "k"})],
    ),
    "claimed": plan(
        [dependency("a")],
        [
            trigger(
                "t", payload=["a"], idempotencyKey={"src": {"dependencyName": "a", "dataKey": "n"}}
            )
        ],
    ),
    "limited": plan(
        [dependency("a")],
        [trigger("t", payload=["a"], rateLimit={"unit": "Second", "requestsPerUnit": 1})],
    ),
}


async def surely_published(bus: BadBus, number: int, name: str) -> None:
    while True:
        with suppress(BusError):
            return await bus.publish(event(number, name))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", PLANS)
async def test_each_event_counts_once(kind, seed, monkeypatch):
    weather = Weather(seed)

    def answer(_action: Action, _attempt: int) -> None:
        if weather.happens():
            raise TriggerError("posting: 503")

    target = Target(answer, seconds=0.1)
    use_targets(monkeypatch, {"t": target})
    bus, made = BadBus(weather), PLANS[kind]
    replica = partial(running, bus, made, clock=bus._clock.now)
    names = "ab" if kind == "both" else "a"

    async def counted() -> dict[tuple[str, int], set[str]]:
        """Return the keys of the actions that each event is in; a letter stands for its own."""
        found, done = defaultdict(set), list(zip(target.done, target.bodies, strict=True))
        letters = [entry.letter for entry in await dead(bus)]  # five kills may leave no outcome
        acts = [one.action for one in letters if one.action is not None]
        done += [(action.key, json.loads(action.content["body"])) for action in acts]
        for key, body in done:
            for name, held in body["id"].items():
                for number in held if isinstance(held, list) else [held]:
                    found[name, int(number)].add(key)
        for lost in [decode(one.data) for one in letters if one.action is None]:
            here = found[lost.subject, json.loads(lost.data)["n"]]
            here |= set() if here else {"letter"}
        return found

    async def dies_often() -> None:
        while True:
            with suppress(TimeoutError, BusError):
                async with asyncio.timeout(weather.life()), replica():
                    await asyncio.Event().wait()

    async def publishes() -> None:
        for number in range(EVENTS):
            await asyncio.sleep(weather.lag())
            for name in names:
                await surely_published(bus, number, name)
            if kind == "both":
                async with asyncio.timeout(3600):
                    while {(name, number) for name in names} - (await counted()).keys():
                        await asyncio.sleep(1)

    async with replica(), replica():
        dying = asyncio.create_task(dies_often())
        await publishes()
        await asyncio.sleep(60)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        weather.bad = False
        await asyncio.sleep(3600)
    found = await counted()
    expected = [(name, number) for name in names for number in range(EVENTS)]
    assert {one: len(found[one]) for one in expected} == dict.fromkeys(expected, 1)
    if kind == "one key":
        done = [int(body["id"]["a"]) for body in target.bodies]
        assert done == sorted(done), "what is repeated comes before what follows it"
