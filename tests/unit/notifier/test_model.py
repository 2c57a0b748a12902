"""Whatever happens in whatever order: every activation is told, and none is told twice.

Two replicas on one bus, in virtual time. What may happen: objects change, replicas see it late or
not at all, processes die at any step towards the bus or a service, services fail, configurations
are edited, the clock jumps. The model knows runs only: a run is a stretch of versions of an object
in which its condition holds. Messages bear the version that led to them.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import looptime
import msgspec
import yaml
from delivery_kit import START
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from notifier_kit import BOOKS, OnePlace, Recorder, item, plan_of

from delivery.action import Action
from delivery.dead import list_dead, retry
from eventbus.bus import ACTIONS, Message, Store
from eventbus.memory import MemoryBus
from notifier.desk import Desk
from notifier.metrics import NotifierMetrics
from services.service import Client, Receipt
from services.service import Message as Told
from spine.errors import TriggerError
from spine.kube.watch import Item

NAMES = ("a", "b")
RECIPIENTS = ("r1", "r2")
TRIGGERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "held": {"for": "60s"},
    "again": {"repeatEvery": "2m"},
    "over": {"sendResolved": True},
    "once": {"oncePer": "string(pod.status.run)"},
}
WHEN = (
    "pod.status.phase == 'Failed'",
    "pod.status.phase in ['Failed']",
    "'Failed' == pod.status.phase",
)
TEXT = (
    "{{ .pod.metadata.resourceVersion }} %s {{ .pod.metadata.name }} {{ .pod.status.run }}"
    "{{ if .resolved }} over{{ end }}"
)
ANNOTATIONS = {
    f"notifications.argoproj.io/subscribe.{name}.hook": ";".join(RECIPIENTS) for name in TRIGGERS
}
REPLICA: ContextVar["Replica | None"] = ContextVar("replica", default=None)


def configuration(wording: int) -> str:
    """Return a configuration; all wordings say the same."""
    data = {"service.webhook.hook": "url: http://hook.test"}
    for name, more in TRIGGERS.items():
        condition = {"when": WHEN[wording], "send": [name], **more}
        data[f"trigger.{name}"] = yaml.safe_dump([condition])
        data[f"template.{name}"] = yaml.safe_dump({"message": TEXT % name})
    return yaml.safe_dump(data)


def planned(wording: int) -> Any:
    """Return a plan whose only service is the book."""
    plan = plan_of(configuration(wording))
    services = {"hook": Recorder(name="model")}
    return replace(plan, configuration=replace(plan.configuration, services=services))


PLANS = [planned(wording) for wording in range(len(WHEN))]


@dataclass
class Replica:
    """A process that may die."""

    steps: int | None = None
    """Steps until it dies; None: it lives."""
    dead: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: set[str] = field(default_factory=set)
    """Keys of messages that it was handed and is not done with."""
    desk: Desk | None = None
    task: asyncio.Task[None] | None = None
    place: OnePlace | None = None
    wording: int = 0
    answers_after: float = 0.0
    """Seconds that what was read takes to arrive."""
    seen: dict[str, int] = field(default_factory=dict)

    async def step(self) -> None:
        """Come to a step, or die before it."""
        if self.steps is not None:
            self.steps -= 1
            if self.steps <= 0:
                self.dead.set()
        if self.dead.is_set():
            await asyncio.Event().wait()


class MortalStore(Store):
    """A store as one process sees it."""

    def __init__(self, store: Store, replica: Replica) -> None:
        self._store, self._replica = store, replica

    async def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            await self._replica.step()
        except asyncio.CancelledError:
            work.close()
            raise
        found = await work
        await self._replica.step()
        return found

    async def get(self, key: str) -> Any:
        found = await self._do(self._store.get(key))
        await asyncio.sleep(self._replica.answers_after)  # what is stored meanwhile is newer
        return found

    async def put(self, key: str, value: bytes, *, revision: int | None) -> Any:
        return await self._do(self._store.put(key, value, revision=revision))

    async def delete(self, key: str, *, revision: int | None = None) -> None:
        await self._do(self._store.delete(key, revision=revision))

    async def keys(self, prefix: str = "") -> Any:
        return await self._store.keys(prefix)


class MortalBus:
    """A bus as one process sees it."""

    def __init__(self, bus: MemoryBus, replica: Replica) -> None:
        self._bus, self._replica = bus, replica

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    def store(self, name: str) -> Store:
        return MortalStore(self._bus.store(name), self._replica)

    async def append(self, *given: Any, **more: Any) -> int:
        await self._replica.step()
        found = await self._bus.append(*given, **more)
        await self._replica.step()
        return found

    async def consume(self, reader: Any, handle: Any, *, in_flight: int) -> None:
        async def watched(message: Message) -> None:
            key = ""
            if reader.stream == ACTIONS and not reader.durable.endswith("redrive"):
                key = msgspec.json.decode(message.data, type=Action).key
                self._replica.under_way.add(key)
            await handle(message)
            await self._replica.step()
            self._replica.under_way.discard(key)

        await self._bus.consume(reader, watched, in_flight=in_flight)


class Book(Client):
    """Takes messages, fails as told, and is where a process may die, too."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str]] = []
        self.failures: list[bool] = []
        """What becomes of the next attempts: whether they fail for good."""

    async def send(self, message: Told, recipient: str, key: str) -> Receipt:
        replica = REPLICA.get()
        assert replica is not None
        await replica.step()
        if self.failures:
            raise TriggerError("posting: 500", permanent=self.failures.pop())
        self.taken.append((recipient, message.text, key))
        await replica.step()
        return Receipt("200 OK")


