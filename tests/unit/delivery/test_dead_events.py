"""A dead letter of an action keeps the events that it was made of."""

import msgspec
from delivery_kit import action as made

from delivery.action import Action
from delivery.dead import KEPT, DeadLetter, dead_letter, do_again, events_of, retry, show
from eventbus.bus import ACTIONS
from eventbus.memory import MemoryBus
from spine.event import Event, decode


def event(identity: str, size: int = 2) -> Event:
    return Event(
        id=identity, source="hook", subject="e", type="webhook", data=b'"' + b"x" * size + b'"'
    )


def action(**more) -> Action:
    return msgspec.structs.replace(made(), **more)


def letter(**more) -> DeadLetter:
    where = {"component": "sensor", "object": "s", "place": "t", "code": "Bug", "message": "no"}
    return DeadLetter(kind="action", time=1.0, lane="t", **{**where, **more})


async def test_events_are_those_of_the_positions_with_the_ids(bus):
    for identity in "abc":
        await bus.publish(event(identity))
    one = action(events={"x": "b", "y": "c"}, at={"x": 2, "y": 1})
    found = await events_of(bus, one)
    assert {name: decode(data).id for name, data in found.items()} == {"x": "b"}, "y is another"
    assert await events_of(bus, action(events={"x": "b"}, at={"x": 99})) == {}
    assert await events_of(bus, action(events={"x": "b"})) == {}


async def test_no_more_is_kept_than_has_room():
    bus = MemoryBus(max_payload=KEPT * 4)
    await bus.publish(event("a", KEPT // 2))
    await bus.publish(event("b", KEPT // 2))
    one = action(events={"x": "a", "y": "b"}, at={"x": 1, "y": 2})
    assert list(await events_of(bus, one)) == ["x"]


async def test_events_go_before_the_action_does():
    bus = MemoryBus(max_payload=4096)
    kept = letter(action=action(content={"body": "b" * 100}), events={"x": b"e" * 8000})
    stored = (await show(bus, await dead_letter(bus, kept))).letter
    assert stored.events == {}
    assert not stored.cut
    assert stored.action == kept.action


async def test_events_do_not_travel_when_it_is_tried_again(bus):
    number = await dead_letter(bus, letter(action=action(), events={"x": b"{}"}))
    await retry(bus, number)
    (message,) = [one async for one in bus.read(ACTIONS)]
    assert msgspec.json.decode(message.data, type=DeadLetter).events == {}


async def test_an_action_is_done_again_once_when_told_twice(bus):
    for _ in range(2):
        await do_again(bus, action(), said="replayed")
    await do_again(bus, action(key="other"), said="replayed")
    assert len([one async for one in bus.read(ACTIONS)]) == 2
