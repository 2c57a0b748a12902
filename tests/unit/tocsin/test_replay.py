"""What a Sensor would have done, and how two differ: on a bus in memory."""

import json

import pytest

from delivery.action import Action
from eventbus.bus import ACTIONS, Reader
from eventbus.memory import MemoryBus
from sensor.decision import Decision
from sensor.replay import Told
from sensor.state import EMPTY
from spine.errors import ConfigError
from spine.event import Event
from tocsin import replay, replayed, replaying
from tocsin.explaining import read_sensor
from tocsin.replaying import Change, Difference, differences

SENSOR = """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: show}
spec:
  dependencies:
    - name: dep
      eventSourceName: hook
      eventName: e
      filters:
        data: [{path: body.n, type: number, comparator: ">=", value: ["10"]}]
    - {name: other, eventSourceName: hook, eventName: f}
  triggers:
    - template:
        name: out
        conditions: dep
        http:
          url: http://127.0.0.1:1/
          payload:
            - {src: {dependencyName: dep, dataKey: body.id}, dest: id}
"""
BOTH = """\
    - template:
        name: both
        conditions: dep && other
        log: {}
"""
HELD = """\
    - template:
        name: held
        conditions: dep
        log: {}
      debounce: {duration: 10m}
"""


@pytest.fixture
async def bus():
    one = MemoryBus()
    for number, (name, n) in enumerate([("e", 5), ("e", 12), ("f", 1), ("e", 30)]):
        data = json.dumps({"body": {"id": f"o{n}", "n": n}}).encode()
        await one.publish(
            Event(id=f"i{number}", source="hook", subject=name, type="webhook", data=data)
        )
    return one


def asked(before="", now="", **more):
    given = {"name": "", "since": "all", "diff": bool(before and now), "fire": False}
    given |= {"anew": False, "yes": True, "output": "text"}
    return replay.Asked(before, now, **{**given, **more})


async def replay_of(bus, tmp_path, *texts, kept=None):
    files = []
    for number, text in enumerate(texts):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        files.append(str(file))
    question = asked(*files) if len(files) > 1 else asked(files[0])
    reads = [read_sensor([file]) for file in files]
    found = await replay._replayed(bus, question, reads, kept)
    return question, found, "\n".join(replayed.lines(question, found))


async def test_counts_come_first_and_then_why_not(bus, tmp_path):
    _, found, text = await replay_of(bus, tmp_path, SENSOR + BOTH)
    assert found.events == {"hook/e": 3, "hook/f": 1}
    tally = found.sides[0].tally
    assert tally.fired == {"out": 2, "both": 1}
    assert tally.firing == 3
    assert "4 events ever kept" in text
    assert "1  dependency dep, Data, such as i0: body.n is 5, not >= 10 (number)" in text
    assert "2  trigger both, Waiting, such as i1: waits for other" in text


async def test_same_sensor_does_the_same(bus, tmp_path):
    _, found, text = await replay_of(bus, tmp_path, SENSOR + BOTH, SENSOR + BOTH)
    assert found.difference.count == 0
    assert found.to_do == 0
    assert "3 actions are the same; 0 are others, 0 are new, 0 are gone" in text


async def test_what_is_gone_says_why(bus, tmp_path):
    question, found, text = await replay_of(
        bus, tmp_path, SENSOR + BOTH, SENSOR.replace('"10"', '"20"')
    )
    assert "1 actions are the same; 0 are others, 0 are new, 2 are gone" in text
    assert "1  trigger both, which " in text
    assert "i1: would no more send POST http://127.0.0.1:1/ with 12 bytes" in text
    why = "did not fire: dependency dep: data filter: body.n is 12, not >= 20 (number)"
    assert f"now: {why}" in text
    shown = replayed.as_json(question, found)["difference"]
    assert {one["trigger"]: one["count"] for one in shown["gone"]} == {"out": 1, "both": 1}
    assert shown["gone"][0]["samples"][0]["other"] == why


