"""A lane: one trigger's way to its target, with its own bounds and its own health.

One target's outage must never hold up another's, so nothing here is shared between triggers.
A lane knows how much of it is in use, whether its target seems to be down, and wakes what
waits for the target when it is back.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from delivery.action import Sender
from delivery.inorder import ACK_WAIT
from delivery.order import Chains
from delivery.policy import Bucket, RateLimit, Retry
from delivery.subjects import FALLBACK, pending_durable, pending_subject, token
from eventbus.bus import ACTIONS, Reader

DOWN_AFTER = 5
"""Failures in a row that may pass after which a target counts as down: attempts that would hold
up events are then left to the queue."""


@dataclass(frozen=True, slots=True)
class Route:
    """How the actions of one trigger are done."""

    sender: Sender
    retry: Retry = field(default_factory=Retry)
    rate: RateLimit | None = None
    at_least_once: bool = True
    """False: the event is done before the action is, and a crash loses it."""
    stored: bool = False
    """Whether an action is put on the bus before its first attempt, as completed conditions are."""
    ordered: bool = False
    """Whether its actions may bear a key, within which they are done in order."""
    in_flight: int = 128
    """Attempts at a time; at 100 ms each, 1,280 a second."""
    bounded: bool = False
    """Whether `in_flight` holds for all replicas together, so that one does all its actions."""
    fallback: "Route | None" = None
    """How `dlqTrigger` is done."""


def pending_reader(sensor: str, lane: str) -> Reader:
    """Return the durable of a lane's pending actions, shared by all replicas."""
    return Reader(
        durable=pending_durable(sensor, lane),
        subjects=(pending_subject(sensor, lane),),
        stream=ACTIONS,
        start="all",
    )


class Lane:
    """The state of a route: slots in use, rate, health, and who waits."""

    def __init__(self, sensor: str, trigger: str, route: Route, end: str = "") -> None:
        self.trigger, self.route = trigger, route
        self.token = token(trigger) + end
        self.subject = pending_subject(sensor, self.token)
        self.slots = asyncio.Semaphore(route.in_flight)
        self.turn = asyncio.Lock()
        """Held while waiting for a slot of the rate limit, so that those are taken in order."""
        self.bucket = Bucket(route.rate, asyncio.get_running_loop().time) if route.rate else None
        self.holding = 0
        """Pending actions that were taken from the bus and wait to begin."""
        self.reader = pending_reader(sensor, self.token)
        if route.ordered:
            self.reader = replace(self.reader, ack_wait=ACK_WAIT)
        self._in_a_row = 0
        self._back = asyncio.Event()
        self.storing = Chains()
        """Actions that bear a key, on their way to the bus."""
        self.fallback: Lane | None = None
        if route.fallback is not None:
            self.fallback = Lane(sensor, trigger, route.fallback, end + FALLBACK)

    def with_fallbacks(self) -> Iterator["Lane"]:
        """Yield this lane and those of its dlqTrigger, which may have one, too."""
        yield self
        if self.fallback is not None:
            yield from self.fallback.with_fallbacks()

    @property
    def pulls(self) -> int:
        """How many pending actions are taken from the bus at a time.

        With a rate limit about as many as can start in the next two seconds.
        """
        rate = self.route.rate
        if rate is None:
            return self.route.in_flight
        return min(self.route.in_flight, 4 + int(2 / rate.spacing))

    @property
    def down(self) -> bool:
        """Whether the target seems to be down."""
        return self._in_a_row >= DOWN_AFTER

    def succeeded(self) -> None:
        """Note that the target answered; wakes what waits for one that was down."""
        if self.down:
            self._back.set()
            self._back = asyncio.Event()
        self._in_a_row = 0

    def failed(self) -> None:
        """Note a failure that may pass."""
        self._in_a_row += 1

    async def enter(self, patience: float | None = None) -> bool:
        """Take a slot, waiting at most so many seconds; return whether it was taken."""
        if not self.slots.locked():
            return await self.slots.acquire()
        try:
            async with asyncio.timeout(patience):
                return await self.slots.acquire()
        except TimeoutError:
            return False

    def leave(self) -> None:
        """Give a slot back."""
        self.slots.release()

    @property
    def crowded(self) -> bool:
        """Whether all that may be taken from the bus is taken and waits."""
        return self.holding >= self.pulls

    async def pause(self, seconds: float) -> bool:
        """Wait so long; return True, early, when the target came back.

        Where a `retryStrategy` is written out, only time counts.
        """
        if self.route.retry.written:
            await asyncio.sleep(seconds)
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._back.wait()
        except TimeoutError:
            return False
        return True
