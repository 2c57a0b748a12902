"""The Kubernetes client on a real API server: kinds, verbs, refusals, following."""

import asyncio
import json
from pathlib import Path

import pytest
from cut_kit import line

from spine.errors import ConfigError, KubeError
from spine.kube import Change, Page, follow, open_kube


@pytest.fixture
async def kube(cluster):
    async with open_kube(cluster.kubeconfig) as one:
        yield one


def config_map(name: str, **data: str) -> bytes:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    ).encode()


async def test_kinds_are_looked_up_not_guessed(kube):
    endpoints = await kube.discovery.kind("v1", "Endpoints")
    role = await kube.discovery.kind("rbac.authorization.k8s.io/v1", "ClusterRole")
    deployment = await kube.discovery.plural("apps", "", "deployments")

    assert endpoints.path("ns", "x") == "/api/v1/namespaces/ns/endpoints/x"
    assert role.path("ns", "x") == "/apis/rbac.authorization.k8s.io/v1/clusterroles/x"
    assert (deployment.version, deployment.namespaced) == ("v1", True)
    assert {"scale", "status"} <= deployment.subresources


@pytest.mark.parametrize(
    ("api_version", "kind", "problem"),
    [
        ("v1", "Pods", "no such kind (did you mean Pod)"),
        ("v1", "configMap", "no such kind (did you mean ConfigMap)"),
        ("apps/v2", "Deployment", "no such version (it has v1)"),
        ("nothing.test/v1", "Thing", "does not have it"),
    ],
)
async def test_what_is_not_served_is_a_config_error(kube, api_version, kind, problem):
    with pytest.raises(ConfigError) as caught:
        await kube.discovery.kind(api_version, kind)

    assert problem in str(caught.value)


async def test_a_kind_that_came_later_is_found(kube, cluster):
    with pytest.raises(ConfigError):
        await kube.discovery.kind("late.test/v1", "Late")
    cluster.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", late())
    async with asyncio.timeout(60):
        while True:
            try:
                found = await kube.discovery.kind("late.test/v1", "Late")
            except ConfigError:
                await asyncio.sleep(0.2)
            else:
                break
    assert found.plural == "latecomers"


