"""Redis streams and MQTT to the bus, beside bare clients that only receive and acknowledge.

Both sides get 10,000 messages of 1 KiB that wait for them, from a real redis-server and a real
mosquitto, in turns.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage, body, stage
from eventbus.bus import EVENTS

COUNT = 10_000
ROUNDS = 3
BATCHES = (10, 100)
"""Entries of a stream in one go, for both sides: the default, and one that is written out."""
GROUP = "bench"
NEVER = {"interval": "24h"}
TOPIC = "orders/new"

Say = Callable[[str, str], None]
Measured = tuple[float, float]
"""Messages a second, and processor seconds of the receiving process for all of them."""


def _kits() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def _object(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventSource",
        "metadata": {"name": name, "namespace": "bench"},
        "spec": spec,
    }


async def ours(here: Stage, source: dict[str, Any]) -> Measured:
    """Return messages a second on the bus, and processor seconds; the messages wait already."""
    idle = await here.ours("eventsource", _object("idle", {"calendar": {"tick": NEVER}}))
    start = idle.cpu()  # what it takes to start is not it
    await idle.stop()
    process = await here.ours("eventsource", source)
    while await process.metric("argo_events_events_sent_total") < COUNT:
        await asyncio.sleep(0.05)
    used = process.cpu() - start
    await process.stop()
    subject = f"{EVENTS}.{source['metadata']['name']}.message"
    stored = [m.stored async for m in here.bus.read(EVENTS) if m.subject == subject]
    return (len(stored) - 1) / (stored[-1] - stored[0]), used


# ---------------------------------------------------------------------------- redisStream


async def redis_stream(here: Stage, say: Say, batch: int) -> None:
    """Measure redisStream, with so many entries in one go on both sides."""
    from redis_kit import redis_server  # type: ignore[import-not-found]  # a kit of the tests

    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        async with redis_server(Path(folder), "appendonly no") as server:
            bare: list[Measured] = []
            measured: list[Measured] = []
            for number in range(ROUNDS):
                stream = f"orders-{batch}-{number}"
                for group in (GROUP, "bare"):
                    await server.client.xgroup_create(stream, group, "0", mkstream=True)
                async with server.client.pipeline(transaction=False) as pipe:
                    for n in range(COUNT):
                        pipe.xadd(stream, {"order": body(number=n)})
                    await pipe.execute()
                bare.append(await _bare_stream(server.port, stream, batch))
                event = {
                    "hostAddress": server.address,
                    "streams": [stream],
                    "consumerGroup": GROUP,
                    "maxMsgCountPerRead": batch,
                }
                source = _object(f"redis-{batch}-{number}", {"redisStream": {"message": event}})
                measured.append(await ours(here, source))
    _tell(say, f"redisStream by {batch}", bare, measured)


async def _bare_stream(port: int, stream: str, batch: int) -> Measured:
    from redis.asyncio import Redis

    async with Redis(host="127.0.0.1", port=port, protocol=2) as client:
        count, began, used = 0, time.monotonic(), time.process_time()
        while count < COUNT:
            found: Any = await client.xreadgroup("bare", "me", {stream: ">"}, count=batch)
            ids = [entry[0] for entry in found[0][1]]
            await client.xack(stream, "bare", *ids)
            count += len(ids)
        return count / (time.monotonic() - began), time.process_time() - used


# ---------------------------------------------------------------------------- mqtt


async def mqtt(here: Stage, say: Say) -> None:
    """Measure mqtt with QoS 1, whose messages waited for a session that was away."""
    from mosquitto_kit import mosquitto  # type: ignore[import-not-found]  # a kit of the tests

    settings = ("persistence false", "max_inflight_messages 100")
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        async with mosquitto(Path(folder), *settings) as server:
            bare: list[Measured] = []
            measured: list[Measured] = []
            for number in range(ROUNDS):
                names = f"bare-{number}", f"ours-{number}"
                await _fill(server, names)
                bare.append(await _bare_client(server, names[0]))
                event = {"url": server.url, "topic": TOPIC, "clientId": names[1], "jsonBody": True}
                source = _object(f"mqtt-{number}", {"mqtt": {"message": event}})
                measured.append(await ours(here, source))
    _tell(say, "mqtt", bare, measured)


async def _fill(server: Any, names: tuple[str, ...]) -> None:
    for name in names:
        async with server.client(identifier=name, clean_session=False) as client:
            await client.subscribe(TOPIC, qos=1)
    async with server.client(max_inflight_messages=100) as client:
        client.pending_calls_threshold = COUNT
        for start in range(0, COUNT, 100):
            async with asyncio.TaskGroup() as group:
                for n in range(start, start + 100):
                    group.create_task(client.publish(TOPIC, body(number=n), qos=1))


async def _bare_client(server: Any, name: str) -> Measured:
    async with server.client(identifier=name, clean_session=False) as client:
        count, began, used = 0, 0.0, time.process_time()
        async for _ in client.messages:
            began = began or time.monotonic()
            count += 1
            if count == COUNT:
                break
        return count / (time.monotonic() - began), time.process_time() - used


def _tell(say: Say, name: str, bare: list[Measured], measured: list[Measured]) -> None:
    """Print both sides, with the medians of ratios by the clock and by the processor."""
    _line(say, f"{name}, bare client", bare, "")
    pairs = [*zip(measured, bare, strict=True)]
    clock = statistics.median(us[0] / them[0] for us, them in pairs)
    cpu = statistics.median(them[1] / us[1] for us, them in pairs)
    _line(say, f"{name}, to the bus", measured, f"   ratio {clock:.2f}, by CPU {cpu:.2f}")


def _line(say: Say, name: str, measured: list[Measured], more: str) -> None:
    rate = statistics.median(rate for rate, _ in measured)
    each = statistics.median(used for _, used in measured) / COUNT * 1e6
    say(name, f"{rate:8.0f} /s   {each:4.0f} us of CPU for each{more}")


async def measure(say: Say) -> None:
    """Print what receiving costs."""
    _kits()
    async with stage() as here:
        for batch in BATCHES:
            await redis_stream(here, say, batch)
        await mqtt(here, say)
