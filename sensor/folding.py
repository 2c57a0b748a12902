"""Folding: events that conditions wait for, taken together and written once.

What many events change in the state of a trigger is one write, with compare-and-set, so that
replicas never undo each other; who comes too late reads again and decides again. A firing is in
that write before its action goes to the bus, and leaves it afterwards: a crash at any point
neither loses nor doubles it (doubling is ruled out for as long as the bus knows message ids,
five minutes by default).
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from delivery.action import Action
from delivery.report import Thinned
from eventbus.bus import Message, Store, Topic
from sensor.decision import Decision, EventFault, Skip
from sensor.evaluate import due, tick, unfinished
from sensor.gather import NEVER
from sensor.keeping import Keeper, every
from sensor.plan import Plan
from sensor.state import State, TriggerState
from sensor.ticking import PATIENCE, Ticks
from spine.errors import BusError
from spine.event import Event, encode
from spine.runtime import RECONNECT

log = logging.getLogger(__name__)

BATCH = 256
"""Events folded at once: what a sensor holds at a time."""
GUARDED_BATCH = 16
"""The same where each event goes to another process with all of the state."""
TURN = 32
"""Events evaluated in a row before others get the loop: about 2 ms."""

Decide = Callable[[State, Event, Message, Skip], Awaitable[Decision]]
"""Evaluates one event; the last argument says what to skip."""


@dataclass(slots=True, eq=False)
class _Owed:
    """What firings gave that are in a stored state."""

    decision: Decision | None = None
    actions: dict[str, Action] = field(default_factory=dict)
    """Key -> action."""
    faults: dict[str, EventFault] = field(default_factory=dict)
    """Key -> fault."""

    def keep(self, trigger: str) -> None:
        """Note what the decision says of a trigger whose state is stored now."""
        if self.decision is not None:
            self.actions |= {a.key: a for a in self.decision.actions if a.trigger == trigger}
            self.faults |= {f.key: f for f in self.decision.faults if f.trigger == trigger}


@dataclass(slots=True, eq=False, kw_only=True)
class _Waiting(_Owed):
    """An event in the queue."""

    event: Event
    message: Message
    skip: Skip
    answer: asyncio.Future[Decision]


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the results of folding go."""

    put: Callable[[Action], Awaitable[None]]
    """Puts an action on the bus."""
    bury: Callable[[EventFault, Message], Awaitable[None]]
    """Makes a fault a dead letter."""
    floor: Callable[[], Awaitable[int]]
    """Returns the sequence up to which no event will be delivered again."""


