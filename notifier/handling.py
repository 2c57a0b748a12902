"""Changes of objects, one after another for each object: evaluated, told, remembered.

Most changes concern nobody and cost a look at labels and annotations. What has to be stored is
stored before the next change of the same object is looked at; other objects do not wait for it.
"""

import asyncio
import logging
import time
import traceback
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import orjson

from delivery.gate import Gate
from notifier.evaluate import Decision, Seen, evaluate
from notifier.keeping import Record, Records
from notifier.metrics import NotifierMetrics
from notifier.plan import Plan
from notifier.posting import Post
from notifier.state import decode, encode
from spine.kube.versions import older
from spine.kube.watch import Item

log = logging.getLogger(__name__)

IN_FLIGHT = 256
"""Objects that are being stored at a time."""
BUGS = (1.0, 10.0)
"""Seconds before an object is handled again whose handling met a bug: it may have been chance."""
LOOKED = 20_000
"""Objects of which it is kept in mind at which version they were evaluated and stored last."""

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
        self._gate = Gate()
        self._looked: dict[str, str] = {}

    async def run(self) -> None:
        """Do what has to be done beside, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._running.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._group = None
                self.stop_waiting()

    def close(self) -> None:
        """Take nothing any more: whoever hands something over waits until cancelled."""
        self._gate.close()

    async def idle(self, seconds: float | None = None) -> bool:
        """Wait until all that was taken is stored, at most so long; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                while self._busy:
                    await asyncio.wait(set(self._busy.values()))
        except TimeoutError:
            return False
        return True

    def stop_waiting(self) -> None:
        """Forget when objects are to be evaluated again: they are about to be listed anew."""
        for one in self._later.values():
            one.timer.cancel()
        self._later.clear()

    def waiting(self, prefixes: tuple[str, ...]) -> set[str]:
        """Return the keys of objects that are to be evaluated again, by their beginnings."""
        return {key for key in self._later if key.startswith(prefixes)}

    def forget(self, key: str) -> None:
        """Do not evaluate an object again that is gone."""
        later = self._later.pop(key, None)
        if later is not None:
            later.timer.cancel()

    def looked(self, key: str, version: str) -> bool:
        """Return whether an object was evaluated here at a later version, and that is stored."""
        return older(version, self._looked.get(key, ""))

    async def take(self, plan: Plan, key: str, type: Change, item: Item) -> None:
        """Handle a change; return at once unless too many are being stored.

        `key` is where the object is remembered.
        """
        await self._gate.hold()
        self.forget(key)
        first = None
        if key not in self._busy:
            if not self._concerns(plan, key, type, item):
                return
            first = None if plan.asks else self._at_once(plan, key, type, item)
            if first is not None and not _matters(type, first.decision):
                self._after(plan, key, item, first)
                return
        await self._running.wait()
        await self._slots.acquire()
        if self._group is None:  # it is ending
            return
        before = self._busy.get(key)  # another change may have been waiting for a slot
        self._busy[key] = self._group.create_task(
            self._store(before, plan, key, type, item, None if before else first),
            name=f"object {key}",
        )

    def _concerns(self, plan: Plan, key: str, type: Change, item: Item) -> bool:
        """Return whether anybody may have to be told; say what is wrong with its annotations."""
        try:
            subscribed = plan.subscribed(item.meta)
        except Exception as exc:  # noqa: BLE001 -- a bug that one object meets stops no other
            problems = [_bug(plan, exc)]
        else:
            if subscribed.by_trigger or self._records.has(key):
                return True
            problems = list(map(str, subscribed.problems))
        if problems:
            self.journal(plan, Seen(type, item.meta, {}), problems)
        return False

    def _at_once(self, plan: Plan, key: str, type: Change, item: Item) -> "_Evaluated | None":
        """Evaluate an object whose record is at hand; None where the store has to be asked."""
        record = self._records.at_hand(key)
        return None if record is None else self._evaluate(plan, record, type, item)

    def _evaluate(self, plan: Plan, record: Record, type: Change, item: Item) -> "_Evaluated":
        began, state = time.perf_counter(), record.state
        if type != "DELETED" and older(item.meta.resource_version, state.version):
            return _Evaluated(record, Seen(type, item.meta, {}), Decision(), began)
        seen = Seen(type, item.meta, {})
        try:
            seen = seen._replace(body=orjson.loads(item.raw))
            decision = evaluate(plan, seen, state, self._clock())
        except Exception as exc:  # noqa: BLE001 -- a bug that one object meets stops no other
            decision = Decision(problems=[_bug(plan, exc)])
        return _Evaluated(record, seen, decision, began)

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
            for pause in (*BUGS, 0.0):
                try:
                    found = await self._until_stored(plan, key, type, item, found)
                    self._after(plan, key, item, found)
                    break
                except Exception as exc:  # noqa: BLE001 -- as above
                    found = None
                    self.journal(plan, Seen(type, item.meta, {}), [_bug(plan, exc)])
                    await asyncio.sleep(pause)
        finally:
            self._slots.release()
            if self._busy.get(key) is asyncio.current_task():
                del self._busy[key]

    async def _until_stored(
        self, plan: Plan, key: str, type: Change, item: Item, found: "_Evaluated | None"
    ) -> "_Evaluated":
        """Tell and remember what follows from a change; return what was found in the end."""
        while True:
            if found is None or found.decision.notifications:
                # A replica that is ahead may have told: it is looked up before anybody is told.
                record = await self._records.again(key)
                if found is None or record.revision != found.record.revision:
                    await self._ask(plan, record, type, item)
                    found = self._evaluate(plan, record, type, item)
            if await self._stored(plan, key, type, found):
                return found
            found = None  # a replica, or a confirmation, was faster

    async def _stored(self, plan: Plan, key: str, type: Change, found: "_Evaluated") -> bool:
        """Tell and remember what follows; return False where somebody else was faster."""
        decision, record = found.decision, found.record
        if type == "DELETED":
            await self._tell(plan, key, found)
            await self._records.forget(key)
            return True
        if not decision.changed:
            return True
        if why := self._records.too_large(record.state):  # then nobody is told, not everybody twice
            decision.problems.append(why)
            return True
        await self._tell(plan, key, found)
        return await self._records.put(key, record)

    async def _tell(self, plan: Plan, key: str, found: "_Evaluated") -> None:
        for sent in found.decision.notifications:
            if not await self._post.put(plan, found.seen, key, sent) and not sent.resolved:
                phase = found.record.state.named(sent.trigger, sent.condition)
                told = phase and phase.found(sent.service, sent.recipient, sent.once)
                assert told
                told.stage = "muted"

    def _after(self, plan: Plan, key: str, item: Item, found: "_Evaluated") -> None:
        decision = found.decision
        self._looked.pop(key, None)
        self._looked[key] = item.meta.resource_version
        if len(self._looked) > LOOKED:
            del self._looked[next(iter(self._looked))]
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
        if self._group is not None:
            self._group.create_task(self._take_woken(key))

    async def _take_woken(self, key: str) -> None:
        later = self._later.get(key)
        if later is not None:  # else it has changed meanwhile
            item = Item(later.item.meta, zlib.decompress(later.item.raw))
            await self.take(later.plan, key, "MODIFIED", item)


class _Evaluated(NamedTuple):
    """What came of one look at an object."""

    record: Record
    seen: Seen
    decision: Decision
    began: float


def _matters(type: Change, decision: Decision) -> bool:
    """Return whether something has to be stored."""
    return type == "DELETED" or decision.changed or bool(decision.notifications)


def _bug(plan: Plan, exc: Exception) -> str:
    """Log a bug, without secrets, and return what is said of it."""
    redact = plan.configuration.redact
    log.error("%s", redact("".join(traceback.format_exception(exc))))
    return redact(f"a bug: {type(exc).__name__}: {exc}")
