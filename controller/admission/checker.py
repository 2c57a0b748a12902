"""Two processes that look at objects: one for all, and one for when that is held up.

An object that takes too long ends its process and nothing else. A namespace has one object looked
at at a time, so one that sends such objects leaves the other process to everybody else. The second
process is only started when it is needed.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from controller.admission.worker import NOTHING, Asked, Verdict, decode_verdict, encode
from controller.workload.limits import Allowed
from spine.errors import RemoteError
from spine.lang.guard import Guard
from spine.lang.limits import Limits

LIMITS = Limits(seconds=4.0, memory_bytes=256 * 2**20, output_bytes=2**20, workers=1)
"""For one object; a Sensor of a hundred triggers takes a tenth of a second."""
PATIENCE = 0.5
"""Seconds after which an object goes to the second process."""
QUEUE = 64
"""Objects of one namespace that wait."""
FACTORY = "controller.admission.worker:serve"


class Checker:
    """Looks at objects, within bounds."""

    def __init__(
        self,
        limits: Limits = LIMITS,
        patience: float = PATIENCE,
        factory: str = FACTORY,
        allowed: Allowed = NOTHING,
    ) -> None:
        """Look at them; `allowed` is what the administrator lets templates ask for."""
        init = encode(allowed)
        self._guards = Guard(factory, init, limits), Guard(factory, init, limits)
        self._locks = asyncio.Lock(), asyncio.Lock()
        self._patience = patience
        self._turns: dict[str, asyncio.Lock] = {}
        self._waiting: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        for guard in self._guards:
            await guard.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for guard in self._guards:
            await guard.__aexit__(kind, error, trace)

    @property
    def problem(self) -> str:
        """Why no object can be looked at; empty when it can."""
        return self._guards[0].problem

    async def start(self) -> None:
        """Start the first process; return when it works."""
        async with self._locks[0]:
            await self._guards[0].call(b"")

    async def check(self, asked: Asked) -> Verdict:
        """Look at an object.

        Raises EvaluationError where that takes too long or too much, and RemoteError where too
        many of its namespace wait.
        """
        async with self._turn(asked.namespace):
            return decode_verdict(await self._ask(encode(asked)))

    @asynccontextmanager
    async def _turn(self, namespace: str) -> AsyncIterator[None]:
        """Wait until no other object of a namespace is looked at."""
        if self._waiting[namespace] >= QUEUE:
            raise RemoteError(
                f"checking an object of namespace {namespace!r}: {QUEUE} others wait",
                hint="try again in a moment",
            )
        self._waiting[namespace] += 1
        try:
            async with self._turns.setdefault(namespace, asyncio.Lock()):
                yield
        finally:
            self._waiting[namespace] -= 1
            if not self._waiting[namespace]:
                del self._waiting[namespace]
                self._turns.pop(namespace, None)

    async def _ask(self, request: bytes) -> bytes:
        first, second = self._locks
        try:
            async with asyncio.timeout(self._patience):
                await first.acquire()
        except TimeoutError:
            async with second:
                return await self._guards[1].call(request)
        try:
            return await self._guards[0].call(request)
        finally:
            first.release()
