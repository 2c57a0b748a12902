"""What was made for objects that are gone: deleted with them, and found by whoever starts."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from controller.cache import Cache
from controller.cluster import Cluster
from controller.reconciler import Key, Reconciler
from controller.runner import Controller, _tell_of_left
from controller.sensor import SensorReconciler
from controller.workload.desired import Options
from controller.workload.reconciler import Shared
from spine.errors import KubeError
from spine.kube import Page, Resource
from spine.kube.watch import Item, Meta
from spine.manifest import ARGO

TELL = Key("Sensor", "ns", "tell")
NAMES = {
    "Deployment": "tell-sensor",
    "PodDisruptionBudget": "tell-sensor",
    "Secret": "sensor-tell-config",
    "ServiceAccount": "sensor-tell",
    "Role": "sensor-tell",
    "RoleBinding": "sensor-tell",
}
"""What is made for the Sensor `tell`."""


def owned(kind: str, name: str, *, owner: str = "tell", version: str = "5") -> dict[str, Any]:
    reference = {
        "apiVersion": ARGO,
        "kind": "Sensor",
        "name": owner,
        "uid": "u",
        "controller": True,
    }
    metadata = {"name": name, "namespace": "ns", "resourceVersion": version}
    return {"kind": kind, "metadata": {**metadata, "ownerReferences": [reference] * bool(owner)}}


class Server:
    """Notes what is to be deleted."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.deleted: dict[str, tuple[str, str]] = {}
        self.discovery = SimpleNamespace(kind=self._kind)

    async def _kind(self, api_version: str, kind: str) -> Resource:
        group, _, version = api_version.rpartition("/")
        return Resource(group, version, kind, f"{kind.lower()}s", namespaced=True)

    async def delete(self, resource: Resource, name: str, _: str, *, version: str = "") -> bytes:
        if self.status:
            raise KubeError("deleting", status=self.status)
        self.deleted[resource.kind] = name, version
        return b"{}"


async def cluster_with(server: Server, *objects: dict[str, Any]) -> Cluster:
    kube: Any = server
    cache = Cache(kube)
    for api_version, kind in {*reconciler().watches, (ARGO, "Sensor")}:
        kept = await cache.add(api_version, kind)
        for one in objects:
            if one["kind"] == kind:
                kept.take(json.loads(json.dumps(one)))
    return Cluster(kube, cache, "ns")


def reconciler() -> SensorReconciler:
    return SensorReconciler(Shared(Options("image", make_service_accounts=True)))


async def test_what_was_made_for_an_object_that_is_gone_is_deleted() -> None:
    server = Server()
    cluster = await cluster_with(server, *(owned(*one) for one in NAMES.items()))
    assert cluster.owners() == {TELL}
    await reconciler().reconcile(TELL, cluster)
    assert server.deleted == {kind: (name, "5") for kind, name in NAMES.items()}
    assert cluster.owners() == set()


@pytest.mark.parametrize("owner", ["another", ""])
async def test_what_belongs_to_another_or_to_nobody_stays(owner: str) -> None:
    """Such as what `kubectl delete --cascade=orphan` leaves."""
    server = Server()
    objects = [owned(kind, name, owner=owner) for kind, name in NAMES.items()]
    cluster = await cluster_with(server, *objects)
    await reconciler().reconcile(TELL, cluster)
    assert server.deleted == {}


async def test_what_somebody_changes_meanwhile_is_looked_at_again() -> None:
    cluster = await cluster_with(Server(status=409), owned("Deployment", "tell-sensor"))
    await reconciler().reconcile(TELL, cluster)
    assert cluster.owners() == {TELL}


async def test_while_an_object_is_being_deleted_what_was_made_for_it_stays() -> None:
    server = Server()
    sensor = {"kind": "Sensor", "metadata": {"name": "tell", "namespace": "ns", "uid": "u"}}
    sensor["metadata"] |= {"resourceVersion": "1", "deletionTimestamp": "now"}
    cluster = await cluster_with(server, sensor, owned("Deployment", "tell-sensor"))
    await reconciler().reconcile(TELL, cluster)
    assert server.deleted == {}


class Looking(Reconciler):
    """Notes who is looked at."""

    kind = "Sensor"
    api_version = ARGO
    watches = (("apps/v1", "Deployment"),)

    def __init__(self) -> None:
        self.seen = asyncio.Queue[Key]()

    @override
    def affected(self, changed: dict[str, Any]) -> list[Key]:
        return []

    @override
    async def reconcile(self, key: Key, cluster: Cluster) -> None:
        await self.seen.put(key)


async def test_whoever_starts_looks_at_those_that_went_meanwhile(monkeypatch) -> None:
    async def follow(_: Any, resource: Resource, *__: Any, **___: Any) -> AsyncIterator[Page]:
        found = [owned("Deployment", "tell-sensor")] if resource.kind == "Deployment" else []
        items = [
            Item(Meta(name="tell-sensor", namespace="ns"), json.dumps(o).encode()) for o in found
        ]
        yield Page(items, first=True, last=True, version="9")
        await asyncio.Event().wait()

    async def lead(work: Any) -> None:
        await work()

    monkeypatch.setattr("controller.cache.follow", follow)
    monkeypatch.setattr("controller.runner.fenced", lambda kube, _: kube)
    leader: Any = SimpleNamespace(run=lead, leading=True, identity="one")
    kube: Any = Server()
    one = Looking()
    running = asyncio.create_task(Controller(kube, [one], leader).run())
    try:
        async with asyncio.timeout(60):
            assert await one.seen.get() == TELL
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_what_is_left_of_kinds_that_are_gone_is_told(caplog) -> None:
    caplog.set_level(logging.WARNING)
    _tell_of_left([])
    assert not caplog.records
    _tell_of_left([Key("Sensor", "ns", f"s{number}") for number in range(7)])
    [line] = caplog.messages
    assert "Sensor ns/s0, Sensor ns/s1" in line
    assert "Sensor ns/s4 and 2 more is left" in line
    assert line.endswith("the label sensor-name")
