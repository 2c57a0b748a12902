"""A limit in time that looks at what has come before it says that nothing has.

A process that the machine did not run for a while finds both when it goes on: that the time is up,
and the answer that came long before. `asyncio.timeout` takes the first for true, and what was done
in time is done once more.
"""

import asyncio
from types import TracebackType


class Deadline:
    """Raises TimeoutError after some seconds, as `asyncio.timeout` does, but no answer is lost."""

    __slots__ = ("_limit", "_loop", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        """To be made within a loop."""
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._timer = self._loop.call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        """Let the time be up after all that has just been read from sockets was taken."""
        self._limit.reschedule(self._loop.time())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, exc, trace)