class World(RuleBasedStateMachine):
    """Objects, two replicas, a bus and a service."""

    def __init__(self) -> None:
        super().__init__()
        looptime.reset_caches()
        self.loop = looptime.new_event_loop(start=0)
        self.bus = MemoryBus()
        self.book = BOOKS["model"] = Book()
        self.shift = 0.0
        self.history: dict[str, list[Item]] = {name: [] for name in NAMES}
        self.facts: dict[str, list[tuple[str, int]]] = {name: [] for name in NAMES}
        self.evaluated: dict[str, int] = dict.fromkeys(NAMES, -1)
        self.good: dict[str, list[int]] = {name: [] for name in NAMES}
        """Versions of which some replica surely saw that nothing holds."""
        self.active: dict[str, bool] = dict.fromkeys(NAMES, False)
        self.due: set[tuple[str, int]] = set()
        """Object and run of what some replica surely saw begin."""
        self.values: set[tuple[str, int]] = set()
        """Object and value of oncePer of what was surely seen."""
        self.ended: set[tuple[str, int]] = set()
        """Object and run of what some replica surely saw end."""
        self.died: set[tuple[str, int, str]] = set()
        """Object, run and recipient of messages that were given up."""
        self.spare: Counter[str] = Counter()
        """Key -> how often a process died with it in hand."""
        self.unsure: set[tuple[str, int]] = set()
        """Object and run of versions of which a process died."""
        self.mixed = 0
        """How often a process died while the other one had another wording of the conditions. Then
        what it told and did not store goes by a name that the other one does not know.
        """
        self.replicas = [Replica(), Replica()]

    # ------------------------------------------------------------------------ work

    def clock(self) -> float:
        return START + self.loop.time() + self.shift

    def run_(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        try:
            self.run_(self.settle())
            self.check()
        finally:
            for replica in self.replicas:
                self.run_(self.end(replica))
            self.run_(self.loop.shutdown_asyncgens())
            self.loop.close()

    async def start(self, replica: Replica) -> None:
        replica.steps, replica.dead = None, asyncio.Event()
        replica.under_way = set()
        token = REPLICA.set(replica)
        plan = PLANS[replica.wording]
        replica.place = OnePlace(plan.configuration, None)
        bus: Any = MortalBus(self.bus, replica)
        metrics = NotifierMetrics("default", "n")
        replica.desk = Desk("n", bus, replica.place, metrics, clock=self.clock)
        await replica.desk.open()
        replica.task = asyncio.create_task(replica.desk.run())
        REPLICA.reset(token)
        await asyncio.sleep(0)

    async def end(self, replica: Replica) -> None:
        """Have a process die at once."""
        if replica.task is None:
            return
        replica.dead.set()
        replica.task.cancel()
        await asyncio.gather(replica.task, return_exceptions=True)
        assert replica.place is not None
        await replica.place.close()
        self.spare.update(replica.under_way)
        self.mixed += len({one.wording for one in self.replicas}) > 1
        replica.task = None

    async def revive(self, replica: Replica) -> None:
        """Start a process that died, and let it see what there is."""
        await self.end(replica)
        await self.start(replica)
        await self.list_(replica)

    async def list_(self, replica: Replica) -> None:
        """Have a replica list all objects anew."""
        assert replica.desk is not None
        await replica.desk.records.refresh("Pod")
        for name in NAMES:
            replica.seen[name] = len(self.history[name])
            if self.history[name]:
                await self.show(replica, name, len(self.history[name]) - 1)

    async def show(self, replica: Replica, name: str, index: int) -> None:
        """Hand a version of an object to a replica; it may die of it."""
        assert replica.desk is not None
        handler, plan = replica.desk.handler, PLANS[replica.wording]
        one = self.history[name][index]
        key = replica.desk.records.key("Pod", one.meta.uid)
        token = REPLICA.set(replica)

        async def work() -> None:
            await handler.take(plan, key, "MODIFIED", one)
            await handler.idle()

        working = asyncio.create_task(work())
        dying = asyncio.create_task(replica.dead.wait())
        REPLICA.reset(token)
        first = asyncio.FIRST_COMPLETED
        done, _ = await asyncio.wait({working, dying}, timeout=10_000, return_when=first)
        assert done, f"stuck: {working.get_stack()} {self.story()}"
        dying.cancel()
        if replica.dead.is_set():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            self.unsure.add((name, self.run_of(name, index)))
            await self.revive(replica)
            return
        await working
        self.model(name, index)

    def model(self, name: str, index: int) -> None:
        """Note what a replica has seen for sure."""
        if index <= self.evaluated[name]:
            return
        self.evaluated[name] = index
        failed = self.facts[name][index][0] == "Failed"
        if not failed:
            self.good[name].append(index)
        else:
            self.values.add((name, self.facts[name][index][1]))
        if failed and not self.active[name]:
            self.due.add((name, self.run_of(name, index)))
        if not failed and self.active[name]:
            before = max(run for one, run in self.due if one == name)
            self.ended.add((name, before))
        self.active[name] = failed

    def run_of(self, name: str, index: int) -> int:
        """Return where the run begins that a version belongs to; versions count from 1."""
        while index and self.facts[name][index - 1][0] == "Failed":
            index -= 1
        return index

    def activation_of(self, name: str, index: int) -> int:
        """Return the run that a version is taken for: what nobody saw end goes on.

        So does one that a process met, and died before anybody could be sure of it.
        """
        run = self.run_of(name, index)
        due = sorted(one for where, one in self.due if where == name)
        before = [one for one in due if one <= run and not self.ended_between(name, one, run)]
        after = [one for one in due if one > run and not self.ended_between(name, run, one)]
        return (before[-1:] or after[:1] or [run])[0]

    def ended_between(self, name: str, first: int, last: int) -> bool:
        """Return whether it was surely seen that a condition did not hold in between."""
        return any(first < one < last for one in self.good[name])

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and start again who dies in it."""
        end = self.loop.time() + seconds
        while (left := end - self.loop.time()) > 0.001:
            dying = {asyncio.create_task(one.dead.wait()): one for one in self.replicas}
            await asyncio.wait(dying, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for task in dying:
                task.cancel()
            for replica in self.replicas:
                if replica.dead.is_set():
                    await self.revive(replica)

    # ------------------------------------------------------------------------ what may happen

    @initialize()
    def begin(self) -> None:
        async def both() -> None:
            for replica in self.replicas:
                await self.start(replica)

        self.run_(both())

    @rule(
        name=st.sampled_from(NAMES),
        phase=st.sampled_from(["Failed", "Running"]),
        run=st.integers(1, 2),
    )
    def change(self, name: str, phase: str, run: int) -> None:
        version = len(self.history[name]) + 1
        one = item(phase, version=version, name=name, annotations=ANNOTATIONS, run=run)
        self.history[name].append(one)
        self.facts[name].append((phase, run))

    @rule(number=st.integers(0, 1), name=st.sampled_from(NAMES))
    def see(self, number: int, name: str) -> None:
        replica = self.replicas[number]
        seen = replica.seen.get(name, 0)
        if seen < len(self.history[name]):
            replica.seen[name] = seen + 1
            self.run_(self.show(replica, name, seen))

    @rule(number=st.integers(0, 1))
    def see_all(self, number: int) -> None:
        for name in NAMES:
            while self.replicas[number].seen.get(name, 0) < len(self.history[name]):
                self.see(number, name)

    @rule(number=st.integers(0, 1))
    def list_again(self, number: int) -> None:
        self.run_(self.list_(self.replicas[number]))

    @rule(number=st.integers(0, 1), steps=st.integers(1, 25))
    def die_soon(self, number: int, steps: int) -> None:
        self.replicas[number].steps = steps

    @rule(number=st.integers(0, 1))
    def kill(self, number: int) -> None:
        self.run_(self.revive(self.replicas[number]))

    @rule(number=st.integers(0, 1))
    def stop(self, number: int) -> None:
        replica = self.replicas[number]

        async def gently() -> None:
            assert replica.desk is not None
            draining = asyncio.create_task(replica.desk.drain(20))
            dying = asyncio.create_task(replica.dead.wait())
            await asyncio.wait({draining, dying}, return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            draining.cancel()
            if not replica.dead.is_set():
                waiting = {one for one in replica.under_way if one not in self.sent_keys()}
                replica.under_way -= waiting  # held back at the gate, untouched
            await self.revive(replica)

        self.run_(gently())

    def sent_keys(self) -> set[str]:
        return {key for _, _, key in self.book.taken}

    @rule(number=st.integers(0, 1), wording=st.integers(0, len(WHEN) - 1))
    def edit(self, number: int, wording: int) -> None:
        replica = self.replicas[number]

        async def edited() -> None:
            assert replica.desk is not None
            assert replica.place is not None
            replica.wording = wording
            await replica.desk.handler.idle()
            replica.desk.handler.stop_waiting()
            await self.list_(replica)

        if replica.steps is None:
            self.run_(edited())

    @rule(failures=st.lists(st.booleans(), min_size=1, max_size=4))
    def fail(self, failures: list[bool]) -> None:
        self.book.failures += failures

    @rule(seconds=st.sampled_from([0.01, 0.2, 3.0, 20.0, 100.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.run_(self.sleep(seconds))

    @rule(number=st.integers(0, 1), seconds=st.sampled_from([0.0, 0.05]))
    def slow_down(self, number: int, seconds: float) -> None:
        self.replicas[number].answers_after = seconds

    @precondition(lambda self: abs(self.shift) < 10)
    @rule(seconds=st.sampled_from([-5.0, 5.0]))
    def jump(self, seconds: float) -> None:
        self.shift += seconds

    # ------------------------------------------------------------------------ what must hold

    @invariant()
    def none_is_told_twice(self) -> None:
        sends = Counter(key for _, _, key in self.book.taken)
        for key, count in sends.items():
            hand = sum(key in one.under_way for one in self.replicas)
            assert count <= 1 + self.spare[key] + hand, (key, self.book.taken)

    async def settle(self) -> None:
        """Let everything come to its end: services are well, and dead letters are retried."""
        self.book.failures.clear()
        for replica in self.replicas:
            replica.steps = None
            await self.list_(replica)
        await self.sleep(900)
        for entry in [one async for one in list_dead(self.bus)]:
            assert entry.letter.code != "Bug", entry.letter.traceback
            assert entry.letter.action is not None
            sent = entry.letter.action.content
            version, _, name, *_ = sent["message"]["text"].split()
            run = self.activation_of(name, int(version) - 1)
            self.died.add((name, run, sent["recipient"]))
            await retry(self.bus, entry.sequence)
        await self.sleep(500)

    def check(self) -> None:
        self.none_is_told_twice()
        told = self.told(self.activation_of)
        for name, run in self.due:
            if self.stood_for(name, run):
                continue
            for recipient in RECIPIENTS:
                where = (name, run, recipient)
                for trigger in ("plain", "again", "over"):
                    assert told[trigger, *where], (trigger, where, self.story())
                known = where not in self.died  # the end of what nobody heard of is not told
                if (name, run) in self.ended and known:
                    assert told["over over", *where], ("over", where, self.story())
        for (trigger, *where), keys in self.told(self.run_of).items():
            if trigger in {"plain", "over", "over over"}:
                assert len(keys) <= 1 + self.mixed, (trigger, where, keys, self.story())
        for name in NAMES:
            self.check_end(name, told)
        self.check_once()

    def stood_for(self, name: str, run: int) -> bool:
        """Return whether a message of an earlier run may stand for this one.

        Whoever met that one died between its message and its record, and it was over and had begun
        anew before the message was sent: both count as the same time, and bear the same key.
        """
        earlier = [one for where, one in self.unsure if where == name and one < run]
        known = [one for where, one in self.due if where == name and one < run]
        return max(earlier, default=-1) > max(known, default=-1)

    def check_end(self, name: str, told: dict[Any, set[str]]) -> None:
        """Check what must have followed from the last state of an object."""
        if not self.facts[name] or self.facts[name][-1][0] != "Failed":
            return
        run = max(run for one, run in self.due if one == name)
        for recipient in RECIPIENTS:
            assert told["held", name, run, recipient], (name, self.story())
            assert len(told["again", name, run, recipient]) >= 4, (name, self.story())

    def check_once(self) -> None:
        """Check that each value was told, and once but where nobody got it."""
        found: dict[Any, set[str]] = defaultdict(set)
        for recipient, text, key in self.book.taken:
            _, trigger, name, value, *_ = text.split()
            if trigger == "once":
                found[name, int(value), recipient].add(key)
        for name, value in self.values:
            for recipient in RECIPIENTS:
                assert found[name, value, recipient], (name, value, self.story())

    def told(self, place: Callable[[str, int], int]) -> dict[Any, set[str]]:
        """Return trigger, object, run and recipient -> keys of what was told."""
        found: dict[Any, set[str]] = defaultdict(set)
        for recipient, text, key in self.book.taken:
            version, trigger, name, _, *over = text.split()
            index = int(version) - 1
            if over:  # the version is that at which it was over
                while self.facts[name][index][0] != "Failed":
                    index -= 1
                trigger += " over"
            found[trigger, name, place(name, index), recipient].add(key)
        return found

    def story(self) -> Any:
        return self.facts, self.due, self.ended, self.book.taken


TestWorld = World.TestCase
TestWorld.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
