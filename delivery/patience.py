"""Patience with the bus: what must be stored is tried until it is.

So is what must not be given back, as others would pass it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from spine.errors import RemoteError
from spine.runtime import RECONNECT

log = logging.getLogger(__name__)

T = TypeVar("T")


class GivenBack(RemoteError):
    """Somebody else has to do it: the message goes back to the bus, whatever its order."""


async def surely(step: Callable[[], Awaitable[T]]) -> T:
    """Do something with the bus, however long that is away. Raises GivenBack."""
    attempt = 0
    while True:
        try:
            return await step()
        except GivenBack:
            raise
        except RemoteError as exc:
            attempt += 1
            log.warning("trying again what has to be done", extra={"error": str(exc)})
            await asyncio.sleep(RECONNECT.wait(attempt))
