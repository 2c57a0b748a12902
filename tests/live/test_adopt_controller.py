"""The controller takes the place of Argo Events where an annotation asks for it."""

import asyncio
import json

from argo_kit import argo, group
from controller_kit import PATHS, condition_of, controlled
from nats_server import nats_server
from tocsin_run import tocsin

from controller.adoption import ADOPT
from eventbus.jetstream import Options, connect
from sensor.adopted import adopted_of

SENSOR = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Sensor",
    "metadata": {"name": "s", "finalizers": ["sensor-controller"]},
    "spec": {
        "dependencies": [{"name": "a", "eventSourceName": "src", "eventName": "a"}],
        "triggers": [{"template": {"name": "t", "log": {}}}],
    },
}


def bus(url):
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventBus",
        "metadata": {"name": "default", "annotations": {ADOPT: "true"}},
        "spec": {"jetstreamExotic": {"url": url}},
    }


async def test_a_sensor_has_no_pods_until_its_place_is_taken_over(space, tmp_path):
    async with nats_server(tmp_path) as server, argo(server.url) as old:
        await old.durable("t", "a", ack_wait=1)
        await old.publish("a", 1, 2, 3)
        await old.handle("t", "a", 2)
        name = group("s", "t", "a")
        bound = await old.js.pull_subscribe_bind(durable=name, stream="default")
        reading = asyncio.create_task(hold(bound))
        await space.apply(bus(server.url))
        async with controlled(space.cluster, space.name):
            await space.apply(SENSOR)
            refused = condition_of(await space.until("Sensor", "s", held), "Deployed")
            assert refused["status"] == "False"
            assert await space.get("Deployment", "s-sensor") is None

            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            found = await space.until("Sensor", "s", deployed)
            assert not found["metadata"].get("finalizers")

        async with connect(lambda: Options(servers=(server.url,))) as connected:
            adopted = await adopted_of("s", connected)
            ours = await connected.api.consumer("default", "sensor-s")
    assert adopted is not None
    assert (adopted.after, ours["config"]["opt_start_seq"]) == (2, 3)


async def test_the_command_finds_sensors_bus_and_password_in_the_cluster(space, tmp_path):
    login = "authorization { user: u, password: p }"
    secret = {
        "metadata": {"name": "login"},
        "stringData": {"client-auth": "username: u\npassword: p"},
    }
    path = PATHS["Secret"].format(space.name)
    await asyncio.to_thread(space.cluster.call, "POST", path, secret)
    async with nats_server(tmp_path, extra=login) as server:
        url = server.url.replace("//", "//u:p@")
        async with argo(url) as old:
            await old.durable("t", "a")
            await old.publish("a", 1, 2, 3)
            await old.handle("t", "a", 2)
            await space.apply(bus("nats://eventbus-default-js-svc.nowhere.svc:4222"))
            access = {"name": "login", "key": "client-auth"}
            there = {"url": "nats://eventbus-default-js-svc.nowhere.svc:4222"}
            config = {"jetstream": {**there, "accessSecret": access}}
            await space.status("EventBus", "default", {"config": config})
            await space.apply(SENSOR)

            words = ["adopt", "-n", space.name, "--kubeconfig", str(space.cluster.kubeconfig)]
            words += ["--bus", server.url, "-o", "json"]
            code, out, err = await tocsin(*words, cwd=tmp_path)
    assert code == 0, err
    found = json.loads(out)
    assert (found["sensor"], found["startsAfter"]) == ("s", 2)
    (place,) = found["places"]
    assert (place["acknowledged"], place["pending"], place["skipped"]) == (2, 1, 0)


def deployed(found):
    return (condition_of(found, "Deployed") or {}).get("status") == "True"


def held(found):
    said = condition_of(found, "Deployed") or {"reason": "", "message": ""}
    why = "a pod of Argo Events still reads it"
    return said["reason"] == "BusFailed" and why in said["message"]


async def hold(bound):
    """Ask for events again and again, as a pod there does, and acknowledge none."""
    while True:
        try:
            await bound.fetch(5, timeout=1)
        except TimeoutError:
            continue
