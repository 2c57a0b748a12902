"""The controller on a real API server, with real Kubernetes controllers; nothing runs pods."""

import asyncio
import base64
import json
import urllib.error
from contextlib import asynccontextmanager

import pytest
from controller_kit import PATHS, PATIENCE, SENSOR, Space, condition_of, controlled
from nats_server import nats_server
from plan_kit import event

from delivery.dead import DeadLetter, dead_letter, drop
from eventbus.bus import EVENTS, STATE
from eventbus.config import BusConfig
from eventbus.opening import open_bus
from spine.secrets import GivenSecrets
from spine.standing import Part, Standing
from spine.telemetry import StatusServer, registry

HOOK = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "EventSource",
    "metadata": {"name": "hook"},
    "spec": {
        "service": {"ports": [{"port": 12000, "targetPort": 12000}]},
        "webhook": {"orders": {"port": "12000", "endpoint": "/orders", "method": "POST"}},
    },
}
NOTIFIER = {
    "apiVersion": "tocsin.dev/v1alpha1",
    "kind": "Notifier",
    "metadata": {"name": "people"},
    "spec": {"watches": [{"apiVersion": "v1", "kind": "Pod"}]},
}


def edited(made, **spec):
    return {**made, "spec": {**made["spec"], **spec}}


def read_of(deployment):
    return deployment["spec"]["template"]["metadata"]["annotations"]["tocsin.dev/read"]


def there(found):
    return found is not None


def _parts(found):
    """Return what a status tells of events, triggers or watches."""
    told = found["status"].items()
    return next((v for k, v in told if k in {"events", "triggers", "watches"}), [])


def _all_ready(found):
    return bool(_parts(found)) and all(part.get("ready") for part in _parts(found))


async def test_an_object_of_each_kind_is_deployed_and_its_status_told(space):
    await space.bus()
    async with controlled(space.cluster, space.name):
        for made in (HOOK, SENSOR, NOTIFIER):
            await space.apply(made)

        for kind, name, part in (
            ("EventSource", "hook", {"name": "orders", "type": "webhook"}),
            ("Sensor", "tell", {"name": "t", "type": "log"}),
            ("Notifier", "people", {"name": "Pod of v1", "type": "Pod"}),
        ):
            deployed = f"{name}-{kind.lower()}"
            await space.condition(kind, name, "Deployed", "True", "Deployed")
            await space.condition(kind, name, "Ready", "False", "PodsNotReady")
            await space.pods_up(deployed)
            await space.condition(kind, name, "Ready", "True", "Ready")
            found = await space.until(kind, name, _all_ready)
            status = found["status"]
            assert status["observedGeneration"] == found["metadata"]["generation"]
            assert [one["type"] for one in status["conditions"]] == [
                "BusReady",
                "Deployed",
                "Ready",
                "Valid",
            ]
            (one,) = _parts(found)
            assert one.items() >= {**part, "ready": True, "reason": "PodsReady"}.items()

        deployment = await space.get("Deployment", "hook-eventsource")
        assert deployment["metadata"]["ownerReferences"][0]["kind"] == "EventSource"
        service = await space.get("Service", "hook-eventsource-svc")
        assert service["spec"]["selector"].items() <= (
            deployment["spec"]["template"]["metadata"]["labels"].items()
        )
        secret = await space.get("Secret", "eventsource-hook-config")
        handed = json.loads(base64.b64decode(secret["data"]["object.json"]))
        assert handed["spec"] == {"webhook": HOOK["spec"]["webhook"]}
        bus = json.loads(base64.b64decode(secret["data"]["bus.json"]))
        assert bus == {"jetstream": {"url": "nats://127.0.0.1:1"}}


async def test_a_bus_that_comes_late_starts_its_users_at_once(space):
    async with controlled(space.cluster, space.name):
        await space.apply(SENSOR)
        said = await space.condition("Sensor", "tell", "BusReady", "False", "EventBusNotFound")
        assert "'default'" in said["message"]
        assert await space.get("Deployment", "tell-sensor") is None

        await space.bus(kafka={"url": "nowhere:9092"})
        await space.until(
            "Sensor", "tell", lambda d: "kafka" in condition_of(d, "BusReady")["message"]
        )
        await space.bus()
        await space.condition("Sensor", "tell", "BusReady", "True")
        await space.condition("Sensor", "tell", "Deployed", "True")


