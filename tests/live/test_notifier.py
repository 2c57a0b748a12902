"""A Notifier on a real API server and a real bus."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sink import Sink, sink

from eventbus import embedded
from eventbus.opening import open_bus
from notifier.metrics import NotifierMetrics
from notifier.runner import Runner
from notifier.spec import NotifierSpec, Watch
from spine.kube import Kube, open_kube
from spine.runtime import cancelled_at_exit
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(240)

CRDS = Path(__file__).parents[1] / "cluster" / "crds"
SUBSCRIBE = "notifications.argoproj.io/subscribe"


class Place:
    """A namespace of its own in the cluster, with a configuration."""

    def __init__(self, cluster: Any, kube: Kube, space: str, target: Sink, bus: Any) -> None:
        self.cluster, self.kube, self.space = cluster, kube, space
        self.target, self.bus = target, bus

    async def configure(self, **data: str) -> None:
        """Write the ConfigMap."""
        data.setdefault("service.webhook.hook", f"url: {self.target.url}")
        made = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "cm"},
            "data": data,
        }
        await self.put("v1", made)

    async def put(self, version: str, made: dict[str, Any], status: Any = None) -> None:
        """Create or replace an object, and its status."""
        resource = await self.kube.discovery.kind(version, made["kind"])
        made = {"apiVersion": version, **made}
        name = made["metadata"]["name"]
        await self.kube.apply(resource, name, json.dumps(made).encode(), self.space)
        if status is not None:
            await self.status(version, made["kind"], name, status)

    async def status(self, version: str, kind: str, name: str, status: Any) -> None:
        """Change the status of an object, as its controller does."""
        resource = await self.kube.discovery.kind(version, kind)
        body = json.dumps({"status": status}).encode()
        await self.kube.patch(resource, name, body, self.space, subresource="status")

    async def pod(self, name: str, phase: str, **annotations: str) -> None:
        """Create a Pod in a phase."""
        made = {
            "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"containers": [{"name": "main", "image": "x"}]},
        }
        await self.put("v1", made, {"phase": phase})

    @asynccontextmanager
    async def notifier(self, *watches: Watch, **more: Any) -> AsyncIterator[Runner]:
        """Run a Notifier of this namespace."""
        chosen = watches or (Watch(api_version="v1", kind="Pod", namespaces=[self.space]),)
        runner = Runner(
            name=f"n-{self.space}",
            namespace=self.space,
            spec=NotifierSpec(watches=list(chosen), config_map="cm", secret="secret", **more),
            bus=self.bus,
            secrets=GivenSecrets(),
            metrics=NotifierMetrics(self.space, "n"),
            every=0.2,
        )
        running = asyncio.create_task(runner.run())
        async with cancelled_at_exit(running):
            async with asyncio.timeout(60):
                while runner.problem:
                    assert not running.done(), running.result()
                    await asyncio.sleep(0.05)
            yield runner

    async def told(self, number: int) -> list[Any]:
        """Return the bodies that arrived, once there are so many."""
        async with asyncio.timeout(60):
            while len(self.target.requests) < number:
                await asyncio.sleep(0.05)
        return [body for _, _, body in self.target.requests]


@pytest.fixture
async def place(cluster, tmp_path, request, monkeypatch) -> AsyncIterator[Place]:
    monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig)
    space = cluster.namespace(request.node.name.replace("_", "-")[:50].strip("-"))
    async with (
        embedded.serve(tmp_path) as server,
        open_bus(server.config, GivenSecrets(), provision=server.settings) as bus,
        sink() as target,
        open_kube(cluster.kubeconfig) as kube,
    ):
        yield Place(cluster, kube, space, target, bus)


READY = {
    "trigger.on-pod-ready": "- when: pod.status.phase in ['Running']\n  send: [ready]",
    "template.ready": yaml.safe_dump({"message": '{"pod": {{ .pod.metadata.name | toJson }}}'}),
}


async def test_a_pod_that_runs(place):
    await place.configure(**READY)
    await place.pod("early", "Pending", **{f"{SUBSCRIBE}.on-pod-ready.hook": ""})
    async with place.notifier():
        await place.pod("web", "Pending", **{f"{SUBSCRIBE}.on-pod-ready.hook": ""})
        await place.pod("silent", "Running")
        await place.status("v1", "Pod", "web", {"phase": "Running"})
        await place.status("v1", "Pod", "early", {"phase": "Running"})
        told = await place.told(2)
        await place.status("v1", "Pod", "web", {"phase": "Running", "message": "again"})
        await asyncio.sleep(1)
        assert len(place.target.requests) == 2
    assert {body["pod"] for body in told} == {"web", "early"}


async def test_it_tells_how_its_watches_stand(place):
    absent = Watch(api_version="example.com/v1", kind="Nothing")
    pods = Watch(api_version="v1", kind="Pod", namespaces=[place.space])
    async with place.notifier(pods) as runner:
        (part,) = runner.parts
        assert (part.ready, part.reason) == (False, "NotConfigured")
        assert part.message == f"there is no ConfigMap 'cm' in namespace '{place.space}'"
        await place.configure(**{**READY, "trigger.odd": "- {when: 1 +, send: [ready]}"})
        async with asyncio.timeout(60):
            while not runner.parts[0].ready:
                await asyncio.sleep(0.05)
        assert [(one.name, one.reason) for one in runner.parts] == [("Pod of v1", "Watching")]
        assert any("trigger.odd" in note for note in runner.notes)
        runner._watching._waiting[1, ""] = "no such kind"
        runner.spec.watches.append(absent)
        assert [(one.ready, one.message) for one in runner.parts] == [
            (True, ""),
            (False, "no such kind"),
        ]


async def test_a_restart_repeats_nothing_and_misses_nothing(place):
    await place.configure(**READY)
    await place.pod("one", "Running", **{f"{SUBSCRIBE}.on-pod-ready.hook": ""})
    await place.pod("two", "Pending", **{f"{SUBSCRIBE}.on-pod-ready.hook": ""})
    async with place.notifier():
        assert await place.told(1) == [{"pod": "one"}]
    await place.status("v1", "Pod", "two", {"phase": "Running"})
    async with place.notifier():
        assert await place.told(2) == [{"pod": "one"}, {"pod": "two"}]
        await asyncio.sleep(1)
    assert len(place.target.requests) == 2


async def test_a_configuration_that_is_mended_while_it_runs(place):
    broken = {**READY, "trigger.on-pod-ready": "- {when: pod.status.phase ==, send: [ready]}"}
    await place.configure(**broken)
    await place.pod("web", "Running", **{f"{SUBSCRIBE}.on-pod-ready.hook": ""})
    async with place.notifier():
        await asyncio.sleep(0.5)
        assert not place.target.requests
        await place.configure(**READY)
        assert await place.told(1) == [{"pod": "web"}]


async def test_a_kind_that_comes_later(place):
    await place.configure(
        **{
            "trigger.on-degraded": "- {when: app.status.health.status == 'Degraded', send: [bad]}",
            "template.bad": yaml.safe_dump(
                {"message": '{"app": {{ .app.metadata.name | toJson }}}'}
            ),
        }
    )
    widgets = Watch(api_version="tests.example/v1", kind="Widget", variable="app")
    pods = Watch(api_version="v1", kind="Pod", namespaces=[place.space])
    running = asyncio.create_task(_until(place, widgets, pods))
    await running
    assert [body for _, _, body in place.target.requests] == [{"app": "one"}]


async def _until(place: Place, widgets: Watch, pods: Watch) -> None:
    runner = Runner(
        name=f"n-{place.space}",
        namespace=place.space,
        spec=NotifierSpec(watches=[pods, widgets], config_map="cm", secret="secret"),
        bus=place.bus,
        secrets=GivenSecrets(),
        metrics=NotifierMetrics(place.space, "n"),
    )
    working = asyncio.create_task(runner.run())
    async with cancelled_at_exit(working):
        async with asyncio.timeout(60):
            while "lists" in runner.problem or "tests.example" not in runner.problem:
                await asyncio.sleep(0.05)
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.tests.example"},
            "spec": {
                "group": "tests.example",
                "scope": "Namespaced",
                "names": {"plural": "widgets", "kind": "Widget", "singular": "widget"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                ],
            },
        }
        place.cluster._apply(crd)
        async with asyncio.timeout(60):
            while runner.problem:
                await asyncio.sleep(0.05)
        made = {
            "kind": "Widget",
            "metadata": {"name": "one", "annotations": {f"{SUBSCRIBE}.on-degraded.hook": ""}},
            "status": {"health": {"status": "Degraded"}},
        }
        await place.put("tests.example/v1", made)
        await place.told(1)


async def test_health_turns_and_turns_back(place):
    await place.configure(
        **{
            "trigger.on-degraded": yaml.safe_dump(
                [{"when": "health.status == 'Degraded'", "send": ["bad"], "sendResolved": True}]
            ),
            "template.bad": yaml.safe_dump(
                {"message": '{"health": {{ .health.status | toJson }}, "over": {{ .resolved }}}'}
            ),
        }
    )
    async with place.notifier():
        await place.pod("web", "Running", **{f"{SUBSCRIBE}.on-degraded.hook": ""})
        await place.status("v1", "Pod", "web", {"phase": "Failed", "message": "evicted"})
        assert await place.told(1) == [{"health": "Degraded", "over": False}]
        ready = [{"type": "Ready", "status": "True"}]
        await place.status("v1", "Pod", "web", {"phase": "Running", "conditions": ready})
        assert (await place.told(2))[1] == {"health": "Healthy", "over": True}


async def test_what_was_told_can_be_read_on_the_object(place):
    await place.configure(**READY)
    async with place.notifier(write_annotations=True):
        await place.pod("web", "Running", **{f"{SUBSCRIBE}.on-pod-ready.hook": "", "mine": "x"})
        await place.told(1)
        pods = await place.kube.discovery.kind("v1", "Pod")
        async with asyncio.timeout(60):
            while True:
                raw = await place.kube.get(pods, "web", place.space)
                annotations = json.loads(raw)["metadata"]["annotations"]
                if "notified.notifications.argoproj.io" in annotations:
                    break
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
    assert len(place.target.requests) == 1
    [item] = json.loads(annotations["notified.notifications.argoproj.io"])
    assert item == "on-pod-ready:[0].jS5fTrIQi8Q4Q5uceLlcAF3t4Go:hook:"
    assert annotations["mine"] == "x"


async def test_a_team_tells_by_its_own_configuration(place, cluster):
    """Its services know its own Secret, and the main configuration counts as well."""
    await place.configure(**READY)
    team = cluster.namespace(f"{place.space}-team")
    own = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cm", "namespace": team},
        "data": {
            "service.webhook.ours": f"url: {place.target.url}/$path",
            "trigger.on-running": "- {when: pod.status.phase == 'Running', send: [ours]}",
            "template.ours": "message: '{\"team\": true}'",
        },
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "secret", "namespace": team},
        "stringData": {"path": "team"},
    }
    cluster._apply(own)
    cluster._apply(secret)
    watch = Watch(api_version="v1", kind="Pod", namespaces=[team])
    async with place.notifier(watch, self_service=True):
        main, place.space = place.space, team
        await place.pod(
            "web",
            "Running",
            **{f"{SUBSCRIBE}.on-running.ours": "", f"{SUBSCRIBE}.on-pod-ready.hook": ""},
        )
        await place.told(2)
        place.space = main
    assert {(path, tuple(body)) for _, path, body in place.target.requests} == {
        ("/", ("pod",)),
        ("/team", ("team",)),
    }
