"""Turns: pending actions that bear a key are done one after another, key by key.

Within a key the next one begins when the one before succeeded, went to its `dlqTrigger`, or became
a dead letter; while it waits for another attempt its key waits with it, and no other key does.
So the attempts happen here, with the message in hand, and what came of them is noted in the bus's
store: whoever takes over goes on counting. One replica at a time does this, under a lease.

Promised, over replicas, restarts, kills and a bus that goes away: of two actions with one key, that
of the later event begins only after the other has ended, and the bus knows that it has. Events are
taken by one replica at a time and in the order of the stream (`delivery.inorder`), and their
actions are stored in it (`Dispatcher.deliver`). A process that dies may have an attempt repeated
for each key, the last that had begun, and before anything later of that key; whoever follows
begins ten seconds after.
Not promised: the place of what comes back from the dead letters (it comes when it is retried), an
order of firings of conditions other than that in which they were met, and anything of a process
that stalls between its look at the lease and its request for longer than the lease's margin.

In hand are at most WINDOW actions. Were they all behind keys that wait, other keys would wait too.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from delivery.action import Action, Failure
from delivery.attempt import Attempts
from delivery.dead import MAX_DELIVERIES, NoOutcome
from delivery.gate import Gate
from delivery.lane import Lane
from delivery.lease import Lease
from delivery.order import Chains
from delivery.patience import surely
from delivery.recent import Recent
from delivery.subjects import tries_key
from eventbus.bus import Message, Store
from spine.errors import ConflictError

WINDOW = 1_000
"""Actions of an ordered trigger that are in hand, begun or waiting for their turn."""
SHORT = 0.001
"""Seconds that a wait takes at least: below, clocks differ."""
LOOK = 60.0
"""Seconds after which a long wait looks at the clock again."""


class _Tries(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of an action so far."""

    attempt: int = 1
    due: float = 0.0
    first: float = 0.0
    failures: tuple[Failure, ...] = ()
    begun: int = 0
    """Attempts that began and had no outcome, of an action that was handed out often."""
    left: dict[str, Any] | None = None
    """Content of an action that was done in part; None: it is as it was stored."""


_decode = msgspec.json.Decoder(_Tries).decode
_encode = msgspec.json.Encoder().encode


class Turns:
    """Does the pending actions of one lane in order."""

    def __init__(  # noqa: PLR0913 -- what a dispatcher has, for one of its lanes
        self,
        lane: Lane,
        lease: Lease,
        attempts: Attempts,
        gate: Gate,
        recent: Recent,
        store: Store,
        *,
        sensor: str,
        clock: Callable[[], float],
    ) -> None:
        self._lane, self._lease, self._attempts = lane, lease, attempts
        self._gate, self._recent = gate, recent
        self._store, self._clock = store, clock
        self._sensor = sensor
        self.chains = Chains()

    async def take(self, action: Action, message: Message) -> None:
        """Do an action in its turn; calls of one key are done in the order in which they begin."""
        key = action.order or f"\0{action.key}"  # stored when its trigger had no orderBy
        async with self.chains.place(key):
            if self._recent.has(message):
                await message.settle()
            else:
                await self._do(action, message)

    async def _do(self, action: Action, message: Message) -> None:
        seen = _Seen(self._store, tries_key(self._sensor, self._lane.token, action.key))
        if message.deliveries > 1:
            action = await surely(partial(seen.read, action))
        while True:
            await self._until_begin(action)
            with self._gate:
                later = await self._attempt(seen, action, message)
                if later is None:
                    await surely(seen.forget)
                    self._recent.add(message)
                    await message.settle()  # or a kill brought it back after what follows it
                    return
            action = later

    async def _attempt(self, seen: "_Seen", action: Action, message: Message) -> Action | None:
        """Attempt it in the slot that was taken; return it as it is tried next, None at its end."""
        often = message.deliveries > MAX_DELIVERIES
        if often and not await self._may_live(seen, action, message):
            return None
        try:
            failed = await self._attempts.send(self._lane, action)
        finally:
            self._lane.leave()
        if failed is None:
            return None
        later = self._attempts.later(self._lane, *failed)
        if later is None:
            await surely(partial(self._attempts.give_up, self._lane, *failed))
            return None
        changed = later.content is not action.content
        left = later.content if changed else seen.tries.left
        await surely(partial(seen.write, _tries(later, left)))
        return later

    async def _until_begin(self, action: Action) -> None:
        """Wait until it is due, its rate allows it, and a slot is free; that is taken."""
        lane, loop = self._lane, asyncio.get_running_loop()
        until = loop.time() + action.pause
        while (wait := min(action.due - self._clock(), until - loop.time())) > 0:
            if await lane.pause(min(max(wait, SHORT), LOOK)):
                break
        if lane.bucket is not None:
            async with lane.turn:
                await asyncio.sleep(lane.bucket.reserve())
        await lane.enter()
        if self._gate.closed or not self._lease.held:  # back to the bus, untouched
            lane.leave()
            await asyncio.Event().wait()

    async def _may_live(self, seen: "_Seen", action: Action, message: Message) -> bool:
        """Count a beginning of what was handed out often; set it aside if too many had no end."""
        begun = seen.tries.begun + 1
        if begun > MAX_DELIVERIES:
            self._lane.leave()
            error = NoOutcome(begun)
            bury = partial(self._attempts.bury, action, error, lane=self._lane.token)
            await surely(partial(bury, sequence=message.sequence))
            return False
        await surely(partial(seen.write, _tries(action, seen.tries.left, begun)))
        return True


def _tries(action: Action, left: dict[str, Any] | None, begun: int = 0) -> _Tries:
    return _Tries(action.attempt, action.due, action.first, action.failures, begun, left)


class _Seen:
    """What is noted of one action; nothing where its first attempt succeeds."""

    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self._revision: int | None = None
        self.tries = _Tries()

    async def read(self, action: Action) -> Action:
        """Return an action as it was left. Raises BusError."""
        found = await self._store.get(self._key)
        if found is None:
            return action
        self._revision = found[1]
        self.tries = tries = _decode(found[0])
        return msgspec.structs.replace(
            action,
            attempt=tries.attempt,
            due=tries.due,
            first=tries.first,
            failures=tries.failures,
            content=action.content if tries.left is None else tries.left,
        )

    async def write(self, tries: _Tries) -> None:
        """Note what came of it. Raises BusError."""
        try:
            self._revision = await self._store.put(
                self._key, _encode(tries), revision=self._revision
            )
        except ConflictError:  # a write of which nobody heard that it had come through
            found = await self._store.get(self._key)
            self._revision = None if found is None else found[1]
            raise
        self.tries = tries

    async def forget(self) -> None:
        """Remove the note, if there is one. Raises BusError."""
        if self._revision is not None:
            await self._store.delete(self._key)
            self._revision = None
