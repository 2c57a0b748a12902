"""Staying connected: a connection that breaks is made anew, with credentials as they are by then.

While the other side is away for a moment, what is in hand goes on. Where it stays away, or never
was there, the source fails with the reason, so that it is seen to be down, and is started again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from eventsource.taking import Taker
from spine.errors import ConfigError, SourceError
from spine.retrying import RetryBackoff
from spine.runtime import Backoff, Env, broken_as_reset, cancellation_kept

T = TypeVar("T")

log = logging.getLogger(__name__)

AGAIN = Backoff(duration=0.25, factor=2.0, jitter=0.5, steps=6, cap=15.0)
"""Waits before a connection is made anew; then the source counts as down."""
HEALTHY = 10.0
"""Seconds of a connection after which its end is the first failure."""

Session = Callable[[Callable[[], None]], Awaitable[None]]
"""Connects, calls what it is given once events come in, and ends with the connection."""


async def asked(call: Awaitable[T]) -> T:
    """Return what a call of a client library gives; cancelled, be so, whatever the library does.

    A connection that broke is an OSError.
    """
    with cancellation_kept(), broken_as_reset():
        return await call


async def stay(session: Session, env: Env, taker: Taker, backoff: RetryBackoff | None) -> None:
    """Hold one session after the other until cancelled.

    `backoff` is what the user wrote about connecting. Raises SourceError where nobody is there,
    ConfigError where the first session finds that it never can be.
    """
    clock = asyncio.get_running_loop().time
    waits = backoff.runtime() if backoff is not None else AGAIN
    connected = False
    failures = 0

    def up() -> None:
        nonlocal connected
        connected = True
        env.listening()

    while True:
        began = clock()
        try:
            await session(up)
            failure = SourceError(f"listening to {env.name}: the connection ended")
        except SourceError as exc:
            failure = exc
        except ConfigError as exc:
            if not connected:
                raise
            failure = SourceError(exc.message, hint=exc.hint)
        failures = 1 if clock() - began > HEALTHY else failures + 1
        if failures >= (waits.steps if connected or backoff is not None else 1):
            await taker.settle()  # what nobody would send again is not given up
            raise failure
        wait = waits.wait(failures)
        extra = {"eventName": env.name, "error": str(failure), "wait": round(wait, 2)}
        log.warning("the connection is gone, making another", extra=extra)
        await asyncio.sleep(wait)
