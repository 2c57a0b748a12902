"""From the moment a client writes an event to the moment the sink has it, at a fixed rate.

The client is a bare socket: a general HTTP client takes a fifth of a millisecond between its clock
and its write, which would count as ours.
"""

import asyncio
import statistics
import time
from collections.abc import Callable

from benchmarks.stage import body, event_source, free_port, sensor, stage

RATE = 200
_MOMENT = 1234567890.123456
"""Stands in the body for the time, with as many digits."""


class _Wire(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.answered is not None
        self.answered.set_result(data)


class Client:
    """Posts events that say when they were sent."""

    def __init__(self, port: int) -> None:
        content = body(sent=_MOMENT)
        before, after = content.split(str(_MOMENT).encode())
        head = (
            f"POST /post HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._before, self._after = head.encode() + before, after
        self._port, self._free = port, list[_Wire]()

    async def post(self) -> None:
        """Send one event; return once it was answered."""
        loop = asyncio.get_running_loop()
        if self._free:
            wire = self._free.pop()
        else:
            _, wire = await loop.create_connection(_Wire, "127.0.0.1", self._port)
        wire.answered = loop.create_future()
        wire.transport.write(b"%b%.6f%b" % (self._before, time.time(), self._after))
        if not (await wire.answered).startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"refused: {wire.answered.result()!r}")
        self._free.append(wire)

    def close(self) -> None:
        """Close what is kept."""
        for wire in self._free:
            wire.transport.close()

    async def keep_on(self, seconds: float) -> None:
        """Send RATE events a second for so long."""
        began, n = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while time.monotonic() - began < seconds:
                group.create_task(self.post())
                n += 1
                await asyncio.sleep(max(0.0, began + n / RATE - time.monotonic()))


async def measure(say: Callable[[str, str], None], seconds: float) -> None:
    """Say how long events took through EventSource, bus and Sensor."""
    async with stage() as here:
        port, sink = free_port(), await here.sink()
        await here.ours("eventsource", event_source(port))
        await here.ours("sensor", sensor("lat", sink.url, jq=True, parameters=("id", "sent")))
        client = Client(port)
        await client.keep_on(2.0)
        await sink.stats()
        await client.keep_on(seconds)
        await asyncio.sleep(1)
        found = sorted((await sink.stats())["latencies_ms"])
        client.close()
    cuts = statistics.quantiles(found, n=100)
    say(
        f"end to end at {RATE}/s",
        f"p50 {cuts[49]:.2f} ms   p99 {cuts[98]:.2f} ms   of {len(found)}",
    )
