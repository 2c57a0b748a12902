"""What is told late, or meanwhile: no edit is overlooked, and no pod replaced for nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

from controller.cache import Cache
from controller.cluster import Cluster
from controller.reconciler import Key, Reconciler
from controller.runner import Controller
from controller.workload.references import Reference
from controller.workload.values import ABSENT, Digests
from spine.errors import KubeError
from spine.kube import Page, Resource
from spine.kube.watch import Item, Meta
from spine.manifest import ARGO

SENSOR = Resource("argoproj.io", "v1alpha1", "Sensor", "sensors", namespaced=True)
SECRET = Resource("", "v1", "Secret", "secrets", namespaced=True)


class Server:
    """An API server with one object of each name."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.version = 10
        self.reads = 0
        self.discovery = SimpleNamespace(kind=self._kind)

    async def _kind(self, _version: str, kind: str) -> Resource:
        return {"Sensor": SENSOR, "Secret": SECRET}[kind]

    def put(self, name: str, **more: Any) -> dict[str, Any]:
        """Change an object, as anybody does; another `spec` is another generation."""
        self.version += 1
        before = self.objects.get(name, {"metadata": {"generation": 0}})
        metadata = {**before["metadata"], "name": name, "namespace": "ns", "uid": name}
        metadata |= {"resourceVersion": str(self.version), **more.pop("metadata", {})}
        metadata["generation"] += "spec" in more
        self.objects[name] = {**before, **more, "metadata": metadata}
        return json.loads(json.dumps(self.objects[name]))

    async def apply(self, _resource: Resource, name: str, body: bytes, *_: Any, **__: Any) -> bytes:
        status = json.loads(body)["status"]
        return json.dumps(self.put(name, status=status)).encode()

    async def get(self, _resource: Resource, name: str, _namespace: str) -> bytes:
        self.reads += 1
        if name not in self.objects:
            raise KubeError("reading", status=404)
        return json.dumps(self.objects[name]).encode()


async def cluster_on(server: Any) -> tuple[Cluster, Cache, list[str]]:
    told: list[str] = []
    cache = Cache(server)
    await cache.add(ARGO, "Sensor")
    await cache.add("v1", "Secret")
    cluster = Cluster(
        server, cache, "ns", written=lambda _: told.append("written"),
        edited=lambda one: told.append(f"edited to {one['spec']}"),
    )  # fmt: skip
    return cluster, cache, told


def watched(cache: Cache, manifest: dict[str, Any], kind: str = "Sensor") -> list[str]:
    """Let a watch tell of an object; return whom that is news for."""
    news: list[str] = []
    kept = cache.kept(ARGO if kind == "Sensor" else "v1", kind)
    assert kept is not None
    cache._take(kept, json.dumps(manifest).encode(), lambda one: news.append(one["kind"]))
    return news


async def test_an_edit_that_the_answer_to_a_status_brings_is_looked_at() -> None:
    server = Server()
    cluster, cache, told = await cluster_on(server)
    looked_at = server.put("s", spec=1)
    assert watched(cache, looked_at) == ["Sensor"]
    edit = server.put("s", spec=2)
    await cluster.status({**looked_at, "apiVersion": ARGO, "kind": "Sensor"}, {"ready": True})
    assert watched(cache, edit) == []  # it comes too late to be news
    assert told == ["edited to 2"]


async def test_so_is_an_annotation_and_a_status_alone_is_not() -> None:
    server = Server()
    cluster, cache, told = await cluster_on(server)
    looked_at = {**server.put("s", spec=1), "apiVersion": ARGO, "kind": "Sensor"}
    watched(cache, looked_at)
    looked_at["metadata"]["finalizers"] = []  # as one who has just taken off the last
    await cluster.status(looked_at, {"ready": True})
    assert told == ["written"]
    server.put("s", metadata={"annotations": {"tocsin.dev/suspend": "true"}})
    await cluster.status(looked_at, {"ready": False})
    assert told == ["written", "edited to 1"]


