"""One event on its way through a sensor: read, decided, its actions delivered.

An event is done when every action that follows from it has an outcome and every fault is a
dead letter; so nothing that is wrong with one event ever blocks those behind it. Only the bus
can make an event come back.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from delivery.action import Action
from delivery.dead import (
    MAX_DELIVERIES,
    REDRIVEN,
    DeadLetter,
    NoOutcome,
    body,
    dead_letter,
    of_event,
    reason,
    redriven,
)
from delivery.order import Line
from delivery.patience import GivenBack, surely
from delivery.queue import Dispatcher, gone
from delivery.recent import Recent
from delivery.report import Report, Thinned
from eventbus.bus import Bus, Message, Topic
from sensor import guarded
from sensor.decision import Skip
from sensor.evaluate import (
    Decision,
    DependencyVerdict,
    EventFault,
    TriggerVerdict,
    evaluate,
    refire,
)
from sensor.folding import Folder, Outlets
from sensor.objects import Objects
from sensor.plan import Plan
from sensor.record import outcome, record
from sensor.refusing import known_of
from sensor.state import EMPTY, State
from spine.errors import EventError, RemoteError
from spine.event import Event, decode, encode
from spine.lang import EvaluationError
from spine.telemetry import SensorMetrics

if TYPE_CHECKING:
    from sensor.adopted import Done

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""Actions that were done for events which came back, so that those are not done again."""
GIVEN_BACK = 3.0
"""Seconds after which an event that another generation knows is offered again."""

Ask = Callable[[bytes], Awaitable[bytes]]
"""Evaluates a request of `sensor.guarded` in another process."""


