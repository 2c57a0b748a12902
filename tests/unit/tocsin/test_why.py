"""`tocsin why`, on a bus in memory: what is kept, and what is told where nothing is."""

import json
from typing import Any

import msgspec
import pytest

from delivery.dead import DeadLetter, dead_letter
from delivery.report import Decided, Judged, Report
from delivery.subjects import decided_subject, decision_subject, sensor_durable
from eventbus.bus import DECISIONS, Bus, Reader
from eventbus.memory import MemoryBus
from spine.errors import ConfigError
from spine.event import Event
from tocsin.kept import Question, answer

SENSOR = """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: till}
spec:
  dependencies: [{name: a, eventSourceName: src, eventName: e}]
  triggers: [{template: {name: t, log: {}}}]
"""


@pytest.fixture
async def bus() -> MemoryBus:
    made = MemoryBus()
    await made.ensure(Reader(sensor_durable("till"), ("default.src.e",)))
    return made


async def keep(bus: Bus, identity: str, trigger: str = "t", **more: Any) -> None:
    judged = (Judged(trigger, "Fired", key=f"k{identity}"),)
    one = Decided(0.0, "till", "src", "e", identity, text=f"fired: {identity}", triggers=judged)
    one = msgspec.structs.replace(one, **more)
    await bus.append(DECISIONS, decided_subject("till"), msgspec.json.encode(one))


async def report(bus: Bus, key: str, result: Any, summary: str) -> None:
    one = Report(time=0.0, sensor="till", trigger="t", result=result, summary=summary, key=key)
    await bus.append(DECISIONS, decision_subject("till", "t"), msgspec.json.encode(one))


async def ask(bus: Bus, capsys: Any, **more: Any) -> tuple[bool, list[str]]:
    found = await answer(bus, Question("till", **{"since": "all", **more}))
    out, err = capsys.readouterr()
    return found, (out + err).splitlines()


async def test_decisions_come_newest_last_with_what_became_of_their_actions(bus, capsys):
    await bus.append(DECISIONS, decision_subject("till", "@start"), b'{"started":true}')
    await keep(bus, "1", fired=True)
    await keep(bus, "2", skipped=3)
    await report(bus, "k1", "failed", "503")
    await report(bus, "k1", "done", "200 OK")
    found, lines = await ask(bus, capsys)
    assert found
    assert lines[0].endswith("src/e 1  fired: 1")
    assert lines[1].endswith("t: failed: 503")
    assert lines[2].endswith("t: done: 200 OK")
    assert lines[3].endswith("… 3 events of the same kinds not kept")
    assert lines[4].endswith("src/e 2  fired: 2")


async def test_json_is_one_object_a_line(bus, capsys):
    await keep(bus, "1")
    await report(bus, "k1", "done", "200 OK")
    _, (line,) = await ask(bus, capsys, json=True)
    found = json.loads(line)
    assert (found["id"], found["actions"][0]["summary"]) == ("1", "200 OK")


async def test_only_some_are_shown(bus, capsys):
    for number in range(5):
        await keep(bus, str(number), trigger="odd" if number % 2 else "even")
    assert len((await ask(bus, capsys, last=2))[1]) == 2
    assert len((await ask(bus, capsys, last=0))[1]) == 5
    assert len((await ask(bus, capsys, trigger="odd"))[1]) == 2
    (line,) = (await ask(bus, capsys, event_id="3"))[1]
    assert line.endswith("fired: 3")


async def test_a_sensor_that_is_not_there_is_guessed(bus):
    with pytest.raises(ConfigError, match=r"knows none of that name \(did you mean till\)"):
        await answer(bus, Question("tell"))


async def test_events_that_wait_are_told(bus, capsys):
    assert (await ask(bus, capsys))[1] == [
        "no decision of Sensor till is kept: it has read all that there is"
    ]
    await bus.publish(Event(id="1", source="src", subject="e", type="webhook"))
    found, lines = await ask(bus, capsys, since="5m")
    assert not found
    assert lines == [
        "no decision of Sensor till is kept since 5m ago: 1 event waits to be read (is it running?)"
    ]


async def test_of_an_event_without_a_decision_it_is_told_where_it_is(bus, capsys):
    with pytest.raises(ConfigError, match="none of that id"):
        await ask(bus, capsys, event_id="1")
    await bus.publish(Event(id="1", source="src", subject="e", type="webhook"))
    await bus.publish(Event(id="2", source="src", subject="other", type="webhook"))
    assert (await ask(bus, capsys, event_id="1"))[1][0].endswith(", and is not done yet")
    assert "does not read src/other" in (await ask(bus, capsys, event_id="2"))[1][0]
    letter = DeadLetter(
        kind="event", component="sensor", object="till", place="dependencies.a", code="Bug",
        message="KeyError: 'x'", time=0.0, subject="default.src.e", sequence=1,
    )  # fmt: skip
    await dead_letter(bus, letter)
    found, lines = await ask(bus, capsys, event_id="1")
    assert found
    assert lines == ["event 1 is dead letter 1: dependencies.a KeyError: 'x'"]


async def test_an_event_is_evaluated_again_by_a_file(bus, capsys, tmp_path):
    await bus.publish(Event(id="1", source="src", subject="e", type="webhook", data=b"{}"))
    file = tmp_path / "s.yaml"
    file.write_text(SENSOR)
    found, lines = await ask(bus, capsys, event_id="1", file=str(file))
    assert found
    assert "evaluated again" in lines[0]
    assert lines[-1] == "fired: trigger t would log 1 event"
