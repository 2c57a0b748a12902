"""Ticking: when a replica looks at the clock, and what time it is for events that wait.

What waits for time to pass fires when it is due, without polling: the replica that wrote a state
wakes at that moment. Others look into the store every few seconds, for what a replica that died
has left behind.
"""

import asyncio
from collections.abc import Callable

from eventbus.bus import Message
from sensor.gather import NEVER

LOOK = 3.0
"""Seconds between looks at what other replicas have stored."""
PATIENCE = 1.0
"""Seconds that others are given to fire what is due."""
RESOLUTION = 0.001
"""Seconds below which no pause is worth it: a clock may not get past what is left by rounding."""
BACKLOG = 2.0
"""Seconds without an event after which those that wait on the bus are no longer waited for."""


class Ticks:
    """The time of one replica. `clock` gives unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop().time
        self._began = self._looked = self._loop()
        self._folded, self._stored, self._behind = -NEVER, 0.0, False
        self._held_back = 0.0

    def folded(self, message: Message) -> None:
        """Note the newest event that was handled."""
        self._folded, self._stored = self._loop(), message.stored
        self._behind = message.pending > 0

    def now(self) -> float:
        """Return what time it is for events that wait, in unix seconds.

        While more events wait on the bus it is the time of the newest that was handled: after an
        outage, what came together is held together as if it had been handled when it came.
        """
        now = self._clock()
        if self._loop() - self._began < PATIENCE and not self._stored:
            return 0.0  # what waits on the bus has not been seen yet
        if self._behind and self._loop() - self._folded < BACKLOG:
            return min(now, self._stored)
        return now

    def hold_back(self, seconds: float) -> None:
        """Do nothing by time for a while: the bus is away."""
        self._held_back = self._loop() + seconds

    def pause(self, due: float) -> float:
        """Return the seconds until something is to be done; `due` is in unix seconds."""
        now = self._loop()
        until = [self._looked + LOOK - now]
        if due < NEVER:
            wait = due - self._clock()
            if self._behind:
                wait = max(wait, self._folded + BACKLOG - now)
            until.append(max(wait, self._began + PATIENCE - now))
        wait = max(min(until), self._held_back - now)
        return max(wait, RESOLUTION) if wait > 0 else 0.0

    def looks(self) -> bool:
        """Return whether it is time to look at what others have stored; then it is noted."""
        now = self._loop()
        if now < max(self._looked + LOOK, self._held_back):
            return False
        self._looked = now
        return True