class Intake:
    """Handles the messages of one Sensor."""

    def __init__(
        self,
        plan: Plan,
        bus: Bus,
        dispatcher: Dispatcher,
        metrics: SensorMetrics,
        ask: Ask | None,
        since: Mapping[str, float],
    ) -> None:
        self._plan, self._bus, self._dispatcher, self._metrics = plan, bus, dispatcher, metrics
        self._ask, self._since = ask, dict(since)
        self._latest = max(self._since.values(), default=0.0)
        self.folder: Folder | None = None
        """Set where a trigger has state."""
        self.newer: Callable[[], Awaitable[bool]] = _never
        """Tells whether a newer generation of the Sensor runs."""
        self.before: Done | None = None
        """What was done before this Sensor took over, as long as it matters."""
        self.clock: Callable[[], float] = time.time
        self._folded = frozenset(
            name
            for name, dependency in plan.dependencies.items()
            if any(plan.triggers[trigger].stateful for trigger in dependency.triggers)
        )
        self._line = Line() if plan.ordered else None
        """Where events wait until all before them are decided, for triggers with an order."""
        self._objects = Objects()
        self._done: OrderedDict[str, None] = OrderedDict()
        self._recent = Recent()
        self._excused: OrderedDict[int, int] = OrderedDict()
        self._lines = Thinned(10, 1_000)
        self._refusals = Thinned(20)
        """Of all dependencies: a hundred that refuse each event would say a thousand lines."""

    def outlets(self, floor: Callable[[], Awaitable[int]]) -> Outlets:
        """Return where the folder's results go."""
        return Outlets(self._dispatcher.store, self._bury_fault, floor)

    def reset(self) -> None:
        """Forget what was on its way in order; nothing may be."""
        if self._line is not None:
            self._line.reset()
        self._dispatcher.reset()

    # ------------------------------------------------------------------------ events

    async def event(self, message: Message) -> None:
        """Handle an event of the stream. Raises BusError to have it back."""
        metrics = self._metrics
        metrics.received()
        if self._recent.has(message):
            return
        skip: Skip | None = () if self.before is None else self.before.skip(message)
        if skip is None:  # done before we came
            return
        if message.deliveries > 1 and self._hopeless(message):
            await self._bury(NoOutcome(message.deliveries), message)
            return
        try:
            event = decode(message.data)
        except EventError as exc:
            await self._bury(exc, message)
            return
        if message.stored < self._latest:  # older than a dependency of today
            skip += tuple(name for name, at in self._since.items() if message.stored < at)
        if self._line is None:
            async with self._objects.turn(event):
                await self._excusing(message, self._handle(event, message, skip))
        else:
            await self._in_line(self._line, event, message, skip)
        self._recent.add(message)

    async def _in_line(self, line: Line, event: Event, message: Message, skip: Skip) -> None:
        """Handle an event without ever giving it back for the bus's sake: others would pass it."""
        line.enter(message.sequence)  # before anything is awaited: calls begin in order
        try:
            handle = partial(self._handle, event, message, skip)
            await self._excusing(message, surely(handle))
        finally:
            line.leave(message.sequence)

    async def _excusing(self, message: Message, work: Awaitable[None]) -> None:
        try:
            await work
        except RemoteError:  # no fault of the event
            times = self._excused.pop(message.sequence, 0)
            self._excused[message.sequence] = times + 1
            if len(self._excused) > REMEMBERED:
                self._excused.popitem(last=False)
            raise
        if self._excused:
            self._excused.pop(message.sequence, None)

    def _hopeless(self, message: Message) -> bool:
        excused = self._excused.get(message.sequence, 0)
        return message.deliveries - excused > MAX_DELIVERIES

    async def _handle(self, event: Event, message: Message, skip: Skip) -> None:
        try:
            decision = await self._decided(event, message, skip)
        except (RemoteError, asyncio.CancelledError):
            raise
        except Exception as exc:  # noqa: BLE001 -- whatever it is, it is this event's end only
            await self._bury(exc, message)
            return
        if not decision.known:
            await self._unknown(event, message)
            return
        await self._follow(decision, event, message)

    async def _decided(self, event: Event, message: Message, skip: Skip) -> Decision:
        if self.folder is not None and self._is_folded(event):
            return await self.folder.fold(event, message, skip)
        if self._ask is None:
            return evaluate(
                self._plan, EMPTY, event, time.time(), sequence=message.sequence, skip=skip
            )
        return await self.decide(EMPTY, event, message, skip)

    def _is_folded(self, event: Event) -> bool:
        known = self._plan.dependencies_of(event.source, event.subject)
        return any(dependency.name in self._folded for dependency in known)

    async def decide(self, state: State, event: Event, message: Message, skip: Skip) -> Decision:
        """Evaluate an event, in another process where the plan is not safe."""
        now, stored = self.clock(), message.stored
        sequence = 0 if REDRIVEN in message.headers else message.sequence  # 0 counts as new
        if self._ask is None:
            return evaluate(
                self._plan, state, event, now, sequence=sequence, stored=stored, skip=skip
            )
        request = guarded.request(state, event, now, sequence=sequence, stored=stored, skip=skip)
        try:
            return guarded.decision(await self._ask(request))
        except EvaluationError as exc:
            raise EventError(f"evaluating event {event.id!r}: {exc}") from exc

    async def _unknown(self, event: Event, message: Message) -> None:
        topic = Topic(event.source, event.subject)
        if topic.subject != message.subject:
            error = EventError(
                f"reading event {event.id!r} at {message.subject}: it calls itself an event "
                f"{event.subject!r} of event source {event.source!r}",
                hint="publish an event under its source and subject",
            )
            await self._bury(error, message)
            return
        if await self.newer():
            raise GivenBack(
                f"handling event {message.sequence}: a newer generation of the Sensor reads it",
                retry_after=GIVEN_BACK,
            )
        self._metrics.filtered("", "Unknown")

    # ------------------------------------------------------------------------ what follows

    async def _follow(self, decision: Decision, event: Event, message: Message) -> None:
        self._dispatcher.reporter.decided(
            outcome(decision), lambda: record(self._plan.name, decision, event, message.sequence)
        )
        verdicts = decision.dependencies
        if len(verdicts) != 1 or not verdicts[0].passed:
            self._follow_refusals(verdicts, event)
        for skipped in (one for one in decision.triggers if one.code == "Skipped"):
            self._metrics.skipped(skipped.name)
            self._tell_skipped(skipped, event)
        for fault in decision.faults:
            await self._bury_fault(fault, message)
        actions = decision.actions
        if self._done:
            actions = [action for action in actions if action.key not in self._done]
        if not actions:
            return
        if self._line is not None:
            await self._line.turn(message.sequence)
            delivering = self._dispatcher.deliver_in_order(actions, message.settle)
            self._line.leave(message.sequence)  # they have their places: the next may take its own
            await delivering
        elif len(actions) == 1:
            await self._dispatcher.deliver(actions[0])
        else:
            await self._deliver_all(actions)

    def _follow_refusals(self, verdicts: Sequence[DependencyVerdict], event: Event) -> None:
        """Count and tell what did not pass a filter; faults are followed elsewhere."""
        metrics, silent = self._metrics, self._refusals.is_spent("")
        known = known_of(self._plan, event)
        if known.refused and len(known.verdicts) == len(verdicts):  # none skips the event
            metrics.filtered_all(known.labels)
            if not silent:
                self._tell_filtered(known.refused, event)
            verdicts = [verdicts[at] for at, _ in known.looking]
        refused = [one for one in verdicts if not one.passed and one.reason is not None]
        for verdict in refused:
            metrics.filtered(verdict.name, verdict.code)
        if refused and not silent:
            self._tell_filtered(refused, event)

    def _tell_filtered(self, verdicts: Sequence[DependencyVerdict], event: Event) -> None:
        """Say why an event led to nothing, for the first few in each second."""
        for verdict in verdicts:
            if self._lines.passes(f"filtered {verdict.name}") and self._refusals.passes(""):
                log.info(
                    "Dependency '%s' does not take the event: %s",
                    verdict.name,
                    verdict.detail,
                    extra={"eventSourceName": event.source, "eventName": event.subject}
                    | {"eventID": event.id},
                )

    def _tell_skipped(self, verdict: TriggerVerdict, event: Event) -> None:
        """Say why a firing led to nothing, for the first few in each second."""
        if self._lines.passes(f"skipped {verdict.name}"):
            log.info(
                "Trigger '%s' does not act: %s",
                verdict.name,
                verdict.message,
                extra={"triggerName": verdict.name, "eventName": event.subject}
                | {"eventSourceName": event.source, "eventID": event.id},
            )

    async def _deliver_all(self, actions: Sequence[Action]) -> None:
        deliveries = [self._dispatcher.deliver(action) for action in actions]
        results = await asyncio.gather(*deliveries, return_exceptions=True)
        errors = [result for result in results if result is not None]
        if not errors:
            return
        for action, result in zip(actions, results, strict=True):
            if result is None:  # the event comes back, but this one is done
                self._done[action.key] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        raise errors[0]

    # ------------------------------------------------------------------------ dead letters

    async def _bury(self, error: BaseException, message: Message, place: str = "") -> None:
        letter = of_event(
            error, component="sensor", object=self._plan.name, place=place, message=message
        )
        await self._store(letter)

    async def _bury_fault(self, fault: EventFault, message: Message) -> None:
        letter = of_event(
            EventError(fault.message),
            component="sensor",
            object=self._plan.name,
            place=fault.place,
            message=message,
        )
        events = {name: encode(event) for name, event in fault.events.items()}
        await self._store(msgspec.structs.replace(letter, code=fault.code, events=events))

    async def _store(self, letter: DeadLetter) -> None:
        number = await dead_letter(self._bus, letter)
        self._metrics.dead_letter(letter.code)
        if self._lines.passes(f"{letter.place} {letter.code}"):
            log.error(
                "event %d is dead letter %d: %s",
                letter.sequence,
                number,
                letter.traceback or letter.message,
                extra={"sensorName": self._plan.name, "place": letter.place, "code": letter.code},
            )
        self._dispatcher.reporter.tell(
            letter.place,
            "dead letter",
            lambda: Report(
                time=letter.time,
                sensor=self._plan.name,
                trigger=letter.place,
                result="dead letter",
                summary=f"number {number}: {letter.message}",
            ),
        )

    # ------------------------------------------------------------------------ once more

    async def redrive(self, message: Message) -> None:
        """Handle a dead letter that somebody put back on its way. Raises BusError."""
        try:
            letter = redriven(message)
        except EventError as exc:
            await self._bury(exc, message)
            return
        if message.deliveries > MAX_DELIVERIES:
            await self._store(_again(letter, NoOutcome(message.deliveries), message))
            return
        try:
            if letter.action is not None:
                await self._dispatcher.revive(letter.lane, letter.action, message.sequence)
                return
            kind, _, place = letter.place.partition(".")
            if kind == "triggers" and letter.events:
                await self._refire(place, letter)
                return
            data = await body(self._bus, letter)
            event = decode(data)
        except EventError as exc:
            await self._store(_again(letter, exc, message))
            return
        skip: Skip = ()
        if kind == "dependencies":
            skip = tuple(name for name in self._plan.dependencies if name != place)
        original = replace(
            message,
            data=data,
            subject=letter.subject,
            sequence=letter.sequence,
            headers={REDRIVEN: str(message.sequence)},
        )
        await self._handle(event, original, skip)

    async def _refire(self, trigger: str, letter: DeadLetter) -> None:
        events = {name: decode(data) for name, data in letter.events.items()}
        if trigger not in self._plan.triggers:
            raise gone(trigger)
        await self._dispatcher.deliver(refire(self._plan, trigger, events))


def _again(letter: DeadLetter, error: BaseException, message: Message) -> DeadLetter:
    """Return the dead letter of an event that was retried in vain."""
    code, text, trace = reason(error)
    return msgspec.structs.replace(
        letter,
        code=code,
        message=text,
        traceback=trace,
        time=time.time(),
        redriven=message.sequence,
    )


async def _never() -> bool:
    return False
