"""Story 1, from the example to the Ingress: `tocsin run` with exactly the printed rights."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ports import free_port
from tocsin_run import Run, started, tocsin

from spine.errors import KubeError
from spine.kube import Kube, open_kube

pytestmark = pytest.mark.timeout(240)
EXAMPLE = Path(__file__).parents[2] / "examples" / "auto-ingress"
HOST = "autodeploy-ingress-host"


class Scene:
    """The namespace `playground` with an account that has the printed rights."""

    def __init__(self, kube: Kube, cluster: Any, folder: Path, config: str) -> None:
        self.kube, self.cluster, self.folder, self.config = kube, cluster, folder, config

    def run(self, *words: str):
        return started(
            self.folder, "run", str(EXAMPLE), "--kubeconfig", self.config, "-v",
            "--port-offset", str(free_port() - 12000), *words,
        )  # fmt: skip

    async def apply(self, kind: str, name: str, **body: Any) -> None:
        group = {"Service": "v1"}[kind]
        resource = await self.kube.discovery.kind(group, kind)
        metadata = {"name": name, "annotations": body.pop("annotations", {})}
        made = {"apiVersion": group, "kind": kind, "metadata": metadata, **body}
        await self.kube.apply(resource, name, json.dumps(made).encode(), "playground")

    async def delete(self, name: str) -> None:
        resource = await self.kube.discovery.kind("v1", "Service")
        await self.kube.delete(resource, name, "playground")

    async def ingress(self, name: str) -> dict[str, Any] | None:
        resource = await self.kube.discovery.kind("networking.k8s.io/v1", "Ingress")
        try:
            return dict(json.loads(await self.kube.get(resource, name, "playground")))
        except KubeError as exc:
            if exc.status != 404:
                raise
            return None

    async def until(self, run: Run, name: str, true: Any) -> Any:
        try:
            async with asyncio.timeout(100):
                while not true(found := await self.ingress(name)):
                    await asyncio.sleep(0.05)
                return found
        except TimeoutError:
            raise AssertionError((await self.ingress(name), run.text)) from None


@pytest.fixture(scope="module")
def playground(cluster):
    """The namespace, once."""
    return cluster.namespace("playground")


@pytest.fixture
async def scene(cluster, playground, tmp_path):
    code, printed, problems = await tocsin("rbac", str(EXAMPLE), "--offline", cwd=tmp_path)
    assert code == 0, problems
    rules = tmp_path / "rbac.yaml"
    rules.write_text("\n---\n".join(yaml.safe_dump(d) for d in yaml.safe_load_all(printed) if d))
    cluster.apply(rules)
    config = cluster.token_for("playground-sa", "playground")
    async with open_kube(cluster.kubeconfig) as kube:
        yield Scene(kube, cluster, tmp_path, config)


def ports(*found: Any) -> dict[str, Any]:
    return {"spec": {"ports": [{"port": p, **({"name": n} if n else {})} for p, n in found]}}


def port(made: dict[str, Any] | None) -> Any:
    if made is None:
        return None
    rule = made["spec"]["rules"][0]
    return rule["host"], rule["http"]["paths"][0]["backend"]["service"]["port"]


async def test_ingresses_come_change_and_go_with_their_services(scene):
    annotated = {HOST: "shop.example.test", "autodeploy-ingress-class": "nginx"}
    async with scene.run() as run:
        await run.until("Ctrl-C stops", 60)
        await scene.apply("Service", "shop", annotations=annotated, **ports((80, "")))
        made = await scene.until(run, "shop-ing", lambda m: m is not None)
        assert port(made) == ("shop.example.test", {"number": 80})
        assert made["spec"]["ingressClassName"] == "nginx"

        await scene.apply("Service", "shop", annotations=annotated, **ports((8080, "web")))
        await scene.until(
            run, "shop-ing", lambda m: port(m) == ("shop.example.test", {"name": "web"})
        )
        await scene.apply("Service", "plain", **ports((80, "")))
        await scene.delete("shop")
        await scene.until(run, "shop-ing", lambda m: m is None)
        assert await scene.ingress("plain-ing") is None

        domain = {"autodeploy-ingress-domain": "many.test"}
        paths = {"autodeploy-ingress-paths": '{"admin": "/admin"}'}
        both = ports((80, "web"), (81, "admin"))
        await scene.apply("Service", "many", annotations=domain | paths, **both)
        many = await scene.until(run, "many-ports-ing", lambda m: m is not None)
        hosts = [(r["host"], r["http"]["paths"][0]["path"]) for r in many["spec"]["rules"]]
        assert hosts == [("web.many.test", "/"), ("admin.many.test", "/admin")]
        assert await run.stop() in {0, 130}


async def test_what_happened_while_nothing_ran_is_made_up_for(scene):
    annotated = {HOST: "late.example.test"}
    async with scene.run() as run:
        await run.until("Ctrl-C stops", 60)
        await scene.apply("Service", "late", annotations=annotated, **ports((80, "")))
        await scene.apply("Service", "gone", annotations=annotated, **ports((80, "")))
        await scene.until(run, "late-ing", lambda m: m is not None)
        await scene.until(run, "gone-ing", lambda m: m is not None)
        await run.stop()
    await scene.apply("Service", "late", annotations=annotated, **ports((81, "")))
    await scene.delete("gone")
    async with scene.run() as run:
        await scene.until(
            run, "late-ing", lambda m: port(m) == ("late.example.test", {"number": 81})
        )
        await scene.until(run, "gone-ing", lambda m: m is None)
        assert "dead letter" not in run.text
        await run.stop()


async def test_with_one_right_less_the_rule_is_named(scene):
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/playground/roles"
    for name in ("sensor-ingress-sn", "sensor-ingresses-sn"):  # of one account
        role = scene.cluster.call("GET", f"{roles}/{name}")
        role["rules"][0]["verbs"].remove("create")
        scene.cluster.call("PUT", f"{roles}/{name}", role)
    async with asyncio.timeout(90):  # the API server takes a moment to believe it
        while True:
            words = ("rbac", str(EXAMPLE), "--check", "--kubeconfig", scene.config)
            code, missing, _ = await tocsin(*words, cwd=scene.folder)
            if code:
                break
    assert code == 1
    assert "Sensor ingress-sn: may not create ingresses of group networking.k8s.io" in missing
    async with scene.run() as run:
        await run.until("Ctrl-C stops", 60)
        annotated = {HOST: "less.example.test"}
        await scene.apply("Service", "less", annotations=annotated, **ports((80, "")))
        await run.until('resources: ["ingresses"], verbs: ["create"]', 90)
        await run.stop()
