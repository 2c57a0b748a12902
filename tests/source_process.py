"""An EventSource as a process of its own, on a real bus: killed, started again, asked for events.

`from source_process import place`. Secrets are files, so that a test can change them.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from nats_server import NatsServer, nats_server
from ports import free_port
from tocsin_run import Run, started

from eventbus.bus import EVENTS
from eventbus.jetstream import Options, connect
from spine.event import Event, decode


class Place:
    """Where an EventSource named `hooks` runs."""

    def __init__(self, folder: Path, server: NatsServer, client: httpx.AsyncClient) -> None:
        self.folder, self.server, self.client = folder, server, client
        self.port, self.metrics_port = free_port(), free_port()
        self.run: Run | None = None
        self._stack = AsyncExitStack()

    def secret(self, name: str, key: str, value: str) -> dict[str, str]:
        """Write a key of a Secret; return the reference to it."""
        path = self.folder / "secrets" / name / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
        return {"name": name, "key": key}

    async def start(self, spec: Mapping[str, Any]) -> Run:
        """Start a process and wait until it listens."""
        manifest = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "EventSource",
            "metadata": {"name": "hooks", "namespace": "ns"},
            "spec": spec,
        }
        (self.folder / "source.json").write_text(json.dumps(manifest))
        words = ["eventsource", "-f", "source.json", "--bus", self.server.url]
        words += ["--host", "127.0.0.1", "--metrics-port", str(self.metrics_port)]
        words += ["--secrets-dir", str(self.folder / "secrets")]
        self.run = await self._stack.enter_async_context(started(self.folder, *words))
        await self.run.until('"msg":"listening"')
        return self.run

    async def kill(self) -> None:
        """End the process as a crash does."""
        assert self.run is not None
        self.run.process.kill()
        await self.run.process.wait()

    async def stop(self) -> int:
        """End it as Kubernetes does."""
        assert self.run is not None
        return await self.run.stop(signal.SIGTERM)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a request; return the status, 0 where nobody answers."""
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            answer = await self.client.post(url, content=body, headers=dict(headers))
        except httpx.TransportError:
            return 0
        return answer.status_code

    async def deliver(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post as a sender does that sends again what was not taken; return the attempts."""
        attempts = 1
        async with asyncio.timeout(60):
            while await self.post(path, body, headers) != 200:
                attempts += 1
                await asyncio.sleep(0.05)
        return attempts

    async def events(self) -> list[Event]:
        """Return what is on the bus."""
        async with connect(lambda: Options(servers=(self.server.url,))) as bus:
            return [decode(message.data) async for message in bus.read(EVENTS)]

    async def metrics(self) -> str:
        """Return what the process counts."""
        return (await self.client.get(f"http://127.0.0.1:{self.metrics_port}/metrics")).text

    async def close(self) -> None:
        """End what still runs."""
        await self._stack.aclose()


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """Yield a place with a bus; whatever was started there is gone in the end."""
    async with nats_server(folder / "bus") as server, httpx.AsyncClient(timeout=30) as client:
        one = Place(folder, server, client)
        try:
            yield one
        finally:
            await one.close()


async def killed_under_load(
    one: Place, spec: Mapping[str, Any], deliveries: list[tuple[str, bytes, Mapping[str, str]]]
) -> int:
    """Deliver all, kill the process in their middle; return how many attempts were in vain.

    Every fifth is sent once more though it was taken, as by a sender that did not see the answer.
    """
    taken = 0
    half = asyncio.Event()

    async def send(number: int) -> int:
        nonlocal taken
        attempts = await one.deliver(*deliveries[number])
        taken += 1
        if taken > len(deliveries) // 3:
            half.set()
        if number % 5 == 0:
            await one.deliver(*deliveries[number])
        return attempts - 1

    async def crash() -> None:
        await half.wait()
        await one.kill()
        await one.start(spec)

    gate = asyncio.Semaphore(8)

    async def guarded(number: int) -> int:
        async with gate:
            return await send(number)

    crashing = asyncio.create_task(crash())
    found = await asyncio.gather(*(guarded(number) for number in range(len(deliveries))))
    await crashing
    return sum(found)
