"""What the process lends to sources and triggers: names, secrets, shared things, time.

Back-off and durations have one definition here, with the semantics of the manifests:
Go duration texts, and `duration, factor, jitter, steps`.
"""

import asyncio
import errno
import random
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeVar

from spine.errors import ConfigError
from spine.lang import EvaluationError
from spine.lang.gotime import parse_duration
from spine.secrets import Secrets

T = TypeVar("T")

Opening = Callable[[], AbstractAsyncContextManager[T]]
"""Something that can be opened, such as a client class."""


class Shared:
    """Connections opened once for each key and closed with the process.

    Each is entered and left by a task of its own, so that what it opens may hold task groups
    and timeouts, whoever asks for it first.
    """

    def __init__(self) -> None:
        self._opened: dict[Hashable, asyncio.Future[Any]] = {}
        self._owners: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for owner in self._owners:
            owner.cancel()
        await asyncio.gather(*self._owners, return_exceptions=True)

    async def get(self, key: Hashable, opening: Opening[T]) -> T:
        """Return what is open under a key; open it if nothing is."""
        if key not in self._opened:
            self._opened[key] = asyncio.get_running_loop().create_future()
            owner = asyncio.create_task(self._own(key, opening), name=f"shared {key}")
            self._owners.add(owner)
            owner.add_done_callback(self._owners.discard)
        value: T = await asyncio.shield(self._opened[key])
        return value

    async def _own(self, key: Hashable, opening: Opening[T]) -> None:
        opened = self._opened[key]
        try:
            async with opening() as value:
                opened.set_result(value)
                await asyncio.Event().wait()  # until cancelled by __aexit__
        except Exception as exc:  # noqa: BLE001 -- whatever it is, it goes to who asked
            del self._opened[key]
            if not opened.done():
                opened.set_exception(exc)


class Memory(Protocol):
    """One small value that a component keeps across restarts and shares with its replicas."""

    async def get(self) -> bytes | None:
        """Return the value, None before the first. Raises BusError."""
        ...

    async def put(self, value: bytes) -> None:
        """Replace the value. Raises BusError."""
        ...

    async def edit(self, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the value by what is made of it, once more if somebody else was faster."""
        ...

    def part(self, name: str) -> "Memory":
        """Return a value of its own beside this one, for what is kept in pieces."""
        ...


@dataclass(frozen=True, slots=True)
class Env:
    """The surroundings of one source or trigger."""

    object: str
    """Name of the EventSource or Sensor."""
    name: str
    """Name of the event or trigger in it."""
    namespace: str
    secrets: Secrets
    shared: Shared
    host: str = "0.0.0.0"  # noqa: S104 -- a pod is reached from outside; `tocsin run` says 127.0.0.1
    """Address on which servers listen."""
    port_offset: int = 0
    """Added to every port of a manifest, so that several runs fit on one machine."""
    listening: Callable[[], None] = field(default=lambda: None)
    """Called by a source once events can reach it; readiness waits for it."""
    rejected: Callable[[int], None] = field(default=lambda _: None)
    """Called with the HTTP status of each request that a source refused; for metrics."""
    memory: Memory | None = None
    """Where a source may keep its position; None where nothing is kept."""


@asynccontextmanager
async def cancelled_at_exit(*tasks: "asyncio.Task[Any]") -> AsyncIterator[None]:
    """Cancel tasks when the block ends, and wait until they are gone."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise CancelledError where a client library has swallowed it.

    nats-py does so while it waits for the socket, and, with Python 3.11's `wait_for`, when an
    answer arrives together with the cancellation; the task would then never end.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


@contextmanager
def broken_as_reset() -> Iterator[None]:
    """Raise ConnectionResetError where a connection broke before its owner has heard of it.

    uvloop calls a write to such a connection a RuntimeError, which client libraries pass on.
    """
    try:
        yield
    except RuntimeError as exc:
        if not str(exc).endswith("the handler is closed"):
            raise
        raise ConnectionResetError(errno.ECONNRESET, "the connection broke") from exc


# ---------------------------------------------------------------------------- durations


def seconds(text: str) -> float:
    """Return the seconds of a Go duration such as `1m30s`. Raises ConfigError."""
    try:
        return parse_duration(text) / 1e9
    except EvaluationError as exc:
        raise ConfigError(
            str(exc), hint="write 300ms, 10s, 1m30s or 2h; there are no days"
        ) from exc


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts, as `retryStrategy` and `connectionBackoff` have them.

    Wait i is `duration * factor**i`, plus a random part up to `jitter` of it, at most `cap`.
    """

    duration: float = 1.0
    """Seconds before the second attempt."""
    factor: float = 1.0
    jitter: float = 1.0
    steps: int = 5
    """Attempts in all, the first included; 0 is without end."""
    cap: float = float("inf")
    """Seconds that no wait exceeds, jitter not counted."""

    def wait(self, attempt: int) -> float:
        """Return the seconds to wait after the attempt of that number (from 1) failed."""
        try:
            base = self.duration * (self.factor ** (attempt - 1) if self.factor > 0 else 1.0)
        except OverflowError:
            base = self.cap
        base = min(base, self.cap)
        return base + random.random() * self.jitter * base  # noqa: S311 -- no secret

    def waits(self) -> Iterator[float]:
        """Yield the waits between attempts until the attempts are used up."""
        attempt = 1
        while self.steps <= 0 or attempt < self.steps:
            yield self.wait(attempt)
            attempt += 1


RECONNECT = Backoff(duration=0.25, factor=2.0, jitter=0.5, steps=0, cap=15.0)
"""How everything of ours comes back to a peer that is away: for ever."""
