"""Claims: which action of a trigger was first with its idempotency key.

A claim is one key of the bus's store, made with compare-and-set before the action begins, so of
several replicas one wins. It names the action: the same action, redelivered after a crash, finds
its own claim and goes on, so nothing is lost. A claim holds until its time is over, whatever came
of the action: one that became a dead letter is done by `tocsin dlq retry`, not by a duplicate.

What has expired is free at once, and removed by a sweep now and then. Of more than MOST claims
the sweep gives up those that end first: their duplicates would act again, which is logged.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection

from delivery.action import Action
from delivery.subjects import claim_key, claims_of
from eventbus.bus import Store
from spine.errors import BusError, ConflictError

log = logging.getLogger(__name__)

MOST = 300_000
"""Claims of a Sensor that are kept; about 100 MB on the bus."""
SHORTEST, LONGEST = 60.0, 3600.0
"""Bounds of the seconds between sweeps; within them a quarter of the shortest duration."""
AT_ONCE = 32
"""Claims that a sweep looks at concurrently."""


class Claims:
    """The claims of one Sensor."""

    def __init__(self, store: Store, sensor: str, clock: Callable[[], float]) -> None:
        self._store, self._sensor, self._clock = store, sensor, clock

    async def take(self, action: Action) -> bool:
        """Return whether an action may be done: nobody claims its key, or it does itself.

        Raises BusError.
        """
        key = claim_key(self._sensor, action.trigger, action.claim)
        while True:
            found = await self._store.get(key)
            revision = None
            if found is not None:
                until, holder = _read(found[0])
                if holder == action.key:
                    return True
                if until > self._clock():
                    return False
                revision = found[1]
            value = f"{self._clock() + action.claimed_for:.3f} {action.key}".encode()
            try:
                await self._store.put(key, value, revision=revision)
            except ConflictError:
                continue  # somebody was faster: see who
            return True

    async def sweep_on(self, durations: Collection[float]) -> None:
        """Remove what has expired, now and then, until cancelled."""
        if not durations:
            return
        pause = min(max(min(durations) / 4, SHORTEST), LONGEST)
        while True:
            await asyncio.sleep(pause * (0.5 + random.random()))  # noqa: S311 -- no secret; replicas take turns
            try:
                await self.sweep()
            except BusError as exc:
                log.warning("removing expired claims", extra={"error": str(exc)})

    async def sweep(self) -> None:
        """Remove what has expired, and what is too much. Raises BusError."""
        keys = await self._store.keys(claims_of(self._sensor))
        held: list[tuple[float, str, int]] = []
        for at in range(0, len(keys), AT_ONCE):
            some = keys[at : at + AT_ONCE]
            await _all([self._look(key, held) for key in some])
        if len(held) <= MOST:
            return
        held.sort()
        given_up = held[: len(held) - MOST]
        log.warning(
            "gave up %d claims of idempotencyKey: no more than %d are kept; shorten its duration",
            *(len(given_up), MOST),
        )
        for at in range(0, len(given_up), AT_ONCE):
            much = given_up[at : at + AT_ONCE]
            await _all([self._store.delete(key, revision=seen) for _, key, seen in much])

    async def _look(self, key: str, held: list[tuple[float, str, int]]) -> None:
        found = await self._store.get(key)
        if found is None:
            return
        until, _ = _read(found[0])
        if until > self._clock():
            held.append((until, key, found[1]))
        else:  # unless somebody has just claimed it anew
            await self._store.delete(key, revision=found[1])


def _read(value: bytes) -> tuple[float, str]:
    """Return until when a claim holds, in unix seconds, and which action holds it."""
    until, _, holder = value.decode(errors="replace").partition(" ")
    try:
        return float(until), holder
    except ValueError:  # none of ours: as good as free
        return 0.0, ""


async def _all(steps: list[Awaitable[None]]) -> None:
    """Do all to the end; raise the first error."""
    for result in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