async def test_what_is_wrong_is_told_and_what_runs_is_kept(space):
    await space.bus()
    async with controlled(space.cluster, space.name):
        await space.apply(SENSOR)
        await space.condition("Sensor", "tell", "Deployed", "True")
        before = await space.get("Deployment", "tell-sensor")

        wrong = [{"template": {"name": "t", "conditions": "d &&& d", "log": {}}}]
        await space.apply(edited(SENSOR, triggers=wrong))
        said = await space.condition("Sensor", "tell", "Valid", "False", "InvalidConfig")
        assert "conditions" in said["message"]
        await space.condition("Sensor", "tell", "Ready", "False", "InvalidConfig")
        await space.condition("Sensor", "tell", "Deployed", "True", "KeptAsItWas")
        after = await space.get("Deployment", "tell-sensor")
        assert after["metadata"]["generation"] == before["metadata"]["generation"]

        await space.apply(SENSOR)
        await space.condition("Sensor", "tell", "Valid", "True")
        await space.told("ValidInvalidConfig")


async def test_pods_are_replaced_only_for_what_they_read(space):
    await space.bus()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hub"},
        "stringData": {"token": "a", "other": "x"},
    }
    await space.apply(secret)
    ref = {"name": "hub", "key": "token"}
    hook = edited(
        HOOK, webhook={"orders": {**HOOK["spec"]["webhook"]["orders"], "authSecret": ref}}
    )
    async with controlled(space.cluster, space.name):
        await space.apply(hook)
        first = await space.until("Deployment", "hook-eventsource", there)
        mounted = first["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        assert "/argo-events/secrets/hub" in {one["mountPath"] for one in mounted}

        await space.apply(edited(hook, replicas=2))
        await space.until("PodDisruptionBudget", "hook-eventsource", there)
        scaled = await space.until(
            "Deployment", "hook-eventsource", lambda d: d["spec"]["replicas"] == 2
        )
        assert scaled["spec"]["template"] == first["spec"]["template"]
        config = await space.get("Secret", "eventsource-hook-config")
        handed = json.loads(base64.b64decode(config["data"]["object.json"]))

        await space.apply({**secret, "stringData": {"token": "a", "other": "y"}})
        await space.apply(edited(hook, replicas=1))
        await space.until("PodDisruptionBudget", "hook-eventsource", lambda d: d is None)
        same = await space.get("Deployment", "hook-eventsource")
        assert read_of(same) == read_of(first)
        config = await space.get("Secret", "eventsource-hook-config")
        assert json.loads(base64.b64decode(config["data"]["object.json"])) == handed

        await space.apply({**secret, "stringData": {"token": "b", "other": "y"}})
        rolled = await space.until(
            "Deployment", "hook-eventsource", lambda d: read_of(d) != read_of(first)
        )
        await space.bus("nats://127.0.0.1:2")
        await space.until("Deployment", "hook-eventsource", lambda d: read_of(d) != read_of(rolled))


async def test_a_secret_that_is_missing_is_named(space):
    await space.bus()
    ref = {"name": "hub", "key": "token"}
    hook = edited(
        HOOK, webhook={"orders": {**HOOK["spec"]["webhook"]["orders"], "authSecret": ref}}
    )
    async with controlled(space.cluster, space.name):
        await space.apply(hook)
        said = await space.condition("EventSource", "hook", "Ready", "False", "ReferenceNotFound")
        assert "Secret 'hub'" in said["message"]
        await space.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"}, "data": {}}
        )
        said = await space.until(
            "EventSource", "hook", lambda d: "key 'token'" in condition_of(d, "Ready")["message"]
        )


