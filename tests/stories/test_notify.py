"""Stories of people who are told: a Pod that runs, and an Application that somebody deployed.

The configurations are used as they are. Where one names a host of its cluster, a proxy stands in
for that host, as the environment says.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from services_kit import Mailbox, Receiver, mail_server, receiver
from tocsin_run import Run, started, tocsin

from spine.kube import Kube, open_kube

pytestmark = pytest.mark.timeout(240)

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHARED = ROOT.parent / "shared" / "stories"
CRDS = Path(__file__).parents[1] / "cluster" / "crds"
APPLICATION = "argoproj.io/v1alpha1"


@asynccontextmanager
async def told(
    cluster: Any, tmp_path: Path, folder: Path, account: str, space: str, **env: str
) -> AsyncIterator[Run]:
    """Run a folder with exactly the rights that `tocsin rbac` prints for it."""
    words = ("rbac", str(folder), "--kubeconfig", cluster.kubeconfig)
    code, printed, problems = await tocsin(*words, cwd=tmp_path)
    assert code == 0, problems
    rules = tmp_path / "rules.yaml"
    rules.write_text(printed)
    cluster.apply(rules)
    config = cluster.token_for(account, space)
    async with started(tmp_path, "run", str(folder), "--kubeconfig", config, **env) as run:
        await run.until("Ctrl-C stops", 60)
        yield run
        assert await run.stop() in {0, 130}


async def status(kube: Kube, version: str, kind: str, where: tuple[str, str], value: Any) -> None:
    """Change the status of an object, as its controller does."""
    resource = await kube.discovery.kind(version, kind)
    body = json.dumps({"status": value}).encode()
    name, space = where
    known = {"subresource": "status"} if kind == "Pod" else {}
    await kube.patch(resource, name, body, space, **known)


async def until(run: Run, true: Any, seconds: float = 90.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(run.text) from None


# ---------------------------------------------------------------------------- a Pod


@pytest.mark.parametrize("manifests", ["published", "example"])
async def test_a_webhook_hears_of_a_pod_that_runs(cluster, tmp_path, manifests):
    """Once, however often it is looked at, and without a right to change anything."""
    folder = SHARED / "notify-pods" if manifests == "published" else EXAMPLES / "notify-pods"
    if not folder.is_dir():
        pytest.skip("the stories are not beside the project")
    async with receiver() as target, open_kube(cluster.kubeconfig) as kube:
        if manifests == "example":
            folder = _copied(folder, tmp_path, **{"http://127.0.0.1:12003": target.url})
        pods = await kube.discovery.kind("v1", "Pod")
        pod = yaml.safe_load((folder / "pod.yaml").read_text())
        pod["metadata"]["name"] = name = f"{manifests}-pod"
        await kube.apply(pods, name, json.dumps(pod).encode(), "default")
        account = "pod-notifications-cm"
        proxy = {"HTTP_PROXY": target.url, "NO_PROXY": "127.0.0.1"}
        if manifests == "example":
            proxy = {}
        async with told(cluster, tmp_path, folder, account, "default", **proxy) as run:
            where = name, "default"
            await status(kube, "v1", "Pod", where, {"phase": "Running"})
            await until(run, lambda: target.got)
            await status(kube, "v1", "Pod", where, {"phase": "Running", "message": "again"})
            await asyncio.sleep(1)
        await kube.delete(pods, name, "default")
    [got] = target.got
    assert name in got.text
    if manifests == "published":
        assert (got.method, got.body.decode()) == ("GET", f"Pod {name} is ready!\n")


def _copied(folder: Path, tmp_path: Path, **words: str) -> Path:
    out = tmp_path / folder.name
    out.mkdir()
    for file in folder.glob("*.yaml"):
        text = file.read_text()
        for old, new in words.items():
            assert any(old in one.read_text() for one in folder.glob("*.yaml")), old
            text = text.replace(old, new)
        (out / file.name).write_text(text)
    return out


# ---------------------------------------------------------------------------- an Application


def application(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": APPLICATION,
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "labels": labels},
        "spec": {
            "project": "default",
            "destination": {"namespace": "shop", "server": "https://kubernetes.default.svc"},
            "source": {"repoURL": "https://git.example.com/shop.git", "path": "."},
        },
    }


def state(sync: str, health: str, revision: str = "4f2c9a1b77") -> dict[str, Any]:
    return {"sync": {"status": sync, "revision": revision}, "health": {"status": health}}


async def test_whoever_deployed_is_mailed(cluster, tmp_path):
    cluster.apply(CRDS / "argo-cd.yaml")
    cluster.namespace("argocd")
    users = {"mailer": "not-a-real-password"}
    async with (
        receiver() as chat,
        mail_server(users=users) as box,
        open_kube(cluster.kubeconfig) as kube,
    ):
        folder = _copied(
            EXAMPLES / "notify-deployers",
            tmp_path,
            **{
                "http://127.0.0.1:12003": chat.url,
                "port: 12004": f"port: {box.port}",
                "for: 2s": "for: 4s",
            },
        )
        apps = await kube.discovery.kind(APPLICATION, "Application")
        for made in (application("shop", deployer="alice"), application("quiet")):
            body = json.dumps(made).encode()
            await kube.apply(apps, made["metadata"]["name"], body, "argocd")
        async with told(cluster, tmp_path, folder, "deployments", "argocd") as run:
            await _happens(run, kube, box, chat)
        for name in ("shop", "quiet"):
            await kube.delete(apps, name, "argocd")


async def _happens(run: Run, kube: Kube, box: Mailbox, chat: Receiver) -> None:
    shop = "shop", "argocd"

    async def turns(where: tuple[str, str], sync: str, health: str) -> None:
        await status(kube, APPLICATION, "Application", where, state(sync, health))

    await turns(shop, "Synced", "Healthy")
    await turns(shop, "Unknown", "Healthy")
    await until(run, lambda: len(box.mails) == 2)
    assert sorted((mail.recipients, mail.user) for mail in box.mails) == [
        (("alice@example.com",), "mailer"),
        (("ops@example.com",), "mailer"),
    ]
    assert box.mails[0].message["subject"] == "shop: sync status unknown"
    assert "4f2c9a1 is not known" in box.mails[0].message.get_content()

    await turns(shop, "Synced", "Degraded")
    await turns(shop, "Synced", "Healthy")  # too short to be told
    await turns(("quiet", "argocd"), "Synced", "Degraded")
    await until(run, lambda: len(chat.got) == 1)
    assert chat.got[0].json == {"app": "quiet", "health": "Degraded"}
    await turns(shop, "Synced", "Degraded")
    await until(run, lambda: len(chat.got) == 2 and len(box.mails) == 3)
    assert box.mails[2].message["subject"] == "shop is Degraded"
    await turns(shop, "Synced", "Healthy")
    await until(run, lambda: len(chat.got) == 3 and len(box.mails) == 4)
    assert chat.got[2].json == {"app": "shop", "health": "Healthy"}
    assert {mail.recipients for mail in box.mails[2:]} == {("alice@example.com",)}
