"""The resource source as a process, on a real API server and a real bus, with everything killed."""

import asyncio
import base64
import json
import signal
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats_server import nats_server
from tocsin_run import Run, started

from eventbus.bus import EVENTS, STATE, Bus
from eventbus.jetstream import Options, connect
from spine.event import Event, decode
from spine.kube import Kube, open_kube

pytestmark = pytest.mark.timeout(240)


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


class Scene:
    """A namespace that is watched, and what of it is on the bus."""

    def __init__(self, folder: Path, cluster: Any, server: Any, bus: Bus, kube: Kube, space: str):
        self.folder, self.cluster, self.server, self.bus = folder, cluster, server, bus
        self.kube, self.space = kube, space

    def watching(self, kubeconfig: str = "", **source: Any):
        """Return a process of the EventSource, to be entered."""
        event = {
            "version": "v1",
            "resource": "configmaps",
            "namespace": self.space,
            "eventTypes": ["ADD", "UPDATE", "DELETE"],
            "filter": {"prefix": "x-"},
            **source,
        }
        return started(
            self.folder,
            *("eventsource", "--metrics-port", "0", "--log-format", "text"),
            EVENTSOURCE_OBJECT=encoded(
                {"metadata": {"name": "es"}, "spec": {"resource": {"e": event}}}
            ),
            EVENTBUS_CONFIG=encoded({"jetstream": {"url": self.server.url}}),
            KUBECONFIG=kubeconfig or self.cluster.kubeconfig,
        )

    async def put(self, name: str, **data: str) -> None:
        maps = await self.kube.discovery.kind("v1", "ConfigMap")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        await self.kube.apply(maps, name, json.dumps(body).encode(), self.space)

    async def delete(self, name: str) -> None:
        maps = await self.kube.discovery.kind("v1", "ConfigMap")
        await self.kube.delete(maps, name, self.space)

    async def events(self) -> list[Event]:
        return [decode(message.data) async for message in self.bus.read(EVENTS)]

    async def told(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for event in await self.events():
            payload = json.loads(event.data or b"")
            body = payload["body"]
            data = "".join(sorted((body.get("data") or {}).values()))
            found[f"{payload['type']} {body['metadata']['name']} {data}".strip()] += 1
        return found

    async def until(self, *wanted: str) -> Counter[str]:
        try:
            async with asyncio.timeout(90):
                while not set(wanted) <= (told := await self.told()).keys():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError((wanted, await self.told())) from None
        return told

    async def remembered(self, run: Run, name: str) -> None:
        """Wait until the bus has how far was told: up to the latest of an object."""
        maps = await self.kube.discovery.kind("v1", "ConfigMap")
        latest = json.loads(await self.kube.get(maps, name, self.space))["metadata"]
        store = self.bus.store(STATE)
        async with asyncio.timeout(60):
            while True:
                assert run.process.returncode is None, run.text
                found = await store.get("resource.es.e.head")
                place = json.loads(found[0])["version"] if found else "0"
                if int(place) >= int(latest["resourceVersion"]):
                    return
                await asyncio.sleep(0.05)


@pytest.fixture
async def scene(tmp_path, cluster, request):
    space = cluster.namespace(request.node.name)

    @asynccontextmanager
    async def everything():
        async with (
            nats_server(tmp_path) as server,
            connect(lambda: Options(servers=(server.url,))) as bus,
            open_kube(cluster.kubeconfig) as kube,
        ):
            yield Scene(tmp_path, cluster, server, bus, kube, space)

    async with everything() as one:
        yield one


async def test_a_change_while_nobody_watched(scene):
    await scene.put("x-kept", n="1")
    await scene.put("x-gone", n="1")
    await scene.put("other", n="1")
    async with scene.watching() as run:
        await scene.until("ADD x-kept 1", "ADD x-gone 1")
        await scene.put("x-kept", n="2")
        await scene.until("UPDATE x-kept 2")
        await scene.remembered(run, "x-kept")
        await run.stop(signal.SIGKILL)
    await scene.put("x-kept", n="3")
    await scene.put("x-new", n="1")
    await scene.delete("x-gone")
    async with scene.watching() as run:
        told = await scene.until("UPDATE x-kept 3", "ADD x-new 1", "DELETE x-gone 1")
        await run.stop(signal.SIGTERM)

    assert set(told.values()) == {1}, told
    assert not [name for name in told if "other" in name]
    update = json.loads((await scene.events())[-1].data or b"")
    assert {"type", "body", "oldBody", "group", "version", "resource"} == update.keys()


async def test_after_a_place_that_the_server_has_forgotten(scene):
    await scene.put("x-kept", n="1")
    await scene.put("x-gone", n="1")
    async with scene.watching() as run:
        await scene.until("ADD x-kept 1", "ADD x-gone 1")
        await scene.remembered(run, "x-gone")
        assert await run.stop(signal.SIGTERM) == 0
    await scene.put("x-kept", n="2")
    await scene.delete("x-gone")
    await scene.put("x-new", n="1")
    scene.cluster.compact()
    scene.cluster.kill_api()  # with what it had cached of old changes
    await asyncio.to_thread(scene.cluster.start_api)
    async with scene.watching():
        told = await scene.until("UPDATE x-kept 2", "ADD x-new 1", "DELETE x-gone")

    assert set(told.values()) == {1}, told


async def test_the_api_server_is_killed_under_the_watch(scene):
    async with scene.watching():
        await scene.put("x-a", n="1")
        await scene.until("ADD x-a 1")
        scene.cluster.kill_api()
        await asyncio.to_thread(scene.cluster.start_api)
        await scene.put("x-a", n="2")
        await scene.until("UPDATE x-a 2")  # else a list may find it gone already
        await scene.delete("x-a")
        told = await scene.until("DELETE x-a 2")

    assert told == {"ADD x-a 1": 1, "UPDATE x-a 2": 1, "DELETE x-a 2": 1}


async def test_two_replicas_tell_everything_once_and_one_may_die(scene):
    async with scene.watching() as first:
        await scene.put("x-a", n="1")
        await scene.until("ADD x-a 1")
        async with scene.watching():
            await scene.put("x-b", n="1")
            await scene.until("ADD x-b 1")
            await first.stop(signal.SIGKILL)
            await scene.put("x-c", n="1")
            told = await scene.until("ADD x-c 1")

    assert set(told.values()) == {1}, told


async def test_on_change_tells_a_transition_once_however_often_it_is_touched(scene):
    async with scene.watching(onChange=["data.phase"], eventTypes=["UPDATE"]) as run:
        await run.until("listening")
        for phase, touch in [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4"), ("c", "5")]:
            await scene.put("x-a", phase=phase, touch=touch)
        told = await scene.until("UPDATE x-a 3b", "UPDATE x-a 5c")
        payloads = [json.loads(event.data or b"") for event in await scene.events()]

    assert sum(told.values()) == 2
    assert payloads[0]["changes"] == [{"path": "data.phase", "old": "a", "new": "b"}]


async def test_a_missing_permission_is_told_as_a_rule_and_found_once_it_is_there(scene):
    weak = scene.cluster.account("watcher", scene.space)
    rules = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{scene.space}"
    async with scene.watching(weak) as run:
        await run.until('resources: ["configmaps"], verbs: ["list"]')
        role = {
            "metadata": {"name": "watch"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}],
        }
        subject = {"kind": "ServiceAccount", "name": "watcher", "namespace": scene.space}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "watch"}
        scene.cluster.call("POST", f"{rules}/roles", role)
        scene.cluster.call(
            "POST",
            f"{rules}/rolebindings",
            {"metadata": {"name": "watch"}, "subjects": [subject], "roleRef": reference},
        )
        await scene.put("x-a", n="1")
        await scene.until("ADD x-a 1")


async def test_a_kind_without_namespaces(scene):
    async with scene.watching(resource="namespaces", namespace="", filter=None) as run:
        await scene.until(f"ADD {scene.space}")
        assert await run.stop(signal.SIGTERM) == 0
    async with scene.watching(resource="namespaces") as run:
        assert await run.ended() == 2
        assert "leave namespace away" in run.text


async def test_a_kind_that_is_not_served_says_what_is_near(scene):
    async with scene.watching(resource="configmap") as run:
        assert await run.ended() == 2
        assert "did you mean configmaps" in run.text
