"""Pods as Argo Events' controller makes them, with our image: arguments, variables and mounts.

The bus asks for a password, which is mounted as that controller mounts it.
"""

import asyncio
import base64
import json

import httpx
import pytest
from argo_kit import argo, group
from kubelet.nodes import Nodes

BUS = "eventbus-default-js"
LOGIN = {"username": "js-user", "password": "js-pass"}


@pytest.fixture
def namespace(nodes, request):
    return nodes.namespace(request.node.name)


def encoded(value) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def handed(name: str, namespace: str, spec) -> str:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": None}
    return encoded({"metadata": metadata, "spec": spec, "status": {}})


def bus(namespace: str) -> list[dict]:
    """The server, its Service and the Secret of its clients."""
    words = [
        "--js",
        "--sd",
        "/data",
        "-m",
        "8222",
        "--user",
        LOGIN["username"],
        "--pass",
        LOGIN["password"],
    ]
    main = {
        "name": "main",
        "image": "nats:2.10.29",
        "command": ["/nats-server", *words],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8222}, "periodSeconds": 1},
        "volumeMounts": [{"name": "js-data", "mountPath": "/data"}],
    }
    labels = {"eventbus-name": "default"}
    text = "".join(f"{key}: {value}\n" for key, value in LOGIN.items())
    return [
        {
            "kind": "Pod",
            "metadata": {"name": f"{BUS}-0", "labels": labels},
            "spec": {"containers": [main], "volumes": [{"name": "js-data", "emptyDir": {}}]},
        },
        {
            "kind": "Service",
            "metadata": {"name": f"{BUS}-svc"},
            "spec": {"selector": labels, "ports": [{"name": "tcp-client", "port": 4222}]},
        },
        {
            "kind": "Secret",
            "metadata": {"name": f"{BUS}-client-auth"},
            "stringData": {"client-auth": text},
        },
        {"kind": "Secret", "metadata": {"name": "login"}, "stringData": {"token": "s3cret\n"}},
    ]


def workload(kind: str, namespace: str, name: str, spec, secrets=()) -> dict:
    """The Deployment of an EventSource or a Sensor."""
    status = {
        "url": f"nats://{BUS}-svc.{namespace}.svc:4222",
        "accessSecret": {"name": f"{BUS}-client-auth", "key": "client-auth"},
        "streamConfig": "discard: 0\nduplicates: 300s\nmaxage: 168h\nmaxbytes: -1\n"
        "maxmsgs: 50000\nreplicas: 1\nretention: 0\n",
    }
    field = {"fieldRef": {"fieldPath": "metadata.name"}}
    variables = [
        {"name": f"{kind.upper()}_OBJECT", "value": handed(name, namespace, spec)},
        {"name": "EVENTBUS_SUBJECT", "value": f"eventbus-{namespace}"},
        {"name": "POD_NAME", "valueFrom": field},
        {"name": "LEADER_ELECTION", "value": ""},
        {"name": "EVENTBUS_CONFIG", "value": encoded({"jetstream": status})},
    ]
    auth = {
        "secretName": f"{BUS}-client-auth",
        "items": [{"key": "client-auth", "path": "auth.yaml"}],
    }
    volumes = [{"name": "auth-volume", "secret": auth}, {"name": "tmp", "emptyDir": {}}]
    mounts = [
        {"name": "auth-volume", "mountPath": "/etc/eventbus/auth"},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    for secret in secrets:
        volumes.append({"name": f"secret-{secret}", "secret": {"secretName": secret}})
        path = f"/argo-events/secrets/{secret}"
        mounts.append({"name": f"secret-{secret}", "mountPath": path, "readOnly": True})
    labels = {"controller": f"{kind}-controller", f"{kind}-name": name, "owner-name": name}
    main = {
        "name": "main",
        "image": "tocsin:test",
        "imagePullPolicy": "Always",
        "args": [f"{kind}-service"],
        "env": variables,
        "ports": [{"name": "metrics", "containerPort": 7777}],
        "volumeMounts": mounts,
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": f"{name}-{kind}-x7k2p", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [main], "volumes": volumes},
            },
        },
    }


def make(nodes: Nodes, namespace: str, *objects: dict) -> None:
    roots = {"Deployment": "apis/apps/v1"}
    for one in objects:
        root = roots.get(one["kind"], "api/v1")
        path = f"/{root}/namespaces/{namespace}/{one['kind'].lower()}s"
        version = root.partition("/")[2]
        nodes.cluster.call("POST", path, {"apiVersion": version, **one})


async def test_replacing_the_image_loses_nothing_and_repeats_nothing(nodes, namespace):
    hook = {
        "webhook": {
            "a": {
                "port": "12000",
                "endpoint": "/a",
                "method": "POST",
                "authSecret": {"name": "login", "key": "token"},
            }
        }
    }
    tell = {
        "dependencies": [{"name": "d", "eventSourceName": "src", "eventName": "a"}],
        "triggers": [{"template": {"name": "t", "log": {}}}],
    }
    make(nodes, namespace, *bus(namespace))
    await nodes.until(lambda: nodes.ready(namespace, "eventbus-name=default"), what="the bus")
    host = nodes.reach(f"{BUS}-svc.{namespace}", 4222, "nats").removeprefix("nats://")
    async with argo(f"nats://{LOGIN['username']}:{LOGIN['password']}@{host}", "tell") as old:
        await old.durable("t", "d", "a", ack_wait=1)
        await old.publish("a", 1, 2, 3)
        await old.handle("t", "d", 1)
        name = group("tell", "t", "d")
        bound = await old.js.pull_subscribe_bind(durable=name, stream="default")
        reading = asyncio.create_task(hold(bound))

        make(nodes, namespace, workload("eventsource", namespace, "src", hook, ["login"]))
        make(nodes, namespace, workload("sensor", namespace, "tell", tell))
        (pod,) = await nodes.until(lambda: nodes.ready(namespace, "sensor-name=tell"))
        await nodes.until(lambda: "a pod of Argo Events still reads it" in nodes.logs(pod))
        assert '"n": 2' not in nodes.logs(pod)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

        await nodes.until(lambda: {2, 3} <= told(nodes.logs(pod)), 90)
        (source,) = await nodes.until(lambda: nodes.ready(namespace, "eventsource-name=src"))
        url = f"http://{source['status']['podIP']}:12000/a"
        async with httpx.AsyncClient(timeout=30) as client:

            async def post(**headers):
                try:
                    return (await client.post(url, json={"n": 4}, headers=headers)).status_code
                except httpx.TransportError:
                    return 0

            await nodes.until(lambda: answered(post(), 401))
            assert await post(Authorization="Bearer s3cret") == 200
        await nodes.until(lambda: 4 in told(nodes.logs(pod)))
        assert told(nodes.logs(pod)) == {2, 3, 4}


async def answered(answer, status: int) -> bool:
    return await answer == status


def told(logs: str) -> set[int]:
    """The numbers of the events that the trigger has logged."""
    whole = logs.rpartition("\n")[0].splitlines()
    lines = (json.loads(line) for line in whole if line.startswith("{"))
    texts = (json.loads(line["msg"]) for line in lines if "eventContext" in line)
    return {text["n"] if "n" in text else text["body"]["n"] for text in texts}


async def hold(bound) -> None:
    """Read as a pod of Argo Events that gets nothing done."""
    while True:
        try:
            await bound.fetch(100, timeout=5)
        except TimeoutError:
            continue
