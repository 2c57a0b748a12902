"""An EventSource that runs for a test, and a client that says exactly what it is told.

`from hooks import running, Talk`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from eventbus.bus import EVENTS, Bus
from eventbus.memory import MemoryBus
from eventsource.runner import Runner
from eventsource.spec import EventSourceSpec
from spine.event import Event, decode
from spine.model import load
from spine.secrets import GivenSecrets, Secrets
from spine.telemetry import SourceMetrics


class Running:
    """An EventSource named `hooks` that listens."""

    def __init__(self, runner: Runner, task: "asyncio.Task[None]") -> None:
        self.runner, self.task = runner, task
        self.bus = runner.bus

    async def events(self) -> list[Event]:
        """Return what is on the bus."""
        return [decode(m.data) async for m in self.bus.read(EVENTS)]

    async def count(self) -> int:
        """Return how many events are on the bus."""
        return len([m async for m in self.bus.read(EVENTS)])

    async def stop(self) -> None:
        """Cancel it and wait until it is gone."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def running(
    spec: Mapping[str, Any], *, bus: Bus | None = None, secrets: Secrets | None = None
) -> AsyncIterator[Running]:
    """Run an EventSource on loopback; listens when the block begins, gone when it ends."""
    parsed = load(EventSourceSpec, dict(spec))
    up = asyncio.Event()
    runner = Runner(
        name="hooks",
        namespace="ns",
        spec=parsed,
        bus=bus or MemoryBus(),
        secrets=secrets or GivenSecrets(),
        metrics=SourceMetrics("ns", "hooks", parsed.sources()),
        host="127.0.0.1",
        ready=up.set,
    )
    task = asyncio.create_task(runner.run())
    waiting = asyncio.create_task(up.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    it = Running(runner, task)
    if task.done():
        task.result()
    try:
        yield it
    finally:
        await it.stop()


class Talk:
    """A connection on which a test says what it likes."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.port, self.tls = port, tls

    async def __aenter__(self) -> Self:
        name = "localhost" if self.tls else None
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, server_hostname=name
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def post(self, path: str, body: bytes = b"{}", method: str = "POST", **headers: str) -> None:
        """Send a request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.say("\r\n".join([*lines, "", ""]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read status and headers of an answer."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = text.strip().split("\r\n")
        pairs = [line.partition(": ") for line in lines]
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}

    async def answer(self) -> tuple[int, str, dict[str, str]]:
        """Read an answer."""
        status, headers = await self.head()
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return status, body.decode(), headers

    async def ask(
        self, path: str, body: bytes = b"{}", method: str = "POST", **headers: str
    ) -> Any:
        """Send a request and read its answer."""
        self.post(path, body, method, **headers)
        return await self.answer()

    async def closed(self) -> bytes:
        """Read until the other side closes; return what came."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""
