"""The commands of docs/install.md, run from the page on an empty cluster.

The page itself says how, at its end, and what of a real cluster is replaced.
"""

import re
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from helm_kit import built
from kube_cluster import Cluster, missing
from kubelet.nodes import Nodes, obstacle
from ports import free_port
from tocsin_run import started

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text()
BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?"
    r"```sh\n(?P<commands>.*?)^```\n"
    r"(?:```text\n(?P<said>.*?)^```)?",
    re.MULTILINE | re.DOTALL,
)
PATIENCE = 150.0
LATE = ("no endpoints available", "failed calling webhook")
"""What is said while a pod is ready and Kubernetes has yet to lead its Service there."""
WIDE = "crd,clusterroles,clusterrolebindings,validatingwebhookconfigurations,namespaces"
NARROW = "all,secrets,pvc,pdb,roles,rolebindings,leases"

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Block:
    """Some commands of the page."""

    way: str
    """To which of the ways to install they belong; empty: they are not run."""
    refused: bool
    """Whether the last one is to be refused."""
    commands: tuple[str, ...]
    said: str
    """What has to be in what the last one says."""

    @classmethod
    def of(cls, found: re.Match[str]) -> "Block":
        mark = found["mark"] or ""
        way, _, more = mark.removeprefix("test: ").partition(", ")
        assert mark.startswith(("test: ", "not run: ")), f"what is to be done with {found[0]}?"
        lines = re.sub(r"([|])\n\s+", r"\1 ", found["commands"]).splitlines()
        run = mark.startswith("test: ")
        return cls(
            way if run else "", more == "refused", tuple(lines), (found["said"] or "").strip()
        )


BLOCKS = [Block.of(found) for found in BLOCK.finditer(PAGE)]


class Shell:
    """Somebody who has just got a cluster, and follows the page in a clone."""

    def __init__(self, cluster: Cluster, nodes: Nodes, home: Path) -> None:
        self._nodes = nodes
        path = f"{Path(built('helm')).parent}:{cluster.environment['PATH']}"
        self._environment = {**cluster.environment, "PATH": path, "HOME": str(home)}

    def _try(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, env=self._environment,
            capture_output=True, text=True, timeout=330, check=False,
        )  # fmt: skip

    def do(self, command: str) -> str:
        """Run a command that works, and return what it says."""
        until = time.monotonic() + PATIENCE
        done = self._try(command)
        while any(one in done.stderr for one in LATE):
            assert time.monotonic() < until, f"{command}\n{done.stderr}\n{self._nodes}"
            time.sleep(0.2)
            done = self._try(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}\n{self._nodes}"
        return done.stdout

    def follow(self, block: Block) -> None:
        """Run the commands of a block, the last one until it says what the page says."""
        *first, last = block.commands
        for command in first:
            self.do(command)
        if not block.said:
            self.do(last)
            return
        until = time.monotonic() + PATIENCE
        while True:
            done = self._try(last)
            said = done.stdout + done.stderr
            late = any(one in done.stderr for one in LATE)
            right = late or (done.returncode != 0) == block.refused
            assert right, f"{last}\n{said}\n{self._nodes}"
            if block.said in said:
                return
            assert time.monotonic() < until, f"{last}\n{said}\n{self._nodes}"
            time.sleep(0.2)

    def everything(self) -> set[str]:
        """Return what there is in the cluster, and in the namespaces that the page uses."""
        commands = [f"kubectl get {WIDE} -o name"]
        commands += [f"kubectl get {NARROW} -n {space} -o name" for space in ("default", "tocsin")]
        return {f"{n} {name}" for n, one in enumerate(commands) for name in self.do(one).split()}


@pytest.fixture
def shell(tmp_path):
    """A shell on a cluster of its own, in which nothing is but what every one has."""
    if why := obstacle():
        missing(why)
    cluster = Cluster(tmp_path / "cluster")
    nodes = Nodes(cluster, tmp_path / "nodes")
    (tmp_path / "home").mkdir()
    try:
        cluster.start()
        nodes.start()
        yield Shell(cluster, nodes, tmp_path / "home")
    finally:
        try:
            nodes.stop()
        finally:
            cluster.stop()


@pytest.mark.parametrize("way", ["kubectl", "helm"])
def test_from_an_empty_cluster_to_an_action_and_back(shell, way):
    before = shell.everything()
    for block in BLOCKS:
        if block.way == way:
            shell.follow(block)

    until = time.monotonic() + PATIENCE
    while left := shell.everything() - before:
        assert time.monotonic() < until, left
        time.sleep(0.5)


def test_a_controller_for_one_namespace(shell):
    for block in BLOCKS:
        if block.way == "namespaces":
            shell.follow(block)

    asked = (
        "kubectl auth can-i create deployments --as system:serviceaccount:shop:tocsin-controller"
    )
    assert shell.do(f"{asked} -n shop") == "yes\n"
    assert shell.do(f"{asked} -n default || true") == "no\n"
    assert "clusterrole.rbac.authorization.k8s.io/tocsin-controller" not in shell.do(
        "kubectl get clusterroles -o name"
    )


def test_helm_takes_five_commands():
    first = next(block for block in BLOCKS if block.way == "helm")

    assert len(first.commands) == 5
    assert {block.way for block in BLOCKS} == {"", "helm", "kubectl", "namespaces"}


def free_pair() -> int:
    """Return a port that nobody listens at, nor at the next one."""
    while True:
        port = free_port()
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port + 1))
            return port


async def test_the_quickstart_does_the_same_on_a_laptop(tmp_path):
    offset = free_pair() - 12000
    words = ("run", str(ROOT / "examples" / "quickstart"), "--port-offset", str(offset))
    order = {"id": 42, "total": 250, "customer": {"name": "Ada"}}
    async with started(tmp_path, *words) as run:
        await run.until("Ctrl-C stops", 60)
        async with httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{12000 + offset}/orders"
            assert (await client.post(url, json=order)).status_code == 200
        await run.until('{"from":"Ada","order":{"customer":"Ada","order":42,"total":250}}')
        assert await run.stop() in {0, 130}
