"""Replicas that see the same, each in its own time, on a bus that is slow and loses answers; one of
them is killed again and again.

Every activation is told or a dead letter, each with one key, whatever the order in which the bus
does what it is asked.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress

import pytest
from bad_bus import BadBus, Weather
from delivery_kit import clock, dead
from msgspec import convert
from notifier_kit import CONFIG, SUBSCRIBED, Book, at_work, item, plan_of, recording

from notifier.desk import Desk
from notifier.sending import Sent
from spine.errors import TriggerError

pytestmark = pytest.mark.looptime

OBJECTS, TURNS = 4, 12
TURN = CONFIG.replace(
    "{{ .pod.metadata.name }} failed", "{{ .pod.metadata.name }} {{ .pod.status.turn }}"
)
CONFIGS = {
    "begins": TURN,
    "ends": TURN.replace("    send: [failed]\n", "    send: [failed]\n    sendResolved: true\n"),
    "digests": TURN + "digests: |\n  - {services: [hook], window: 20s}\n",
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", CONFIGS)
async def test_each_activation_is_told_with_one_key(seed, kind):
    weather = Weather(seed)

    async def answer() -> None:
        await asyncio.sleep(0.1)
        if weather.happens():
            raise TriggerError("telling: 503")

    book = Book(answer=lambda *_: answer())
    plan = recording(plan_of(CONFIGS[kind]), hook=book)
    bus = BadBus(weather)

    async def sees(desk: Desk, number: int) -> None:
        for version in range(1, 2 * TURNS + 1):
            await asyncio.sleep(weather.lag())
            phase, turn = ("Failed", "Running")[version % 2 == 0], (version + 1) // 2
            name = f"web-{number}"
            one = item(phase, version=version, name=name, annotations=SUBSCRIBED, turn=turn)
            key = desk.records.key("Pod", one.meta.uid)
            await desk.handler.take(plan, key, "MODIFIED", one)

    async def lives() -> None:
        async with at_work(bus, plan, clock) as desk:
            async with asyncio.TaskGroup() as group:
                for number in range(OBJECTS):
                    group.create_task(sees(desk, number))
            await desk.handler.idle()

    async def dies_often() -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(weather.life()):
                    await lives()

    dying = asyncio.create_task(dies_often())
    await asyncio.gather(lives(), lives())
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    weather.bad = False
    told = defaultdict(set)
    async with at_work(bus, plan, clock) as desk:
        await asyncio.sleep(600)
        for entry in await dead(bus):  # five kills may leave no attempt with an outcome
            sent, parts = convert(entry.letter.action.content, Sent), [entry.letter.action]
            if sent.digest:
                parts = await desk.outlet.digests.seal(sent)
            for part in parts:
                told[part.content["message"]["text"]].add(entry.letter.action.key)
    for _, text, key in book.taken:
        for line in text.splitlines():
            told[line].add(key)
    expected = [f"web-{number} {turn}" for number in range(OBJECTS) for turn in range(1, TURNS + 1)]
    if kind == "ends":
        expected += [f"{text} no more" for text in expected]
    assert {text: len(told[text]) for text in expected} == dict.fromkeys(expected, 1)
