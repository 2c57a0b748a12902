"""`tocsin wait` as a process, on a real API server with real controllers; statuses by hand."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from tocsin_run import started, tocsin

from spine.errors import ConfigError
from spine.kube import open_kube
from spine.kube.naming import named

MERGE = "application/merge-patch+json"
WIDGETS = "/apis/waiting.test/v1/namespaces"


class Place:
    """A namespace of a test, and `tocsin wait` in it."""

    def __init__(self, cluster: Any, space: str, folder: Path) -> None:
        self.cluster, self.space, self.folder = cluster, space, folder
        self.kubeconfig = cluster.kubeconfig

    async def run(self, *words: str) -> tuple[int, str, str]:
        given = ("wait", "-n", self.space, "--kubeconfig", self.kubeconfig, "--timeout", "60s")
        return await tocsin(*given, *words, cwd=self.folder)

    def going(self, *words: str) -> Any:
        given = ("wait", "-n", self.space, "--kubeconfig", self.kubeconfig, "--timeout", "60s")
        return started(self.folder, *given, *words)

    def put(self, path: str, body: dict[str, Any]) -> None:
        self.cluster.call("POST", path, body)

    def widget(self, name: str, status: dict[str, Any] | None = None, **labels: str) -> None:
        meta = {"name": name, "labels": labels}
        body = {"apiVersion": "waiting.test/v1", "kind": "Widget", "metadata": meta}
        self.put(f"{WIDGETS}/{self.space}/widgets", {**body, "status": status or {}})

    def turn(self, name: str, **status: Any) -> None:
        path = f"{WIDGETS}/{self.space}/widgets/{name}"
        self.cluster.call("PATCH", path, {"status": status}, Content_Type=MERGE)

    def delete(self, name: str) -> None:
        self.cluster.call("DELETE", f"{WIDGETS}/{self.space}/widgets/{name}")

    def deployment(self, name: str, replicas: int = 1) -> None:
        labels = {"app": name}
        pods = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pods}
        self.put(
            f"/apis/apps/v1/namespaces/{self.space}/deployments",
            {"metadata": {"name": name, "labels": labels}, "spec": spec},
        )

    async def ready(self, app: str, count: int) -> None:
        """Tell of Pods what a kubelet would; the real controllers do the rest."""
        path = f"/api/v1/namespaces/{self.space}/pods"
        async with asyncio.timeout(60):
            while (
                len(found := self.cluster.call("GET", f"{path}?labelSelector=app%3D{app}")["items"])
                < count
            ):
                await asyncio.sleep(0.02)
        now = "2030-01-01T00:00:00Z"
        conditions = [
            {"type": "Ready", "status": "True", "lastTransitionTime": now},
            {"type": "ContainersReady", "status": "True", "lastTransitionTime": now},
        ]
        for pod in found:
            status = {"status": {"phase": "Running", "conditions": conditions}}
            name = pod["metadata"]["name"]
            self.cluster.call("PATCH", f"{path}/{name}/status", status, Content_Type=MERGE)


@pytest.fixture(scope="module")
def widgets(cluster, tmp_path_factory):
    """A kind that no controller knows."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec = {
        "group": "waiting.test",
        "scope": "Namespaced",
        "names": {
            "kind": "Widget",
            "plural": "widgets",
            "singular": "widget",
            "shortNames": ["wdg"],
        },
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        ],
    }
    file = tmp_path_factory.mktemp("crd") / "widgets.yaml"
    made = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.waiting.test"},
        "spec": spec,
    }
    file.write_text(yaml.safe_dump(made))
    cluster.apply(file)


@pytest.fixture
def place(cluster, widgets, tmp_path, request):
    return Place(cluster, cluster.namespace(f"wait-{request.node.name}"), tmp_path)


async def test_a_deployment_becomes_healthy_by_its_real_controller(place):
    async with place.going("deploy/web") as run:
        await run.until("deployment/web not there yet")
        await asyncio.to_thread(place.deployment, "web", 2)
        await run.until("0 of 2 updated replicas are available")
        await place.ready("web", 2)
        assert await run.ended() == 0
    assert run.lines[-2].endswith("deployment/web Healthy")
    assert run.lines[-1].startswith("reached: health=Healthy after")


