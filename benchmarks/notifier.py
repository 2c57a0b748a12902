"""What a notifier costs that watches 10,000 Pods of 3 KB with 50 triggers.

The API server is a stand-in (`benchmarks.api_server`), as a real one on the same cores does not
tell of a thousand changes a second; bus, notifier and receiver are real.
"""

import asyncio
import json
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp

from benchmarks.stage import Process, Stage, free_port, stage

OBJECTS = 10_000
RATE = 1_000
SECONDS = 20

Say = Callable[[str, str], None]


def notifier() -> dict[str, Any]:
    """Return the Notifier."""
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Notifier",
        "metadata": {"name": "bench", "namespace": "bench"},
        "spec": {"watches": [{"apiVersion": "v1", "kind": "Pod"}], "configMap": "cm"},
    }


async def api_server(here: Stage, url: str, count: int = OBJECTS) -> str:
    """Start a stand-in for an API server with so many Pods, and point KUBECONFIG there."""
    port = free_port()
    await here.start("benchmarks.api_server", str(port), str(count), url)
    server = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        for _ in range(200):
            with suppress(aiohttp.ClientError):
                async with session.get(f"{server}/told"):
                    break
            await asyncio.sleep(0.05)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": {"server": server}}],
        "users": [{"name": "bench", "user": {}}],
    }
    path = here.folder / "kubeconfig"
    path.write_text(json.dumps(config))
    os.environ["KUBECONFIG"] = str(path)
    return server


async def _go(server: str, rate: int, seconds: int) -> dict[str, int]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        where = f"{server}/go?rate={rate}&seconds={seconds}"
        async with session.post(where) as answer:
            found: dict[str, int] = await answer.json()
            return found


async def measure(say: Say) -> None:
    """Print memory, rate and latency."""
    async with stage() as here:
        sink = await here.sink()
        server = await api_server(here, sink.url)
        began = time.monotonic()
        process = await here.ours("notifier", notifier())
        say(f"{OBJECTS:,} Pods listed and evaluated", f"{time.monotonic() - began:8.2f} s")
        await _go(server, 200, 3)
        await sink.stats()
        before, cpu = process.memory(), process.cpu()
        told = await _go(server, RATE, SECONDS)
        await asyncio.sleep(2)
        spent = process.cpu() - cpu
        found = await sink.stats()
        if not found["count"]:
            raise SystemExit(f"nobody was told\n{process.log.read_text()[-4000:]}")
        late = sorted(found["latencies_ms"])
        cuts = statistics.quantiles(late, n=100)
        say(
            f"{RATE:,} changes/s for {SECONDS} s",
            f"{spent / SECONDS * 100:5.0f} % of a core   memory {process.memory():.0f} MiB"
            f" ({before:.0f} before)",
        )
        say(
            "from change to receiver",
            f"p50 {cuts[49]:.1f} ms   p99 {cuts[98]:.1f} ms   of {len(late)};"
            f" {told['failed'] - found['count']} not arrived",
        )
        await _handled(say, process)


async def _handled(say: Say, process: Process) -> None:
    count = await process.metric("tocsin_notifications_evaluation_seconds_count")
    total = await process.metric("tocsin_notifications_evaluation_seconds_sum")
    say("each change, evaluated and stored", f"{total / count * 1e6:8.0f} us on average")
