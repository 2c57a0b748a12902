"""What sources and triggers keep across restarts: keys of the bus's store.

A component sees a `Memory` and no bus.
"""

import re
from collections.abc import Callable

from typing_extensions import override

from eventbus.bus import STATE, Bus
from spine.errors import BusError, ConflictError
from spine.runtime import Memory


class Kept(Memory):
    """One key. Of several writers the last wins; `edit` builds on what the others wrote.

    `may_write` is asked before each write: who is no longer the one who sees to a source must not
    write over what its successor did. Should it change during the write, the revision tells.
    """

    def __init__(self, bus: Bus, key: str, may_write: Callable[[], bool] = lambda: True) -> None:
        self._bus, self._key, self._may_write = bus, key, may_write

    @override
    def part(self, name: str) -> "Kept":
        return Kept(self._bus, f"{self._key}.{key_token(name)}", self._may_write)

    @override
    async def get(self) -> bytes | None:
        found = await self._bus.store(STATE).get(self._key)
        return found[0] if found else None

    @override
    async def put(self, value: bytes) -> None:
        await self.edit(lambda _: value)

    @override
    async def edit(self, change: Callable[[bytes | None], bytes]) -> None:
        store = self._bus.store(STATE)
        while True:
            found = await store.get(self._key)
            value = change(found[0] if found else None)
            if not self._may_write():
                raise BusError(f"remembering {self._key}: another replica sees to it now")
            try:
                await store.put(self._key, value, revision=found[1] if found else None)
            except ConflictError:
                continue  # a replica was faster
            return


async def forget(bus: Bus, key: str) -> None:
    """Remove what is kept under a key, and under its parts. Raises BusError."""
    store = bus.store(STATE)
    for one in (key, *await store.keys(f"{key}.")):
        await store.delete(one)


def key_token(name: str) -> str:
    """Return a name as a token of a key, whatever characters it has."""
    return re.sub(rb"[^A-Za-z0-9_-]", lambda found: b"=%02X" % found[0][0], name.encode()).decode()
