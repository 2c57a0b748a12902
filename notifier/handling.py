"""Changes of objects, one after another for each object: evaluated, told, remembered.

Most changes concern nobody and cost a look at labels and annotations. What has to be stored is
stored before the next change of the same object is looked at; other objects do not wait for it.
"""

import asyncio
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import orjson

from notifier.evaluate import Decision, Seen, evaluate
from notifier.keeping import Record, Records
from notifier.metrics import NotifierMetrics
from notifier.plan import Plan
from notifier.posting import Post
from notifier.state import decode, encode
from spine.kube.versions import older
from spine.kube.watch import Item

IN_FLIGHT = 256
"""Objects that are being stored at a time."""

Change = Literal["ADDED", "MODIFIED", "DELETED"]


class Journal(Protocol):
    """Hears of problems with single objects."""

    def __call__(self, plan: Plan, seen: Seen, problems: Iterable[str]) -> None:
        """Tell of them; those that were told before are not told again."""
        ...


@dataclass(slots=True)
class _Later:
    """An object that is evaluated again at a time of its own."""

    timer: asyncio.TimerHandle
    plan: Plan
    item: Item
    """Its body is packed."""


class Handler:
    """Handles the changes of all objects of one Notifier."""

    def __init__(
        self,
        records: Records,
        post: Post,
        metrics: NotifierMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records, self._post, self._metrics, self._clock = records, post, metrics, clock
        self.journal: Journal = lambda _plan, _seen, _problems: None
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._later: dict[str, _Later] = {}
        self._group: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()

    async def run(self) -> None:
        """Do what has to be done beside, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._running.set()
            await asyncio.Event().wait()

    async def idle(self) -> None:
        """Wait until all that was taken is stored."""
        while self._busy:
            await asyncio.wait(set(self._busy.values()))

    def stop_waiting(self) -> None:
        """Forget when objects are to be evaluated again: they are about to be listed anew."""
        for one in self._later.values():
            one.timer.cancel()
        self._later.clear()

    async def take(self, plan: Plan, key: str, type: Change, item: Item) -> None:
        """Handle a change; return at once unless too many are being stored.

        `key` is where the object is remembered.
        """
        later = self._later.pop(key, None)
        if later is not None:
            later.timer.cancel()
        busy, first = self._busy.get(key), None
        if busy is None:
            if not self._records.has(key) and not plan.subscribed(item.meta).by_trigger:
                self._complain(plan, item, type)
                return
            first = None if plan.asks else self._at_once(plan, key, type, item)
            if first is not None and not _matters(type, first.decision):
                self._after(plan, key, item, first)
                return
        await self._running.wait()
        await self._slots.acquire()
        assert self._group is not None
        self._busy[key] = self._group.create_task(
            self._store(busy, plan, key, type, item, first), name=f"object {key}"
        )

    def _complain(self, plan: Plan, item: Item, type: Change) -> None:
        problems = plan.subscribed(item.meta).problems
        if problems:
            self.journal(plan, Seen(type, item.meta, {}), map(str, problems))

    def _at_once(self, plan: Plan, key: str, type: Change, item: Item) -> "_Evaluated | None":
        """Evaluate an object whose record is at hand; None where the store has to be asked."""
        record = self._records.at_hand(key)
        return None if record is None else self._evaluate(plan, record, type, item)

    def _evaluate(self, plan: Plan, record: Record, type: Change, item: Item) -> "_Evaluated":
        began, state = time.perf_counter(), record.state
        if type != "DELETED" and older(item.meta.resource_version, state.version):
            return _Evaluated(record, Seen(type, item.meta, {}), Decision(), began)
        seen = Seen(type, item.meta, orjson.loads(item.raw))
        return _Evaluated(record, seen, evaluate(plan, seen, state, self._clock()), began)

    async def _ask(self, plan: Plan, record: Record, type: Change, item: Item) -> None:
        """Get the answers of a repo-server that an evaluation needs."""
        if plan.asks:
            data = encode(record.state)
            await plan.repo.settle(
                lambda: self._evaluate(plan, Record(decode(data)), type, item).decision
            )

    async def _store(
        self,
        before: asyncio.Task[None] | None,
        plan: Plan,
        key: str,
        type: Change,
        item: Item,
        found: "_Evaluated | None",
    ) -> None:
        """Put the messages of an object on their way, and remember it."""
        try:
            if before is not None:
                await asyncio.wait({before})
            while True:
                if found is None or found.decision.notifications:
                    # A replica that is ahead may have told: it is looked up before anybody is told.
                    record = await self._records.again(key)
                    if found is None or record.revision != found.record.revision:
                        await self._ask(plan, record, type, item)
                        found = self._evaluate(plan, record, type, item)
                await self._tell(plan, key, found)
                if type == "DELETED":
                    await self._records.forget(key)
                    break
                if not found.decision.changed or await self._records.put(key, found.record):
                    break
                found = None  # a replica, or a confirmation, was faster
            self._after(plan, key, item, found)
        finally:
            self._slots.release()
            if self._busy.get(key) is asyncio.current_task():
                del self._busy[key]

    async def _tell(self, plan: Plan, key: str, found: "_Evaluated") -> None:
        for sent in found.decision.notifications:
            if not await self._post.put(plan, found.seen, key, sent) and not sent.resolved:
                phase = found.record.state.phase(sent.trigger, sent.condition)
                told = phase.found(sent.service, sent.recipient, sent.once)
                assert told is not None
                told.stage = "muted"

    def _after(self, plan: Plan, key: str, item: Item, found: "_Evaluated") -> None:
        decision = found.decision
        for look in decision.looks:
            self._metrics.evaluated(look.trigger, look.verdict)
        self._metrics.handled(time.perf_counter() - found.began)
        if decision.problems:
            self.journal(plan, found.seen, decision.problems)
        if decision.wake is not None and found.seen.type != "DELETED":
            self._wake(plan, key, item, decision.wake)

    # ------------------------------------------------------------------------ time

    def _wake(self, plan: Plan, key: str, item: Item, at: float) -> None:
        """Evaluate an object again at a time, if it does not change before."""
        delay = max(0.0, at - self._clock())
        timer = asyncio.get_running_loop().call_later(delay, self._woken, key)
        packed = Item(item.meta, zlib.compress(item.raw, 1))
        old = self._later.pop(key, None)
        if old is not None:
            old.timer.cancel()
        self._later[key] = _Later(timer, plan, packed)

    def _woken(self, key: str) -> None:
        later = self._later.pop(key, None)
        if later is None or self._group is None:
            return
        item = Item(later.item.meta, zlib.decompress(later.item.raw))
        self._group.create_task(self.take(later.plan, key, "MODIFIED", item))


class _Evaluated(NamedTuple):
    """What came of one look at an object."""

    record: Record
    seen: Seen
    decision: Decision
    began: float


def _matters(type: Change, decision: Decision) -> bool:
    """Return whether something has to be stored."""
    return type == "DELETED" or decision.changed or bool(decision.notifications)
