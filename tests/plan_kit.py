"""Sensors and events for tests."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sensor.plan import Plan, compile_plan
from sensor.spec import SensorSpec
from spine.event import Event
from spine.model import load

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def event(name: str = "orders", data: bytes | None = b"{}", **more: Any) -> Event:
    """Return an event of the EventSource `shop`."""
    attributes = {"id": "1", "source": "shop", "type": "webhook", "time": NOON} | more
    return Event(subject=name, data=data, **attributes)


def dependency(name: str = "orders", **more: Any) -> dict[str, Any]:
    """Return a dependency on the event of its own name."""
    return {"name": name, "eventSourceName": "shop", "eventName": name} | more


def trigger(name: str = "tell", conditions: str = "", **kind: Any) -> dict[str, Any]:
    """Return a trigger; it logs where no kind is given."""
    return {"template": {"name": name, "conditions": conditions, **(kind or {"log": {}})}}


def spec(
    *dependencies: Mapping[str, Any], triggers: list[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the spec of a Sensor."""
    return {
        "dependencies": list(dependencies) or [dependency()],
        "triggers": triggers or [trigger()],
    }


def plan(*dependencies: Mapping[str, Any], triggers: list[Mapping[str, Any]] | None = None) -> Plan:
    """Return the plan of a Sensor called `till`."""
    return compile_plan("till", "ns", load(SensorSpec, spec(*dependencies, triggers=triggers)))
