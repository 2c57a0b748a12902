"""Telling of changes: each becomes its events, and is known once they are on the bus.

Of one file, events come in order; files are told side by side. What the bus does not take is
tried again for as long as it takes: meanwhile the folder itself keeps what happens.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from eventsource.files.changes import Change
from eventsource.files.happening import FileEvent
from eventsource.files.known import Known
from eventsource.source import Emit
from spine.errors import BusError
from spine.runtime import RECONNECT, Env

log = logging.getLogger(__name__)

M = TypeVar("M", bound=tuple[int, ...])

IN_FLIGHT = 256
"""Files that are told of at a time."""


@dataclass(frozen=True)
class Teller(Generic[M]):
    """Makes events of changes."""

    env: Env
    emit: Emit
    known: Known[M]
    mask: int
    """Bits of the operations that become events."""
    counts: Callable[[str], bool]
    """Whether a file of that name counts."""
    shown: Callable[[str], str]
    """What a name is called in an event."""
    metadata: bytes

    async def tell(self, changes: Sequence[Change[M]]) -> None:
        """Return once all that counts is on the bus, and known."""
        loud = []
        for change in changes:
            if any(op & self.mask for op in change.ops) and self.counts(change.name):
                loud.append(change)
            else:
                self.known.put(change.name, change.mark)
        waiting = iter(loud)

        async def work() -> None:
            for change in waiting:
                await self._one(change)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(IN_FLIGHT, len(loud))):
                tasks.create_task(work())

    async def _one(self, change: Change[M]) -> None:
        shown = self.shown(change.name)
        for op in change.ops:
            if op & self.mask:
                payload = FileEvent(shown, op, self.metadata)
                known = self.known.id(op, change.name, change.stamp)
                await self._insist(lambda p=payload, k=known: self.emit(p, id=k))  # type: ignore[misc]
        self.known.put(change.name, change.mark)

    async def _insist(self, do: Callable[[], Awaitable[None]]) -> None:
        attempt = 1
        while True:
            try:
                return await do()
            except BusError as exc:
                wait = RECONNECT.wait(attempt) if exc.retry_after is None else exc.retry_after
                extra = {"eventName": self.env.name, "error": str(exc), "wait": round(wait, 2)}
                log.debug("the bus did not take a change, trying again", extra=extra)
            attempt += 1
            await asyncio.sleep(wait)
