"""What tests see of the pods: who runs, what they said, commands in them, ways to reach them."""

import asyncio
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kubelet.images import REPOSITORY
from kubelet.process import Entry

if TYPE_CHECKING:
    from kube_cluster import Cluster

Manifest = dict[str, Any]

PATIENCE = 90
"""Seconds in which the kubelet must end: it says after 30 what keeps it, and waits for 60."""
TOOLS = ("ip", "unshare", "nsenter", "setpriv", "mount")
TRY = (
    "ip link add name tocsin-try type bridge && ip link del tocsin-try"
    " && mkdir -p /tmp/tocsin-try && mount -t tmpfs t /tmp/tocsin-try"
    " && mkdir /tmp/tocsin-try/u /tmp/tocsin-try/w /tmp/tocsin-try/r"
    " && mount -t overlay o -o lowerdir=/,upperdir=/tmp/tocsin-try/u,workdir=/tmp/tocsin-try/w"
    " /tmp/tocsin-try/r"
)


def obstacle() -> str:
    """Return why pods cannot run here, empty where they can."""
    if os.geteuid() != 0:
        return "the test kubelet needs root"
    if absent := [name for name in TOOLS if shutil.which(name) is None]:
        return f"the test kubelet needs {', '.join(absent)}: install iproute2 and util-linux"
    if not Path(__file__).stat().st_mode & 0o004:
        return "pods cannot read this checkout: clone it with umask 022"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", TRY],
        capture_output=True, check=False,
    )  # fmt: skip
    why = done.stderr.decode().strip()
    return f"namespaces, bridges or overlays are not to be had: {why}" if done.returncode else ""


class Nodes:
    """The machine that runs the pods of a cluster, from `start` to `stop`."""

    def __init__(self, cluster: "Cluster", folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.host = ""
        """The address of the tests, as pods reach it: what a test listens at for them."""
        self._process: subprocess.Popen[bytes] | None = None
        self._namespaces: list[str] = []

    # ------------------------------------------------------------------------ life

    def start(self) -> None:
        """Start, and wait until pods run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        cluster = self.cluster
        with (self.folder / "kubelet.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kubelet", cluster.kubeconfig, str(self.folder),
                 cluster.pods, cluster.services, str(cluster.port)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True, cwd=REPOSITORY,
                env={**os.environ, "PYTHONPATH": f"{REPOSITORY}/tests:{REPOSITORY}"},
            )  # fmt: skip
        assert self._process.stdout is not None
        self.host = self._process.stdout.readline().decode().strip()
        if not self.host:
            pytest.fail(f"the test kubelet does not run:\n{self._said()}")

    @property
    def pid(self) -> int:
        """The process of the kubelet."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End all pods and what they had; the namespaces made here are deleted."""
        try:
            for name in self._namespaces:
                self.cluster.call("DELETE", f"/api/v1/namespaces/{name}")
        finally:
            self._end()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the test kubelet did not end:\n{self._said()}")
        finally:
            process.stdout.close()

    def _said(self) -> str:
        return (self.folder / "kubelet.log").read_text()[-3000:]

    # ------------------------------------------------------------------------ use

    def namespace(self, name: str) -> str:
        """Make a namespace that is deleted at the end, and return its name."""
        made = self.cluster.namespace(name)
        self._namespaces.append(made)
        return made

    def pods(self, namespace: str, selector: str = "") -> list[Manifest]:
        """Return the pods of a namespace, those on their way out last."""
        query = urllib.parse.urlencode({"labelSelector": selector})
        found = self.cluster.call("GET", f"/api/v1/namespaces/{namespace}/pods?{query}")["items"]
        return sorted(
            found,
            key=lambda pod: ("deletionTimestamp" in pod["metadata"], pod["metadata"]["name"]),
        )

    def ready(self, namespace: str, selector: str = "") -> list[Manifest]:
        """Return those pods that are ready and stay."""
        return [
            pod
            for pod in self.pods(namespace, selector)
            if "deletionTimestamp" not in pod["metadata"]
            for one in pod.get("status", {}).get("conditions", [])
            if one["type"] == "Ready" and one["status"] == "True"
        ]

    def logs(self, pod: Manifest, container: str = "", *, run: int | None = None) -> str:
        """Return what a container said, of all its runs or of one; it may be gone already."""
        metadata = pod["metadata"]
        whole = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        name = container or pod["spec"]["containers"][0]["name"]
        files = (self.folder / "logs" / whole / name).glob("*.log")
        ordered = sorted(files, key=lambda file: int(file.stem))
        return "".join(f.read_text() for f in ordered if run is None or int(f.stem) == run)

    def exec(
        self, pod: Manifest, *words: str, container: str = "", given: str = "", seconds: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a container; `stdout` and `returncode` are in what comes back."""
        name = container or pod["spec"]["containers"][0]["name"]
        entry = Entry.load(self.folder / "pods" / pod["metadata"]["uid"] / f"{name}.entry")
        return subprocess.run(
            entry.words(words), env=dict(entry.environment), input=given, text=True,
            capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip

    def reach(self, service: str, port: int, scheme: str = "http") -> str:
        """Return the URL at which a test reaches a port of a Service, `NAME.NAMESPACE`."""
        name, _, namespace = service.partition(".")
        made = self.cluster.call("GET", f"/api/v1/namespaces/{namespace}/services/{name}")
        address = made["spec"]["clusterIP"]
        if address == "None":
            selector = ",".join(f"{key}={value}" for key, value in made["spec"]["selector"].items())
            address = self.ready(namespace, selector)[0]["status"]["podIP"]
        return f"{scheme}://{address}:{port}"

    async def until(
        self, look: Callable[[], Any | Awaitable[Any]], seconds: float = 120, what: str = ""
    ) -> Any:
        """Look until something true comes back, and return that; an OSError is nothing.

        Fails the test when the time is over, with what the pods say of themselves.
        """
        loop = asyncio.get_running_loop()
        until, problem, found = loop.time() + seconds, "", None
        while loop.time() < until:
            try:
                found = look()
                found = await found if inspect.isawaitable(found) else found
            except OSError as exc:
                problem = str(exc)
            if found:
                return found
            if self._process is None or self._process.poll() is not None:
                pytest.fail(f"the test kubelet has ended:\n{self._said()}")
            await asyncio.sleep(0.05)
        pytest.fail(
            f"{what or 'it'} did not come within {seconds:g} s: {found!r} {problem}\n{self}"
        )

    def __str__(self) -> str:
        """Return what there is, for people who look for what went wrong."""
        lines = []
        for pod in self.cluster.call("GET", "/api/v1/pods")["items"]:
            metadata, status = pod["metadata"], pod.get("status", {})
            states = {
                one["name"]: one["state"]
                for one in [
                    *status.get("initContainerStatuses", []),
                    *status.get("containerStatuses", []),
                ]
            }
            lines.append(
                f"{metadata['namespace']}/{metadata['name']}: {status.get('phase')}"
                f" {status.get('message', '')} {json.dumps(states)}"
            )
            for name in states:
                said = self.logs(pod, name)[-1500:]
                lines.append(re.sub(r"^", "    ", said, flags=re.MULTILINE))
        return "\n".join(lines)
