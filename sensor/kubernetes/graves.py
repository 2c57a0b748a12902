"""Objects that were deleted lately, so that an older event does not bring them back.

Actions run side by side, and one that failed is tried again later: a create may come after the
delete of a newer event. What was deleted, and by an event of when, is kept on the bus for as
long as actions are retried.
"""

import hashlib
import time

import msgspec

from spine.runtime import Memory

PARTS = 16
"""Pieces, so that one delete writes a small one."""
KEPT = 25 * 3600.0
"""Seconds: an action is retried for a day."""
MOST = 4_000
"""Objects in a piece; beyond that the oldest are forgotten."""

_decode = msgspec.json.Decoder(dict[str, float]).decode
_encode = msgspec.json.Encoder().encode


class Graves:
    """What the triggers of one Sensor deleted; without a memory nothing is known."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory

    def _part(self, place: str) -> tuple[Memory, str] | None:
        if self._memory is None:
            return None
        name = hashlib.blake2b(place.encode(), digest_size=9).hexdigest()
        return self._memory.part(f"deleted-{int(name[:2], 16) % PARTS}"), name

    async def dig(self, place: str, event_time: float) -> None:
        """Note that an event deleted what is at a place. Raises BusError."""
        found = self._part(place)
        if found is None:
            return
        part, name = found
        await part.edit(lambda raw: _encode(_with(raw, name, event_time)))

    async def after(self, place: str, event_time: float) -> bool:
        """Return whether an event newer than this deleted what is at a place. Raises BusError."""
        found = self._part(place)
        if found is None:
            return False
        part, name = found
        raw = await part.get()
        return raw is not None and _decode(raw).get(name, 0.0) > event_time


def _with(raw: bytes | None, name: str, event_time: float) -> dict[str, float]:
    """Return the graves of a piece with one more, and without those that are too old."""
    graves = {} if raw is None else _decode(raw)
    graves[name] = max(event_time, graves.pop(name, 0.0))
    since = time.time() - KEPT
    kept = {key: at for key, at in graves.items() if at > since or key == name}
    return dict(list(kept.items())[-MOST:])