async def test_suspending_scales_to_none(space):
    await space.bus()
    async with controlled(space.cluster, space.name):
        await space.apply(edited(SENSOR, suspend=True))
        await space.until("Deployment", "tell-sensor", lambda d: d and d["spec"]["replicas"] == 0)
        await space.condition("Sensor", "tell", "Ready", "False", "Suspended")
        await space.apply(SENSOR)
        await space.until("Deployment", "tell-sensor", lambda d: d["spec"]["replicas"] == 1)
        noted = {"name": "tell", "annotations": {"tocsin.dev/suspend": "true"}}
        await space.apply({**SENSOR, "metadata": noted})
        await space.until("Deployment", "tell-sensor", lambda d: d["spec"]["replicas"] == 0)


# ---------------------------------------------------------------------------- what pods say


@asynccontextmanager
async def speaking(namespace, *parts):
    """Serve what a pod of the EventSource says; yield its port, and the parts, to be changed."""
    said = list(parts)

    def standing():
        return Standing("EventSource", namespace, "hook", parts=list(said))

    async with StatusServer("127.0.0.1", 0, registry(), {}, standing) as server:
        yield server.port, said


async def test_the_status_tells_of_each_event_what_its_pods_say(space):
    await space.bus()
    both = {"orders": HOOK["spec"]["webhook"]["orders"]}
    both["returns"] = {**both["orders"], "endpoint": "/returns"}
    up = Part("orders", True, "Listening")
    why = "connecting to mq:1883: refused"
    down = Part("returns", False, "SourceFailed", why)
    more = [Part(f"of the future {n}", True, "Listening", "x" * 100) for n in range(1000)]
    async with (
        speaking(space.name, up, down, *more) as (port, said),
        controlled(space.cluster, space.name, port=port),
    ):
        await space.apply(edited(HOOK, webhook=both))
        await space.condition("EventSource", "hook", "Deployed", "True")
        await space.pods_up("hook-eventsource", ready=False, address="127.0.0.1")

        told = await space.condition("EventSource", "hook", "Ready", "False", "EventsNotReady")
        assert told["message"] == f"1 of 2 events are ready; returns: {why}"
        status = (await space.get("EventSource", "hook"))["status"]
        first, second = status["events"]
        assert (first["ready"], first["reason"]) == (True, "Listening")
        assert (second["ready"], second["message"]) == (False, why)

        said[1] = Part("returns", True, "Listening")
        await space.pods_up("hook-eventsource", address="127.0.0.1")
        await space.condition("EventSource", "hook", "Ready", "True", "Ready")
        after = (await space.get("EventSource", "hook"))["status"]["events"]
        assert after[1].items() >= {"ready": True, "reason": "Listening"}.items()
        assert after[0] == first
        for reason in ("ReadyEventsNotReady", "Ready"):
            await space.told(reason)


async def test_pods_that_cannot_be_asked_are_no_sign_that_anything_is_amiss(space):
    await space.bus()
    async with controlled(space.cluster, space.name, port=1):
        await space.apply(HOOK)
        await space.condition("EventSource", "hook", "Deployed", "True")
        await space.pods_up("hook-eventsource", ready=False, address="127.0.0.1")

        def unknown(found):
            (one,) = found["status"]["events"]
            return (
                one["reason"] == "Unknown" and "ready" not in one and "pod hook-" in one["message"]
            )

        await space.until("EventSource", "hook", unknown)
        await space.pods_up("hook-eventsource", address="127.0.0.1")
        await space.condition("EventSource", "hook", "Ready", "True", "Ready")
        found = await space.get("EventSource", "hook")
        assert found["status"]["events"][0]["reason"] == "PodsReady"


async def test_dead_letters_are_counted_and_told(space, tmp_path):
    async with (
        nats_server(tmp_path) as server,
        open_bus(
            BusConfig.model_validate({"jetstream": {"url": server.url}}), GivenSecrets()
        ) as bus,
    ):
        await space.bus(server.url)
        async with controlled(space.cluster, space.name):
            await space.apply(SENSOR)
            await space.condition("Sensor", "tell", "Deployed", "True")
            for number in range(3):
                place = "t" if number else ""
                letter = dead_of(SENSOR["metadata"]["name"], place, number)
                await dead_letter(bus, letter)
            await space.until("Sensor", "tell", lambda d: d["status"].get("deadLetters") == 3)
            said = await space.condition("Sensor", "tell", "DeadLetters", "True")
            assert said["message"] == "3 dead letters: tocsin dlq list --sensor tell"
            (trigger,) = (await space.get("Sensor", "tell"))["status"]["triggers"]
            assert trigger["deadLetters"] == 2
            (told,) = await space.told("DeadLetters")
            assert told["type"] == "Warning"
            assert "tocsin dlq list --sensor tell" in told["message"]
            for sequence in range(1, 4):
                await drop(bus, sequence)
            await space.condition("Sensor", "tell", "DeadLetters", "False")


