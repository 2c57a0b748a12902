"""Dead letters on the command line: chosen and edited."""

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from delivery.action import Action
from delivery.dead import DeadLetter, Entry, dead_letter, replace, show
from eventbus.memory import MemoryBus
from spine.errors import BusError, ConfigError
from spine.event import Event, decode, encode
from tocsin import dlq
from tocsin.editing import changed
from tocsin.letters import Wanted

ACTION = Action(
    key="k", sensor="s", trigger="out", kind="http", content={"body": '{"a":{"b":1}}', "n": 1}
)
EVENT = Event(id="1", source="hook", subject="e", type="webhook", data=b'{"a":1}')


def letter(**more: Any) -> DeadLetter:
    given: dict[str, Any] = {"kind": "action", "component": "sensor", "object": "s"}
    given |= {"place": "out", "code": "TriggerFailed", "message": "POST: 500", "time": 1000.0}
    return DeadLetter(**{**given, "action": ACTION, "lane": "out", **more})


@dataclass(frozen=True)
class Case:
    given: dict[str, str]
    fits: bool
    of: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case({}, True),
    Case({"place": "out"}, True),
    Case({"place": "o*"}, True),
    Case({"place": "in"}, False),
    Case({"place": "dep"}, True, {"place": "dependencies.dep"}),
    Case({"code": "Trigger*"}, True),
    Case({"code": "Bug"}, False),
    Case({"grep": "post"}, True),
    Case({"grep": "404"}, False),
    Case({"kind": "event"}, False),
    Case({"since": "10m"}, True),
    Case({"since": "1m"}, False),
    Case({"older_than": "1m"}, True),
    Case({"older_than": "1d"}, False),
    Case({"notifier": "told"}, True, {"object": "ns/told"}),
    Case({"notifier": "other/told"}, True, {"object": "ns/told"}),
    Case({"notifier": "else"}, False, {"object": "ns/told"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda one: repr(one.given))
def test_letters_are_chosen_by_what_they_are(case):
    assert Wanted.of(case.given).fits(Entry(1, letter(**case.of)), 1300.0) is case.fits
    assert Wanted.of(case.given).any is bool(case.given)


@pytest.mark.parametrize("text", ["d", "-5m", "soon"])
def test_a_time_that_is_none_is_told_before_a_letter_is_looked_at(text):
    with pytest.raises(ConfigError, match=r"10m.*7d"):
        Wanted.of({"since": text})


async def content_after(*sets: str, file: str | None = None) -> Any:
    found = await changed(MemoryBus(), Entry(3, letter()), sets, file)
    return None if found is None or found.action is None else found.action.content


async def test_values_are_set_also_in_a_body_of_json():
    assert await content_after("n=2", "body.a.b=3", "body.c=x") == {
        "body": '{"a": {"b": 3}, "c": "x"}',
        "n": 2,
    }
    assert await content_after("n=1") is None, "nothing changed"
    assert await content_after(file='{"n": 5}') == {"n": 5}


@pytest.mark.parametrize(
    ("sets", "file", "message"),
    [
        (("n",), None, "--set 'n' is no PATH=VALUE"),
        (("n=1",), "{}", "not both"),
        ((), "[]", "an action's content is an object"),
        ((), "{", "no JSON"),
    ],
)
async def test_what_cannot_be_edited(sets, file, message):
    with pytest.raises(ConfigError, match=message):
        await content_after(*sets, file=file)


async def test_event_is_edited_and_takes_the_place_of_the_old_one():
    bus = MemoryBus()
    dead = letter(kind="event", action=None, data=encode(EVENT), place="dependencies.dep")
    number = await dead_letter(bus, dead)
    found = await changed(bus, await show(bus, number), ["a=2"], None)
    assert found is not None
    new = await replace(bus, number, found)
    stored = (await show(bus, new)).letter
    assert json.loads(decode(stored.data).data or b"") == {"a": 2}
    assert stored.edited == number
    with pytest.raises(ConfigError, match="there is none"):
        await show(bus, number)


async def test_what_was_not_kept_cannot_be_edited():
    with pytest.raises(ConfigError, match="too large to keep"):
        await changed(MemoryBus(), Entry(3, letter(cut=True)), ["a=1"], None)
    dead = msgspec.structs.replace(letter(action=None), kind="event", data=b"no event")
    with pytest.raises(ConfigError, match="editing dead letter 3"):
        await changed(MemoryBus(), Entry(3, dead), ["a=1"], None)


async def test_a_bus_that_is_away_ends_what_is_done_with_many(capsys: Any) -> None:
    asked: list[int] = []

    async def work(_bus: Any, number: int) -> str:
        asked.append(number)
        raise ConfigError("no such letter") if number == 1 else BusError("away")

    with pytest.raises(BusError, match="away"):
        await dlq._each(MemoryBus(), (1, 2, 3), work)
    assert asked == [1, 2]
    assert capsys.readouterr().err == "tocsin: no such letter\n"
