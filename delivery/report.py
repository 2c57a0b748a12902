"""What a sensor tells: short records for `tocsin tail` and `tocsin why`, and log lines.

Telling must never cost what doing costs. Records wait in a short queue that one task empties
in batches; above a rate, or when the bus is slow, they are counted instead of kept. Of decisions
the first few of each outcome and second are kept, so that a rare one is found between a million
others. Log lines are thinned out as Argo Events does it: of equal lines in a second the first
hundred, then every hundredth.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec

from delivery.action import Action
from delivery.subjects import decided_subject, decision_subject
from eventbus.bus import DECISIONS, Bus
from spine.errors import ConfigError, Fault

log = logging.getLogger(__name__)

Result = Literal["done", "failed", "gave up", "stored", "duplicate", "dead letter"]


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


class Judged(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a dependency or a trigger made of an event."""

    name: str
    code: str
    """Passed or why not; of a trigger Fired, Waiting and so on."""
    detail: str = ""
    """One line for people."""
    key: str = ""
    """Idempotency key of the action."""


class Decided(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one event."""

    decided: float
    """Unix seconds."""
    sensor: str
    source: str
    event: str
    id: str
    sequence: int = 0
    """Position in the stream of events; 0 where it has none."""
    fired: bool = False
    text: str = ""
    """One line for people: what fired, or the first reason why nothing did."""
    dependencies: tuple[Judged, ...] = ()
    triggers: tuple[Judged, ...] = ()
    skipped: int = 0
    """Events that left no record since the one before."""


class Thinned:
    """Decides which of many equal things are told: the first of each second, then some."""

    def __init__(
        self, first: int, every: int = 0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first, self._every, self._clock = first, every, clock
        self._seen: dict[str, tuple[int, int]] = {}

    def is_spent(self, what: str) -> bool:
        """Return whether none is told before the next second; this one is not counted."""
        second, count = self._seen.get(what, (-1, 0))
        return count >= self._first and not self._every and second == int(self._clock())

    def passes(self, what: str) -> bool:
        """Return whether this one is told."""
        second = int(self._clock())
        last, count = self._seen.get(what, (second, 0))
        count = 1 if last != second else count + 1
        self._seen[what] = (second, count)
        beyond = count - self._first
        return beyond <= 0 or (self._every > 0 and beyond % self._every == 0)


DECISIONS_KEPT = "TOCSIN_DECISIONS"
"""Environment variable that says which decisions are kept: `off`, `all`, or how many of each
outcome in a second."""
DECISIONS_PER_SECOND = 10
"""The same where nothing is said. Measured, an event that leaves none costs half a microsecond,
and one that leaves one some fifty, most of it on its way to the bus."""


class Sampling:
    """Decides which decisions are kept."""

    def __init__(self, setting: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Take `off`, `all`, or a number a second. Raises ConfigError for anything else."""
        if setting not in {"off", "all"} and not setting.isdecimal():
            raise ConfigError(
                f"reading {DECISIONS_KEPT} {setting!r}: not off, all, or a number a second"
            )
        rate = int(setting) if setting.isdecimal() else 0
        self._all = setting == "all"
        self._off = not self._all and rate == 0
        self._thinned = Thinned(rate, clock=clock)
        self._skipped = 0

    @classmethod
    def from_environment(cls) -> "Sampling":
        """Return what the environment asks for. Raises ConfigError."""
        return cls(os.environ.get(DECISIONS_KEPT, "").strip() or str(DECISIONS_PER_SECOND))

    def passes(self, outcome: str) -> bool:
        """Return whether a decision of that outcome is kept; count it if not."""
        if self._all or (not self._off and self._thinned.passes(outcome)):
            return True
        self._skipped += 1
        return False

    def skipped(self) -> int:
        """Return how many were not kept since this was asked last."""
        number, self._skipped = self._skipped, 0
        return number


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
        self._waiting: deque[tuple[str, msgspec.Struct]] = deque()
        """Subjects and what is sent there."""
        self._sampling = Sampling.from_environment()
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
        self._queue(decision_subject(report.sensor, report.trigger), report)

    def _queue(self, subject: str, record: msgspec.Struct) -> None:
        self._waiting.append((subject, record))
        self._filled.set()

    def decided(self, outcome: str, make: Callable[[], Decided]) -> None:
        """Queue a decision, made only if it is going to be kept.

        `outcome` is equal for decisions of which a few are enough.
        """
        if not self._sampling.passes(outcome) or len(self._waiting) >= self.WAITING:
            return
        record = msgspec.structs.replace(make(), skipped=self._sampling.skipped())
        self._queue(decided_subject(self._sensor), record)

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
            await asyncio.gather(*(self._send(*one) for one in batch))

    async def _send(self, subject: str, record: msgspec.Struct) -> None:
        try:
            await self._bus.append(DECISIONS, subject, msgspec.json.encode(record))
        except Fault as exc:
            log.debug("report was not sent", extra={"error": str(exc)})
