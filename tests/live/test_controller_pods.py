"""The controller with pods that run: from `kubectl apply` to Ready, and an edit that rolls out."""

import pytest
from controller_kit import CRDS, Space, condition_of, controlled

HOOK = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "EventSource",
    "metadata": {"name": "hook"},
    "spec": {"webhook": {"orders": {"port": "12000", "endpoint": "/orders", "method": "POST"}}},
}
SENSOR = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Sensor",
    "metadata": {"name": "tell"},
    "spec": {
        "dependencies": [{"name": "d", "eventSourceName": "hook", "eventName": "orders"}],
        "triggers": [{"template": {"name": "t", "log": {}}}],
    },
}
PATIENCE = 90.0


@pytest.fixture
def space(cluster, nodes, request):
    """A namespace of a cluster whose pods run."""
    for file in CRDS:
        cluster.apply(file)
    return Space(cluster, cluster.namespace(request.node.name))


async def test_what_is_applied_gets_ready_and_an_edit_rolls_out(space):
    def ready(generation):
        def is_it(found):
            one = condition_of(found, "Ready")
            seen = (found.get("status") or {}).get("observedGeneration")
            return seen == generation and one["status"] == "True"

        return is_it

    await space.bus(jetstream={"version": "latest", "replicas": 1})
    async with controlled(space.cluster, space.name):
        await space.apply(HOOK)
        await space.apply(SENSOR)
        await space.until("EventSource", "hook", ready(1), PATIENCE)
        await space.until("Sensor", "tell", ready(1), PATIENCE)
        before = await space.get("Deployment", "tell-sensor")

        await space.apply({**SENSOR, "spec": {**SENSOR["spec"], "startFrom": "all"}})
        await space.until("Sensor", "tell", ready(2), PATIENCE)
        after = await space.get("Deployment", "tell-sensor")
        assert after["spec"]["template"] != before["spec"]["template"]
        assert after["status"]["availableReplicas"] == 1
