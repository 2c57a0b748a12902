"""One attempt at an action, and what follows when it fails.

A failure that may pass puts the action back on the bus with the time of its next attempt; one
that cannot, or the last of its attempts, leads to its `dlqTrigger` or to a dead letter. Only
the bus can keep an action from one of these ends, and says so by BusError.
"""

import logging
import math
import time
from collections.abc import Awaitable, Callable

import msgspec

from delivery.action import Action, Failure, PartlyDone, Postponed
from delivery.dead import DeadLetter, dead_letter, events_of, reason
from delivery.lane import Lane
from delivery.policy import may_pass
from delivery.report import Reporter, Thinned
from delivery.subjects import split_owner
from eventbus.bus import ACTIONS, Bus
from spine.errors import EventError, TriggerError
from spine.telemetry import SensorMetrics

log = logging.getLogger(__name__)

REMEMBERED = 5
"""Failures kept with an action."""
LONGEST = 500
"""Characters of an error message that are kept with an action."""

_WORDS = {
    "sensor": {
        "failed": "Failed to execute trigger '%s'",
        "dead": "Trigger '%s' is dead letter %d after %d attempts",
    },
    "notifier": {
        "failed": "could not tell by service '%s' yet",
        "dead": "a message of service '%s' is dead letter %d after %d attempts",
    },
}
"""What is logged, by component; of a Sensor as Argo Events says it."""

Failed = tuple[Action, Exception]
"""An action with its latest failure in it, and that failure."""

encode = msgspec.json.Encoder().encode


