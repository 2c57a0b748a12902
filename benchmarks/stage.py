"""The parts that every measurement needs: a real bus, our processes, a sink, a clock.

Everything listens on loopback and is stopped by its own process id.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventbus import open_bus
from eventbus.bus import Bus
from eventbus.config import BusConfig
from eventbus.embedded import serve
from eventbus.settings import StreamSettings
from spine.event import Event, new_id
from spine.secrets import GivenSecrets

TICKS = os.sysconf("SC_CLK_TCK")
KIND = "order"


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def body(**more: Any) -> bytes:
    """Return 1 KiB of JSON as a shop would send it."""
    order = {
        "kind": KIND,
        "id": "k-123456",
        "text": "x" * 64,
        "customer": {"name": "Ada", "labels": {"tier": "gold", "region": "eu-1"}},
        "lines": [{"sku": f"sku-{n}", "count": n, "price": 9.5 * n} for n in range(8)],
        **more,
    }
    missing = 1024 - len(json.dumps(order, separators=(",", ":"))) - len(',"note":""')
    return json.dumps({**order, "note": "n" * missing}, separators=(",", ":")).encode()


def payload() -> bytes:
    """Return the data of the event that a webhook makes of `body()`."""
    header = {"Content-Type": ["application/json"], "User-Agent": ["wrk"]}
    return b'{"header":%b,"body":%b}' % (json.dumps(header, separators=(",", ":")).encode(), body())


def event_source(port: int) -> dict[str, Any]:
    """Return the EventSource `bench` with the event `post`."""
    hook = {"endpoint": "/post", "port": str(port), "method": "POST"}
    return _object("EventSource", "bench", {"webhook": {"post": hook}})


def sensor(
    name: str, url: str, *, jq: bool, parameters: tuple[str, ...] = ("id", "text")
) -> dict[str, Any]:
    """Return a Sensor with one data filter, one HTTP trigger and its parameters."""
    dependency: dict[str, Any] = {
        "name": "dep",
        "eventSourceName": "bench",
        "eventName": "post",
        "filters": {"data": [{"path": "body.kind", "type": "string", "value": [f"^{KIND}$"]}]},
    }
    if jq:
        members = ", ".join(f"{name}: .body.{name}" for name in ("kind", *parameters))
        dependency["transform"] = {"jq": f"{{body: {{{members}}}}}"}
    http = {
        "url": url,
        "method": "POST",
        "payload": [
            {
                "src": {"dependencyName": "dep", "dataKey": f"body.{name}", "useRawData": True},
                "dest": name,
            }
            for name in parameters
        ],
    }
    trigger = {"template": {"name": "hit", "http": http}}
    return _object("Sensor", name, {"dependencies": [dependency], "triggers": [trigger]})


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "bench"}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@dataclass
class Process:
    """A child with what the kernel says about it."""

    child: asyncio.subprocess.Process
    log: Path
    metrics: str = ""
    """URL of its metrics."""

    async def metric(self, name: str) -> float:
        """Return the sum of a metric of ours."""

        def fetch() -> float:
            with urllib.request.urlopen(self.metrics, timeout=10) as answer:
                lines = answer.read().decode().splitlines()
            return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

        return await asyncio.to_thread(fetch)

    @property
    def pid(self) -> int:
        return self.child.pid

    def cpu(self) -> float:
        """Return the seconds of processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """Return the resident set in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    async def stop(self) -> None:
        """Ask, wait, insist."""
        if self.child.returncode is not None:
            return
        self.child.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(15):
                await self.child.wait()
        except TimeoutError:
            self.child.kill()
            await self.child.wait()


@dataclass
class Stage:
    """A bus, and what runs on it."""

    folder: Path
    bus: Bus
    config: BusConfig
    bus_pid: int
    _stack: AsyncExitStack
    _count: int = field(default=0)

    async def start(self, *command: str, **env: str) -> Process:
        """Run a Python module as a child; its output goes to a file."""
        self._count += 1
        log = self.folder / f"{self._count}.log"
        with log.open("wb") as out:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *command, stdout=out, stderr=out, env={**os.environ, **env}
            )
        process = Process(child, log)
        self._stack.push_async_callback(process.stop)
        return process

    async def ours(self, verb: str, manifest: dict[str, Any]) -> Process:
        """Run a verb as a pod would, and wait until it is ready."""
        port = free_port()
        config = self.config.model_dump_json(by_alias=True, exclude_none=True)
        handed = {f"{verb.upper()}_OBJECT": json.dumps(manifest), "EVENTBUS_CONFIG": config}
        variables = {name: b64encode(text.encode()).decode() for name, text in handed.items()}
        process = await self.start("tocsin", verb, "--metrics-port", str(port), **variables)
        process.metrics = f"http://127.0.0.1:{port}/metrics"
        await self._ready(process, f"http://127.0.0.1:{port}/readyz")
        return process

    async def _ready(self, process: Process, url: str) -> None:
        for _ in range(600):
            if process.child.returncode is not None:
                break
            with suppress(OSError):
                await asyncio.to_thread(urllib.request.urlopen, url, timeout=2)
                return
            await asyncio.sleep(0.05)
        raise SystemExit(f"not ready: {url}\n{process.log.read_text()[-4000:]}")

    async def sink(self, delay: float = 0.0) -> "Sink":
        """Start an HTTP server that counts."""
        port = free_port()
        process = await self.start("benchmarks.sink", str(port), str(delay))
        sink = Sink(port, process)
        for _ in range(100):
            with suppress(OSError):
                await sink.stats()
                break
            await asyncio.sleep(0.05)
        return sink

    async def fill(self, count: int) -> None:
        """Put events on the bus as the webhook would."""
        data, window = payload(), asyncio.Semaphore(512)

        async def one() -> None:
            async with window:
                await self.bus.publish(
                    Event(id=new_id(), source="bench", type="webhook", subject="post", data=data)
                )

        for start in range(0, count, 5000):
            async with asyncio.TaskGroup() as group:
                for _ in range(start, min(start + 5000, count)):
                    group.create_task(one())

    def bus_memory(self) -> float:
        """Return the resident set of the nats-server in MiB."""
        for line in Path(f"/proc/{self.bus_pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0


@dataclass
class Sink:
    """The counting server."""

    port: int
    process: Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hit"

    async def stats(self) -> dict[str, Any]:
        """Return what arrived so far."""

        def fetch() -> dict[str, Any]:
            address = f"http://127.0.0.1:{self.port}/stats"
            with urllib.request.urlopen(address, timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
                return found

        return await asyncio.to_thread(fetch)

    async def count(self) -> int:
        """Return how many requests arrived so far."""
        return int((await self.stats())["count"])

    async def reach(self, want: int, limit: float = 300.0) -> tuple[float, float]:
        """Wait until so many have arrived; return when the first and the last were seen."""
        began, deadline = 0.0, time.monotonic() + limit
        while time.monotonic() < deadline:
            have = await self.count()
            now = time.monotonic()
            began = began or (now if have else 0.0)
            if have >= want:
                return began, now
            await asyncio.sleep(0.02)
        raise SystemExit(f"only {await self.count()} of {want} arrived in {limit} s")


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Start a nats-server with file storage in a temporary folder."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tocsin-bench-")))
        server = await stack.enter_async_context(serve(folder / "bus"))
        opening = open_bus(server.config, GivenSecrets(), provision=StreamSettings())
        bus = await stack.enter_async_context(opening)
        yield Stage(folder, bus, server.config, server.pid, stack)