async def test_a_list_that_comes_late_forgets_nothing_that_was_written_since(monkeypatch) -> None:
    server = Server()
    _, cache, _ = await cluster_on(server)
    before, listed_at = server.put("before", spec=1), str(server.version)
    since = server.put("since", spec=1)
    for one in (before, since):
        watched(cache, one)
    page = Page([], first=True, last=True, version=listed_at)

    async def follow(*_: Any, **__: Any) -> AsyncIterator[Page]:
        yield page

    monkeypatch.setattr("controller.cache.follow", follow)
    kept, gone = cache.kept(ARGO, "Sensor"), list[str]()
    assert kept is not None
    await cache._follow(kept, "", lambda one: gone.append(one["metadata"]["name"]))
    assert gone == ["before"]
    assert list(kept.entries) == [("ns", "since")]


async def test_a_secret_that_no_watch_has_told_of_yet_is_not_missing() -> None:
    server, digests = Server(), Digests()
    cluster, cache, _ = await cluster_on(server)
    ref = Reference("Secret", "hub", ("token",), optional=False)
    found = await digests.of(cluster, "ns", [ref])
    assert (found.digests, found.missing) == ({("Secret", "hub"): ABSENT}, ["Secret 'hub'"])
    secret = server.put("hub", data={"token": "YQ=="})
    first = await digests.of(cluster, "ns", [ref])
    assert first.missing == []
    watched(cache, secret, "Secret")
    reads = server.reads
    assert await digests.of(cluster, "ns", [ref]) == first
    assert server.reads == reads  # it is the version that was read
    watched(cache, server.put("hub", data={"token": "YQ==", "other": "eA=="}), "Secret")
    assert await digests.of(cluster, "ns", [ref]) == first
    assert server.reads == reads + 1


async def test_what_is_read_later_than_the_cache_knows_is_read_once_more() -> None:
    server, digests = Server(), Digests()
    cluster, cache, _ = await cluster_on(server)
    ref = Reference("Secret", "hub", ("token",), optional=False)
    watched(cache, server.put("hub", data={"token": "YQ=="}), "Secret")
    second = server.put("hub", data={"token": "Yg=="})
    found = await digests.of(cluster, "ns", [ref])
    watched(cache, second, "Secret")
    assert await digests.of(cluster, "ns", [ref]) == found
    assert server.reads == 1


class Looking(Reconciler):
    """Tells in a status what it has seen; somebody edits the object before that is written."""

    kind = "Sensor"
    api_version = ARGO

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seen: list[int] = []
        self.twice = asyncio.Event()

    @override
    def affected(self, changed: dict[str, Any]) -> list[Key]:
        return []

    @override
    async def reconcile(self, key: Key, cluster: Cluster) -> None:
        manifest = cluster.get(ARGO, "Sensor", key.namespace, key.name)
        assert manifest is not None
        self.seen.append(manifest["spec"])
        if len(self.seen) == 1:
            self.server.put("s", spec=2)
        else:
            self.twice.set()
        await cluster.status(manifest, {"seen": manifest["spec"]})


async def test_an_edit_meanwhile_is_looked_at_though_no_watch_tells_of_it(monkeypatch) -> None:
    server = Server()
    listed = Page(
        [Item(Meta(name="s", namespace="ns"), json.dumps(server.put("s", spec=1)).encode())],
        True,
        True,
        "11",
    )

    async def follow(*_: Any, **__: Any) -> AsyncIterator[Page]:
        yield listed
        await asyncio.Event().wait()

    async def lead(work: Any) -> None:
        await work()

    monkeypatch.setattr("controller.cache.follow", follow)
    monkeypatch.setattr("controller.runner.fenced", lambda kube, _: kube)
    leader: Any = SimpleNamespace(run=lead, leading=True, identity="one")
    one = Looking(server)
    kube: Any = server
    running = asyncio.create_task(Controller(kube, [one], leader).run())
    try:
        async with asyncio.timeout(60):
            await one.twice.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert one.seen == [1, 2]
