"""Waiting until Sensors have done all that there is to do: `from settled import settled`."""

import asyncio
import time
from collections.abc import Callable

from eventbus.bus import ACTIONS, EVENTS, Bus, ReaderInfo


async def settled(
    bus: Bus, seconds: float = 120.0, whose: Callable[[str], bool] = lambda _durable: True
) -> None:
    """Wait until nothing is left to be done, of all durables or of some.

    A server counts what it has just stored a moment later, so it is looked at twice.
    """
    until, calm, left = time.monotonic() + seconds, 0, list[ReaderInfo]()
    while calm < 2:
        infos = [*await bus.readers(EVENTS), *await bus.readers(ACTIONS)]
        left = [one for one in infos if one.pending + one.in_flight and whose(one.durable)]
        calm = 0 if left else calm + 1
        assert time.monotonic() < until, f"after {seconds:g} s there is left: {left}"
        await asyncio.sleep(0.1)