async def test_what_is_new_is_to_be_done(bus, tmp_path):
    _, found, text = await replay_of(bus, tmp_path, SENSOR.replace('"10"', '"20"'), SENSOR)
    assert found.to_do == 1
    assert "i1: would send POST" in text


async def test_actions_that_are_others_are_grouped_by_place(bus, tmp_path):
    edited = SENSOR.replace("dest: id", "dest: order.id")
    _, found, text = await replay_of(bus, tmp_path, SENSOR, edited)
    assert "2  trigger out at body.id, body.order.id" in text
    assert 'body.order.id: absent -> "o12"' in text
    assert found.to_do == 2


async def test_time_passes_as_it_did(bus, tmp_path):
    _, found, _ = await replay_of(bus, tmp_path, SENSOR + HELD)
    assert found.sides[0].tally.fired == {"out": 2}, "ten minutes are not over"
    brief = HELD.replace("10m", "1ms")
    _, found, _ = await replay_of(bus, tmp_path, SENSOR + brief)
    assert found.sides[0].tally.fired["held"] >= 1


async def test_fire_gives_the_actions_to_the_sensor_that_runs(bus, tmp_path):
    kept = (tmp_path / "kept").open("w+b")
    with kept:
        question, found, _ = await replay_of(bus, tmp_path, SENSOR, kept=kept)
        read = read_sensor([question.before])
        with pytest.raises(ConfigError, match="the bus knows no Sensor of that name"):
            await replay._fire(bus, question, read, kept, found.to_do)
        await bus.ensure(Reader(durable="sensor-show", subjects=("default.hook.e",)))
        for _ in range(2):
            await replay._fire(bus, question, read, kept, found.to_do)
    sent = [message async for message in bus.read(ACTIONS)]
    assert [message.subject for message in sent] == ["tocsin-actions.show.@redrive"] * 2
    assert [json.loads(message.data)["action"]["events"] for message in sent] == [
        {"dep": "i1"},
        {"dep": "i3"},
    ]


async def test_anew_is_another_action(bus, tmp_path):
    await bus.ensure(Reader(durable="sensor-show", subjects=("default.hook.e",)))
    with (tmp_path / "kept").open("w+b") as kept:
        question, found, _ = await replay_of(bus, tmp_path, SENSOR, kept=kept)
        read = read_sensor([question.before])
        for _ in range(2):
            await replay._fire(bus, question._replace(anew=True), read, kept, found.to_do)
    keys = [json.loads(message.data)["action"]["key"] async for message in bus.read(ACTIONS)]
    assert len(set(keys)) == 4


def test_secrets_are_not_shown():
    before, now = {"headers": {"Authorization": "a"}}, {"headers": {"Authorization": "b"}}
    assert differences(before, now) == [Change("(a masked value)", "***", "***")]


def test_texts_of_json_differ_where_they_do():
    assert differences({"body": '{"a":[1,2]}'}, {"body": '{"a":[1,3]}'}) == [
        Change("body.a.1", 2, 3)
    ]


def told(number: int, **content: object) -> Told:
    """Return what a Sensor with a trigger that has state makes of an event."""
    action = Action(
        key=str(number), sensor="s", trigger="t", kind="log", content=content,
        events={"dep": f"e{number}"},
    )  # fmt: skip
    event = Event(id=f"e{number}", source="hook", subject="e", type="webhook")
    return Told(event, 1.0, Decision(EMPTY, actions=[action]))


def test_what_waits_for_its_like_and_what_differs_are_bounded(monkeypatch):
    monkeypatch.setattr(replaying, "OPEN", 3)
    monkeypatch.setattr(replaying, "KINDS", 2)
    found = Difference(loose={"t"})
    for number in range(8):
        list(found.step([told(number)], []))
    assert len(found._open) == 3
    assert found.only[0]["t"].count == 5, "the oldest count as alone"
    for number in range(10, 15):
        list(found.step([told(number, **{f"a{number}": 1})], [told(number, **{f"a{number}": 2})]))
    assert [(kind.paths, group.count) for kind, group in found.changed.items()] == [
        (("a10",), 1),
        (("a11",), 1),
        ((), 3),
    ]
