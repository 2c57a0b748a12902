"""`tocsin notify` as a process: on a real API server, a real bus, and real receivers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats_server import find_binary
from services_kit import mail_server
from sink import Sink, sink
from tocsin_run import Run, started, tocsin

from spine.kube import Kube, open_kube

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
NOTIFIERS = ROOT / "crds" / "tocsin.dev_notifiers.yaml"
SUBSCRIBE = "notifications.argoproj.io/subscribe"
SECRET = "a-very-secret-path"


def manifests(space: str, target: Sink, *, port: int = 2525) -> list[dict[str, Any]]:
    """Return a configuration, its Secret and its Notifier."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cm", "namespace": space},
            "data": {
                "service.webhook.hook": f"url: {target.url}/$path",
                "service.email": f"{{host: 127.0.0.1, port: {port}, from: bot@example.com}}",
                "trigger.on-failed": "[{when: pod.status.phase == 'Failed', send: [failed]}]",
                "template.failed": "message: '{\"id\": {{ .pod.metadata.name | toJson }}}'",
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "secret", "namespace": space},
            "stringData": {"path": SECRET},
        },
        {
            "apiVersion": "tocsin.dev/v1alpha1",
            "kind": "Notifier",
            "metadata": {"name": "pods", "namespace": space},
            "spec": {
                "watches": [{"apiVersion": "v1", "kind": "Pod", "namespaces": [space]}],
                "configMap": "cm",
                "secret": "secret",
            },
        },
    ]


@dataclass
class Place:
    """A namespace with a Pod in it, and the command line beside it."""

    cluster: Any
    kube: Kube
    space: str
    folder: Path
    target: Sink

    async def notify(self, *words: str, **env: str) -> tuple[int, str, str]:
        given = ("-n", self.space, "--kubeconfig", self.cluster.kubeconfig)
        return await tocsin("notify", *words, *given, cwd=self.folder, **env)

    async def account(self, *words: str) -> dict[str, Any]:
        """Return what the only Notifier makes of the Pod."""
        code, out, problem = await self.notify("explain", "pod/web", *words, "-o", "json")
        assert code == 0, problem
        (found,) = json.loads(out)["accounts"]
        return dict(found)

    async def phase(self, phase: str) -> None:
        """Change the status of the Pod, as a kubelet does."""
        pods = await self.kube.discovery.kind("v1", "Pod")
        body = json.dumps({"status": {"phase": phase}}).encode()
        await self.kube.patch(pods, "web", body, self.space, subresource="status")

    def write(self, *objects: dict[str, Any]) -> Path:
        file = self.folder / "all.yaml"
        file.write_text(yaml.safe_dump_all(objects))
        return file

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Run]:
        """Run the manifests of the folder."""
        bus = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "EventBus",
            "metadata": {"name": "default", "namespace": self.space},
            "spec": {"jetstream": {"version": "latest"}},
        }
        file = self.write(bus, *manifests(self.space, self.target))
        words = ("run", str(file), "--kubeconfig", self.cluster.kubeconfig)
        async with started(self.folder, *words) as run:
            await run.until("Ctrl-C stops.")
            yield run
            assert await run.stop() in {0, 130}


@pytest.fixture
async def place(cluster, tmp_path, request) -> AsyncIterator[Place]:
    find_binary()
    space = cluster.namespace(request.node.name.replace("_", "-")[:50].strip("-"))
    async with open_kube(cluster.kubeconfig) as kube, sink() as target:
        found = Place(cluster, kube, space, tmp_path, target)
        pods = await kube.discovery.kind("v1", "Pod")
        made = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "annotations": {f"{SUBSCRIBE}.on-failed.hook": ""}},
            "spec": {"containers": [{"name": "main", "image": "x"}]},
        }
        await kube.apply(pods, "web", json.dumps(made).encode(), space)
        yield found


