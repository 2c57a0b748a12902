"""Does actions: at once where that works, later from the bus where it does not.

An action that succeeds at once costs no write. One that fails, that a rate limit holds back, or
that must survive a crash before its first attempt, is stored in the stream of pending actions;
the event behind it is then done, so that its other triggers never fire again because this one
failed. Every trigger has its own lane: bounds, health, and a durable of pending actions that is
made when it is first needed. Nothing is dropped: an action ends as done or as a dead letter.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import msgspec

from delivery.action import Action
from delivery.attempt import Attempts
from delivery.claims import Claims
from delivery.dead import MAX_DELIVERIES, NoOutcome, dead_letter, of_event
from delivery.gate import Gate
from delivery.inorder import InOrder
from delivery.lane import Lane, Route, pending_reader
from delivery.lease import Lease
from delivery.order import Place
from delivery.patience import surely
from delivery.recent import Recent
from delivery.report import Reporter
from delivery.subjects import REDRIVE, lane_of, lease_key, name_of, split_owner
from delivery.turns import WINDOW, Turns
from eventbus.bus import ACTIONS, LEASES, STATE, Bus, Message
from spine.errors import BusError, EventError
from spine.telemetry import SensorMetrics

__all__ = ["MAX_DELIVERIES", "Dispatcher", "NoOutcome", "Route", "gone"]

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that an event waits for a slot of a busy trigger while others may need its place; then
the action is left to the queue."""
SHIFT = 5.0
"""Seconds for which an action that is not due may keep others from being taken."""
ORPHANS = 16
"""Pending actions without a trigger that are set aside at a time."""
LOOK = 10.0
"""Seconds between looks for pending actions that another replica left behind."""

_decode = msgspec.json.Decoder(Action).decode


