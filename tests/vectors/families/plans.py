"""A Sensor around one trigger, for what is seen only in an action."""

from collections.abc import Mapping

from vectors.outcome import Vector

from delivery.action import Action
from sensor.plan import compile_plan
from sensor.spec import SensorSpec
from spine.event import Event
from spine.model import load


def action_of(trigger: Vector, events: Mapping[str, Event]) -> Action:
    """Return what a trigger makes of a firing; every event is a dependency."""
    names = list(events) or ["none"]
    dependencies = [{"name": n, "eventSourceName": "s", "eventName": n} for n in names]
    spec = {"dependencies": dependencies, "triggers": [trigger]}
    plan = compile_plan("s", "ns", load(SensorSpec, spec, lenient=True))
    (planned,) = plan.triggers.values()
    return planned.render(events, "key")
