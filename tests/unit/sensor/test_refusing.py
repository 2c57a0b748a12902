"""What attributes alone refuse is decided once for many, and told and counted for each."""

import logging
from typing import Any

import pytest
from plan_kit import dependency, event, plan, trigger

from eventbus.bus import Message
from eventbus.memory import MemoryBus
from sensor import refusing
from sensor.evaluate import Decision, evaluate
from sensor.intake import Intake
from sensor.plan import Plan
from sensor.refusing import known_of
from sensor.state import EMPTY
from spine.event import Event
from spine.telemetry import SensorMetrics


def made(*filters: dict[str, Any] | None, **more: Any) -> Plan:
    """Return a Sensor with a dependency `d0`, `d1`... and trigger for each, on one event."""
    names = [f"d{n}" for n in range(len(filters))]
    dependencies = [
        dependency("orders", filters=one, **more) | {"name": name}
        for name, one in zip(names, filters, strict=True)
    ]
    return plan(*dependencies, triggers=[trigger(f"t-{name}", name) for name in names])


def subject(text: str) -> dict[str, Any]:
    return {"context": {"subject": text}}


DATA = {"data": [{"path": "n", "type": "number", "value": ["1"]}]}


def decided(one: Plan, what: Event, **more: Any) -> Decision:
    return evaluate(one, EMPTY, what, 0.0, **more)


def codes(decision: Decision) -> list[tuple[str, str, str]]:
    return [(one.name, one.code, one.detail) for one in decision.dependencies]


def test_verdicts_stand_in_the_order_of_the_sensor_however_they_came_about():
    one = made(subject("x"), None, DATA, subject("orders"), {**subject("y"), **DATA})
    for _ in range(2):  # the second time from what is known
        decision = decided(one, event(data=b'{"n":2}'))
        assert codes(decision) == [
            ("d0", "Context", "subject is orders, not x"),
            ("d1", "Passed", ""),
            ("d2", "Data", "n is 2, not = 1 (number)"),
            ("d3", "Passed", ""),
            ("d4", "Context", "subject is orders, not y"),
        ]
        assert [action.trigger for action in decision.actions] == ["t-d1", "t-d3"]
    assert len(one.known) == 1


def test_each_attribute_that_is_compared_tells_events_apart():
    one = made(
        {"context": {"type": "webhook"}},
        {"context": {"source": "shop"}},
        {"context": {"datacontenttype": "text/plain"}},
    )
    passed = [v.passed for v in decided(one, event(datacontenttype="text/plain")).dependencies]
    assert passed == [True, True, True]
    passed = [v.passed for v in decided(one, event(type="sqs")).dependencies]
    assert passed == [False, True, False]
    assert [v.passed for v in decided(one, event()).dependencies] == [True, True, False]
    assert len(one.known) == 3
    plain = made({"context": {"type": "webhook"}})
    for kind in ("a/b", "c/d"):
        assert decided(plain, event(datacontenttype=kind)).dependencies[0].passed
    assert len(plain.known) == 1  # nobody asks for the content type


def test_what_may_yet_pass_or_fail_otherwise_is_looked_at():
    either = made({**subject("x"), **DATA}, filtersLogicalOperator="or")
    assert decided(either, event(data=b'{"n":1}')).dependencies[0].passed
    changed = made(subject("x"), transform={"jq": "error"})
    (verdict,) = decided(changed, event()).dependencies
    assert verdict.code == "TransformFailed"
    assert decided(made(subject("x")), event(data=b"no JSON")).dependencies[0].code == "Context"


def test_dependencies_that_skip_the_event_have_no_verdict():
    one = made(subject("x"), None, subject("y"))
    assert [v.name for v in decided(one, event(), skip=("d0", "d1")).dependencies] == ["d2"]
    everything = decided(one, event(), skip=("d0", "d1", "d2"))
    assert everything.dependencies == []
    assert everything.known
    assert [v.name for v in decided(one, event()).dependencies] == ["d0", "d1", "d2"]


def test_so_many_verdicts_are_kept(monkeypatch):
    monkeypatch.setattr(refusing, "KEPT", 10)
    one = made(subject("x"), None, {"context": {"type": "none"}})
    for n in range(20):
        known_of(one, event(type=f"kind-{n}"))
        assert one.verdicts == 4 * len(one.known) <= 12


# ---------------------------------------------------------------------------- counted and told


class Told:
    """A dispatcher that does nothing, and the clock by which lines are told."""

    second = 7.0

    def __init__(self) -> None:
        self.reporter: Any = self

    def decided(self, *_: Any) -> None:
        """Take a record."""

    async def deliver(self, _: Any) -> None:
        """Take an action."""


async def followed(one: Plan, events: list[Event], second: int = -1, **more: Any) -> SensorMetrics:
    """Follow decisions on events, from a place on in the second after."""
    metrics = SensorMetrics("ns", "till", one.triggers)
    dispatcher: Any = Told()
    intake = Intake(one, MemoryBus(), dispatcher, metrics, None, {})
    intake._refusals._clock = intake._lines._clock = lambda: dispatcher.second
    message = Message("default.shop.orders", b"", 1, 1.0)
    for at, what in enumerate(events):
        dispatcher.second += at == second
        await intake._follow(decided(one, what, **more), what, message)
    return metrics


def counted(metrics: SensorMetrics, name: str, reason: str) -> float | None:
    labels = {"namespace": "ns", "sensor_name": "till", "dependency_name": name, "reason": reason}
    return metrics.registry.get_sample_value("tocsin_events_filtered_total", labels)


async def test_each_refusal_is_counted_for_its_dependency():
    one = made(subject("x"), None, DATA, {"context": {"type": "sqs"}})
    kinds = ["webhook"] * 30 + ["sqs"] * 12
    metrics = await followed(one, [event(data=b'{"n":2}', type=kind) for kind in kinds])
    assert counted(metrics, "d0", "Context") == 42
    assert counted(metrics, "d1", "Context") is None
    assert counted(metrics, "d2", "Data") == 42
    assert counted(metrics, "d3", "Context") == 30


async def test_what_skips_the_event_is_not_counted():
    metrics = await followed(made(subject("x"), subject("y"), None), [event()], skip=("d0",))
    assert counted(metrics, "d0", "Context") is None
    assert counted(metrics, "d1", "Context") == 1


@pytest.mark.parametrize("filters", [subject("x"), DATA], ids=["known", "looked at"])
async def test_so_many_refusals_are_told_in_a_second(filters, caplog):
    caplog.set_level(logging.INFO)
    await followed(made(*[filters] * 100), [event(data=b'{"n":2}')] * 5)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 20
    assert told[0].startswith("Dependency 'd0' does not take the event: ")
    for second, wanted in ((-1, 10), (20, 20)):
        caplog.clear()
        await followed(made(filters), [event(data=b'{"n":2}')] * 50, second)
        assert len(caplog.records) == wanted
    caplog.clear()
    await followed(made(*[filters] * 100), [event(data=b'{"n":2}')] * 5, 3)
    assert len(caplog.records) == 40
