"""How far a bucket has been told: the time up to which all is on the bus, over restarts."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from spine.errors import BusError
from spine.runtime import Env

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between writes."""
OVERLAP = 2_000
"""Milliseconds before the position in which objects may still turn up: they are not told in the
order of their times. What was told of these is remembered, so that it is not told again."""
MOST = 10_000
"""Events that are remembered in this way; the last of them over restarts."""
_KEPT = 1_000


class _Kept(msgspec.Struct):
    bucket: str
    until: int
    told: dict[str, int] = {}
    began: int = 0


class Position:
    """Milliseconds of the server's time; 0 before the first."""

    def __init__(self, env: Env, bucket: str) -> None:
        self._memory, self._bucket = env.memory, bucket
        self._reached = self._began = 0
        self._doubt: int | None = None
        self.told: dict[str, int] = {}
        """Ids of the last events, with their times; those on their way are among them."""
        self._newest = self._count = 0
        self._waiting: dict[int, tuple[int, str]] = {}
        self._changed = False

    async def load(self) -> None:
        """Read what was remembered. Raises BusError."""
        value = await self._memory.get() if self._memory is not None else None
        if value is None:
            return
        try:
            kept = msgspec.json.decode(value, type=_Kept)
        except msgspec.DecodeError as exc:
            extra = {"error": str(exc)}
            log.warning("starting from now: the kept position is unreadable", extra=extra)
            return
        if kept.bucket == self._bucket:
            self._reached = self._newest = kept.until
            self.told, self._began = kept.told, kept.began

    def listens_since(self, moment: int) -> None:
        """Begin at a moment, if there is no other."""
        if not self._reached:
            self._reached = self._newest = self._began = moment
            self._changed = True

    @property
    def until(self) -> int:
        """Up to when all is on the bus, as far as is known."""
        return self._reached if self._doubt is None else self._doubt

    @property
    def since(self) -> int:
        """From when on something may have been missed: never from before the beginning."""
        return max(self.until - OVERLAP, self._began)

    def doubt(self) -> None:
        """Stay where it is, as something may have been missed, until that is settled."""
        self._doubt = self.until

    def settle(self) -> None:
        """Go on, as what was missed is on its way."""
        self._doubt, self._changed = None, True

    def begin(self, id: str, moment: int) -> Callable[[], None]:
        """Take note of an event on its way; call what is returned once it is on the bus.

        `moment` is when its object was made, 0 for an event of another kind.
        """
        number, self._count = self._count, self._count + 1
        self._newest = max(self._newest, moment)
        self._waiting[number] = (moment or self._newest, id)
        if moment:
            self.told[id] = moment
        if len(self.told) > MOST:
            del self.told[next(iter(self.told))]

        def done() -> None:
            del self._waiting[number]
            oldest = min((at for at, _ in self._waiting.values()), default=self._newest)
            self._reached = max(self._reached, oldest)
            self._changed = True

        return done

    async def run(self) -> None:
        """Write it whenever it has moved, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(EVERY)
                await self._write()
        finally:
            await self._write()

    async def _write(self) -> None:
        if self._memory is None or not self._changed:
            return
        self._changed = False
        edge = self.until - OVERLAP
        self.told = {one: moment for one, moment in self.told.items() if moment >= edge}
        under_way = {one for _, one in self._waiting.values()}
        told = [(one, moment) for one, moment in self.told.items() if one not in under_way]
        last = dict(told[-_KEPT:])
        try:
            async with asyncio.timeout(EVERY):
                kept = _Kept(self._bucket, self.until, last, self._began)
                await self._memory.put(msgspec.json.encode(kept))
        except (BusError, TimeoutError) as exc:
            self._changed = True
            log.warning("remembering the position", extra={"error": str(exc)})
