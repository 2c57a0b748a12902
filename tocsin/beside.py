"""Dry runs on a bus that others use too: beside the Sensors that are real, never in their place.

There a Sensor goes by another name, with a place in the stream and a state of its own, and event
sources are not started: what they published would reach Sensors that act on it.
"""

from dataclasses import dataclass
from typing import Any

from controller.objects import Checked
from sensor.dry import SUFFIX
from tocsin.wanted import BusKey, Wanted


@dataclass(frozen=True, slots=True)
class Beside:
    """Says which objects run beside others, and how."""

    dry: bool
    own: set[BusKey]
    """Buses that nobody else uses."""

    def has(self, checked: Checked) -> bool:
        """Return whether an object is run dry on a bus of others."""
        return self.dry and checked.bus not in self.own

    def name(self, checked: Checked) -> str:
        """Return the name that a Sensor goes by."""
        return f"{checked.object.name}{SUFFIX}" if self.has(checked) else checked.object.name

    def plan(self, sensor: Checked) -> Any:
        """Return the plan of a Sensor, by the name that it goes by."""
        if not self.has(sensor):
            return sensor.plan
        from sensor.plan import compile_plan

        return compile_plan(self.name(sensor), sensor.object.namespace, sensor.spec)

    def adapt(
        self, found: dict[tuple[str, str, str], Wanted]
    ) -> dict[tuple[str, str, str], Wanted]:
        """Return processes as they may run: without sources, and Sensors by another name."""
        out = {}
        for key, one in found.items():
            checked = one.checked
            if self.has(checked):
                if checked.object.kind == "EventSource":
                    continue
                metadata = {**checked.object.raw["metadata"], "name": self.name(checked)}
                one.job["object"] = {**checked.object.raw, "metadata": metadata}
            out[key] = one
        return out
