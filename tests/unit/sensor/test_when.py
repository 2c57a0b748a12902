"""`if` on a trigger: what it sees, and what follows from it."""

import logging
from dataclasses import dataclass
from typing import Any

import pytest
import sensor_kit
from delivery_kit import Target, dead, until
from plan_kit import NOON, dependency, event, plan, spec, trigger

from eventbus.memory import MemoryBus
from sensor.evaluate import evaluate, refire
from sensor.plan import Plan
from sensor.spec import SensorSpec
from sensor.state import EMPTY
from spine.errors import ConfigError, ParameterError
from spine.event import Event
from spine.model import InvalidModel, load

DATA = b'{"action":"opened","n":3,"labels":[{"name":"bug"}],"big":9007199254740993,"r":1.5}'


def planned(text: str, *names: str, conditions: str = "") -> Plan:
    names = names or ("orders",)
    return plan(*map(dependency, names), triggers=[{**trigger("tell", conditions), "if": text}])


@dataclass(frozen=True)
class Case:
    text: str
    says: str = ""
    """Part of why it is skipped; empty where it fires."""

    def __str__(self) -> str:
        return self.text


CASES = [
    Case('data.action == "opened"'),
    Case('data.action == "closed"', 'its if is false: data.action == "closed"'),
    Case("data.n % 2 == 1 and data.n in 1..5"),
    Case("data.big == 9007199254740993"),
    Case('any(data.labels, .name == "bug")'),
    Case('context.subject == "orders" and context.type == "webhook"'),
    Case('date(context.time).Hour() == 12 and context.source matches "^sh"'),
    Case('events["orders"].data.n == events.orders.data.n'),
    Case('"orders" in events and len(events) == 1'),
    Case("data.pull.n > 3", "finds that cannot fetch n from <nil>"),
    Case("data.m > 3", "finds that <nil> > int is not possible"),
    Case("data.labels[4] == nil", "finds that index out of range: 4"),
    Case("data.ready", "its if gives nil: data.ready"),
    Case("data?.pull?.n == nil"),
    Case("let wanted = [1, 3]; data.n in wanted"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_event(case: Case) -> None:
    decision = evaluate(planned(case.text), EMPTY, event(data=DATA), 0.0)

    (verdict,) = decision.triggers
    assert len(decision.actions) == (not case.says)
    assert verdict.code == ("Skipped" if case.says else "Fired")
    assert case.says in verdict.detail
    assert decision.faults == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("data.n", "it does not give true or false"),
        ("data.action > 3", "string > int is not possible"),
        ("upper(data.n) == 'A'", "upper does not take int"),
    ],
)
def test_what_cannot_be_evaluated_is_a_fault(text: str, problem: str) -> None:
    decision = evaluate(planned(text), EMPTY, event(data=DATA), 0.0)

    (fault,) = decision.faults
    assert (fault.place, fault.code, fault.trigger) == ("triggers.tell", "ParameterFailed", "tell")
    assert problem in fault.message
    assert decision.actions == []
    assert decision.triggers[0].code == "Faulted"


def test_only_what_is_asked_for_is_read() -> None:
    broken = event(data=b"\xff{", datacontenttype="text/plain")

    assert evaluate(planned('context.id == "1"'), EMPTY, broken, 0.0).actions
    assert evaluate(planned("data.a == 1"), EMPTY, broken, 0.0).faults


def test_several_events() -> None:
    text = 'data.n > events["a"].data.n and events.b.context.subject == "b"'
    made = planned(text, "a", "b", conditions="a && b")

    first = evaluate(made, EMPTY, event("a", b'{"n":1}', id="1"), 0.0)
    assert first.triggers[0].code == "Waiting"
    second = evaluate(made, first.state, event("b", b'{"n":2}', id="2"), 0.0)
    assert second.triggers[0].code == "Fired"
    low = evaluate(made, first.state, event("b", b'{"n":0}', id="2"), 0.0)
    assert low.triggers[0].code == "Skipped"
    assert low.state.of("tell").saved == {}
    assert low.state.of("tell").firings == {}


def test_event_that_took_no_part_is_missing() -> None:
    made = planned("events.b.data.n == 1", "a", "b", conditions="a || b")

    decision = evaluate(made, EMPTY, event("a", b'{"n":1}'), 0.0)

    assert "cannot fetch data from <nil>" in decision.triggers[0].detail


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("data.n ==", "column 10: it ends too early"),
        ("dta.n == 1", "nothing is called dta .did you mean data"),
        ("data.n == null", "nothing is called null .did you mean nil"),
        ("lenn(data) > 1", "no function is called lenn .did you mean len"),
        ('events["order"].data.n == 1', "'order' is no dependency of this trigger .it has orders"),
        ("events.orders.body.n == 1", "'body' is no part of an event .it has data, context"),
        ("now().Hour() < 12", "a decision has no clock"),
        ('1 == "1"', "int == string is not possible"),
    ],
)
def test_refused_when_it_is_planned(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        planned(text)
    assert isinstance(caught.value, InvalidModel)
    assert caught.value.problems[0].path == ("triggers", 0, "if")


def test_it_is_not_for_what_has_failed() -> None:
    below: dict[str, Any] = {**trigger("dlq"), "if": "true"}
    with pytest.raises(InvalidModel, match="if has no meaning in dlqTrigger"):
        load(SensorSpec, spec(triggers=[{**trigger(), "dlqTrigger": below}]))


def test_a_retried_fault_is_asked_again() -> None:
    made = planned("data.n > 1")
    late = event(data=b'{"n":2}', id="2", time=NOON)

    assert refire(made, "tell", {"orders": late}).trigger == "tell"
    with pytest.raises(ParameterError, match="its if is false"):
        refire(made, "tell", {"orders": _with(late, b'{"n":1}')})


def _with(one: Event, data: bytes) -> Event:
    return event(data=data, id=one.id)


# ---------------------------------------------------------------------------- a running sensor


@pytest.mark.looptime
async def test_a_running_sensor_says_that_it_does_not_act(monkeypatch, caplog) -> None:
    caplog.set_level(logging.INFO)
    target = Target()
    sensor_kit.use_targets(monkeypatch, {"t": target})
    entry = sensor_kit.trigger("t", payload=["a"]) | {"if": "data.n > 1"}
    made = sensor_kit.plan([sensor_kit.dependency("a")], [entry])
    bus = MemoryBus()

    async with sensor_kit.running(bus, made) as runner:
        for number in (1, 2):
            await bus.publish(sensor_kit.event(number))
        await until(lambda: len(target.done) == 1)

    assert len(target.done) == 1
    assert await dead(bus) == []
    told = [record.getMessage() for record in caplog.records if "does not act" in record.msg]
    assert told == ["Trigger 't' does not act: its if is false: data.n > 1"]
    labels = {"namespace": "ns", "sensor_name": "s", "trigger_name": "t"}
    counted = runner.metrics.registry.get_sample_value("tocsin_triggers_skipped_total", labels)
    assert counted == 1
