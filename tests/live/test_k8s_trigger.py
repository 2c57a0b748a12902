"""The `k8s` trigger on a real API server: each operation, twice, late, and refused."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from delivery.action import Action
from eventbus.kept import Kept
from eventbus.memory import MemoryBus
from sensor.kubernetes.marks import FIRED_BY
from sensor.kubernetes.sender import open_kubernetes
from spine.errors import KubeError, TriggerError
from spine.kube import Kube, open_kube
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(180)


def config_map(name: str = "one", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def action(operation: str, made: dict[str, Any], key: str = "k1", at: float = 1.0, **more: Any):
    patch = {"patchStrategy": "application/merge-patch+json"} if operation == "patch" else {}
    return Action(
        key=key,
        sensor="sn",
        trigger="make it",
        kind="k8s",
        content={"operation": operation, "object": made, **patch, **more},
        events={"dep": "e1"},
        event_time=at,
    )


class Scene:
    """A namespace, and what acts in it."""

    def __init__(self, kube: Kube, space: str, sender: Any) -> None:
        self.kube, self.space, self.sender = kube, space, sender

    async def do(self, *arguments: Any, **more: Any) -> str:
        return (await self.sender.send(action(*arguments, **more), 1)).summary

    async def get(self, name: str = "one", kind: tuple[str, str] = ("v1", "ConfigMap")) -> Any:
        resource = await self.kube.discovery.kind(*kind)
        try:
            return json.loads(await self.kube.get(resource, name, self.space))
        except KubeError as exc:
            if exc.status != 404:
                raise
            return None

    async def names(self) -> list[str]:
        resource = await self.kube.discovery.kind("v1", "ConfigMap")
        found = await self.kube.page(resource, self.space)
        names = [json.loads(bytes(raw))["metadata"]["name"] for raw in found.items]
        return sorted(name for name in names if name != "kube-root-ca.crt")


@pytest.fixture
async def scene(cluster, request, monkeypatch):
    space = cluster.namespace(request.node.name)
    monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig)
    async with Shared() as shared, open_kube(cluster.kubeconfig) as kube:
        memory = Kept(MemoryBus(), "trigger.sn")
        env = Env("sn", "make it", space, GivenSecrets(), shared, memory=memory)
        async with open_kubernetes(env) as sender:
            yield Scene(kube, space, sender)


async def test_create_bears_the_marks_and_happens_once(scene):
    first = await scene.do("create", config_map(a="1"))
    again = await scene.do("create", config_map(a="1"))
    live = await scene.get()

    assert first == f"created ConfigMap {scene.space}/one"
    assert again.startswith("found, as made by this event")
    labels = live["metadata"]["labels"]
    assert labels["events.argoproj.io/sensor"] == "sn"
    assert labels["events.argoproj.io/trigger"] == "make-it"
    assert labels["events.argoproj.io/action-timestamp"].isdecimal()
    mark = json.loads(live["metadata"]["annotations"][FIRED_BY])
    assert (mark["sensor"], mark["trigger"], mark["events"]) == ("sn", "make it", {"dep": "e1"})


async def test_create_of_a_newer_event_updates_and_of_an_older_one_leaves(scene):
    await scene.do("create", config_map(a="1"), "k1", 1.0)
    newer = await scene.do("create", config_map(a="3"), "k3", 3.0)
    older = await scene.do("create", config_map(a="2"), "k2", 2.0)

    assert newer.startswith("updated")
    assert older.startswith("left as a newer event made it")
    assert (await scene.get())["data"] == {"a": "3"}


async def test_what_somebody_else_made_is_left_alone(scene):
    maps = await scene.kube.discovery.kind("v1", "ConfigMap")
    await scene.kube.create(maps, json.dumps(config_map(theirs="1")).encode(), scene.space)
    with pytest.raises(TriggerError, match="this trigger did not make it") as caught:
        await scene.do("create", config_map(a="1"))

    assert caught.value.permanent
    assert (await scene.get())["data"] == {"theirs": "1"}


async def test_generate_name_makes_one_object_of_one_event(scene):
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}}
    for key in ("k1", "k1", "k2", "k1"):
        await scene.do("create", made, key)

    names = await scene.names()
    assert len(names) == 2
    assert all(name.startswith("run-") for name in names)


async def test_update_before_create_creates_and_the_late_create_changes_nothing(scene):
    await scene.do("update", config_map(a="2"), "k2", 2.0)
    await scene.do("create", config_map(a="1"), "k1", 1.0)

    assert (await scene.get())["data"] == {"a": "2"}


async def test_update_merges_maps_and_keeps_what_is_not_named(scene):
    maps = await scene.kube.discovery.kind("v1", "ConfigMap")
    await scene.kube.create(maps, json.dumps(config_map(kept="1", a="0")).encode(), scene.space)
    await scene.do("update", config_map(a="1"))

    assert (await scene.get())["data"] == {"kept": "1", "a": "1"}


async def test_many_updates_at_once_all_count(scene):
    await scene.do("create", config_map(), "k0", 0.0)
    await asyncio.gather(
        *(scene.do("update", config_map(**{f"v{n}": "x"}), f"k{n}", 5.0) for n in range(1, 6))
    )

    assert (await scene.get())["data"] == {f"v{n}": "x" for n in range(1, 6)}


async def test_live_object_takes_parameters_into_what_is_there(scene):
    await scene.do("create", config_map(a="1", b="2"), "k1", 1.0)
    changes = [{"dest": "data.a", "text": "-x", "operation": "append"}]
    await scene.do(
        "update",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}},
        "k2",
        2.0,
        liveObject=True,
        changes=changes,
    )

    assert (await scene.get())["data"] == {"a": "1-x", "b": "2"}


@pytest.mark.parametrize(
    "strategy", ["application/merge-patch+json", "application/strategic-merge-patch+json"]
)
async def test_patch(scene, strategy):
    await scene.do("create", config_map(a="1", b="2"), "k1", 1.0)
    gone: dict[str, Any] = {**config_map(), "data": {"a": None, "c": "3"}}
    await scene.do("patch", gone, "k2", 2.0, patchStrategy=strategy)

    assert (await scene.get())["data"] == {"b": "2", "c": "3"}


async def test_patch_of_what_is_not_there_creates(scene):
    await scene.do("patch", config_map(a="1"))
    assert (await scene.get())["data"] == {"a": "1"}


async def test_apply_owns_its_fields(scene):
    await scene.do("apply", config_map(a="1", b="2"), "k1", 1.0)
    await scene.do("apply", config_map(a="1"), "k2", 2.0)
    live = await scene.get()

    assert live["data"] == {"a": "1"}
    assert {m["manager"] for m in live["metadata"]["managedFields"]} == {"tocsin"}


async def test_delete_twice_and_too_late(scene):
    await scene.do("create", config_map(a="1"), "k5", 5.0)
    late = await scene.do("delete", config_map(), "k4", 4.0)
    there = await scene.get()
    await scene.do("delete", config_map(), "k6", 6.0)
    again = await scene.do("delete", config_map(), "k6", 6.0)

    assert late.startswith("left as a newer event made it")
    assert there is not None
    assert await scene.get() is None
    assert again.startswith("found no")


async def test_kinds_without_a_namespace_and_with_an_odd_plural(scene):
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"r-{scene.space}"},
        "rules": [],
    }
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "one"}}

    assert await scene.do("create", role) == f"created ClusterRole r-{scene.space}"
    assert await scene.do("create", endpoints) == f"created Endpoints {scene.space}/one"
    await scene.do("delete", role)


async def test_refusals(scene, cluster, monkeypatch):
    bad = {**config_map(), "data": {"a": 5}}
    nowhere = {**config_map(), "metadata": {"name": "one", "namespace": "no-such"}}
    unknown = {"apiVersion": "nothing.test/v1", "kind": "Thing", "metadata": {"name": "x"}}
    for made, piece, permanent in [
        (bad, "cannot unmarshal number", True),
        (nowhere, 'namespaces "no-such" not found', True),
        (unknown, "API group 'nothing.test'", False),
    ]:
        with pytest.raises(TriggerError, match=piece) as caught:
            await scene.do("create", made)
        assert caught.value.permanent is permanent, piece
    monkeypatch.setenv("KUBECONFIG", cluster.account("weak", scene.space))
    async with Shared() as shared:
        env = Env("sn", "make it", scene.space, GivenSecrets(), shared)
        async with open_kubernetes(env) as weak:
            with pytest.raises(TriggerError, match=r'resources: \["configmaps"\]') as caught:
                await weak.send(action("create", config_map()), 1)
    assert caught.value.permanent


async def test_the_api_server_is_away(scene, cluster):
    await scene.do("create", config_map(a="1"))
    cluster.kill_api()
    try:
        with pytest.raises(TriggerError) as caught:
            await scene.do("update", config_map(a="2"), "k2", 2.0)
    finally:
        await asyncio.to_thread(cluster.start_api)
    assert not caught.value.permanent
    await scene.do("update", config_map(a="2"), "k2", 2.0)
    assert (await scene.get())["data"] == {"a": "2"}


async def test_policy_waits_for_labels(scene):
    policy = {
        "labels": {"done": "yes"},
        "backoff": {"duration": "50ms", "steps": 100, "jitter": 0.0},
    }

    async def finish() -> None:
        while (live := await scene.get()) is None:
            await asyncio.sleep(0.02)
        maps = await scene.kube.discovery.kind("v1", "ConfigMap")
        patch = b'{"metadata":{"labels":{"done":"yes"}}}'
        await scene.kube.patch(maps, live["metadata"]["name"], patch, scene.space)

    async with asyncio.TaskGroup() as group:
        group.create_task(finish())
        await scene.do("create", config_map(), policy=policy)
    assert (await scene.get())["metadata"]["labels"]["done"] == "yes"


@pytest.mark.parametrize("strict", [False, True])
async def test_policy_that_is_never_met(scene, strict):
    policy: dict[str, Any] = {"labels": {"done": "yes"}}
    policy |= {"backoff": {"duration": "10ms", "steps": 3}, "errorOnBackoffTimeout": strict}
    if not strict:
        await scene.do("create", config_map(), policy=policy)
        return
    with pytest.raises(TriggerError, match="it has not got the labels done=yes") as caught:
        await scene.do("create", config_map(), policy=policy)
    assert not caught.value.permanent
    assert len(await scene.names()) == 1


async def test_policy_of_a_delete_waits_until_it_is_gone(scene):
    held = config_map()
    held["metadata"]["finalizers"] = ["tocsin.test/held"]
    await scene.do("create", held, "k1", 1.0)
    policy = {
        "labels": {},
        "backoff": {"duration": "10ms", "steps": 3},
        "errorOnBackoffTimeout": True,
    }
    with pytest.raises(TriggerError, match="it is still there"):
        await scene.do("delete", config_map(), "k2", 2.0, policy=policy)
    maps = await scene.kube.discovery.kind("v1", "ConfigMap")
    await scene.kube.patch(maps, "one", b'{"metadata":{"finalizers":null}}', scene.space)
    await scene.do("delete", config_map(), "k2", 2.0, policy=policy)
    assert await scene.get() is None


async def test_sources_that_are_read_when_it_is_done(scene, tmp_path):
    file = tmp_path / "one.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: '1'}\n")
    made = action("create", {})
    content = {
        "operation": "create",
        "source": {"file": {"path": str(file)}},
        "changes": [{"dest": "data.b", "text": "2"}],
    }
    await scene.sender.send(msgspec.structs.replace(made, content=content), 1)
    assert (await scene.get())["data"] == {"a": "1", "b": "2"}

    file.unlink()
    with pytest.raises(TriggerError, match="reading source file") as caught:
        await scene.sender.send(msgspec.structs.replace(made, content=content, key="k2"), 1)
    assert not caught.value.permanent


async def test_what_admission_denies_is_refused_with_its_words(scene, cluster):
    root = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    rule |= {"resources": ["configmaps"]}
    policy = {
        "metadata": {"name": "no-forbidden"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [
                {
                    "expression": "!has(object.data) || !('forbidden' in object.data)",
                    "message": "forbidden is not welcome",
                }
            ],
        },
    }
    binding = {
        "metadata": {"name": "no-forbidden"},
        "spec": {"policyName": "no-forbidden", "validationActions": ["Deny"]},
    }
    cluster.call("POST", f"{root}/validatingadmissionpolicies", policy)
    cluster.call("POST", f"{root}/validatingadmissionpolicybindings", binding)
    try:
        async with asyncio.timeout(90):  # a policy takes a moment to count
            for number in range(1000):
                try:
                    await scene.do("create", config_map(f"n{number}", forbidden="1"), f"k{number}")
                except TriggerError as exc:
                    denied = exc
                    break
                await asyncio.sleep(0.1)
    finally:
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            cluster.call("DELETE", f"{root}/{kind}/no-forbidden")
    assert "forbidden is not welcome" in str(denied)
    assert denied.permanent


async def test_a_namespace_that_is_being_deleted(scene, cluster):
    held = config_map("held")
    held["metadata"]["finalizers"] = ["tocsin.test/held"]
    await scene.do("create", held)
    cluster.call("DELETE", f"/api/v1/namespaces/{scene.space}")
    try:
        with pytest.raises(TriggerError, match="is being terminated") as caught:
            await scene.do("create", config_map("late"), "k2")
        assert caught.value.permanent
        assert (await scene.do("delete", config_map("none"), "k3")).startswith("found no")
    finally:
        maps = await scene.kube.discovery.kind("v1", "ConfigMap")
        await scene.kube.patch(maps, "held", b'{"metadata":{"finalizers":null}}', scene.space)


async def test_what_a_newer_event_deleted_stays_deleted(scene):
    for operation in ("create", "update", "apply", "patch"):
        await scene.do("delete", config_map(operation), f"d-{operation}", 5.0)
        late = await scene.do(operation, config_map(operation, a="1"), f"l-{operation}", 4.0)
        assert "as a newer event deleted it" in late
        assert await scene.get(operation) is None
        newer = await scene.do(operation, config_map(operation, a="1"), f"n-{operation}", 6.0)
        assert await scene.get(operation) is not None, newer


async def test_deletes_and_late_creates_side_by_side_leave_nothing(scene):
    for turn in range(20):
        name, at = f"n{turn}", float(turn * 10)
        await asyncio.gather(
            scene.do("delete", config_map(name), f"d{turn}", at + 2),
            scene.do("create", config_map(name), f"c{turn}", at + 1),
        )
    assert await scene.names() == []