async def test_what_is_degraded_ends_with_3_at_once(place):
    place.widget(
        "one", {"conditions": [{"type": "Ready", "status": "False", "message": "no disk"}]}
    )

    code, out, err = await place.run("wdg/one")

    assert code == 3
    assert "widget/one Degraded: no disk" in out
    assert "degraded: health=Healthy after" in err


async def test_degraded_can_be_waited_for_and_waited_through(place):
    place.widget("one", {"phase": "Failed"})

    code, _, _ = await place.run("widgets/one", "--for", "health=degraded")
    async with place.going("widget/one", "--keep-waiting") as run:
        await run.until("widget/one Degraded: its phase is Failed")
        place.turn("one", phase="Running")
        ended = await run.ended()

    assert (code, ended) == (0, 0)


async def test_time_that_is_over_ends_with_4_and_the_last_health(place):
    place.widget("one", {"phase": "Pending", "message": "looking for a node"})

    code, _, err = await place.run("widgets.waiting.test/one", "nothing.waiting.test/one")
    assert (code, "did you mean" in err or "is its CRD installed" in err) == (2, True)
    code, _, err = await place.run("widgets.v1.waiting.test/one", "--timeout", "300ms")
    assert code == 4
    assert "timed out: health=Healthy after" in err
    assert "  widget/one Progressing: looking for a node" in err
    code, _, err = await place.run("Widget/one", "widget/two", "--timeout", "0")
    assert code == 4
    assert "  widget/two not there yet" in err


async def test_an_object_that_is_deleted_meanwhile_is_told_and_waited_for_again(place):
    place.widget("one", {"phase": "Pending"})
    async with place.going("widget/one", "-o", "json") as run:
        await run.until("Progressing")
        place.delete("one")
        await run.until('"state": "deleted"')
        place.widget("one", {"phase": "Running"})
        assert await run.ended() == 0
    lines = [json.loads(line) for line in run.lines]
    assert [line.get("state", line.get("result")) for line in lines] == [
        "Progressing",
        "deleted",
        "Healthy",
        "reached",
    ]
    assert lines[0]["namespace"] == place.space


async def test_deletion_can_be_waited_for(place):
    place.widget("one", app="a")
    place.widget("two", app="a")
    async with place.going("widgets", "-l", "app=a", "--for", "deleted") as run:
        await run.until("widget/two")
        place.delete("one")
        await run.until("widget/one deleted")
        place.delete("two")
        assert await run.ended() == 0
    code, _, _ = await place.run("widget/never", "--for", "deleted")
    assert code == 0


async def test_conditions_fields_and_existence_of_several(place):
    for name in ("one", "two"):
        place.widget(name, app="a")
    words = ("widgets", "-l", "app=a")
    async with (
        place.going(*words, "--for", "condition=ready=false") as condition,
        place.going("widget", "one", "two", "--for", "field=status.n=3") as field,
    ):
        for name in ("one", "two"):
            place.turn(name, n=3, conditions=[{"type": "Ready", "status": "False", "reason": "No"}])
        assert await condition.ended() == 0
        assert await field.ended() == 0
    assert "widget/one ready=False: No" in condition.text
    assert "widget/two status.n=3" in field.text
    code, out, _ = await place.run("widget/one", "--for", "exists")
    assert (code, "reached: exists" in out) == (0, True)


CHECK = """
hs = {status = "Progressing", message = "level " .. tostring(obj.status.level)}
if obj.status.level == 3 then hs.status = "Healthy" end
return hs
"""


async def test_health_of_a_kind_is_checked_in_lua_from_a_file_or_the_cluster(place):
    key = "resource.customizations.health.waiting.test_Widget"
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "checks"},
        "data": {key: CHECK},
    }
    place.put(f"/api/v1/namespaces/{place.space}/configmaps", config)
    file = place.folder / "checks.yaml"
    file.write_text(yaml.safe_dump(config))
    place.widget("one", {"level": 2})
    async with (
        place.going("widget/one", "--health-config", "checks.yaml") as of_file,
        place.going("widget/one", "--health-config", f"{place.space}/checks") as of_cluster,
    ):
        for run in (of_file, of_cluster):
            await run.until("widget/one Progressing: level 2")
        place.turn("one", level=3)
        assert await of_file.ended() == 0
        assert await of_cluster.ended() == 0


