"""Everything between a change of an object and the service that tells of it, on one bus.

The handler evaluates changes and stores messages; ways, one for each service, send what is stored.
Where the changes come from is somebody else's affair.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial

from delivery.action import Action, Sender
from delivery.dead import dead_letter, of_event, redriven
from delivery.lane import Route, pending_reader
from delivery.patience import surely
from delivery.queue import Dispatcher
from delivery.subjects import REDRIVE, notifier_owner
from eventbus.bus import Bus, Message
from notifier.digests import Digests, together
from notifier.handling import Handler
from notifier.keeping import Records
from notifier.metrics import NotifierMetrics
from notifier.posting import Post
from notifier.sending import Limiter, Outlet, Places, Sent
from spine.errors import EventError

IN_FLIGHT = 16
"""Messages that one service is given at a time."""
REDRIVES = 8
"""Retried dead letters at a time."""


class Desk:
    """The work of one replica of a Notifier."""

    def __init__(
        self,
        name: str,
        bus: Bus,
        places: Places,
        metrics: NotifierMetrics,
        *,
        clock: Callable[[], float] = time.time,
        instead: Sender | None = None,
    ) -> None:
        """`name` is the Notifier's on the bus; `instead` takes messages for the services."""
        owner = notifier_owner(name)
        self._metrics = metrics
        self.records = Records(bus, name)
        digests = Digests(bus, owner, clock)
        outlet = Outlet(places, self.records, Limiter(), digests, together, self._heard)
        self._ways = _Ways(bus, owner, metrics, instead or outlet, clock)
        self._ways.dispatcher.on_buried(outlet.buried)
        post = Post(owner, self._ways.deliver, digests, clock)
        self.outlet = outlet
        self.handler = Handler(self.records, post, metrics, clock)
        outlet.clock, outlet.looked = clock, self.handler.looked

    async def open(self) -> None:
        """Learn what is remembered. Raises BusError."""
        await self.records.load()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ways.run(), name="messages")
            group.create_task(self.handler.run(), name="objects")

    async def drain(self, seconds: float) -> bool:
        """Begin nothing new and wait for what is under way; return whether that ended."""
        began = time.monotonic()
        self.handler.close()
        stored = await self.handler.idle(seconds)
        left = max(0.0, seconds - (time.monotonic() - began))
        return await self._ways.dispatcher.drain(left) and stored

    def _heard(self, sent: Sent, taken: bool) -> None:
        self._metrics.delivered(sent.trigger, sent.service, taken)


class _Ways:
    """The ways of messages to services: one for each, so that none holds up another."""

    def __init__(
        self,
        bus: Bus,
        owner: str,
        metrics: NotifierMetrics,
        sender: Sender,
        clock: Callable[[], float],
    ) -> None:
        self._bus, self._owner = bus, owner
        self._route = Route(sender, stored=True, in_flight=IN_FLIGHT)
        self.dispatcher = Dispatcher(bus, owner, {}, metrics, clock=clock)
        self.dispatcher.route_of = lambda _: self._route

    async def deliver(self, action: Action) -> None:
        """Store a message on the bus. Waits for it."""
        self.dispatcher.add(action.trigger, self._route)
        await surely(lambda: self.dispatcher.store(action))

    async def run(self) -> None:
        """Send what is stored, until cancelled."""
        again = pending_reader(self._owner, REDRIVE)
        retried = partial(self._bus.consume, again, self._redrive, in_flight=REDRIVES)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.dispatcher.run(), name="pending messages")
            group.create_task(surely(retried), name="retried messages")

    async def _redrive(self, message: Message) -> None:
        """Begin anew with a message that was a dead letter."""
        try:
            letter = redriven(message)
            if letter.action is not None:
                self.dispatcher.add(letter.action.trigger, self._route)
                await self.dispatcher.revive(letter.lane, letter.action, message.sequence)
        except EventError as exc:
            name = self._owner.partition("/")[2]
            letter = of_event(exc, component="notifier", object=name, place="", message=message)
            await dead_letter(self._bus, letter)