def late() -> dict:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "latecomers.late.test"},
        "spec": {
            "group": "late.test",
            "scope": "Cluster",
            "names": {"kind": "Late", "plural": "latecomers"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


async def test_every_verb(kube, cluster):
    space = cluster.namespace("verbs")
    maps = await kube.discovery.kind("v1", "ConfigMap")

    made = json.loads(await kube.create(maps, config_map("one", a="1"), space))
    merged = await kube.patch(maps, "one", b'{"data":{"b":"2"}}', space)
    pointed = await kube.patch(
        maps,
        "one",
        b'[{"op":"remove","path":"/data/a"}]',
        space,
        patch_type="application/json-patch+json",
    )
    applied = await kube.apply(maps, "two", config_map("two", c="3"), space)
    replaced = await kube.update(maps, "one", config_map("one", d="4"), space)
    await kube.delete(maps, "one", space, uid=made["metadata"]["uid"])
    left = await kube.page(maps, space, query={"labelSelector": "!x"})

    assert json.loads(merged)["data"] == {"a": "1", "b": "2"}
    assert json.loads(pointed)["data"] == {"b": "2"}
    assert json.loads(applied)["metadata"]["managedFields"][0]["manager"] == "tocsin"
    assert json.loads(replaced)["data"] == {"d": "4"}
    names = {json.loads(bytes(raw))["metadata"]["name"] for raw in left.items}
    assert "two" in names
    assert "one" not in names


async def test_a_refusal_says_status_reason_and_the_rule_that_is_missing(kube, cluster):
    space = cluster.namespace("refused")
    maps = await kube.discovery.kind("v1", "ConfigMap")
    await kube.create(maps, config_map("one"), space)
    with pytest.raises(KubeError) as there:
        await kube.create(maps, config_map("one"), space)
    with pytest.raises(KubeError) as absent:
        await kube.get(maps, "nothing", space)
    async with open_kube(cluster.account("weak", space)) as weak:
        with pytest.raises(KubeError) as forbidden:
            await weak.create(maps, config_map("two"), space)

    assert (there.value.status, there.value.reason) == (409, "AlreadyExists")
    assert (absent.value.status, absent.value.permanent) == (404, True)
    assert (
        'system:serviceaccount:refused:weak needs a Role in refused with apiGroups: [""], '
        'resources: ["configmaps"], verbs: ["create"]'
    ) in str(forbidden.value)


class Seen:
    """What a follower has told."""

    def __init__(self, kube, resource, space: str, **more: str) -> None:
        self.pages: list[Page] = []
        self.changes: list[tuple[str, str]] = []
        self.version = ""
        self._follow = follow(kube, resource, space, **more)

    async def run(self) -> None:
        async for one in self._follow:
            if isinstance(one, Page):
                self.pages.append(one)
            elif isinstance(one, Change) and one.type != "BOOKMARK":
                self.changes.append((one.type, one.item.meta.name))
            self.version = one.version

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(60):
            while sum(name == "one" for _, name in self.changes) < count or not self.pages:
                await asyncio.sleep(0.01)


async def test_following_goes_on_where_it_was_when_the_line_was_cut(kube, cluster, tmp_path):
    space = cluster.namespace("followed")
    maps = await kube.discovery.kind("v1", "ConfigMap")
    async with line(cluster.port) as wire, open_kube(behind(cluster, wire, tmp_path)) as far:
        seen = Seen(far, maps, space, labels="!nothing")
        task = asyncio.create_task(seen.run())
        try:
            await seen.reach(0)
            before = len(seen.pages)
            await kube.create(maps, config_map("one"), space)
            await kube.patch(maps, "one", b'{"data":{"x":"y"}}', space)
            await seen.reach(2)
            await wire.cut()
            await kube.delete(maps, "one", space)
            await wire.mend()
            await seen.reach(3)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    mine = [change for change in seen.changes if change[1] == "one"]
    assert mine == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]
    assert len(seen.pages) == before


def behind(cluster, wire, folder: Path) -> str:
    """Return the kubeconfig of the admin at the end of a line."""
    config = json.loads(Path(cluster.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{wire.port}"
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return str(file)


async def test_following_goes_on_over_a_restart_of_the_server(kube, cluster):
    """Which may have forgotten where we were, and then lists."""
    space = cluster.namespace("restarted")
    maps = await kube.discovery.kind("v1", "ConfigMap")
    seen = Seen(kube, maps, space)
    task = asyncio.create_task(seen.run())
    try:
        await kube.create(maps, config_map("one"), space)
        await seen.reach(0)
        before = len(seen.pages)
        cluster.kill_api()
        await asyncio.to_thread(cluster.start_api)
        await kube.delete(maps, "one", space)

        def told() -> bool:
            listed = any("one" not in names(page) for page in seen.pages[before:])
            return ("DELETED", "one") in seen.changes or listed

        async with asyncio.timeout(60):
            while not told():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names(page: Page) -> set[str]:
    return {item.meta.name for item in page.items}


async def test_a_place_that_is_too_old_is_listed_again(kube, cluster):
    space = cluster.namespace("expired")
    maps = await kube.discovery.kind("v1", "ConfigMap")
    await kube.create(maps, config_map("kept"), space)
    seen = Seen(kube, maps, space, version="1")
    cluster.compact()
    task = asyncio.create_task(seen.run())
    try:
        async with asyncio.timeout(60):
            while not any(i.meta.name == "kept" for p in seen.pages for i in p.items):
                if any(name == "kept" for _, name in seen.changes):
                    pytest.fail("the server still knew version 1")
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
    assert b'"kind":"ConfigMap"' in seen.pages[0].items[0].raw


async def test_many_objects_come_in_pages(kube, cluster):
    space = cluster.namespace("many")
    maps = await kube.discovery.kind("v1", "ConfigMap")
    await asyncio.gather(*(kube.create(maps, config_map(f"c{n}"), space) for n in range(620)))
    seen = Seen(kube, maps, space)
    task = asyncio.create_task(seen.run())
    try:
        async with asyncio.timeout(60):
            while not seen.pages or not seen.pages[-1].last:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
    assert [(page.first, page.last) for page in seen.pages] == [(True, False), (False, True)]
    assert sum(len(page.items) for page in seen.pages) >= 620


async def test_no_kubeconfig_is_a_config_error(tmp_path, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(ConfigError, match="give --kubeconfig FILE"):
        async with open_kube():
            pass


async def test_a_server_that_is_away_is_no_config_error(cluster, tmp_path):
    config = json.loads(Path(cluster.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))

    async with open_kube(str(file)) as away:
        with pytest.raises(KubeError) as caught:
            await away.discovery.kind("v1", "Pod")
    assert caught.value.status == 0
    assert not caught.value.permanent
