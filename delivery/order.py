"""Order among what is in hand: keys whose members follow one another, and a line of numbers.

Both are of one process and forget everything with it. What they hold is bounded by what is in
hand. Whoever is cancelled keeps its place: those behind it are about to be cancelled too, and
must not go ahead; `reset` begins anew once all are gone.
"""

import asyncio
from bisect import insort
from types import TracebackType


class Place:
    """A place behind the one that was taken before; `async with` is its turn."""

    __slots__ = ("_before", "_chains", "_key", "left")

    def __init__(self, chains: "Chains", key: str, before: "Place | None") -> None:
        self._chains, self._key, self._before = chains, key, before
        self.left = asyncio.Event()

    async def __aenter__(self) -> None:
        if self._before is not None:
            await self._before.left.wait()
            self._before = None

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if isinstance(exc, asyncio.CancelledError):
            return
        self.left.set()
        self._chains.forget(self._key, self)


class Chains:
    """Those of one key pass one after another, in the order in which they took their places."""

    def __init__(self) -> None:
        self._last: dict[str, Place] = {}

    def __len__(self) -> int:
        """Return how many keys somebody has a place in."""
        return len(self._last)

    def place(self, key: str) -> Place:
        """Take the next place of a key."""
        place = self._last[key] = Place(self, key, self._last.get(key))
        return place

    def forget(self, key: str, place: Place) -> None:
        """Drop a key whose last place is left."""
        if self._last.get(key) is place:
            del self._last[key]

    def reset(self) -> None:
        """Begin anew; nobody may hold a place."""
        self._last.clear()


class Line:
    """Lets numbers pass in rising order, as far as they have come."""

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._turns: dict[int, asyncio.Event] = {}

    def enter(self, number: int) -> None:
        """Come; those with a higher number wait from now on."""
        insort(self._waiting, number)

    async def turn(self, number: int) -> None:
        """Wait until nobody with a lower number is there; at once for who has not come."""
        if number not in self._waiting or self._waiting[0] == number:
            return
        turn = self._turns[number] = asyncio.Event()
        await turn.wait()

    def leave(self, number: int) -> None:
        """Go; nothing where that was done before."""
        if number not in self._waiting:
            return
        self._waiting.remove(number)
        if self._waiting and (turn := self._turns.pop(self._waiting[0], None)) is not None:
            turn.set()

    def reset(self) -> None:
        """Begin anew; nobody may be in it."""
        self._waiting.clear()
        self._turns.clear()
