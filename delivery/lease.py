"""A lease: work that only one of all replicas may do at a time, such as keeping to a rate.

Kept as one key of the bus's store. The holder renews it; whoever sees the same revision for
the whole term by its own clock may take it with compare-and-set, so no two clocks are ever
compared. A holder that cannot renew stops its work before the term is over.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable

from eventbus.bus import Store
from spine.errors import BusError, ConflictError
from spine.runtime import cancelled_at_exit

log = logging.getLogger(__name__)

TERM = 10.0
"""Seconds after which a lease that is not renewed may be taken."""
MARGIN = 2.0
"""Seconds by which a holder stops before its term is over: a stalled loop, a slow clock."""
LOOK = 1.0
"""Seconds between looks of those who wait."""


class Lease:
    """One name that one holder has at a time."""

    def __init__(self, store: Store, key: str, *, term: float = TERM) -> None:
        """`term` is in seconds, more than MARGIN, and the same for all who name the key."""
        self._store, self._key, self._term = store, key, term
        self._holder = uuid.uuid4().hex.encode()
        self._revision: int | None = None
        self._until = 0.0
        self.waits: Callable[[], None] = lambda: None
        """Called whenever another holder is waited for."""

    @property
    def held(self) -> bool:
        """Whether this process may act just now; to be asked right before each act."""
        return asyncio.get_running_loop().time() < self._until

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do work whenever the lease is held, until cancelled; then give the lease up."""
        while True:
            await self._take()
            working = asyncio.ensure_future(work())
            keeping = asyncio.create_task(self._keep(), name=f"lease {self._key}")
            try:
                async with cancelled_at_exit(working, keeping):
                    await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
                    if working.done():
                        working.result()
            finally:
                await self._give_up()

    async def _take(self) -> None:
        """Wait until the lease is ours."""
        loop = asyncio.get_running_loop()
        seen, since = -1, loop.time()
        while True:
            began = loop.time()
            try:
                found = await self._store.get(self._key)
                if found is None or not found[0] or found[0] == self._holder:
                    await self._put(None if found is None else found[1], began)
                    return
                if found[1] != seen:
                    seen, since = found[1], began
                elif began - since >= self._term:
                    await self._put(seen, began)
                    return
                self.waits()
            except ConflictError:
                seen = -1
            except BusError as exc:
                log.warning("taking lease %s", self._key, extra={"error": str(exc)})
            await asyncio.sleep(LOOK)

    async def _put(self, revision: int | None, began: float) -> None:
        self._revision = await self._store.put(self._key, self._holder, revision=revision)
        self._until = began + self._term - MARGIN

    async def _keep(self) -> None:
        """Renew until the lease is lost."""
        loop = asyncio.get_running_loop()
        while self.held:
            await asyncio.sleep(self._term / 5)
            try:
                async with asyncio.timeout(max(0.0, self._until - loop.time())):
                    await self._put(self._revision, loop.time())
            except ConflictError:
                break
            except (BusError, TimeoutError) as exc:
                log.warning("renewing lease %s", self._key, extra={"error": str(exc)})
        self._until = 0.0
        log.warning("lost lease %s", self._key)

    async def _give_up(self) -> None:
        if self.held:
            self._until = 0.0
            try:
                async with asyncio.timeout(MARGIN):
                    await self._store.put(self._key, b"", revision=self._revision)
            except (BusError, TimeoutError):
                pass  # it runs out by itself
