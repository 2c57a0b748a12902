"""Runs a Sensor: its plan on a bus, its actions through a dispatcher.

One durable, shared by all replicas, hands out events; a replica takes no more than it can work
on. A replica that sees a newer generation of the Sensor steps back. Stopping lets what is under
way finish; the rest goes back to the bus at once.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from delivery.gate import Gate
from delivery.inorder import InOrder
from delivery.lane import pending_reader
from delivery.lease import Lease
from delivery.policy import Retry
from delivery.queue import Dispatcher, Route
from delivery.subjects import EVENTS_LANE, REDRIVE, lease_key
from eventbus.bus import LEASES, STATE, Bus, Handle, Message, Reader, ReaderInfo
from eventbus.kept import Kept, key_token
from sensor import guarded
from sensor.adopted import Done, done_of, drop
from sensor.folding import Folder
from sensor.intake import Intake
from sensor.plan import Plan, PlannedTrigger
from sensor.start import durable_of, generation_of, prepare, reader_of
from sensor.trigger import Limited
from spine.errors import BusError
from spine.lang.limits import Limits
from spine.runtime import RECONNECT, Env, Shared, cancelled_at_exit
from spine.secrets import Secrets
from spine.standing import FAILING, STARTING, Part
from spine.telemetry import SensorMetrics

if TYPE_CHECKING:
    from spine.lang.guard import Guard

__all__ = ["Runner", "prepare"]

log = logging.getLogger(__name__)

IN_FLIGHT = 256
"""Events that a replica works on at a time: at 100 ms each, 2,560 a second."""
SPARE = 32
"""Of these, places that busy triggers leave to others."""
MOST, LEAST = 128, 8
"""Attempts of one trigger at a time: with few triggers, and with many."""
REDRIVES = 8
"""Retried dead events at a time."""
GRACE = 20.0
"""Seconds for what is under way to finish; a pod has 30 before it is killed."""
LOOK = 2.0
"""Seconds between looks at the durable, for its generation and for what waits."""
ROOM = 4
"""Part of what the bus takes in a message that the data of one batch may have: it is written twice
over in an action, and a text in JSON is longer than its data."""


@dataclass(slots=True, eq=False)
class Runner:
    """One replica of a Sensor."""

    plan: Plan
    bus: Bus
    secrets: Secrets
    metrics: SensorMetrics
    generation: int = 0
    """`metadata.generation`; a replica of a lower one steps back. 0 where nobody counts."""
    host: str = "0.0.0.0"  # noqa: S104 -- as in every process; no trigger of today listens
    port_offset: int = 0
    grace: float = GRACE
    """Seconds given to what is under way when the replica is stopped."""
    in_flight: int = IN_FLIGHT
    """Events worked on at a time."""
    clock: Callable[[], float] = time.time
    """Unix seconds; tests have their own."""
    ready: Callable[[], None] = lambda: None
    """Called once, when events are taken."""
    take_over: Callable[[], Awaitable[object]] | None = None
    """Called before the durable is made; it is tried again while it raises RemoteError."""
    _before: Done | None = field(init=False, default=None)
    _problem: str = field(init=False, default="is starting")
    _guard: "Guard | None" = field(init=False, default=None)
    _gate: Gate = field(init=False, default_factory=Gate)
    _stepping_back: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    @property
    def problem(self) -> str:
        """Why events are not handled just now; empty when they are. For readiness."""
        return self._problem or ("" if self._guard is None else self._guard.problem)

    @property
    def parts(self) -> list[Part]:
        """How each trigger stands; one that is bound and whose target fails says so."""
        why, metrics, found = self.problem, self.metrics, []
        for name in self.plan.triggers:
            failing, fired = metrics.failing.get(name, ""), metrics.fired.get(name, 0.0)
            if why:
                found.append(Part(name, False, STARTING, why, fired))
            elif failing:
                found.append(Part(name, True, FAILING, failing, fired))
            else:
                found.append(Part(name, True, "Bound", "", fired))
        return found

    @property
    def notes(self) -> list[str]:
        """What else is worth knowing; nothing."""
        return []

    async def run(self) -> None:
        """Run until cancelled, then drain; return early once a newer generation is up."""
        since = await self._prepare()
        if since is None:
            return
        async with AsyncExitStack() as stack:
            shared = await stack.enter_async_context(Shared())
            routes = {
                name: await self._route(stack, shared, trigger)
                for name, trigger in self.plan.triggers.items()
            }
            self.plan.room = self.bus.max_payload // ROOM
            self._guard = await stack.enter_async_context(_guarded(self.plan))
            ask = None if self._guard is None else self._guard.call
            dispatcher = Dispatcher(
                self.bus,
                self.plan.name,
                routes,
                self.metrics,
                clock=self.clock,
                durations=[t.claimed_for for t in self.plan.triggers.values() if t.claim],
            )
            intake = Intake(self.plan, self.bus, dispatcher, self.metrics, ask, since)
            intake.newer, intake.clock, intake.before = self._newer, self.clock, self._before
            await self._serve(intake, dispatcher)

    # ------------------------------------------------------------------------ parts

    async def _prepare(self) -> Mapping[str, float] | None:
        attempt = 0
        while True:
            try:
                if await self._newer():
                    return None
                if self.take_over is not None:
                    await self.take_over()
                since = await prepare(self.plan, self.bus, self.generation)
                self._before = await done_of(self.plan, self.bus)
            except BusError as exc:
                attempt += 1
                self._problem = f"waits for the bus: {exc}"
                log.warning("preparing the Sensor", extra={"error": str(exc)})
                await asyncio.sleep(RECONNECT.wait(attempt))
            else:
                return since

    async def _route(self, stack: AsyncExitStack, shared: Shared, planned: PlannedTrigger) -> Route:
        plan = self.plan
        env = Env(
            object=plan.name,
            name=planned.name,
            namespace=plan.namespace,
            secrets=self.secrets,
            shared=shared,
            host=self.host,
            port_offset=self.port_offset,
            memory=Kept(self.bus, f"trigger.{key_token(plan.name)}"),
        )
        sender = await stack.enter_async_context(planned.trigger.open(env))
        if planned.max_active is not None and isinstance(sender, Limited):
            sender.most_active = planned.max_active
        fallback = None
        if planned.fallback is not None:
            fallback = await self._route(stack, shared, planned.fallback)
        each = (self.in_flight - SPARE) // len(plan.triggers)
        return Route(
            sender,
            retry=Retry.of(planned.retry),
            rate=planned.rate_limit,
            at_least_once=planned.at_least_once is not False,
            stored=planned.stateful or plan.ordered,  # none holds up those that keep an order
            ordered=planned.order is not None,
            in_flight=planned.max_in_flight or max(LEAST, min(MOST, each)),
            bounded=planned.max_in_flight is not None or planned.max_active is not None,
            fallback=fallback,
        )

    # ------------------------------------------------------------------------ at work

    async def _serve(self, intake: Intake, dispatcher: Dispatcher) -> None:
        working = asyncio.create_task(self._work(intake, dispatcher), name="sensor")
        stepping = asyncio.create_task(self._stepping_back.wait(), name="newer generation")
        async with cancelled_at_exit(working, stepping):
            try:
                await asyncio.wait({working, stepping}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    working.result()
            finally:
                await self._drain(dispatcher)

    async def _work(self, intake: Intake, dispatcher: Dispatcher) -> None:
        plan = self.plan
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatcher.run(), name="pending actions")
            if plan.ordered:
                lease = Lease(self.bus.store(LEASES), lease_key(plan.name, EVENTS_LANE))
                group.create_task(lease.run(partial(self._handle, intake)), name="as the only one")
            else:
                group.create_task(self._handle(intake), name="as one of several")
            group.create_task(self._watch(intake), name="durable")
            self._problem = ""
            self.ready()

    async def _handle(self, intake: Intake) -> None:
        """Handle events, new ones and retried ones; the only replica does so in their order."""
        plan = self.plan
        outlets, store = intake.outlets(self._floor), self.bus.store(STATE)
        folder = Folder(plan, store, intake.decide, outlets, self.clock)
        if any(trigger.stateful for trigger in plan.triggers.values()):
            intake.folder = folder
        events, handle = reader_of(plan, self.generation), self._gated(intake.event)
        if plan.ordered:
            reading = InOrder(
                self.bus, events, handle, in_flight=self.in_flight, begin=intake.reset
            ).run()
        else:
            reading = self._consume(events, handle, self.in_flight)
        again = pending_reader(plan.name, REDRIVE)
        redriving = self._consume(again, self._gated(intake.redrive), REDRIVES)
        async with asyncio.TaskGroup() as group:
            group.create_task(folder.run(), name="conditions")
            group.create_task(reading, name="events")
            group.create_task(redriving, name="retried events")

    def _gated(self, handle: Handle) -> Handle:
        gate = self._gate

        async def gated(message: Message) -> None:
            if gate.closed:
                await gate.hold()
            with gate:
                await handle(message)

        return gated

    async def _consume(self, reader: Reader, handle: Handle, in_flight: int) -> None:
        attempt = 0
        while True:
            try:
                await self.bus.consume(reader, handle, in_flight=in_flight)
            except BusError as exc:
                attempt += 1
                log.warning("pulling from stream %s", reader.stream, extra={"error": str(exc)})
                await asyncio.sleep(RECONNECT.wait(attempt))

    async def _watch(self, intake: Intake) -> None:
        """Tell how much waits, and step back for a newer generation."""
        while True:
            await asyncio.sleep(LOOK)
            try:
                info = await durable_of(self.plan, self.bus)
            except BusError as exc:
                log.debug("looking at the durable", extra={"error": str(exc)})
                continue
            if info is not None:
                self.metrics.lag(info.pending)
                await self._pass(info, intake)
            self._compare(generation_of(info))

    async def _pass(self, info: ReaderInfo, intake: Intake) -> None:
        """Forget what was done before us, once the durable is past it."""
        if intake.before is not None and intake.before.is_behind(info):
            with suppress(BusError):
                await drop(self.plan, self.bus)
                intake.before = None

    async def _newer(self) -> bool:
        return self._compare(generation_of(await durable_of(self.plan, self.bus)))

    def _compare(self, generation: int) -> bool:
        newer = generation > self.generation > 0
        if newer and not self._stepping_back.is_set():
            self._problem = f"generation {generation} of the Sensor has come up"
            log.info("stepping back: %s", self._problem)
            self._stepping_back.set()
        return newer

    async def _floor(self) -> int:
        info = await durable_of(self.plan, self.bus)
        return 0 if info is None else info.acknowledged

    async def _drain(self, dispatcher: Dispatcher) -> None:
        self._problem = self._problem or "is stopping"
        self._gate.close()
        drained = await asyncio.gather(self._gate.empty(self.grace), dispatcher.drain(self.grace))
        if not all(drained):
            log.warning("not all was done within %g s: the rest goes back to the bus", self.grace)


@asynccontextmanager
async def _guarded(plan: Plan) -> AsyncIterator["Guard | None"]:
    """Yield what evaluates in other processes, None where this one may do it."""
    if plan.safe:
        yield None
        return
    from spine.lang.guard import Guard

    async with Guard(guarded.FACTORY, guarded.init(plan), Limits.of_environment()) as guard:
        yield guard
