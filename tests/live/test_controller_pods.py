"""The controller with pods that run: from `kubectl apply` to Ready, and an edit that rolls out."""

import httpx
import pytest
from controller_kit import HOOK, SENSOR, Space, condition_of, controlled

PATIENCE = 150.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def space(kinds, nodes, request):
    """A namespace of a cluster whose pods run."""
    return Space(kinds, kinds.namespace(request.node.name))


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


async def test_pods_tell_of_each_event_and_trigger(space):
    def part(name, plural, **wanted):
        def is_it(found):
            told = {one["name"]: one for one in (found.get("status") or {}).get(plural) or ()}
            return told.get(name, {}).items() >= wanted.items()

        return is_it

    nowhere = {"url": "nats://127.0.0.1:1", "subject": "q"}
    failing = {"url": "http://127.0.0.1:1/", "method": "POST", "payload": []}
    sensor = {**SENSOR["spec"], "triggers": [{"template": {"name": "t", "http": failing}}]}
    sensor["triggers"][0]["retryStrategy"] = {"steps": 1}
    # The names of Services are known to pods alone, so the controller does not reach this bus.
    await space.bus(jetstream={"version": "latest", "replicas": 1})
    async with controlled(space.cluster, space.name):
        await space.apply({**HOOK, "spec": {**HOOK["spec"], "nats": {"q": nowhere}}})
        await space.apply({**SENSOR, "spec": sensor})
        up = {"ready": True, "reason": "Listening"}
        await space.until("EventSource", "hook", part("orders", "events", **up), PATIENCE)
        down = {"ready": False, "reason": "SourceFailed"}
        await space.until("EventSource", "hook", part("q", "events", **down), PATIENCE)
        said = await space.condition("EventSource", "hook", "Ready", "False", "EventsNotReady")
        assert said["message"].startswith("1 of 2 events are ready; q: ")
        assert "127.0.0.1:1" in said["message"]

        bound = {"ready": True, "reason": "Bound"}
        await space.until("Sensor", "tell", part("t", "triggers", **bound), PATIENCE)
        (pod,) = [one for one in await space.all("Pod") if "hook-" in one["metadata"]["name"]]
        url = f"http://{pod['status']['podIP']}:12000/orders"
        async with httpx.AsyncClient(timeout=30) as client:
            assert (await client.post(url, json={})).status_code == 200
        fails = {"ready": True, "reason": "Failing"}
        found = await space.until("Sensor", "tell", part("t", "triggers", **fails), PATIENCE)
        assert "127.0.0.1:1" in found["status"]["triggers"][0]["message"]
        told = await space.condition("Sensor", "tell", "DeadLetters", "True")
        assert told["message"].startswith("1 dead letter (lately TriggerFailed 1): tocsin dlq list")
