"""On a real API server: what a template may not ask for never becomes a pod."""

import pytest
from controller_kit import CRDS, Space, controlled

from controller.workload.limits import Allowed

SENSOR = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Sensor",
    "metadata": {"name": "bold"},
    "spec": {
        "dependencies": [{"name": "d", "eventSourceName": "hook", "eventName": "orders"}],
        "triggers": [{"template": {"name": "t", "log": {}}}],
    },
}
HOST = {
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "container": {
        "volumeMounts": [{"name": "host", "mountPath": "/host"}],
        "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}},
        "command": ["/bin/sh"],
    },
}


@pytest.fixture
def space(cluster, request):
    for file in CRDS:
        cluster.apply(file)
    return Space(cluster, cluster.namespace(request.node.name))


def sensor(**template):
    return {**SENSOR, "spec": {**SENSOR["spec"], "template": template}}


async def test_template_that_escalates_gets_no_pods_and_is_told_why(space):
    await space.bus()
    async with controlled(space.cluster, space.name):
        await space.apply(sensor(**HOST))
        valid = await space.condition("Sensor", "bold", "Valid", "False", "InvalidConfig")
        await space.condition("Sensor", "bold", "Ready", "False", "InvalidConfig")
        for word in ("privileges", "volumes"):
            assert f"--allow-template {word}" in valid["message"]
        assert await space.get("Deployment", "bold-sensor") is None

        await space.apply(sensor(container={"resources": {}}))
        await space.condition("Sensor", "bold", "Deployed", "True", "Deployed")
        before = (await space.get("Deployment", "bold-sensor"))["spec"]

        await space.apply(sensor(**HOST))  # an edit changes nothing that runs
        await space.condition("Sensor", "bold", "Deployed", "True", "KeptAsItWas")
        assert (await space.get("Deployment", "bold-sensor"))["spec"] == before


async def test_what_an_administrator_allows_is_deployed(space):
    await space.bus()
    allowed = Allowed(frozenset({"privileges", "volumes"}))
    async with controlled(space.cluster, space.name, allowed=allowed):
        await space.apply(sensor(**HOST))
        await space.condition("Sensor", "bold", "Deployed", "True", "Deployed")
        deployment = await space.get("Deployment", "bold-sensor")
    pod = deployment["spec"]["template"]["spec"]
    assert {"name": "host", "hostPath": {"path": "/", "type": ""}} in pod["volumes"]
    added = pod["containers"][0]["securityContext"]["capabilities"]["add"]
    assert added == ["SYS_ADMIN"]
    assert "command" not in pod["containers"][0]


async def test_bus_whose_login_is_the_keys_of_another_bus_gets_no_pods(space):
    keys = {"name": "eventbus-other-js-server", "key": "auth"}
    await space.bus(jetstreamExotic={"url": "nats://127.0.0.1:1", "accessSecret": keys})
    async with controlled(space.cluster, space.name):
        await space.apply(sensor())
        valid = await space.condition("Sensor", "bold", "Valid", "False", "InvalidConfig")
        assert "--allow-template keys" in valid["message"]
        assert await space.get("Deployment", "bold-sensor") is None


async def test_event_bus_that_escalates_gets_no_servers(space):
    async with controlled(space.cluster, space.name):
        await space.apply(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "EventBus",
                "metadata": {"name": "bold"},
                "spec": {
                    "jetstream": {
                        "version": "latest",
                        "containerTemplate": {"securityContext": {"privileged": True}},
                    }
                },
            }
        )
        valid = await space.condition("EventBus", "bold", "Valid", "False", "InvalidSpec")
        assert "containerTemplate.securityContext.privileged" in valid["message"]
        assert await space.get("Secret", "eventbus-bold-js-server") is None
