"""When an action is tried again, how often, and how fast.

A `retryStrategy` that is written out is honoured to the letter: so many attempts, these waits,
whatever failed. Without one, what may pass is retried with growing waits for a day, and what
the target understood and refused is given up at once. Pure: time is passed in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from spine.errors import ConfigError, RemoteError, TriggerError
from spine.runtime import Backoff

PATIENT = Backoff(duration=1.0, factor=2.0, jitter=0.2, steps=0, cap=250.0)
"""Waits where no `retryStrategy` is written: from 1 s doubling, with jitter, to 5 minutes."""

DAY = 24 * 3600.0
"""Seconds after the first attempt for which a target may be away: a night and a shift."""

UNUSED_SLOTS = 10
"""Unused slots of a rate limit that are saved for a burst, as Argo Events does."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Decides what follows a failed attempt."""

    backoff: Backoff = PATIENT
    written: bool = False
    """Whether the manifest says so: then every failure uses up an attempt, and nothing else ends
    the attempts."""
    within: float = DAY
    """Seconds after the first attempt in which another may begin; for the default only."""

    @classmethod
    def of(cls, strategy: Backoff | None) -> "Retry":
        """Return the decisions for a `retryStrategy`, or the default for none."""
        return cls() if strategy is None else cls(strategy, written=True)

    def wait(self, attempt: int, since_first: float, error: BaseException) -> float | None:
        """Return the seconds until the next attempt, None to give up.

        `attempt` is the number of the one that failed, from 1; `since_first` the seconds since the
        first one began.
        """
        backoff = self.backoff
        if backoff.steps > 0 and attempt >= backoff.steps:
            return None
        pause = backoff.wait(attempt)
        if self.written:
            return pause
        if not may_pass(error):
            return None
        asked = error.retry_after if isinstance(error, RemoteError) else None
        if asked is not None and math.isfinite(asked):
            pause = max(pause, asked)
        return pause if since_first + pause <= self.within else None


def may_pass(error: BaseException) -> bool:
    """Return whether a failure may pass by itself: the network, a busy or a broken target."""
    if isinstance(error, TriggerError):
        return not error.permanent
    return isinstance(error, RemoteError | OSError)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many attempts in a unit of time, evenly spaced."""

    requests: float
    """Attempts in a unit, above 0."""
    unit: float = 1.0
    """Seconds."""
    burst: int = UNUSED_SLOTS
    """Unused slots that are saved."""

    def __post_init__(self) -> None:
        if self.requests <= 0 or self.unit <= 0:
            raise ConfigError(
                f"limiting the rate to {self.requests:g} requests in {self.unit:g} s: "
                "nothing would ever be sent",
                hint="give requestsPerUnit above 0, or leave rateLimit out",
            )

    @property
    def spacing(self) -> float:
        """Seconds between attempts."""
        return self.unit / self.requests


class Bucket:
    """Hands out the slots of a rate limit: a leaky bucket that saves a few unused ones."""

    def __init__(
        self, limit: RateLimit, clock: Callable[[], float], *, rested: bool = False
    ) -> None:
        """`rested`: as if it had not been used for long."""
        self._spacing, self._saved, self._clock = limit.spacing, limit.burst, clock
        self._next = clock() - (self._saved * self._spacing if rested else 0.0)

    def reserve(self) -> float:
        """Take the next slot and return the seconds until it comes."""
        now = self._clock()
        slot = max(self._next, now - self._saved * self._spacing)
        self._next = slot + self._spacing
        return max(0.0, slot - now)
