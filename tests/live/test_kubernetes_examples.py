"""Examples that act on a cluster, run by `tocsin run` with exactly the rights that are printed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from ports import free_port
from sink import sink
from tocsin_run import started, tocsin

from spine.kube import Kube, open_kube

pytestmark = pytest.mark.timeout(240)
EXAMPLES = Path(__file__).parents[2] / "examples"
CRDS = Path(__file__).parents[1] / "cluster" / "crds"
GROUP = "argoproj.io/v1alpha1"


async def with_rights(cluster: Any, folder: Path, account: str, space: str) -> str:
    """Give an account what `tocsin rbac` prints for a folder; return its kubeconfig."""
    words = ("rbac", str(folder), "--kubeconfig", cluster.kubeconfig)
    code, printed, problems = await tocsin(*words, cwd=folder)
    assert code == 0, problems
    rules = folder.parent / f"{folder.name}-rbac.yaml"
    rules.write_text("\n---\n".join(yaml.safe_dump(d) for d in yaml.safe_load_all(printed) if d))
    cluster.apply(rules)
    return str(cluster.token_for(account, space))


def copied(name: str, folder: Path, **words: str) -> Path:
    """Return a copy of an example in which some words are others."""
    out = folder / name
    out.mkdir()
    for file in (EXAMPLES / name).glob("*.yaml"):
        text = file.read_text()
        for old, new in words.items():
            text = text.replace(old.replace("_", ":"), new)
        (out / file.name).write_text(text)
    return out


async def objects(kube: Kube, version: str, kind: str, space: str) -> list[dict[str, Any]]:
    # All of them: other tests on the same cluster may have left more than a page.
    found = await kube.page(await kube.discovery.kind(version, kind), space, query={"limit": "0"})
    return [json.loads(bytes(raw)) for raw in found.items]


async def until(true: Any, what: Any, seconds: float = 90.0) -> None:
    async with asyncio.timeout(seconds):
        while not await true():
            await asyncio.sleep(0.1)


async def test_act_once_for_each_transition(cluster, tmp_path):
    cluster.apply(CRDS / "argo-cd.yaml")
    cluster.namespace("argocd")
    async with sink() as target, open_kube(cluster.kubeconfig) as kube:
        folder = copied("act-on-transition", tmp_path, **{"127.0.0.1_12002": target.url[7:]})
        config = await with_rights(cluster, folder, "act-on-transition", "argocd")
        applications = await kube.discovery.kind(GROUP, "Application")

        async def touch(phase: str, at: str, touched: str) -> None:
            state = {"phase": phase, "syncResult": {"revision": at}}
            state |= {"finishedAt": at} if phase == "Succeeded" else {}
            patch = {"status": {"operationState": state, "touched": touched}}
            await kube.patch(applications, "shop", json.dumps(patch).encode(), "argocd")

        made = {
            "apiVersion": GROUP,
            "kind": "Application",
            "metadata": {"name": "shop"},
            "spec": {},
        }
        await kube.create(applications, json.dumps(made).encode(), "argocd")
        words = ("run", str(folder), "--kubeconfig", config)
        async with started(tmp_path, *words) as run:
            await run.until("Ctrl-C stops", 60)
            for at in ("t1", "t2"):
                await touch("Running", at, "1")
                for touched in ("2", "3", "4"):
                    await touch("Succeeded", at, touched)

            async def acted() -> bool:
                return len(target.requests) >= 2 and len(await jobs()) >= 2

            async def jobs() -> list[dict[str, Any]]:
                return await objects(kube, "batch/v1", "Job", "argocd")

            try:
                await until(acted, run)
            except TimeoutError:
                raise AssertionError(run.text) from None
            await asyncio.sleep(1)
            assert await run.stop() in {0, 130}

        sent = [body for _, _, body in target.requests]
        assert sorted(body["client_payload"]["revision"] for body in sent) == ["t1", "t2"]
        assert {body["application"] for body in sent} == {"shop"}
        made_jobs = await jobs()
        assert len(made_jobs) == 2
        container = made_jobs[0]["spec"]["template"]["spec"]["containers"][0]
        assert container["args"] == ["--fail", "https://shop.example.test/healthz"]


async def test_a_workflow_for_each_request(cluster, tmp_path):
    cluster.apply(CRDS / "argo-workflows.yaml")
    port = free_port()
    folder = copied("workflow-from-webhook", tmp_path, **{'"12030"': f'"{port}"'})
    config = await with_rights(cluster, folder, "submit-workflows", "default")
    async with open_kube(cluster.kubeconfig) as kube:
        async with started(tmp_path, "run", str(folder), "--kubeconfig", config) as run:
            await run.until("Ctrl-C stops", 60)
            async with httpx.AsyncClient() as client:
                for ref in ("v1", "v2"):
                    answer = await client.post(f"http://127.0.0.1:{port}/build", json={"ref": ref})
                    assert answer.status_code == 200

            async def ours() -> list[dict[str, Any]]:
                found = await objects(kube, GROUP, "Workflow", "default")
                return [
                    w for w in found if w["metadata"]["name"].startswith(("build-", "release-"))
                ]

            async def four() -> bool:
                return len(await ours()) >= 4

            try:
                await until(four, run)
            except TimeoutError:
                raise AssertionError(run.text) from None
            assert await run.stop() in {0, 130}
        found = await ours()
    refs = {
        (w["metadata"]["name"].rsplit("-", 1)[0], w["spec"]["arguments"]["parameters"][0]["value"])
        for w in found
    }
    assert refs == {("build", "v1"), ("build", "v2"), ("release", "v1"), ("release", "v2")}
    assert len(found) == 4
