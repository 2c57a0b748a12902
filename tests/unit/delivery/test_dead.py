"""Dead letters: kept, shown, retried, dropped."""

import msgspec
import pytest
from delivery_kit import action, dead

from delivery import dead as letters
from delivery.dead import DeadLetter, dead_letter, list_dead, of_event
from eventbus.bus import ACTIONS, DEAD, EVENTS, Message
from spine.errors import ConfigError, TransformError
from spine.event import Event, encode

EVENT = Event(id="1", source="uploads", subject="file", type="webhook", data=b'{"a":1}')


def message(data: bytes = encode(EVENT), sequence: int = 7) -> Message:
    return Message("default.uploads.file", data, sequence, 0.0)


def letter(**more) -> DeadLetter:
    error = TransformError("running jq program '.': gave int", hint="wrap it")
    where = {"component": "sensor", "object": "s", "place": "dep"} | more
    return of_event(error, message=message(), **where)


def of_action(**more) -> DeadLetter:
    return DeadLetter(
        kind="action",
        component="sensor",
        object="s",
        place="t",
        code="TriggerFailed",
        message="posting: 500",
        time=1.0,
        action=action(**more),
        lane="t",
    )


async def pending(bus) -> list[Message]:
    return [m async for m in bus.read(ACTIONS)]


async def test_shows_what_went_wrong(bus) -> None:
    number = await dead_letter(bus, letter())

    entry = await letters.show(bus, number)
    assert entry.letter == letter(), "as it was written"
    assert entry.letter.code == "TransformFailed"
    assert entry.letter.message == "running jq program '.': gave int (wrap it)"
    assert entry.letter.traceback == ""
    assert entry.letter.data == encode(EVENT)
    assert (entry.letter.subject, entry.letter.sequence) == ("default.uploads.file", 7)


@pytest.fixture(autouse=True)
def frozen(monkeypatch) -> None:
    monkeypatch.setattr("delivery.dead.time.time", lambda: 1.0)


async def test_bug_carries_its_traceback(bus) -> None:
    try:
        _ = {}["nothing"]
    except KeyError as exc:
        told = of_event(exc, component="sensor", object="s", place="", message=message())

    assert told.code == "Bug"
    assert told.message == "KeyError: 'nothing'"
    assert "test_bug_carries" in told.traceback


async def test_same_death_told_twice_is_one_letter(bus) -> None:
    await dead_letter(bus, letter())
    await dead_letter(bus, letter())
    await dead_letter(bus, letter(place="other"))
    await dead_letter(bus, of_action())
    await dead_letter(bus, of_action())
    await dead_letter(bus, of_action(attempt=2))

    assert len(await dead(bus)) == 4


async def test_lists_by_component_and_object(bus) -> None:
    await dead_letter(bus, letter())
    await dead_letter(bus, letter(object="s.2"))
    await dead_letter(bus, letter(component="eventsource", object="s"))

    async def objects(**where) -> list[tuple[str, str]]:
        found = [e.letter async for e in list_dead(bus, **where)]
        return [(each.component, each.object) for each in found]

    assert len(await objects()) == 3
    assert await objects(component="sensor") == [("sensor", "s"), ("sensor", "s.2")]
    assert await objects(object="s") == [("sensor", "s"), ("eventsource", "s")]
    assert await objects(component="sensor", object="s.2") == [("sensor", "s.2")]
    assert await objects(object="nobody") == []


async def test_retried_action_goes_to_its_sensor(bus) -> None:
    number = await dead_letter(bus, of_action(attempt=5, due=9.0, first=3.0))

    assert await letters.retry(bus, number) == "trigger t of sensor s"

    [sent] = await pending(bus)
    assert sent.subject == "tocsin-actions.s.@redrive"
    assert letters.redriven(sent) == of_action(attempt=5, due=9.0, first=3.0)
    assert await dead(bus) == []


async def test_retried_event_goes_to_its_sensor_alone(bus) -> None:
    number = await dead_letter(bus, letter())

    assert await letters.retry(bus, number) == "sensor s"

    [sent] = await pending(bus)
    assert sent.subject == "tocsin-actions.s.@redrive"
    read = letters.redriven(sent)
    assert (read.place, read.data) == ("dep", encode(EVENT))
    assert [m async for m in bus.read(EVENTS)] == []


async def test_retried_event_of_an_event_source_is_published(bus) -> None:
    number = await dead_letter(bus, letter(component="eventsource", object="uploads"))

    assert await letters.retry(bus, number) == "event file of event source uploads"

    [sent] = [m async for m in bus.read(EVENTS)]
    assert (sent.subject, sent.data) == ("default.uploads.file", encode(EVENT))


async def test_event_that_is_too_large_to_keep_is_found_on_its_stream(bus) -> None:
    large = msgspec.structs.replace(EVENT, data=b"x" * (bus.max_payload * 6 // 10))
    await bus.publish(large)
    [stored] = [m async for m in bus.read(EVENTS)]
    error = TransformError("running jq program '.': no")
    told = of_event(error, component="sensor", object="s", place="dep", message=stored)

    number = await dead_letter(bus, told)

    kept = (await letters.show(bus, number)).letter
    assert kept.cut
    assert kept.data == b""
    await letters.retry(bus, number)
    [sent] = await pending(bus)
    assert await letters.body(bus, letters.redriven(sent)) == stored.data


async def test_event_that_was_too_large_and_is_gone(bus) -> None:
    number = await dead_letter(bus, msgspec.structs.replace(letter(), cut=True, data=b""))

    with pytest.raises(ConfigError, match="has left the stream meanwhile"):
        await letters.retry(bus, number)
    assert len(await dead(bus)) == 1, "what cannot be retried stays"


async def test_action_that_was_too_large(bus) -> None:
    big = of_action()
    big = msgspec.structs.replace(
        big, action=msgspec.structs.replace(big.action, content={"x": "y" * bus.max_payload})
    )
    number = await dead_letter(bus, big)

    with pytest.raises(ConfigError, match="too large to be kept"):
        await letters.retry(bus, number)


async def test_dropped_is_gone(bus) -> None:
    number = await dead_letter(bus, letter())
    await letters.drop(bus, number)

    assert await dead(bus) == []
    for verb in (letters.drop, letters.show, letters.retry):
        with pytest.raises(ConfigError, match=f"dead letter {number}: there is none"):
            await verb(bus, number)


async def test_unreadable_letter_is_listed_and_not_retried(bus) -> None:
    number = await bus.append(DEAD, "tocsin-dead.sensor.s.x", b"{}")

    [entry] = await dead(bus)
    assert entry.letter.code == "Unreadable"
    with pytest.raises(ConfigError, match="reading dead letter"):
        await letters.retry(bus, number)


async def test_letter_of_a_newer_version_is_read(bus) -> None:
    data = msgspec.json.decode(msgspec.json.encode(letter())) | {"later": [1]}
    await bus.append(DEAD, "tocsin-dead.sensor.s.x", msgspec.json.encode(data))

    assert (await dead(bus))[0].letter == letter()