class Attempts:
    """Makes attempts for all lanes of one Sensor."""

    def __init__(
        self,
        bus: Bus,
        sensor: str,
        metrics: SensorMetrics,
        reporter: Reporter,
        clock: Callable[[], float],
    ) -> None:
        self._bus, self._sensor, self._metrics = bus, sensor, metrics
        self._reporter, self._clock = reporter, clock
        self._words = _WORDS[split_owner(sensor)[0]]
        self._lines = Thinned(100, 100)
        self._ensured: set[str] = set()
        self.on_stored: Callable[[Lane], None] = lambda _: None
        """Called when a lane has a pending action."""
        self.on_buried: Callable[[Action], Awaitable[None]] = _nothing
        """Awaited before an action becomes a dead letter."""

    # ------------------------------------------------------------------------ trying

    async def send(self, lane: Lane, action: Action) -> Failed | None:
        """Attempt an action in a slot of the lane; return what failed, None when it is done."""
        metrics, trigger = self._metrics, action.trigger
        if action.attempt > 1:
            metrics.retried(trigger)
        metrics.in_flight(trigger, 1)
        began = time.perf_counter()
        try:
            outcome = await lane.route.sender.send(action, action.attempt)
        except Postponed as exc:
            due = self._clock() + exc.seconds
            later = msgspec.structs.replace(action, due=due, postponed=action.postponed + 1)
            return later, exc
        except Exception as exc:  # noqa: BLE001 -- whatever a sender raises has a policy
            return self._failed(lane, action, exc, time.perf_counter() - began), exc
        finally:
            metrics.in_flight(trigger, -1)
        seconds = time.perf_counter() - began
        late = self._clock() - action.event_time if action.event_time else math.nan
        metrics.triggered(trigger, seconds, late)
        lane.succeeded()
        self._reporter.action(action, "done", outcome.summary, seconds)
        if outcome.effect and log.isEnabledFor(logging.INFO) and self._lines.passes(action.trigger):
            log.info("Successfully processed trigger '%s'", action.trigger, extra=_about(action))
        return None

    def _failed(self, lane: Lane, action: Action, exc: Exception, seconds: float) -> Action:
        now = self._clock()
        _, text, trace = reason(exc)
        self._metrics.attempt_failed(action.trigger, seconds, text[:LONGEST])
        if isinstance(exc, TriggerError) and exc.permanent:
            lane.succeeded()
        elif may_pass(exc):
            lane.failed()
        if trace:
            log.error("%s", trace, extra=_about(action))
        elif self._lines.passes(f"{action.trigger} failed"):
            extra = _about(action) | {"error": text, "attempt": action.attempt}
            log.warning(self._words["failed"], action.trigger, extra=extra)
        self._reporter.action(action, "failed", text[:LONGEST], seconds)
        return msgspec.structs.replace(
            action,
            content=exc.left if isinstance(exc, PartlyDone) else action.content,
            first=action.first or now - seconds,
            failures=(*action.failures, Failure(at=now, message=text[:LONGEST]))[-REMEMBERED:],
        )

    # ------------------------------------------------------------------------ what follows

    def later(self, lane: Lane, action: Action, error: Exception) -> Action | None:
        """Return the action as it is tried next, None when it is given up."""
        if isinstance(error, Postponed):
            return action
        now = self._clock()
        pause = lane.route.retry.wait(action.attempt, now - action.first, error)
        if pause is None:
            return None
        return msgspec.structs.replace(action, attempt=action.attempt + 1, due=now + pause)

    async def settle(self, lane: Lane, action: Action, error: Exception) -> None:
        """Store a failed action for its next attempt, or give it up."""
        later = self.later(lane, action, error)
        if later is not None:
            await self.store(lane, later)
        else:
            await self.give_up(lane, action, error)

    async def store(self, lane: Lane, action: Action, *, again: int = 0) -> None:
        """Put an action into the lane's pending ones. Raises BusError.

        `again` is the sequence of the stored copy that this one replaces.
        """
        if lane.token not in self._ensured:  # first, so that any replica finds what waits
            await self._bus.ensure(lane.reader)
            self._ensured.add(lane.token)
        tries = f"{action.attempt}:{action.postponed}" if action.postponed else action.attempt
        identity = f"{self._sensor}:{lane.token}:{action.key}:{tries}:{action.redriven}:{again}"
        try:
            await self._bus.append(ACTIONS, lane.subject, encode(action), message_id=identity)
        except EventError as exc:  # the bus never takes it
            await self.bury(action, exc, lane=lane.token)
            return
        if not again:
            self._metrics.stored(action.trigger)
            self._reporter.action(action, "stored", "waits on the bus")
        self.on_stored(lane)

    def duplicate(self, action: Action) -> None:
        """Tell of an action that is not done, because one with the same idempotency key was."""
        self._metrics.duplicate(action.trigger)
        self._reporter.action(action, "duplicate", "one with the same idempotencyKey came before")
        if self._lines.passes(f"{action.trigger} duplicate"):
            log.info(
                "Trigger '%s' does not act: its idempotencyKey was seen before",
                action.trigger,
                extra=_about(action),
            )

    async def give_up(self, lane: Lane, action: Action, error: Exception) -> None:
        """Do the `dlqTrigger` of an action that failed for good, or make it a dead letter."""
        self._metrics.gave_up(action.trigger)
        self._reporter.action(action, "gave up", str(error)[:LONGEST])
        if lane.fallback is None or action.fallback is None:
            await self.bury(action, error, lane=lane.token)
            return
        log.warning(
            "Gave up trigger '%s' after %d attempts; its dlqTrigger follows",
            action.trigger,
            action.attempt,
            extra=_about(action) | {"error": str(error)},
        )
        fallback = msgspec.structs.replace(action.fallback, redriven=action.redriven)
        await self.store(lane.fallback, fallback)

    async def bury(
        self, action: Action, error: BaseException, *, lane: str, sequence: int = 0
    ) -> None:
        """Make an action a dead letter. Raises BusError."""
        await self.on_buried(action)
        code, text, trace = reason(error)
        component, name = split_owner(self._sensor)
        letter = DeadLetter(
            kind="action",
            component=component,
            object=name,
            place=action.trigger,
            code=code,
            message=text,
            time=self._clock(),
            traceback=trace,
            sequence=sequence,
            events=await events_of(self._bus, action),
            action=action,
            lane=lane,
        )
        number = await dead_letter(self._bus, letter)
        self._metrics.dead_letter(code)
        self._reporter.action(action, "dead letter", f"number {number}")
        if self._lines.passes(f"{action.trigger} dead"):
            log.error(
                self._words["dead"],
                action.trigger,
                number,
                action.attempt,
                extra=_about(action) | {"error": text},
            )


async def _nothing(_: Action) -> None:
    pass


def _about(action: Action) -> dict[str, object]:
    return {
        "triggerName": action.trigger,
        "triggerType": action.kind,
        "triggeredBy": list(action.events),
        "triggeredByEvents": list(action.events.values()),
    }
