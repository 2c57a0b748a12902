"""The senders of a storm: numbered events by webhook and into a queue, until they are accepted.

An event is accepted when the webhook answered 2xx, or when the queue has acknowledged it. A
sender that hears nothing, or 5xx, sends the same CloudEvent again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from chaos.target import RETRY_EVERY

WAIT = 15.0
"""Seconds that a sender waits for an answer."""
PAUSE = 0.25
"""Seconds until it sends again."""
AT_ONCE = 20
"""Entries that are given to the queue in one go."""


class Accepted:
    """Which events of one path were accepted, and since when all up to which."""

    def __init__(self) -> None:
        self.marks = bytearray()
        self.count = 0
        self.upto = 0
        """All below were accepted."""

    def add(self, number: int) -> None:
        if number >= len(self.marks):
            self.marks.extend(bytes(number + 65_536 - len(self.marks)))
        if not self.marks[number]:
            self.marks[number] = 1
            self.count += 1
        if number == self.upto:
            found = self.marks.find(0, number)
            self.upto = len(self.marks) if found < 0 else found


class Line(asyncio.Protocol):
    """One connection that is kept alive, one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.since = 0.0
        self._answer: asyncio.Future[int] | None = None
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._end(0)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, mark, rest = self._data.partition(b"\r\n\r\n")
        if not mark:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self._data = b""
        if b"connection: close" in head.lower() and self.transport is not None:
            self.transport.close()
        self._end(int(head[9:12]))

    def _end(self, status: int) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result(status)

    def ask(self, request: bytes) -> Awaitable[int]:
        """Send a request; the answer is its status, 0 where none came."""
        self._answer = answer = asyncio.get_running_loop().create_future()
        self.since, self._data = time.monotonic(), b""
        if self.transport is None or self.transport.is_closing():
            answer.set_result(0)
        else:
            self.transport.write(request)
        return answer

    def look(self, now: float) -> None:
        """Give up what has no answer for too long."""
        if self._answer is not None and now - self.since > WAIT and self.transport is not None:
            self.transport.abort()


class Poster:
    """Posts events to the webhook, over any number of lines."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self._lines: list[Line] = []
        self.statuses: Counter[int] = Counter()

    async def post(self, line: Line | None, path: str, id: str, body: bytes) -> Line | None:
        """Post until it is accepted; returns the line to go on with."""
        request = (
            f"POST /{path} HTTP/1.1\r\nHost: hooks\r\nContent-Type: application/json\r\n"
            f"ce-specversion: 1.0\r\nce-id: {id}\r\nce-source: storm\r\nce-type: storm\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        while True:
            if line is None or line.transport is None:
                line = await self._open(line)
            status = await line.ask(request)
            self.statuses[status] += 1
            if 200 <= status < 300:
                return line
            await asyncio.sleep(PAUSE)

    async def _open(self, line: Line | None) -> Line:
        if line in self._lines:
            self._lines.remove(line)
        loop = asyncio.get_running_loop()
        while True:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(3):
                    _, made = await loop.create_connection(Line, self._address, self._port)
                self._lines.append(made)
                return made
            await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Watch over all lines, until cancelled."""
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for line in list(self._lines):
                line.look(now)

    def close(self) -> None:
        for line in self._lines:
            if line.transport is not None:
                line.transport.abort()


class Pace:
    """So many a second, and none while too much is on its way."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start = time.monotonic()
        self._given = 0
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, much: int = 1) -> None:
        """Wait for a turn; what was missed while it was closed is not caught up with."""
        await self.open.wait()
        self._given += much
        ahead = self._start + self._given / self._rate - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif ahead < -5:
            self._start -= ahead


class Load:
    """The mass of the events."""

    def __init__(self, poster: Poster, redis: Any, *, events: int, rate: float, lines: int) -> None:
        self._poster, self._redis = poster, redis
        share = events // 10
        self.each_events, self.queue_events = events - share, share
        self._pace = Pace(rate * 0.9)
        self._queue_pace = Pace(rate * 0.1)
        self._lines = lines
        self._next = 0
        self.each, self.queue = Accepted(), Accepted()
        self.ended = False

    @property
    def accepted(self) -> int:
        return self.each.count + self.queue.count

    def hold(self, *, held: bool) -> None:
        """Send nothing new for a while."""
        for pace in (self._pace, self._queue_pace):
            pace.open.clear() if held else pace.open.set()

    async def run(self) -> None:
        """Send everything."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._lines):
                group.create_task(self._post_on())
            group.create_task(self._add_on())

    def end(self) -> None:
        """Send what was begun, and nothing more."""
        self.ended = True
        self.hold(held=False)

    async def _post_on(self) -> None:
        line = None
        while self._next < self.each_events and not self.ended:
            number, self._next = self._next, self._next + 1
            await self._pace.take()
            kind = b"r" if number % RETRY_EVERY == 0 else b"e"
            body = b'{"n":%d,"k":"%b","pad":"%b"}' % (number, kind, b"." * 64)
            line = await self._poster.post(line, "each", f"each-{number}", body)
            self.each.add(number)

    async def _add_on(self) -> None:
        at = 0
        while at < self.queue_events and not self.ended:
            numbers = range(at, min(at + AT_ONCE, self.queue_events))
            await self._queue_pace.take(len(numbers))
            async with self._redis.pipeline(transaction=False) as pipe:
                for number in numbers:
                    pipe.xadd("work", {"n": str(number)})
                await pipe.execute()
            for number in numbers:
                self.queue.add(number)
            at = numbers.stop
