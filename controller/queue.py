"""The queue of what is to be looked at.

A key that waits is not added twice, and is never in two hands at once: what is told of it while it
is looked at makes it come once more afterwards. Keys that fail come back later and later, at
random moments, up to a bound, so that no broken object takes the time of the others.
"""

import asyncio
import heapq
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from spine.runtime import Backoff

K = TypeVar("K")

RETRY = Backoff(duration=0.2, factor=2.0, jitter=0.5, steps=0, cap=300.0)
"""How a key comes back that failed: after 0.2 s, and in the end every five minutes."""
AHEAD = 3600.0
"""Seconds by which those go before others that are added first."""
STALE = 1_000
"""Entries that are out of date and stay in the heap, beside as many as there are keys."""


@dataclass(eq=False)
class Queue(Generic[K]):
    """Keys, each with the time at which it is due."""

    retry: Backoff = RETRY
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    _due: dict[K, float] = field(default_factory=dict)
    _heap: list[tuple[float, int, K]] = field(default_factory=list)
    """What can be taken, and what once could."""
    _held: set[K] = field(default_factory=set)
    _failures: dict[K, int] = field(default_factory=dict)
    _count: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        """Return how many are due now and in nobody's hands."""
        now = self.clock()
        return sum(at <= now for key, at in self._due.items() if key not in self._held)

    def add(self, key: K, after: float = 0.0, *, first: bool = False) -> None:
        """Have a key looked at after some seconds, or earlier if it is to be already.

        One that is added `first` goes before all that was not.
        """
        due = self.clock() + after - (AHEAD if first else 0.0)
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        if key not in self._held:
            self._push(key)

    def _push(self, key: K) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self._due[key], self._count, key))
        if len(self._heap) > 2 * len(self._due) + STALE:
            self._heap = [one for one in self._heap if self._due.get(one[2]) == one[0]]
            heapq.heapify(self._heap)
        self._changed.set()

    async def take(self) -> K:
        """Return the key that is due first, once it is, into the caller's hands until `done`."""
        while True:
            wait = self._until_due()
            if wait is not None and wait <= 0:
                _, _, key = heapq.heappop(self._heap)
                del self._due[key]
                self._held.add(key)
                self._changed.set()  # another taker may wait for a moment that has changed
                return key
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    def _until_due(self) -> float | None:
        """Return the seconds until the first of the heap is due; drop what is no longer so."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due and key not in self._held:
                return due - self.clock()
            heapq.heappop(self._heap)  # it was taken, or is due earlier
        return None

    def done(self, key: K, again: float | None = None) -> None:
        """Give a key back that was looked at, to be looked at again after so many seconds."""
        self._failures.pop(key, None)
        self._give_back(key)
        if again is not None:
            self.add(key, again)

    def failed(self, key: K, at_least: float = 0.0) -> float:
        """Give a key back that could not be dealt with; return the seconds until it comes again."""
        attempt = self._failures[key] = self._failures.get(key, 0) + 1
        wait = max(self.retry.wait(attempt), at_least)
        self._give_back(key)
        self.add(key, wait)
        return wait

    def forget(self) -> None:
        """Drop everything, as of one who is no longer asked."""
        self._due.clear()
        self._heap.clear()
        self._held.clear()
        self._failures.clear()

    def _give_back(self, key: K) -> None:
        self._held.discard(key)
        if key in self._due:
            self._push(key)
