"""What a source remembers over restarts is kept in pieces, and written while it runs.

One change then costs one small write, and many changes at once cost few of them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from zlib import crc32

from spine.errors import BusError

log = logging.getLogger(__name__)

PARTS = 64
"""Pieces of one memory: 10,000 files are in pieces of about 12 KB, as many objects of about 60."""
HEAD = "head"
"""Name of the piece that says what the others belong to."""
_EVERY = 2.0
"""Seconds between writes, at least."""


def number_of(name: str) -> int:
    """Return the piece in which something of this name is kept."""
    return crc32(name.encode(errors="surrogateescape")) % PARTS


async def keep_written(write: Callable[[], Awaitable[None]]) -> None:
    """Write what changed, until cancelled; then once more. A BusError is logged."""
    try:
        while True:
            await asyncio.sleep(_EVERY)
            await _if_possible(write)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY):
                await _if_possible(write)


async def _if_possible(write: Callable[[], Awaitable[None]]) -> None:
    try:
        await write()
    except BusError as exc:
        log.warning("remembering what was told", extra={"error": str(exc)})