class Dispatcher:
    """Delivers the actions of one Sensor. `run` must be running while it is used."""

    def __init__(
        self,
        bus: Bus,
        sensor: str,
        routes: Mapping[str, Route],
        metrics: SensorMetrics,
        *,
        clock: Callable[[], float] = time.time,
        durations: Collection[float] = (),
    ) -> None:
        """`durations` are the seconds for which claims of idempotency keys hold."""
        self._bus, self._sensor, self._metrics, self._clock = bus, sensor, metrics, clock
        self._durations = durations
        self.reporter = Reporter(bus, sensor)
        self._attempts = Attempts(bus, sensor, metrics, self.reporter, clock)
        self._attempts.on_stored = self._want
        self._by_trigger: dict[str, Lane] = {}
        self._lanes: dict[str, Lane] = {}
        self._leases: dict[str, Lease] = {}
        self._recent: dict[str, Recent] = {}
        for trigger, route in routes.items():
            self.add(trigger, route)
        self._claims = Claims(bus.store(STATE), sensor, clock)
        self._patience = PATIENCE if len(routes) > 1 else None
        self._gate = Gate()
        self.route_of: Callable[[str], Route | None] = lambda _: None
        """Asked for the way of a trigger for which something waits and that has none here."""
        self._wanted: set[str] = set()
        self._changed = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    def add(self, trigger: str, route: Route) -> None:
        """Give a trigger its way; one that has one keeps it."""
        if trigger in self._by_trigger:
            return
        self._by_trigger[trigger] = lane = Lane(self._sensor, trigger, route)
        for one in lane.with_fallbacks():
            self._lanes[one.token] = one
            self._recent[one.token] = Recent()
            if one.bucket is not None or one.route.ordered or one.route.bounded:
                lease = Lease(self._bus.store(LEASES), lease_key(self._sensor, one.token))
                self._leases[one.token] = lease

    def on_buried(self, tell: Callable[[Action], Awaitable[None]]) -> None:
        """Have a callable awaited before an action becomes a dead letter."""
        self._attempts.on_buried = tell

    # ------------------------------------------------------------------------ in

    def deliver(self, action: Action) -> Awaitable[None]:
        """Return when the action succeeded, is stored on the bus, or is a dead letter.

        Where at least once is switched off, return when the action has begun. Raises BusError
        when the bus does not take what has to be stored. Of actions that bear a key, the order of
        the calls counts, not when each is awaited; they wait for the bus as long as it takes.
        """
        lane = self._by_trigger[action.trigger]
        if action.order:
            return self._store_in_order(lane, action, lane.storing.place(action.order))
        return self._deliver(lane, action)

    def deliver_in_order(
        self, actions: Sequence[Action], settle: Callable[[], Awaitable[None]]
    ) -> Awaitable[None]:
        """Store the actions of one event, and return when the bus knows that it is done.

        `settle` tells the bus. Before it has, no later action with a key of these is stored: were
        these stored again by who comes after a kill, they would be behind it. The order of the
        calls counts, and it waits for the bus as long as it takes.
        """
        keys = dict.fromkeys((one.trigger, one.order) for one in actions if one.order)
        places = [self._by_trigger[trigger].storing.place(key) for trigger, key in keys]
        return self._deliver_in_order(actions, places, settle)

    async def _deliver_in_order(
        self,
        actions: Sequence[Action],
        places: Sequence[Place],
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        async with AsyncExitStack() as turns:
            for place in places:
                await turns.enter_async_context(place)
            for action in actions:
                lane = self._by_trigger[action.trigger]
                await surely(partial(self._deliver, lane, action))
            await settle()

    async def _deliver(self, lane: Lane, action: Action) -> None:
        if action.claim and not await self._claimed(action):
            return
        route = lane.route
        patience = self._patience if route.at_least_once else PATIENCE
        later = route.stored or route.bounded or route.rate is not None or lane.down
        if later or not await lane.enter(patience):
            await self._attempts.store(lane, action)
        elif self._gate.closed:  # no time to begin: whoever comes next does it
            lane.leave()
            await self._attempts.store(lane, action)
        elif route.at_least_once:
            await self._attempt(lane, action)
        else:
            assert self._group is not None, "run() is not running"
            self._group.create_task(self._forget(lane, action), name=f"action {action.key}")

    def store(self, action: Action) -> Awaitable[None]:
        """Put an action on the bus, to be done from there. Raises BusError.

        Of actions that bear a key, the order of the calls counts.
        """
        lane = self._by_trigger[action.trigger]
        if action.order:
            return self._store_in_order(lane, action, lane.storing.place(action.order))
        return self._store(lane, action)

    async def _store(self, lane: Lane, action: Action) -> None:
        if not action.claim or await self._claimed(action):
            await self._attempts.store(lane, action)

    async def _store_in_order(self, lane: Lane, action: Action, place: Place) -> None:
        async with place:
            await surely(partial(self._store, lane, action))

    async def _claimed(self, action: Action) -> bool:
        """Return whether an action may be done, and tell of it if not. Raises BusError."""
        if await self._claims.take(action):
            return True
        self._attempts.duplicate(action)
        return False

    def reset(self) -> None:
        """Forget what was on its way in order; nothing may be."""
        for lane in self._lanes.values():
            lane.storing.reset()

    async def revive(self, lane: str, action: Action, number: int) -> None:
        """Begin anew with an action that was a dead letter; `number` tells retries apart.

        Raises EventError where its trigger is gone, and BusError.
        """
        if lane not in self._lanes:
            raise gone(action.trigger)
        again = msgspec.structs.replace(action, attempt=1, due=0.0, first=0.0, redriven=number)
        await self._attempts.store(self._lanes[lane], again)

    async def _attempt(self, lane: Lane, action: Action, *, patient: bool = False) -> None:
        """Attempt an action in a slot that was taken, and settle what follows.

        Raises BusError, unless it is patient: then it waits for the bus as long as it takes.
        """
        with self._gate:
            try:
                failed = await self._attempts.send(lane, action)
            finally:
                lane.leave()
            if failed is None:
                return
            settle = partial(self._attempts.settle, lane, *failed)
            await (surely(settle) if patient else settle())

    async def _forget(self, lane: Lane, action: Action) -> None:
        """Do an action for which no event waits, in a slot that was taken; retries in memory.

        The slot is kept between the attempts, so that what is in memory stays bounded.
        """
        attempts = self._attempts
        try:
            while True:
                with self._gate:
                    failed = await attempts.send(lane, action)
                    if failed is None:
                        return
                    later = attempts.later(lane, *failed)
                    if later is None:
                        await surely(partial(attempts.give_up, lane, *failed))
                        return
                action = later
                await self._gate.sleep(action.due - self._clock())
                if self._gate.closed:  # no time for it here: the next process has
                    with self._gate:
                        await surely(partial(attempts.store, lane, action))
                    return
        finally:
            lane.leave()

    # ------------------------------------------------------------------------ the queue

    async def run(self) -> None:
        """Do pending actions until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.reporter.run(), name="reports")
            group.create_task(self._find(), name="pending actions of other replicas")
            group.create_task(self._claims.sweep_on(self._durations), name="expired claims")
            for lane in self._lanes.values():
                if lane.route.ordered:  # whoever stores its actions may stop at any time
                    self._want(lane)
            working: set[str] = set()
            while True:
                self._changed.clear()
                for token in self._wanted - working:
                    group.create_task(self._work(token), name=f"pending actions of {token}")
                working |= self._wanted
                await self._changed.wait()

    async def drain(self, seconds: float) -> bool:
        """Begin nothing new and wait until nothing is under way; return whether that came."""
        self._gate.close()
        return await self._gate.empty(seconds)

    def _want(self, lane: Lane) -> None:
        self._want_token(lane.token)

    def _want_token(self, token: str) -> None:
        if token not in self._wanted:
            self._wanted.add(token)
            self._changed.set()

    async def _find(self) -> None:
        """Look now and then for lanes that hold something nobody in this process stored.

        Lanes of triggers that the Sensor no longer has are looked at only at first: a later
        replica may know more triggers than this one.
        """
        first = True
        while True:
            try:
                for info in await self._bus.readers(ACTIONS):
                    token = lane_of(info.durable, self._sensor)
                    if token is None or token == REDRIVE:
                        continue
                    if token not in self._lanes and (route := self.route_of(name_of(token))):
                        self.add(name_of(token), route)
                    known = token in self._lanes
                    if (info.pending or info.in_flight) and (known or first):
                        self._want_token(token)
                    elif first and not known:
                        await self._bus.remove_reader(ACTIONS, info.durable)
                first = False
            except BusError as exc:
                log.warning("looking for pending actions", extra={"error": str(exc)})
            await asyncio.sleep(LOOK)

    async def _work(self, token: str) -> None:
        lane = self._lanes.get(token)
        if lane is None:
            reader, pulls = pending_reader(self._sensor, token), ORPHANS
            handle = partial(self._orphan, token)
        else:
            reader, pulls = lane.reader, lane.pulls
            handle = partial(self._pending, lane)
        pull = partial(surely, partial(self._bus.consume, reader, handle, in_flight=pulls))
        lease = self._leases.get(token)
        if lane is not None and lease is not None and lane.route.ordered:
            await lease.run(self._in_order(lane, lease).run)
        elif lease is not None:  # a rate holds for all replicas together
            await lease.run(pull)
        else:
            await pull()

    def _in_order(self, lane: Lane, lease: Lease) -> InOrder:
        turns = Turns(
            lane,
            lease,
            self._attempts,
            self._gate,
            self._recent[lane.token],
            self._bus.store(STATE),
            sensor=self._sensor,
            clock=self._clock,
        )

        async def handle(message: Message) -> None:
            """Take a place before anything is awaited that takes its time."""
            action = await self._read(lane.token, message)
            if action is not None:
                await turns.take(action, message)

        return InOrder(self._bus, lane.reader, handle, in_flight=WINDOW, begin=turns.chains.reset)

    # ------------------------------------------------------------------------ one pending action

    async def _pending(self, lane: Lane, message: Message) -> None:
        """Handle one pending action."""
        await self._gate.hold()
        recent = self._recent[lane.token]
        if recent.has(message):
            return
        action = await self._read(lane.token, message)
        if action is None:
            return
        if message.deliveries > MAX_DELIVERIES:
            error = NoOutcome(message.deliveries)
            await self._attempts.bury(action, error, lane=lane.token, sequence=message.sequence)
            return
        lane.holding += 1
        try:
            if not await self._until_due(lane, action, message):
                return
            await self._in_turn(lane)
            await lane.enter()
        finally:
            lane.holding -= 1
        lease = self._leases.get(lane.token)
        if self._gate.closed or (lease is not None and not lease.held):
            lane.leave()
            await self._gate.hold()
            await asyncio.Event().wait()  # another replica does it: back to the bus
        await self._attempt(lane, action, patient=True)
        recent.add(message)

    async def _until_due(self, lane: Lane, action: Action, message: Message) -> bool:
        """Wait until an action is due; return False if it went to the back of the queue instead.

        That happens when all that was taken from the bus waits: others behind it may be due. It
        happens too when it was handed out repeatedly, as stopping a process does to what waits
        in it: a new copy counts from one.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + action.pause
        while (wait := min(action.due - self._clock(), until - loop.time())) > 0:
            if await lane.pause(min(wait, SHIFT)):
                return True
            if wait > SHIFT and (lane.crowded or message.deliveries > 2):  # noqa: PLR2004 -- once may be chance
                await self._attempts.store(lane, action, again=message.sequence)
                return False
        return True

    async def _in_turn(self, lane: Lane) -> None:
        """Wait for the lane's next slot of its rate limit."""
        if lane.bucket is not None:
            async with lane.turn:
                await asyncio.sleep(lane.bucket.reserve())
                if not self._leases[lane.token].held:
                    await asyncio.Event().wait()  # another replica keeps the rate: back to the bus

    async def _orphan(self, token: str, message: Message) -> None:
        """Set an action aside whose trigger has left the Sensor."""
        action = await self._read(token, message)
        if action is not None:
            error = gone(action.trigger)
            await self._attempts.bury(action, error, lane=token, sequence=message.sequence)

    async def _read(self, token: str, message: Message) -> Action | None:
        try:
            return _decode(message.data)
        except msgspec.DecodeError as exc:
            error = EventError(f"reading pending action {message.sequence}: {exc}")
        place = name_of(token.partition("@")[0])
        component, name = split_owner(self._sensor)
        letter = of_event(
            error,
            component=component,
            object=name,
            place=place,
            message=message,
        )
        await dead_letter(self._bus, letter)
        self._metrics.dead_letter(error.code)
        return None


def gone(trigger: str) -> EventError:
    """Return what is said of actions that nobody knows how to do any more."""
    return EventError(
        f"doing an action of trigger {trigger!r}: the Sensor no longer has it",
        hint="bring the trigger back and retry, or drop the dead letter",
    )