async def test_waiting_goes_on_over_a_restart_of_the_server(place):
    place.widget("one", {"phase": "Pending"})
    async with place.going("widget/one") as run:
        await run.until("widget/one Progressing")
        place.cluster.kill_api()
        await asyncio.to_thread(place.cluster.start_api)
        place.turn("one", phase="Running")
        assert await run.ended() == 0
    assert run.text.count("Progressing") == 1


async def test_many_objects_of_a_kind_are_followed_together(place):
    names = [f"w{n}" for n in range(12)]
    async with place.going("widgets", *names) as run:
        await run.until("widget/w9 not there yet")
        for name in names:
            place.widget(name, {"phase": "Running"})
        assert await run.ended() == 0


async def test_a_refusal_names_the_permission_that_is_missing(place):
    place.kubeconfig = place.cluster.account("weak", place.space)

    code, _, err = await place.run("deploy/web")

    assert code == 1
    assert (
        f'needs a Role in {place.space} with apiGroups: ["apps"], resources: ["deployments"]' in err
    )
    assert 'verbs: ["list"]' in err


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("deploy", "apps/v1 deployments"),
        ("Deployment", "apps/v1 deployments"),
        ("deployments.apps", "apps/v1 deployments"),
        ("deployment.v1.apps", "apps/v1 deployments"),
        ("hpa", "autoscaling/v2 horizontalpodautoscalers"),
        ("horizontalpodautoscalers.v1.autoscaling", "autoscaling/v1 horizontalpodautoscalers"),
        ("EVENTS", "v1 events"),
        ("events.events.k8s.io", "events.k8s.io/v1 events"),
        ("wdg", "waiting.test/v1 widgets"),
        ("pods.v1.", "v1 pods"),
    ],
)
async def test_kinds_are_found_by_what_people_call_them(cluster, widgets, name, wanted):
    async with open_kube(cluster.kubeconfig) as kube:
        found = await named(kube.discovery, name)

    assert f"{found.api_version} {found.plural}" == wanted


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "the API server has none"),
        ("deployment.nowhere.test", "the API server has none"),
        ("deployments.v7.apps", r"no such version \(it has v1\)"),
        ("widgetz", "did you mean widget"),
    ],
)
async def test_a_kind_that_nobody_serves_is_a_config_error(cluster, widgets, name, said):
    async with open_kube(cluster.kubeconfig) as kube:
        with pytest.raises(ConfigError, match=said):
            await named(kube.discovery, name)


async def test_the_right_to_one_object_is_enough_to_wait_for_it(place):
    place.widget("one", {"phase": "Running"})
    place.kubeconfig = place.cluster.account("narrow", place.space)
    root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{place.space}"
    one = {"apiGroups": ["waiting.test"], "resources": ["widgets"], "resourceNames": ["one"]}
    place.put(
        f"{root}/roles", {"metadata": {"name": "r"}, "rules": [{**one, "verbs": ["list", "watch"]}]}
    )
    to = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    who = {"kind": "ServiceAccount", "name": "narrow", "namespace": place.space}
    place.put(f"{root}/rolebindings", {"metadata": {"name": "b"}, "roleRef": to, "subjects": [who]})
    async with asyncio.timeout(60):  # the API server learns of roles after a moment
        while (await place.run("widgets/one"))[0] == 1:
            await asyncio.sleep(0.1)

    assert (await place.run("widgets/one"))[0] == 0
    code, _, err = await place.run("widgets/two")
    assert (code, 'resources: ["widgets"], verbs: ["list"]' in err) == (1, True)


async def test_interrupted_it_ends_with_130(place):
    async with place.going("widget/one") as run:
        await run.until("not there yet")
        run.process.send_signal(signal.SIGINT)
        assert await run.ended() == 130


async def test_wrong_words_end_with_2(place):
    for words, said in (
        (("deploy/web", "--for", "health=Helthy"), "did you mean Healthy?"),
        (("deploymnt/web",), "did you mean deployment"),
        (("deploy",), "give KIND/NAME"),
        (("deploy/web", "--health-config", "nothing.yaml"), "nothing.yaml"),
        (("deploy/web", "--timeout", "soon"), "write 300ms, 10s"),
    ):
        code, _, err = await place.run(*words)
        assert (code, said in err) == (2, True), err
