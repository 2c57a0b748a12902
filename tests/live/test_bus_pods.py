"""The servers of an EventBus as pods: they find each other by name, and serve."""

import pytest
from controller_kit import PATHS, Space, controlled

SERVERS = "eventbus-default-js"


@pytest.fixture
def space(kinds, nodes, request):
    """A namespace of its own, in which pods run."""
    return Space(kinds, kinds.namespace(request.node.name))


def bus(**jetstream):
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventBus",
        "metadata": {"name": "default"},
        "spec": {"jetstream": {"version": "latest", **jetstream}},
    }


async def test_three_servers_become_a_cluster_and_are_replaced_one_by_one(space):
    PATHS.setdefault("StatefulSet", "/apis/apps/v1/namespaces/{}/statefulsets")
    await space.apply(bus())
    async with controlled(space.cluster, space.name):
        await until_ready(space, 1)
        servers = await space.get("StatefulSet", SERVERS)
        assert servers["status"]["readyReplicas"] == 3
        before = {one["metadata"]["uid"] for one in await space.all("Pod")}
        await space.apply(bus(maxPayload="1MB"))
        revision = await space.until("StatefulSet", SERVERS, is_rolled_out, patience=150)
        assert revision["status"]["readyReplicas"] == 3
        after = {one["metadata"]["uid"] for one in await space.all("Pod")}
        assert not before & after
        await until_ready(space, 2)


async def until_ready(space, generation):
    def is_ready(found):
        status = found.get("status") or {}
        stated = {one["type"]: one["status"] for one in status.get("conditions") or ()}
        return stated.get("Ready") == "True" and status["observedGeneration"] == generation

    await space.until("EventBus", "default", is_ready, patience=120)


def is_rolled_out(found):
    status = found.get("status") or {}
    return (
        status.get("observedGeneration") == found["metadata"]["generation"]
        and found["metadata"]["generation"] > 1
        and status.get("updatedReplicas") == 3
        and status.get("readyReplicas") == 3
        and status.get("currentRevision") == status.get("updateRevision")
    )
