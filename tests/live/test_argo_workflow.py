"""The `argoWorkflow` trigger on a real API server that knows the kinds of Argo Workflows."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from delivery.action import Action, Postponed
from sensor.kubernetes.workflows import open_workflows
from spine.errors import ConfigError, TriggerError
from spine.kube import Kube, open_kube
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(180)
CRDS = Path(__file__).parents[1] / "cluster" / "crds" / "argo-workflows.yaml"
GROUP = "argoproj.io/v1alpha1"
SPEC = {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "busybox"}}]}


def workflow(**metadata: str) -> dict[str, Any]:
    return {"apiVersion": GROUP, "kind": "Workflow", "metadata": metadata, "spec": SPEC}


class Scene:
    """A namespace, and what works on Workflows in it."""

    def __init__(self, kube: Kube, space: str, sender: Any) -> None:
        self.kube, self.space, self.sender = kube, space, sender

    async def do(
        self, operation: str, made: dict[str, Any], *args: str, key: str = "k1", **more: Any
    ) -> str:
        content = {"operation": operation, "object": made, **more}
        if args:
            content["args"] = list(args)
        action = Action(
            key=key, sensor="sn", trigger="t", kind="argoWorkflow", content=content, event_time=1.0
        )
        return (await self.sender.send(action, 1)).summary

    async def all(self, kind: str = "Workflow") -> list[dict[str, Any]]:
        resource = await self.kube.discovery.kind(GROUP, kind)
        found = await self.kube.page(resource, self.space)
        return [json.loads(bytes(raw)) for raw in found.items]

    async def make(self, kind: str, name: str, spec: dict[str, Any], **more: Any) -> None:
        resource = await self.kube.discovery.kind(GROUP, kind)
        made = {"apiVersion": GROUP, "kind": kind, "metadata": {"name": name, **more}, "spec": spec}
        space = self.space if resource.namespaced else ""
        await self.kube.create(resource, json.dumps(made).encode(), space)

    async def status(self, name: str, status: dict[str, Any], **labels: str) -> None:
        resource = await self.kube.discovery.kind(GROUP, "Workflow")
        patch = json.dumps({"status": status, "metadata": {"labels": labels}}).encode()
        await self.kube.patch(resource, name, patch, self.space)


@pytest.fixture
async def scene(cluster, request, monkeypatch):
    cluster.apply(CRDS)
    space = cluster.namespace(request.node.name)
    monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig)
    async with Shared() as shared, open_kube(cluster.kubeconfig) as kube:
        env = Env("sn", "t", space, GivenSecrets(), shared)
        async with open_workflows(env, "submit") as sender:
            yield Scene(kube, space, sender)


async def test_submit_makes_one_workflow_of_one_event(scene):
    made = workflow(generateName="run-")
    first = await scene.do("submit", made, "-p", "file=a=b.json", "--entrypoint=other", "-l", "a=b")
    again = await scene.do("submit", made)
    other = await scene.do("submit", made, key="k2")

    (one, two) = sorted(await scene.all(), key=lambda w: w["spec"]["entrypoint"] != "other")
    assert first.startswith(f"submitted Workflow {scene.space}/run-")
    assert again.startswith("found, as made by this event")
    assert other.startswith("submitted")
    assert one["spec"]["arguments"]["parameters"] == [{"name": "file", "value": "a=b.json"}]
    assert one["metadata"]["labels"]["a"] == "b"
    assert one["metadata"]["labels"]["events.argoproj.io/trigger"] == "t"
    assert "arguments" not in two["spec"]


@pytest.mark.parametrize(
    ("kind", "label", "reference"),
    [
        ("WorkflowTemplate", "workflow-template", {"name": "tmpl"}),
        (
            "ClusterWorkflowTemplate",
            "cluster-workflow-template",
            {"name": "tmpl", "clusterScope": True},
        ),
    ],
)
async def test_submit_from_a_template(scene, kind, label, reference):
    made = {"apiVersion": GROUP, "kind": kind, "metadata": {"name": "tmpl"}}
    made["spec"] = {"arguments": {"parameters": [{"name": "a", "value": "1"}]}}
    summary = await scene.do("submit-from", made, "--serviceaccount", "runner")

    (one,) = await scene.all()
    assert summary.startswith(f"submitted Workflow {scene.space}/tmpl-")
    assert one["spec"]["workflowTemplateRef"] == reference
    assert one["spec"]["arguments"]["parameters"] == [{"name": "a", "value": "1"}]
    assert one["spec"]["serviceAccountName"] == "runner"
    assert one["metadata"]["labels"][f"workflows.argoproj.io/{label}"] == "tmpl"


async def test_submit_from_a_cron_workflow_takes_its_spec(scene):
    metadata = {"labels": {"team": "a"}, "annotations": {"note": "x"}}
    await scene.make(
        "CronWorkflow", "nightly", {"workflowSpec": SPEC, "workflowMetadata": metadata}
    )
    made = {"apiVersion": GROUP, "kind": "CronWorkflow", "metadata": {"name": "nightly"}}
    await scene.do("submit-from", made, "-p", "day=1")

    (one,) = await scene.all()
    assert one["spec"]["templates"] == SPEC["templates"]
    assert one["spec"]["arguments"]["parameters"] == [{"name": "day", "value": "1"}]
    assert one["metadata"]["labels"]["workflows.argoproj.io/cron-workflow"] == "nightly"
    assert one["metadata"]["labels"]["team"] == "a"
    assert one["metadata"]["annotations"]["note"] == "x"


async def test_resubmit_makes_another_of_the_same_spec(scene):
    spec = {**SPEC, "shutdown": "Terminate"}
    labels = {"team": "a", "workflows.argoproj.io/completed": "true"}
    await scene.make("Workflow", "old", spec, labels=labels)
    await scene.status("old", {"phase": "Failed"})
    await scene.do("resubmit", workflow(name="old"))
    await scene.do("resubmit", workflow(name="old"))

    (new,) = [w for w in await scene.all() if w["metadata"]["name"] != "old"]
    assert new["metadata"]["name"].startswith("old-")
    assert new["spec"] == SPEC
    labels = new["metadata"]["labels"]
    assert labels["workflows.argoproj.io/resubmitted-from-workflow"] == "old"
    assert labels["team"] == "a"
    assert "workflows.argoproj.io/completed" not in labels
    assert "status" not in new


async def test_suspend_resume_stop_and_terminate_change_the_spec(scene):
    await scene.make("Workflow", "one", SPEC)
    nodes = {
        "n1": {"type": "Suspend", "phase": "Running"},
        "n2": {"type": "Pod", "phase": "Running"},
    }
    await scene.status("one", {"phase": "Running", "nodes": nodes})
    seen = []
    for operation in ("suspend", "suspend", "resume", "stop", "stop", "terminate"):
        summary = await scene.do(operation, workflow(name="one"))
        (live,) = await scene.all()
        seen.append(
            (
                summary.split(" Workflow")[0],
                live["spec"].get("suspend"),
                live["spec"].get("shutdown"),
            )
        )
        if operation == "resume":
            assert live["status"]["nodes"]["n1"]["phase"] == "Succeeded"
            assert live["status"]["nodes"]["n1"]["finishedAt"].endswith("Z")
            assert live["status"]["nodes"]["n2"] == {"type": "Pod", "phase": "Running"}

    assert seen == [
        ("suspended", True, None),
        ("found already suspended", True, None),
        ("resumed", None, None),
        ("stopped", None, "Stop"),
        ("found already stopped", None, "Stop"),
        ("terminated", None, "Terminate"),
    ]


async def test_what_has_ended_is_not_stopped(scene):
    await scene.make("Workflow", "one", SPEC)
    await scene.status("one", {"phase": "Succeeded"})
    for operation in ("suspend", "stop", "terminate", "resume"):
        with pytest.raises(TriggerError, match="it has ended: Succeeded") as caught:
            await scene.do(operation, workflow(name="one"))
        assert caught.value.permanent
    with pytest.raises(TriggerError, match="not found"):
        await scene.do("stop", workflow(name="none"))


async def test_nodes_that_are_packed_are_refused(scene):
    await scene.make("Workflow", "one", SPEC)
    await scene.status("one", {"phase": "Running", "compressedNodes": "H4sI"})
    with pytest.raises(TriggerError, match="packed or kept elsewhere"):
        await scene.do("resume", workflow(name="one"))


async def test_policy_waits_for_the_phase(scene):
    policy: dict[str, Any] = {"labels": {"workflows.argoproj.io/phase": "Succeeded"}}
    policy |= {"backoff": {"duration": "10ms", "steps": 4}, "errorOnBackoffTimeout": True}
    with pytest.raises(TriggerError, match="phase=Succeeded"):
        await scene.do("submit", workflow(name="one"), policy=policy)
    label = {"workflows.argoproj.io/phase": "Succeeded"}
    await scene.status("one", {"phase": "Succeeded"}, **label)
    await scene.do("submit", workflow(name="one"), policy=policy)
    assert len(await scene.all()) == 1


async def test_retry_is_for_the_server_of_argo_workflows(scene, monkeypatch):
    from aiohttp import web

    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.path, request.headers["Authorization"], await request.json()))
        return web.json_response({})

    application = web.Application()
    application.router.add_put("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        port = runner.addresses[0][1]
        monkeypatch.setenv("ARGO_SERVER", f"127.0.0.1:{port}")
        monkeypatch.setenv("ARGO_SECURE", "false")
        monkeypatch.setenv("ARGO_TOKEN", "Bearer x")
        await scene.make("Workflow", "one", SPEC)
        summary = await scene.do("retry", workflow(name="one"), "--restart-successful")
    finally:
        await runner.cleanup()
    assert summary == f"retried Workflow {scene.space}/one"
    body = {"name": "one", "namespace": scene.space, "restartSuccessful": True}
    assert asked == [(f"/api/v1/workflows/{scene.space}/one/retry", "Bearer x", body)]


async def test_retry_without_a_server_is_refused_at_start(monkeypatch):
    monkeypatch.delenv("ARGO_SERVER", raising=False)
    async with Shared() as shared:
        with pytest.raises(ConfigError, match="ARGO_SERVER"):
            async with open_workflows(Env("s", "t", "ns", GivenSecrets(), shared), "retry"):
                pass


# ---------------------------------------------------------------------------- how many may run


async def test_no_more_run_than_may_and_the_next_one_begins_when_one_has_ended(scene, monkeypatch):
    monkeypatch.setattr("sensor.kubernetes.active.LOOK", 0.05)
    monkeypatch.setattr("sensor.kubernetes.active.PATIENCE", 0.5)
    scene.sender.most_active = 2
    made = workflow(generateName="run-")
    for key in ("k1", "k2"):
        assert (await scene.do("submit", made, key=key)).startswith("submitted")
    assert (await scene.do("submit", made, key="k1")).startswith("found"), "it is one of them"
    with pytest.raises(Postponed):
        await scene.do("submit", made, key="k3")
    assert len(await scene.all()) == 2

    monkeypatch.setattr("sensor.kubernetes.active.PATIENCE", 60.0)
    waiting = asyncio.create_task(scene.do("submit", made, key="k3"))
    first, second = [one["metadata"]["name"] for one in await scene.all()]
    await scene.status(first, {"phase": "Succeeded"})
    assert (await waiting).startswith("submitted")
    monkeypatch.setattr("sensor.kubernetes.active.PATIENCE", 0.5)
    with pytest.raises(Postponed):
        await scene.do("submit", made, key="k4")
    done = {"workflows.argoproj.io/completed": "true"}
    await scene.status(second, {"phase": "Failed"}, **done)
    assert (await scene.do("submit", made, key="k4")).startswith("submitted")


async def test_what_somebody_else_made_does_not_count(scene, monkeypatch):
    monkeypatch.setattr("sensor.kubernetes.active.PATIENCE", 0.5)
    labels = {"events.argoproj.io/sensor": "sn", "events.argoproj.io/trigger": "t"}
    await scene.make("Workflow", "by-hand", SPEC, labels=labels)
    scene.sender.most_active = 1
    assert (await scene.do("submit", workflow(generateName="run-"))).startswith("submitted")