def dead_of(name, place, number):
    return DeadLetter(
        kind="event", component="sensor", object=name, place=place, code="FilterFailed",
        message="x", time=1.0, sequence=number,
    )  # fmt: skip


# ---------------------------------------------------------------------------- drop-in, security


async def test_versions_of_an_older_configuration_are_taken_and_watched(space):
    def configuration(image):
        text = f"eventBus: {{jetstream: {{versions: [{{version: latest, natsImage: {image}}}]}}}}"
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argo-events-controller-config"},
            "data": {"controller-config.yaml": text},
        }

    def runs(image):
        return lambda d: d and d["spec"]["template"]["spec"]["containers"][0]["image"] == image

    PATHS.setdefault("StatefulSet", "/apis/apps/v1/namespaces/{}/statefulsets")
    await space.apply(configuration("mirror/nats:2.10.30"))
    async with controlled(space.cluster, space.name):
        await space.bus(jetstream={"version": "latest", "replicas": 1})
        await space.until("StatefulSet", "eventbus-default-js", runs("mirror/nats:2.10.30"))
        await space.apply(configuration("mirror/nats:2.11.0"))
        await space.until("StatefulSet", "eventbus-default-js", runs("mirror/nats:2.11.0"))


POD = {"apiVersion": "v1", "kind": "Pod"}


async def test_all_pods_are_admitted_where_only_restricted_ones_are(space):
    PATHS.setdefault("StatefulSet", "/apis/apps/v1/namespaces/{}/statefulsets")
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await asyncio.to_thread(
        space.cluster.call,
        "PATCH",
        f"/api/v1/namespaces/{space.name}",
        label,
        Content_Type="application/merge-patch+json",
    )
    pod = {"spec": {"containers": [{"name": "root", "image": "x"}]}, "metadata": {"name": "root"}}
    with pytest.raises(urllib.error.HTTPError) as refused:
        await asyncio.to_thread(
            space.cluster.call, "POST", PATHS["Pod"].format(space.name), {**pod, **POD}
        )
    with refused.value as answer:
        assert "violates PodSecurity" in answer.read().decode()
    async with controlled(space.cluster, space.name):
        await space.bus(jetstream={"version": "latest", "replicas": 1})
        await space.until("StatefulSet", "eventbus-default-js", there)
        for made in (HOOK, SENSOR, NOTIFIER):
            await space.apply(made)
        wanted = {"eventbus-default-js", "hook-eventsource", "tell-sensor", "people-notifier"}
        up = {"readyReplicas": 1, "replicas": 1}
        until = asyncio.get_running_loop().time() + 180
        while True:  # Kubernetes' own controller says each time that nobody is ready
            await space.status("StatefulSet", "eventbus-default-js", up)
            names = {one["metadata"]["name"] for one in await space.all("Pod")}
            missing = {one for one in wanted if not any(name.startswith(one) for name in names)}
            if not missing:
                break
            assert asyncio.get_running_loop().time() < until, missing
            await asyncio.sleep(0.1)


# ---------------------------------------------------------------------------- upkeep


