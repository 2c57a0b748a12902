"""The controller on a real API server: many objects at once, one change, and its memory.

The bus is one that does not answer, so nothing is measured but the controller; pods are made by
the real controllers of Kubernetes, and run nowhere.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from spine.kube import Kube, open_kube

ROOT = Path(__file__).parent.parent
OBJECTS = 200
CHANGES = 20
ARGO = "argoproj.io/v1alpha1"

Manifest = dict[str, Any]


def objects() -> list[Manifest]:
    """Return EventSources and Sensors, half and half."""
    found = []
    for number in range(OBJECTS // 2):
        hook = {"port": "12000", "endpoint": "/in", "method": "POST"}
        found.append(_made("EventSource", f"hook-{number}", {"webhook": {"in": hook}}))
        dependency = {
            "name": "d",
            "eventSourceName": f"hook-{number}",
            "eventName": "in",
            "filters": {"data": [{"path": "body.n", "type": "number", "value": ["1"]}]},
            "transform": {"jq": ".body"},
        }
        http = {"url": "http://localhost/sink", "method": "POST", "payload": [
            {"src": {"dependencyName": "d", "dataKey": "n"}, "dest": "n"}
        ]}  # fmt: skip
        spec = {
            "dependencies": [dependency],
            "triggers": [{"template": {"name": "t", "http": http}}],
        }
        found.append(_made("Sensor", f"tell-{number}", spec))
    return found


def _made(kind: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": ARGO, "kind": kind, "metadata": metadata, "spec": spec}


async def measure(say: Callable[[str, str], None]) -> None:
    """Measure all of it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from kube_cluster import Cluster

    with TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder))
        try:
            await asyncio.to_thread(cluster.start)
            for file in sorted((ROOT / "crds").glob("*.yaml")):
                await asyncio.to_thread(cluster.apply, file)
            async with open_kube(cluster.kubeconfig) as kube:
                await _measure(kube, cluster.kubeconfig, say)
        finally:
            cluster.stop()


async def _measure(kube: Kube, kubeconfig: str, say: Callable[[str, str], None]) -> None:
    await _bus(kube)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tocsin", "controller", "--kubeconfig", kubeconfig,
        "--image", "tocsin:bench", "--metrics-port", "0", "--log-level", "warn",
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wanted = objects()
        await _apply(kube, [_made("Sensor", "first", wanted[1]["spec"])])
        await _until(lambda: _deployed(kube, "Sensor"), 1)
        say("controller at rest", f"{_memory(child.pid):.0f} MiB")
        began = time.monotonic()
        await _apply(kube, wanted)
        applied = time.monotonic() - began
        await _until(lambda: _all_deployed(kube), OBJECTS + 1)
        took = time.monotonic() - began
        say(f"{OBJECTS} objects at once", f"{took:.1f} s, of which {applied:.1f} s to apply them")
        say(f"memory with {OBJECTS} objects", f"{_memory(child.pid):.0f} MiB")
        times = [await _change(kube, wanted[1], number) for number in range(CHANGES)]
        text = f"median {median(times) * 1000:.0f} ms, at most {max(times) * 1000:.0f} ms"
        say("a change of one object", f"{text}, of {CHANGES}")
        say(f"memory after {CHANGES} changes", f"{_memory(child.pid):.0f} MiB")
    finally:
        child.terminate()
        await child.wait()


async def _bus(kube: Kube) -> None:
    url = "nats://127.0.0.1:1"
    made = _made("EventBus", "default", {"jetstreamExotic": {"url": url}})
    await _apply(kube, [made])
    status = {
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}],
        "config": {"jetstream": {"url": url}},
    }
    resource = await kube.discovery.kind(ARGO, "EventBus")
    body = json.dumps({"status": status}).encode()
    await kube.patch(resource, "default", body, "default", subresource="status")


async def _apply(kube: Kube, wanted: list[Manifest]) -> None:
    async def one(made: Manifest) -> None:
        resource = await kube.discovery.kind(ARGO, made["kind"])
        body = json.dumps(made).encode()
        await kube.apply(resource, made["metadata"]["name"], body, "default", manager="bench")

    async with asyncio.TaskGroup() as group:
        for made in wanted:
            group.create_task(one(made))


async def _all_deployed(kube: Kube) -> int:
    return await _deployed(kube, "Sensor") + await _deployed(kube, "EventSource")


async def _deployed(kube: Kube, kind: str) -> int:
    """Return how many objects are told to be deployed as they are."""
    resource = await kube.discovery.kind(ARGO, kind)
    found = json.loads(await kube.session.request("GET", resource.path("default")))["items"]
    return sum(_is_deployed(one) for one in found)


def _is_deployed(found: Manifest) -> bool:
    status = found.get("status") or {}
    return status.get("observedGeneration") == found["metadata"]["generation"] and any(
        one["type"] == "Deployed" and one["status"] == "True" for one in status["conditions"]
    )


async def _until(count: Any, wanted: int) -> None:
    while await count() < wanted:
        await asyncio.sleep(0.1)


async def _change(kube: Kube, made: Manifest, number: int) -> float:
    """Return the seconds until a change is in the Deployment and in the status."""
    made["spec"]["triggers"][0]["template"]["http"]["url"] = f"http://localhost/{number}"
    name = made["metadata"]["name"]
    deployments = await kube.discovery.kind("apps/v1", "Deployment")
    sensors = await kube.discovery.kind(ARGO, "Sensor")
    before = json.loads(await kube.get(deployments, f"{name}-sensor", "default"))
    began = time.monotonic()
    await _apply(kube, [made])
    while True:
        after = json.loads(await kube.get(deployments, f"{name}-sensor", "default"))
        if after["spec"]["template"] != before["spec"]["template"]:
            break
        await asyncio.sleep(0.005)
    while not _is_deployed(json.loads(await kube.get(sensors, name, "default"))):
        await asyncio.sleep(0.005)
    return time.monotonic() - began


def _memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
