"""What a Sensor process counts, by trigger."""

import math
import time
from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram, Summary

from spine.telemetry.metrics import Bound, ObjectMetrics
from spine.telemetry.tally import Tally

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300)
"""Seconds; from a loopback hop to a target that is slow or comes back after a while."""


class SensorMetrics:
    """What a Sensor process counts."""

    def __init__(self, namespace: str, sensor: str, triggers: Iterable[str]) -> None:
        made = ObjectMetrics(namespace, sensor, ("namespace", "sensor_name"))
        self.registry = made.registry
        self.fired: dict[str, float] = {}
        """When a trigger last acted, in unix seconds."""
        self.failing: dict[str, str] = {}
        """Why the last attempt of a trigger failed; without those that succeeded since."""
        self.dead: dict[str, int] = {}
        """What was set aside for good, by reason."""

        def by_trigger(name: str, text: str) -> Bound:
            return made.each(Counter, name, text, "trigger_name")

        self._triggered = by_trigger(
            "argo_events_action_triggered_total", "Actions that were done successfully."
        )
        self._failed = by_trigger("argo_events_action_failed_total", "Attempts that failed.")
        self._gave_up = by_trigger(
            "argo_events_action_retries_failed_total", "Actions given up after their last attempt."
        )
        self._duration = made.each(
            Summary,
            "argo_events_action_duration_milliseconds",
            "Duration of each attempt.",
            "trigger_name",
        )
        self._retried = by_trigger("tocsin_action_retries_total", "Attempts after the first.")
        self._stored = by_trigger(
            "tocsin_actions_stored_total", "Actions put aside on the bus for later."
        )
        self._duplicate = by_trigger(
            "tocsin_actions_duplicate_total",
            "Actions not done, as one with the same idempotency key was.",
        )
        self._latency = made.each(
            Histogram,
            "tocsin_event_to_action_seconds",
            "From the time of the event until its action was done.",
            "trigger_name",
            buckets=LATENCY_BUCKETS,
        )
        self._in_flight = made.each(
            Gauge, "tocsin_actions_in_flight", "Attempts that are under way.", "trigger_name"
        )
        self._received = made.whole(
            Counter, "tocsin_events_received_total", "Events taken from the bus."
        )
        self._filtered = Tally(
            "tocsin_events_filtered",
            "Events that a dependency did not let pass.",
            ("namespace", "sensor_name", "dependency_name", "reason"),
            (namespace, sensor),
        )
        self.registry.register(self._filtered)
        self._skipped = by_trigger(
            "tocsin_triggers_skipped_total",
            "Firings that were not acted on, as the trigger's if says.",
        )
        self._dead = made.each(
            Counter, "tocsin_dead_letters_total", "What was set aside for good.", "reason"
        )
        self._lag = made.whole(
            Gauge, "tocsin_events_waiting", "Events on the bus that this sensor has not taken yet."
        )
        for trigger in triggers:
            _ = self._triggered[trigger], self._failed[trigger], self._gave_up[trigger]

    def received(self, n: int = 1) -> None:
        """Count events taken from the bus."""
        self._received.inc(n)

    def filtered(self, dependency: str, reason: str) -> None:
        """Count an event that a dependency did not let pass."""
        self._filtered.add((dependency, reason))

    def filtered_all(self, refusals: tuple[tuple[str, str], ...]) -> None:
        """Count an event that several did not let pass: pairs of dependency and reason.

        It is quick where the very same tuple comes again.
        """
        self._filtered.add_all(refusals)

    def skipped(self, trigger: str) -> None:
        """Count a firing that was not acted on because of `if`."""
        self._skipped[trigger].inc()

    def triggered(self, trigger: str, seconds: float, latency: float = math.nan) -> None:
        """Count a successful attempt: its duration, and the time since the event."""
        self._triggered[trigger].inc()
        self.fired[trigger] = time.time()
        if self.failing:
            self.failing.pop(trigger, None)
        self._duration[trigger].observe(seconds * 1000)
        if not math.isnan(latency):
            self._latency[trigger].observe(latency)

    def attempt_failed(self, trigger: str, seconds: float, why: str = "") -> None:
        """Count a failed attempt and its duration."""
        self._failed[trigger].inc()
        self.failing[trigger] = why
        self._duration[trigger].observe(seconds * 1000)

    def gave_up(self, trigger: str) -> None:
        """Count an action whose last attempt failed."""
        self._gave_up[trigger].inc()

    def retried(self, trigger: str) -> None:
        """Count an attempt that is not the first."""
        self._retried[trigger].inc()

    def stored(self, trigger: str) -> None:
        """Count an action put into the pending-action stream."""
        self._stored[trigger].inc()

    def duplicate(self, trigger: str) -> None:
        """Count an action that is not done, because one with the same idempotency key was."""
        self._duplicate[trigger].inc()

    def dead_letter(self, reason: str) -> None:
        """Count what was set aside for good."""
        self._dead[reason].inc()
        self.dead[reason] = self.dead.get(reason, 0) + 1

    def in_flight(self, trigger: str, delta: int) -> None:
        """Add to the attempts that are under way."""
        self._in_flight[trigger].inc(delta)

    def lag(self, value: int) -> None:
        """Set how many events wait on the bus."""
        self._lag.set(value)