async def test_what_somebody_changes_or_deletes_is_put_right(space):
    await space.bus()
    async with controlled(space.cluster, space.name):
        await space.apply(HOOK)
        first = await space.until("Deployment", "hook-eventsource", there)
        path = f"/apis/apps/v1/namespaces/{space.name}/deployments/hook-eventsource"
        await asyncio.to_thread(
            space.cluster.call,
            "PATCH",
            path,
            {"spec": {"replicas": 5}},
            Content_Type="application/merge-patch+json",
        )
        await space.until("Deployment", "hook-eventsource", lambda d: d["spec"]["replicas"] == 1)
        await space.delete("Deployment", "hook-eventsource")
        await space.until(
            "Deployment",
            "hook-eventsource",
            lambda d: d and d["metadata"]["uid"] != first["metadata"]["uid"],
        )
        await space.until("Service", "hook-eventsource-svc", there)
        config = f"/api/v1/namespaces/{space.name}/secrets/eventsource-hook-config"
        await asyncio.to_thread(
            space.cluster.call,
            "PATCH",
            config,
            {"data": {"object.json": "e30="}},
            Content_Type="application/merge-patch+json",
        )
        await space.until(
            "Secret", "eventsource-hook-config", lambda d: d["data"]["object.json"] != "e30="
        )

        await space.apply(edited(HOOK, service=None))
        await space.until("Service", "hook-eventsource-svc", lambda d: d is None)


async def test_all_goes_with_its_owner(space):
    # The garbage collector learns of new kinds twice a minute.
    await space.bus()
    async with controlled(space.cluster, space.name):
        await space.apply(HOOK)
        await space.condition("EventSource", "hook", "Deployed", "True")
        await space.delete("EventSource", "hook")
        for kind, name in (
            ("EventSource", "hook"),
            ("Deployment", "hook-eventsource"),
            ("Service", "hook-eventsource-svc"),
            ("Secret", "eventsource-hook-config"),
        ):
            await space.until(kind, name, lambda d: d is None, patience=90.0)


async def test_an_account_with_the_least_rights_is_made_where_that_is_asked_for(space):
    await space.bus()
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"generateName": "x-"},
    }
    trigger = {"name": "t", "k8s": {"operation": "create", "source": {"resource": made}}}
    async with controlled(space.cluster, space.name, make_service_accounts=True):
        await space.apply(edited(SENSOR, triggers=[{"template": trigger}]))
        role = await space.until("Role", "sensor-tell", there)
        assert role["rules"] == [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]}
        ]
        binding = await space.until("RoleBinding", "sensor-tell", there)
        assert binding["subjects"][0]["name"] == "sensor-tell"
        await space.until("ServiceAccount", "sensor-tell", there)
        deployment = await space.until("Deployment", "tell-sensor", there)
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "sensor-tell"

        await space.apply(
            edited(
                SENSOR,
                template={"serviceAccountName": "mine"},
                triggers=[{"template": trigger}],
            )
        )
        await space.until("Role", "sensor-tell", lambda d: d is None)
        await space.until("ServiceAccount", "sensor-tell", lambda d: d is None)


async def test_another_controller_writes_nothing_where_nothing_differs(space):
    await space.bus()
    made = (
        ("Service", "hook-eventsource-svc"),
        ("Secret", "eventsource-hook-config"),
        ("Secret", "sensor-tell-config"),
        ("EventSource", "hook"),
        ("Sensor", "tell"),
    )
    versions, names = [], ("hook-eventsource", "tell-sensor")
    for identity in ("first", "second"):
        async with controlled(space.cluster, space.name, identity=identity) as one:
            await space.apply(HOOK)
            await space.apply(SENSOR)
            for kind, name in made[-2:]:
                await space.condition(kind, name, "Deployed", "True")
            for name in names:
                if identity == "first":
                    await space.pods_up(name)
            for kind, name in made[-2:]:
                await space.condition(kind, name, "Ready", "True")
            await looked_at(one, "EventSource", "Sensor")
            found = [await space.get(kind, name) for kind, name in made]
            deployments = [await space.get("Deployment", name) for name in names]
            versions.append(
                [one["metadata"]["resourceVersion"] for one in found]
                + [one["metadata"]["generation"] for one in deployments]
            )
    assert versions[0] == versions[1]


async def looked_at(one, *kinds):
    """Return once objects of these kinds have been looked at."""
    until = asyncio.get_running_loop().time() + PATIENCE
    while not all(_looks(one, kind) for kind in kinds):
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.05)


