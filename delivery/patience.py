"""Patience with the bus: what must be stored is tried until it is."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from spine.errors import BusError
from spine.runtime import RECONNECT

log = logging.getLogger(__name__)

T = TypeVar("T")


async def surely(step: Callable[[], Awaitable[T]]) -> T:
    """Do something with the bus, however long that is away."""
    attempt = 0
    while True:
        try:
            return await step()
        except BusError as exc:
            attempt += 1
            log.warning("waiting for the bus", extra={"error": str(exc)})
            await asyncio.sleep(RECONNECT.wait(attempt))
