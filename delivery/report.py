"""What a sensor tells about its actions: short records for `tocsin tail`, and log lines.

Telling must never cost what doing costs. Records wait in a short queue that one task empties
in batches; above a rate, or when the bus is slow, they are counted instead of kept. Log lines
are thinned out as Argo Events does it: of equal lines in a second the first hundred, then
every hundredth.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

from delivery.action import Action
from delivery.subjects import decision_subject
from eventbus.bus import DECISIONS, Bus
from spine.errors import Fault

log = logging.getLogger(__name__)

Result = Literal["done", "failed", "gave up", "stored", "dead letter"]


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one attempt, or of an event that could not be used."""

    time: float
    """Unix seconds."""
    sensor: str
    trigger: str
    """The trigger; the dependency where an event could not be used."""
    result: Result
    kind: str = ""
    """Key of the trigger's type in YAML."""
    summary: str = ""
    """One line: what the target said, or why it failed."""
    attempt: int = 0
    seconds: float = 0.0
    """Duration of the attempt."""
    events: dict[str, str] = {}
    """Dependency -> id of its event."""
    key: str = ""
    """Idempotency key of the action."""
    skipped: int = 0
    """Reports of this trigger that were left out since the one before."""


class Thinned:
    """Decides which of many equal things are told: the first of each second, then some."""

    def __init__(
        self, first: int, every: int = 0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first, self._every, self._clock = first, every, clock
        self._seen: dict[str, tuple[int, int]] = {}

    def passes(self, what: str) -> bool:
        """Return whether this one is told."""
        second = int(self._clock())
        last, count = self._seen.get(what, (second, 0))
        count = 1 if last != second else count + 1
        self._seen[what] = (second, count)
        beyond = count - self._first
        return beyond <= 0 or (self._every > 0 and beyond % self._every == 0)


class Reporter:
    """Sends reports to the bus as time permits."""

    WAITING = 1_000
    """Reports kept until they are sent; more are counted and dropped."""
    RATE = 100
    """Reports of one trigger in a second; a person reads fewer."""
    BATCH = 100
    """Reports sent at once."""

    def __init__(self, bus: Bus, sensor: str) -> None:
        self._bus, self._sensor = bus, sensor
        self._waiting: deque[Report] = deque()
        self._filled = asyncio.Event()
        self._rate = Thinned(self.RATE)
        self._skipped: dict[str, int] = {}

    def tell(self, trigger: str, result: Result, make: Callable[[], Report]) -> None:
        """Queue a report, made only if it is going to be sent."""
        if len(self._waiting) >= self.WAITING or not self._rate.passes(f"{trigger} {result}"):
            self._skipped[trigger] = self._skipped.get(trigger, 0) + 1
            return
        report = make()
        if skipped := self._skipped.pop(trigger, 0):
            report = msgspec.structs.replace(report, skipped=skipped)
        self._waiting.append(report)
        self._filled.set()

    def action(self, action: Action, result: Result, summary: str, seconds: float = 0.0) -> None:
        """Report what became of an attempt."""
        self.tell(
            action.trigger,
            result,
            lambda: Report(
                time=time.time(),
                sensor=self._sensor,
                trigger=action.trigger,
                result=result,
                kind=action.kind,
                summary=summary,
                attempt=action.attempt,
                seconds=seconds,
                events=action.events,
                key=action.key,
            ),
        )

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        while True:
            await self._filled.wait()
            batch = [self._waiting.popleft() for _ in range(min(self.BATCH, len(self._waiting)))]
            if not self._waiting:
                self._filled.clear()
            await asyncio.gather(*(self._send(report) for report in batch))

    async def _send(self, report: Report) -> None:
        subject = decision_subject(report.sensor, report.trigger)
        try:
            await self._bus.append(DECISIONS, subject, msgspec.json.encode(report))
        except Fault as exc:
            log.debug("report was not sent", extra={"error": str(exc)})