def _looks(one, kind):
    found = one.metrics.registry.get_sample_value(
        "tocsin_controller_reconciles_total", {"kind": kind, "result": "done"}
    )
    return found or 0


async def test_another_replica_takes_over_at_once(space):
    await space.bus()
    async with controlled(space.cluster, space.name, identity="second") as second:
        async with controlled(space.cluster, space.name, identity="first") as first:
            until = asyncio.get_running_loop().time() + PATIENCE
            while not (first.leader.leading or second.leader.leading):
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.05)
            assert first.leader.leading != second.leader.leading
            while first.problem:
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.05)
        until = asyncio.get_running_loop().time() + PATIENCE
        while not second.leader.leading:
            assert asyncio.get_running_loop().time() < until
            await asyncio.sleep(0.05)
        await space.apply(SENSOR)
        await space.condition("Sensor", "tell", "Deployed", "True")


async def test_only_its_namespaces_are_taken_care_of(space):
    other = Space(space.cluster, space.cluster.namespace(f"{space.name}-b"))
    for one in (space, other):
        await one.bus()
        await one.apply(SENSOR)
    async with controlled(space.cluster, space.name):
        await space.condition("Sensor", "tell", "Deployed", "True")
        assert await other.get("Deployment", "tell-sensor") is None


async def test_a_sensor_has_its_place_before_any_pod_and_loses_it_after_its_deletion(
    space, tmp_path
):
    async with (
        nats_server(tmp_path) as server,
        open_bus(
            BusConfig.model_validate({"jetstream": {"url": server.url}}), GivenSecrets()
        ) as bus,
    ):

        async def places():
            return {info.durable for info in await bus.readers(EVENTS)}

        await space.bus(server.url)
        async with controlled(space.cluster, space.name, grace=0.5):
            await space.apply(SENSOR)
            await space.condition("Sensor", "tell", "Deployed", "True")
            assert await places() == {"sensor-tell"}
            await bus.publish(event(source="hook"))
            await space.until("Sensor", "tell", lambda d: d["status"].get("lag") == 1)
            await space.delete("Sensor", "tell")
            until = asyncio.get_running_loop().time() + PATIENCE
            while await places():
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.1)


async def test_objects_that_go_while_no_controller_runs_leave_nothing(space, tmp_path):
    """In the cluster Kubernetes sees to it, and on the bus the next controller."""
    kinds = "Deployment", "Service", "PodDisruptionBudget", "Secret", "ServiceAccount", "Role"
    objects = (edited(HOOK, replicas=2), SENSOR, NOTIFIER)

    async def left(kind):
        label = {"controller": "tocsin"}.items()
        found = [one["metadata"] for one in await space.all(kind)]
        return [one["name"] for one in found if label <= (one.get("labels") or {}).items()]

    async with (
        asyncio.timeout(2 * PATIENCE),
        nats_server(tmp_path) as server,
        open_bus(
            BusConfig.model_validate({"jetstream": {"url": server.url}}), GivenSecrets()
        ) as bus,
    ):
        await space.bus(server.url)
        store = bus.store(STATE)
        async with controlled(space.cluster, space.name, make_service_accounts=True):
            for made in objects:
                await space.apply(made)
            for name in ("hook-eventsource", "tell-sensor", "people-notifier"):
                await space.until("Deployment", name, there)
            assert all([await left(kind) for kind in kinds])
            served = set()
            while len(served) < len(objects):  # whom the bus serves is noted on it
                found = [await store.get(key) for key in await store.keys("served/")]
                served = {one for each in found if each for one in json.loads(each[0])}
                await asyncio.sleep(0.05)
        await store.put("file.hook.orders", b"1", revision=None)
        for made in objects:
            await space.delete(made["kind"], made["metadata"]["name"])
        for kind in kinds:
            while await left(kind):
                await asyncio.sleep(0.05)
        assert [one.durable for one in await bus.readers(EVENTS)] == ["sensor-tell"]
        async with controlled(space.cluster, space.name, grace=0.0):
            while await bus.readers(EVENTS) or await store.get("file.hook.orders"):
                await asyncio.sleep(0.05)