class Folder:
    """Keeps the state of the triggers of one Sensor that have any; `run` must be running."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        decide: Decide,
        outlets: Outlets,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._plan, self._decide, self._outlets, self._clock = plan, decide, outlets, clock
        self._keeper = Keeper(plan, store, outlets.floor)
        self._heads = frozenset(self._keeper.heads)
        self._gathering = frozenset(
            name for name in self._heads if plan.triggers[name].gather is not None
        )
        self._done: dict[str, set[str]] = {name: set() for name in self._heads}
        """Firings that are on the bus, and still in the stored state."""
        self._queue: list[_Waiting] = []
        self._filled = asyncio.Event()
        self._most = BATCH if plan.safe else GUARDED_BATCH
        self._ticks = Ticks(clock)
        self._elsewhere: dict[str, float] = {}
        """Trigger -> when something is due in a state that others have written since."""
        self._owed: dict[str, frozenset[str]] = {}
        """Trigger -> firings that were not known to be on the bus at the last look."""
        self._lines = Thinned(10, 1_000)

    # ------------------------------------------------------------------------ in

    async def fold(self, event: Event, message: Message, skip: Skip = ()) -> Decision:
        """Return the decision on an event, once what it changed is stored.

        By then the actions of triggers with state are on the bus, their faults are dead letters,
        and neither is in the decision. Raises BusError if the bus did not take something, and
        whatever evaluating raised.
        """
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(event=event, message=message, skip=skip, answer=answer))
        self._filled.set()
        return await answer

    async def run(self) -> None:
        """Fold until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.clean(), name="bodies of events that have fired")
            await self._start()
            group.create_task(self._tidy(), name="what an older replica left behind")
            await self._fold_on()

    async def _fold_on(self) -> None:
        failures = 0
        while True:
            batch = await self._next()
            try:
                if self._gathering and self._ticks.looks():
                    await self._look()
                if batch or any(self._done.values()) or self._due() <= self._ticks.now():
                    await self._round(batch)
                failures = 0
            except BusError as exc:
                failures += 1
                log.warning("folding %d events", len(batch), extra={"error": str(exc)})
                self._keeper.doubt()  # it is not known what was written
                self._ticks.hold_back(RECONNECT.wait(failures))
                for one in batch:
                    _fail(one, BusError(str(exc), retry_after=exc.retry_after))

    async def _next(self) -> list[_Waiting]:
        """Return events to fold: some as soon as there are, or none once time has its turn."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._ticks.pause(self._due()) if self._gathering else None):
                await self._filled.wait()
        batch = sorted(self._queue[: self._most], key=lambda one: one.message.sequence)
        del self._queue[: self._most]
        if not self._queue:
            self._filled.clear()
        return [one for one in batch if not one.answer.done()]

    async def _round(self, batch: Sequence[_Waiting]) -> None:
        """Fold events, put on the bus what fires, and note that it is there."""
        ticked = await self._fold(batch)
        await self._release(batch, ticked)
        if not self._queue and any(self._done.values()):
            ticked = await self._fold([])  # else it goes with the next batch
            await self._release([], ticked)

    async def _start(self) -> None:
        """Do what a process before this one left undone."""
        attempt = 0
        while True:
            try:
                await self._flush()
                if self._heads:
                    await self._keeper.load()
                    await self._settle(self._keeper.state)
                    await self._keeper.sweep()
                    await self._round([])
            except BusError as exc:
                attempt += 1
                self._keeper.doubt()
                log.warning("reading the state of conditions", extra={"error": str(exc)})
                await asyncio.sleep(RECONNECT.wait(attempt))
            else:
                return

    async def _settle(self, state: State, keys: frozenset[str] | None = None) -> None:
        """Put the actions of unfinished firings on the bus, of all or of some."""
        actions, faults = unfinished(self._plan, state)
        actions = [a for a in actions if keys is None or a.key in keys]
        # what an event completed is given again with it; what time completed is not
        late = [f for f in faults if f.key in state.of(f.trigger).released]
        late = [f for f in late if keys is None or f.key in keys]
        puts = [self._outlets.put(action) for action in actions]
        await every([*puts, *(self._outlets.bury(fault, _about(fault)) for fault in late)])
        there = [(a.trigger, a.key) for a in actions] + [(f.trigger, f.key) for f in late]
        for trigger, key in there:
            if trigger in self._done:
                self._done[trigger].add(key)

    # ------------------------------------------------------------------------ one batch

    async def _fold(self, batch: Sequence[_Waiting]) -> _Owed:
        """Evaluate events in order and what time brings, and store what they change."""
        attempt, ticked = 0, _Owed()
        while True:
            await self._keeper.load()
            self._elsewhere.clear()
            for one in (*batch, ticked):
                one.decision = None  # it may be of a state that another replica has replaced
            state, changed = self._finished()
            state, changed = await self._evaluate(batch, state, changed)
            if self._gathering and due(self._plan, state) <= (now := self._ticks.now()):
                ticked.decision = tick(self._plan, state, now)
                state, changed = ticked.decision.state, changed | ticked.decision.changed
            lost = await self._keeper.write(state, changed)
            for trigger in changed - lost:
                self._done[trigger].clear()
                for one in (*batch, ticked):
                    one.keep(trigger)
            if not lost:
                return ticked
            attempt += 1
            log.debug("folding %d events again: another replica was faster", len(batch))
            await asyncio.sleep(random.random() * 0.002 * 2 ** min(attempt, 7))  # noqa: S311 -- no secret

    def _finished(self) -> tuple[State, frozenset[str]]:
        """Return the stored state without the firings that are on the bus by now."""
        state = self._keeper.state
        changed = set()
        for trigger, keys in self._done.items():
            if keys & state.of(trigger).owed:
                state = state.finish(trigger, keys)
                changed.add(trigger)
            else:
                keys.clear()
        return state, frozenset(changed)

    async def _evaluate(
        self, batch: Sequence[_Waiting], state: State, changed: frozenset[str]
    ) -> tuple[State, frozenset[str]]:
        for number, one in enumerate(batch, 1):
            if one.answer.done():
                continue
            if number % TURN == 0:
                await asyncio.sleep(0)
            try:
                one.decision = await self._decide(state, one.event, one.message, one.skip)
            except Exception as exc:  # noqa: BLE001 -- what is wrong with one event is its own affair
                _fail(one, exc)
                continue
            self._ticks.folded(one.message)
            state = one.decision.state
            changed |= one.decision.changed
            for trigger in self._heads - changed:  # given again: nothing to be written
                one.keep(trigger)
        return state, changed

    async def _release(self, batch: Sequence[_Waiting], ticked: _Owed) -> None:
        """Put the actions of firings on the bus and answer."""
        outlets = self._outlets
        buries = [
            outlets.bury(f, one.message if f.trigger not in self._gathering else _about(f))
            for one in batch
            for f in one.faults.values()
        ]
        buries += [outlets.bury(fault, _about(fault)) for fault in ticked.faults.values()]
        owed = [*batch, ticked]
        await every([*(outlets.put(a) for one in owed for a in one.actions.values()), *buries])
        for one in owed:
            for action in one.actions.values():
                self._done[action.trigger].add(action.key)
            for fault in one.faults.values():
                self._done[fault.trigger].add(fault.key)
            if one.decision is not None:
                self._tell(one.decision)
        for one in batch:
            decision = one.decision
            if decision is None:
                continue
            decision.actions = [a for a in decision.actions if a.trigger not in self._heads]
            decision.faults = [f for f in decision.faults if f.trigger not in self._heads]
            if not one.answer.done():
                one.answer.set_result(decision)

    def _tell(self, decision: Decision) -> None:
        """Say where a trigger could not wait as long as it was told to."""
        for verdict in decision.triggers:
            if verdict.early and self._lines.passes(f"early {verdict.name}"):
                log.warning(
                    "Trigger '%s' fires early with %d events: %s",
                    verdict.name,
                    verdict.gathered,
                    verdict.early,
                )

    # ------------------------------------------------------------------------ time

    def _due(self) -> float:
        """Return when something is to be done by time, in unix seconds."""
        own = due(self._plan, self._keeper.state)
        return min(own, min(self._elsewhere.values(), default=NEVER) + PATIENCE)

    async def _look(self) -> None:
        """See what other replicas have stored: one that died may have left something due."""
        for trigger in self._gathering:
            gathered, released = await self._keeper.glance(trigger)
            there = State({trigger: TriggerState(gathered=gathered)})
            self._elsewhere[trigger] = due(self._plan, there)
            released -= self._done[trigger]
            forgotten = released & self._owed.get(trigger, frozenset())
            self._owed[trigger] = released
            if forgotten:  # whoever wrote them down would have put them on the bus by now
                await self._keeper.load()
                await self._settle(self._keeper.state, forgotten)

    async def _tidy(self) -> None:
        """Do once more, a while later, what replicas of an older generation made undone."""
        with suppress(BusError):
            await self._keeper.sweep_parts()
            await self._flush()

    async def _flush(self) -> None:
        """Fire what triggers hold that had `debounce` or `batch` before the Sensor was edited."""
        for trigger, (left, revision) in (await self._keeper.left_behind()).items():
            state = tick(self._plan, State({trigger: left}), self._clock()).state
            await self._settle(state)
            await self._keeper.remove(trigger, revision)


def _about(fault: EventFault) -> Message:
    """Return what a dead letter shows where no single event brought it about."""
    newest = max(fault.events.values(), key=lambda e: e.time.timestamp() if e.time else 0.0)
    event = msgspec.structs.replace(
        newest, data=None, extensions={**newest.extensions, "firing": fault.key}
    )
    topic = Topic(event.source, event.subject)
    return Message(topic.subject, encode(event), 0, 0.0)


def _fail(one: _Waiting, exc: Exception) -> None:
    if not one.answer.done():
        one.answer.set_exception(exc)
