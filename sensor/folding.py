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
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from delivery.action import Action
from delivery.subjects import token
from eventbus.bus import Message, Store
from sensor.evaluate import Decision, EventFault, unfinished
from sensor.plan import Plan
from sensor.state import State, TriggerState, body_keys, join, split
from spine.errors import BusError, ConflictError
from spine.event import Event
from spine.runtime import RECONNECT

log = logging.getLogger(__name__)

BATCH = 256
"""Events folded at once: what a sensor holds at a time."""
GUARDED_BATCH = 16
"""The same where each event goes to another process with all of the state."""
LONG = 512
"""Counted events in a state above which it is asked which of them may be forgotten."""
TURN = 32
"""Events evaluated in a row before others get the loop: about 2 ms."""
INLINE = 256 * 1024
"""Bytes of small events that are stored within the state of a trigger."""
TRIM = 0.2
"""Seconds between questions what may be forgotten."""

T = TypeVar("T")

Decide = Callable[[State, Event, Message, tuple[str, ...]], Awaitable[Decision]]
"""Evaluates one event; the last argument names dependencies to skip."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """An event in the queue."""

    event: Event
    message: Message
    skip: tuple[str, ...]
    answer: asyncio.Future[Decision]
    decision: Decision | None = None
    actions: dict[str, Action] = field(default_factory=dict)
    """Key -> action of firings that are in a stored state."""
    faults: dict[str, EventFault] = field(default_factory=dict)
    """Key -> fault of firings that are in a stored state."""

    def keep(self, trigger: str) -> None:
        """Note what the decision says of a trigger whose state is stored now."""
        if self.decision is not None:
            self.actions |= {a.key: a for a in self.decision.actions if a.trigger == trigger}
            self.faults |= {f.key: f for f in self.decision.faults if f.trigger == trigger}


@dataclass(slots=True)
class _Kept:
    """What is known of a trigger's stored state."""

    state: TriggerState = field(default_factory=TriggerState)
    revision: int | None = None
    bodies: frozenset[str] = frozenset()


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

    def __init__(self, plan: Plan, store: Store, decide: Decide, outlets: Outlets) -> None:
        self._plan, self._store, self._decide, self._outlets = plan, store, decide, outlets
        self._heads = {
            name: f"{token(plan.name)}.{token(name)}"
            for name, trigger in plan.triggers.items()
            if trigger.stateful
        }
        self._kept: dict[str, _Kept] = {}
        self._done: dict[str, set[str]] = {name: set() for name in self._heads}
        """Firings that are on the bus, and still in the stored state."""
        self._queue: list[_Waiting] = []
        self._filled = asyncio.Event()
        self._most = BATCH if plan.safe else GUARDED_BATCH
        self._trimmed = 0.0
        self._garbage: list[str] = []
        """Keys of bodies that no state names any more."""
        self._littered = asyncio.Event()

    # ------------------------------------------------------------------------ in

    async def fold(self, event: Event, message: Message, skip: tuple[str, ...] = ()) -> Decision:
        """Return the decision on an event, once what it changed is stored.

        By then the actions of triggers with state are on the bus, their faults are dead letters,
        and neither is in the decision. Raises BusError if the bus did not take something, and
        whatever evaluating raised.
        """
        waiting = _Waiting(event, message, skip, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._filled.set()
        return await waiting.answer

    async def run(self) -> None:
        """Fold until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._clean(), name="bodies of events that have fired")
            await self._start()
            await self._fold_on()

    async def _fold_on(self) -> None:
        while True:
            await self._filled.wait()
            batch = sorted(self._queue[: self._most], key=lambda one: one.message.sequence)
            del self._queue[: self._most]
            if not self._queue:
                self._filled.clear()
            batch = [one for one in batch if not one.answer.done()]
            try:
                await self._fold(batch)
                await self._release(batch)
                if not self._queue and any(self._done.values()):
                    await self._fold([])  # else it goes with the next batch
            except BusError as exc:
                log.warning("folding %d events", len(batch), extra={"error": str(exc)})
                self._kept.clear()  # it is not known what was written
                for one in batch:
                    _fail(one, BusError(str(exc), retry_after=exc.retry_after))

    async def _start(self) -> None:
        """Do what a process before this one left undone."""
        attempt = 0
        while True:
            try:
                await self._load()
                state = State({name: kept.state for name, kept in self._kept.items()})
                actions, _ = unfinished(self._plan, state)
                await asyncio.gather(*(self._outlets.put(action) for action in actions))
                for action in actions:
                    self._done[action.trigger].add(action.key)
                await self._sweep()
                await self._fold([])
            except BusError as exc:
                attempt += 1
                self._kept.clear()
                log.warning("reading the state of conditions", extra={"error": str(exc)})
                await asyncio.sleep(RECONNECT.wait(attempt))
            else:
                return

    # ------------------------------------------------------------------------ one batch

    async def _fold(self, batch: Sequence[_Waiting]) -> None:
        """Evaluate events in order and store what they change."""
        attempt = 0
        while True:
            await self._load()
            state, changed = self._finished()
            state, changed = await self._evaluate(batch, state, changed)
            if changed:
                state = await self._trim(state)
            lost = await self._write(state, changed)
            for trigger in changed - lost:
                self._done[trigger].clear()
                for one in batch:
                    one.keep(trigger)
            if not lost:
                return
            attempt += 1
            log.debug("folding %d events again: another replica was faster", len(batch))
            await asyncio.sleep(random.random() * 0.002 * 2 ** min(attempt, 7))  # noqa: S311 -- no secret

    def _finished(self) -> tuple[State, frozenset[str]]:
        """Return the stored state without the firings that are on the bus by now."""
        state = State({name: kept.state for name, kept in self._kept.items()})
        changed = set()
        for trigger, keys in self._done.items():
            if keys & state.of(trigger).firings.keys():
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
            state = one.decision.state
            changed |= one.decision.changed
            for trigger in self._heads.keys() - changed:  # given again: nothing to be written
                one.keep(trigger)
        return state, changed

    async def _release(self, batch: Sequence[_Waiting]) -> None:
        """Put the actions of firings on the bus and answer."""
        ready = [one for one in batch if one.decision is not None]
        outlets = self._outlets
        puts = [outlets.put(action) for one in ready for action in one.actions.values()]
        buries = [outlets.bury(f, one.message) for one in ready for f in one.faults.values()]
        await _all([*puts, *buries])
        for one in ready:
            for action in one.actions.values():
                self._done[action.trigger].add(action.key)
            for fault in one.faults.values():
                self._done[fault.trigger].add(fault.key)
            decision = one.decision
            assert decision is not None
            decision.actions = [a for a in decision.actions if a.trigger not in self._heads]
            decision.faults = [f for f in decision.faults if f.trigger not in self._heads]
            if not one.answer.done():
                one.answer.set_result(decision)

    # ------------------------------------------------------------------------ the store

    async def _load(self) -> None:
        """Read the states that are not known."""
        missing = self._heads.keys() - self._kept.keys()
        for name, kept in zip(
            missing, await _all([self._read(name) for name in missing]), strict=True
        ):
            self._kept[name] = kept

    async def _read(self, trigger: str) -> _Kept:
        head = self._heads[trigger]
        found = await self._store.get(head)
        if found is None:
            return _Kept()
        value, revision = found
        keys = sorted(body_keys(value))
        bodies = await _all([self._store.get(f"{head}.{key}") for key in keys])
        known = {key: body[0] for key, body in zip(keys, bodies, strict=True) if body is not None}
        return _Kept(join(value, known), revision, frozenset(known))

    async def _write(self, state: State, changed: frozenset[str]) -> frozenset[str]:
        """Store states; return the triggers whose state somebody else changed meanwhile."""
        order = sorted(changed)
        won = await _all([self._write_one(name, state.of(name)) for name in order])
        return frozenset(name for name, good in zip(order, won, strict=True) if not good)

    async def _write_one(self, trigger: str, state: TriggerState) -> bool:
        kept, head = self._kept[trigger], self._heads[trigger]
        value, bodies = split(state, INLINE)
        new = bodies.keys() - kept.bodies
        await _all([self._add(f"{head}.{key}", bodies[key]) for key in new])
        try:
            revision = await self._store.put(head, value, revision=kept.revision)
        except ConflictError:
            del self._kept[trigger]
            return False
        self._kept[trigger] = _Kept(state, revision, frozenset(bodies))
        if gone := kept.bodies - bodies.keys():
            self._garbage += [f"{head}.{key}" for key in gone]
            self._littered.set()
        return True

    async def _add(self, key: str, body: bytes) -> None:
        with suppress(ConflictError):  # bodies never change: an earlier attempt left it
            await self._store.put(key, body, revision=None)

    async def _clean(self) -> None:
        """Delete bodies that are not needed any more; what is left is swept at the next start."""
        while True:
            await self._littered.wait()
            keys, self._garbage = self._garbage[:BATCH], self._garbage[BATCH:]
            if not self._garbage:
                self._littered.clear()
            with suppress(BusError):
                await _all([self._store.delete(key) for key in keys])

    async def _trim(self, state: State) -> State:
        """Forget counted events that are never delivered again, once there are many."""
        now = asyncio.get_running_loop().time()
        marks = sum(len(c.above) for t in state.triggers.values() for c in t.counted.values())
        if marks < LONG * len(self._heads) or now - self._trimmed < TRIM:
            return state
        self._trimmed = now
        floor = await self._outlets.floor()
        return State({name: one.trim(floor) for name, one in state.triggers.items()})

    async def _sweep(self) -> None:
        """Delete what triggers left behind that are gone, and bodies that no state names."""
        floor = await self._outlets.floor()
        named = {f"{self._heads[n]}.{b}" for n, kept in self._kept.items() for b in kept.bodies}
        heads = set(self._heads.values())
        for key in await self._store.keys(f"{token(self._plan.name)}."):
            _, trigger, *body = key.split(".")
            head = f"{token(self._plan.name)}.{trigger}"
            if trigger.startswith("@") or key in named or key in heads:
                continue
            if head in heads and int(body[0].partition("-")[0]) > floor:
                continue  # another replica may be about to name it
            await self._store.delete(key)


def _fail(one: _Waiting, exc: Exception) -> None:
    if not one.answer.done():
        one.answer.set_exception(exc)


async def _all(steps: Sequence[Awaitable[T]]) -> list[T]:
    """Do all, to the end, and return the results; raise the first error."""
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]  # no exception is left in it
