"""What watching and acting on a real API server costs, beside clients that do nothing else.

The API server is that of the tests (`tests/kube_cluster.py`); it shares the cores with all else,
and sets the pace of most that is measured here.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage, stage
from spine.event import Event, new_id
from spine.kube import Kube, open_kube

COUNT = 10_000
"""Objects that are watched."""
SIZE = 3 * 1024
MADE = 5_000
"""Objects that are created."""
AT_ONCE = 64
"""Requests of the bare clients under way at a time."""
LABEL = {"bench": "watched"}

Say = Callable[[str, str], None]


@asynccontextmanager
async def cluster() -> AsyncIterator[Any]:
    """Start an API server."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from kube_cluster import Cluster  # type: ignore[import-not-found]  # a kit of the tests

    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        one = Cluster(Path(folder))
        try:
            await asyncio.to_thread(one.start)
            yield one
        finally:
            one.stop()


def config_map(name: str) -> bytes:
    """Return an object of about 3 KB."""
    metadata = {"name": name, "namespace": "default", "labels": LABEL}
    data = {f"key-{n}": "v" * 256 for n in range(SIZE // 270)}
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    ).encode()


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def watcher(label: str) -> dict[str, Any]:
    """Return an EventSource that hears of ConfigMaps with a label."""
    event = {
        "version": "v1",
        "resource": "configmaps",
        "namespace": "default",
        "eventTypes": ["ADD", "UPDATE"],
        "filter": {
            "labels": [{"key": "bench", "operation": "==", "value": label}],
            "fields": [{"key": "metadata.name", "operation": "==", "value": "^c-"}],
        },
    }
    return _object("EventSource", f"es-{label}", {"resource": {"cm": event}})


def maker() -> dict[str, Any]:
    """Return a Sensor that creates a small ConfigMap for each event."""
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}
    source = {"dependencyName": "dep", "dataKey": "n"}
    k8s = {
        "operation": "create",
        "source": {"resource": {**made, "data": {"n": "0"}}},
        "parameters": [{"src": source, "dest": "data.n"}],
    }
    dependency = {"name": "dep", "eventSourceName": "bench", "eventName": "post"}
    trigger = {"template": {"name": "make", "k8s": k8s}}
    return _object("Sensor", "maker", {"dependencies": [dependency], "triggers": [trigger]})


async def watching(say: Say, here: Stage, kube: Kube, kubeconfig: str) -> None:
    """Read, filter and store what exists, and hold it in memory."""
    maps = await kube.discovery.kind("v1", "ConfigMap")
    await _many(kube, maps, [config_map(f"c-{n}") for n in range(COUNT)])
    idle = await here.ours("eventsource", watcher("nothing"))
    await asyncio.sleep(3)
    at_rest = idle.memory()
    await idle.stop()
    began = time.monotonic()  # the start of the process is part of it
    process = await here.ours("eventsource", watcher("watched"))
    while await process.metric("argo_events_events_sent_total") < COUNT:
        await asyncio.sleep(0.02)
    took = time.monotonic() - began
    await asyncio.sleep(6)
    held = process.memory() - at_rest
    say(
        f"{COUNT:,} objects to events",
        f"{took:8.2f} s   memory at rest {at_rest:.0f} MiB, with them {held:+.0f} MiB",
    )
    await process.stop()
    typed = await here.start("benchmarks.typed", kubeconfig)
    await typed.child.wait()
    say("the typed client: list into models", typed.log.read_text().strip())


async def _many(kube: Kube, maps: Any, bodies: list[bytes]) -> float:
    """Create objects, so many at a time; return the seconds."""
    waiting = iter(bodies)

    async def work() -> None:
        for body in waiting:
            await kube.create(maps, body, "default")

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return time.monotonic() - began


async def acting(say: Say, here: Stage, kube: Kube) -> None:
    """Create objects for events, beside a client that creates them without any."""
    maps = await kube.discovery.kind("v1", "ConfigMap")
    small = [
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"bare-{n}"},
                "data": {"n": str(n)},
            }
        ).encode()
        for n in range(MADE)
    ]
    bare = MADE / await _many(kube, maps, small)
    first = await here.ours("sensor", maker())
    await first.stop()
    for n in range(MADE):
        data = b'{"n":%d}' % n
        event = Event(id=new_id(), source="bench", type="webhook", subject="post", data=data)
        await here.bus.publish(event)
    process = await here.ours("sensor", maker())
    began = time.monotonic()
    while await process.metric("argo_events_action_triggered_total") < MADE:
        await asyncio.sleep(0.02)
    rate = MADE / (time.monotonic() - began)
    say("objects created, bare client", f"{bare:8.0f} /s")
    say("objects created for events", f"{rate:8.0f} /s   ratio {rate / bare:.2f}")
    await process.stop()


async def measure(say: Say) -> None:
    """Print what watching and acting costs."""
    async with cluster() as server:
        kubeconfig = server.kubeconfig
        os.environ["KUBECONFIG"] = kubeconfig
        async with open_kube(kubeconfig) as kube:
            async with stage() as here:
                await watching(say, here, kube, kubeconfig)
            async with stage() as here:
                await acting(say, here, kube)