async def test_explain_knows_what_a_run_has_told(place):
    async with place.running() as run:
        before = await place.account("-f", "all.yaml")
        assert before["conditions"][0]["outcome"] == "not met"
        await place.phase("Failed")
        await run.until(lambda: place.target.ids)
        async with asyncio.timeout(60):
            while True:  # the service has it; that it was taken is written just after
                after = await place.account("-f", "all.yaml")
                if [one["stage"] for one in after["conditions"][0]["told"]] == ["sent"]:
                    break
    assert after["record"] == {"known": True, "where": "of Notifier pods, on the bus"}
    assert after["conditions"][0]["since"] is not None
    assert after["conditions"][0]["outcomes"][0]["what"] == "told already"
    assert after["messages"] == []
    assert len(place.target.requests) == 1
    later = await place.account("-f", "all.yaml")
    assert "none at hand" in later["record"]["where"]
    assert [one["service"] for one in later["messages"]] == ["hook"]


async def test_a_notifier_of_the_cluster_is_found_by_itself(place):
    place.cluster.apply(NOTIFIERS)
    place.cluster.apply(place.write(*manifests(place.space, place.target)))
    await place.phase("Failed")
    code, out, problem = await place.notify("explain", "po/web", "--notifier", "pods")
    assert code == 0, problem
    assert f"object      Pod {place.space}/web, from cluster" in out
    assert "would tell  hook" in out
    code, out, problem = await place.notify("trigger", "run", "on-failed", "pods/web")
    assert code == 0, problem
    code, out, problem = await place.notify("trigger", "get", "--config-map", "cm")
    assert "on-failed\n  [0]" in out, problem
    code, _, problem = await place.notify("trigger", "get", "--config-map", "none")
    assert (code, f"namespace {place.space!r} has none" in problem) == (2, True)
    code, _, problem = await place.notify("trigger", "run", "on-failed", "pod/none")
    assert code == 1
    assert "none" in problem
    code, _, problem = await place.notify("explain", "pd/web")
    assert (code, "did you mean" in problem) == (2, True)
    code, out, _ = await place.notify("validate", "--notifier", "pods")
    assert code == 0


async def test_without_the_right_to_the_secret_the_rest_is_shown(place):
    place.cluster.apply(place.write(*manifests(place.space, place.target)))
    await place.phase("Failed")
    account = {"apiVersion": "v1", "kind": "ServiceAccount",
               "metadata": {"name": "reader", "namespace": place.space}}  # fmt: skip
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader", "namespace": place.space},
        "rules": [{"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": place.space},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": place.space}],
    }
    place.cluster.apply(place.write(account, role, binding))
    config = place.cluster.token_for("reader", place.space)
    words = ("notify", "explain", "pod/web", "--config-map", "cm", "-n", place.space)
    code, out, problem = await tocsin(*words, "--kubeconfig", config, cwd=place.folder)
    assert code == 0, problem
    assert "would tell  hook" in out
    assert "no Secret 'secret' at hand" in out or "no Secret 'cm-secret' at hand" in out


async def test_a_message_is_really_sent(place):
    async with mail_server() as box:
        place.write(*manifests(place.space, place.target, port=box.port))
        words = ("template", "send", "failed", "pod/web", "-f", "all.yaml")
        code, _, said = await place.notify(*words, "--recipient", "email:me@example.com", "--yes")
        assert code == 0, said
        assert box.mails[0].recipients == ("me@example.com",)
        assert '{"id": "web"}' in box.mails[0].data.decode()
        code, _, said = await place.notify(*words, "--recipient", "hook:", "--yes")
        assert (code, said) == (0, "sent to hook: 200 X\n")
        assert place.target.requests[0][1:] == (f"/{SECRET}", {"id": "web"})
        place.target.status = lambda _path, _body: 403
        code, _, said = await place.notify(*words, "--recipient", "hook:", "--yes")
        assert code == 1
        assert "403" in said
        assert SECRET not in said
