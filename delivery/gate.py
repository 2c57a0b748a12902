"""A gate for a clean stop: what is under way is finished, nothing new begins.

Messages that come while the gate is closed are held back, untouched; they return to the bus
when the consumer that holds them is cancelled.
"""

import asyncio
from types import TracebackType


class Gate:
    """Counts what is under way; used with `with` around each piece of work."""

    def __init__(self) -> None:
        self.inside = 0
        """Pieces of work under way."""
        self._closing = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self.inside += 1
        self._idle.clear()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.inside -= 1
        if not self.inside:
            self._idle.set()

    @property
    def closed(self) -> bool:
        """Whether nothing may begin any more."""
        return self._closing.is_set()

    async def hold(self) -> None:
        """Return at once while the gate is open, and never once it is closed."""
        if self.closed:
            await asyncio.Event().wait()

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until the gate is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    def close(self) -> None:
        """Let nothing in any more."""
        self._closing.set()

    async def empty(self, seconds: float) -> bool:
        """Wait until nothing is under way, at most so long; return whether that came."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
