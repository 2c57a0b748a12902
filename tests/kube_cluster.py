"""A real Kubernetes API server for tests: etcd, kube-apiserver, kube-controller-manager, kubectl.

Started once for a test session on free ports, with RBAC and real service accounts. Pods run where
a test asks for `nodes`: see `kubelet`. `KUBEBUILDER_ASSETS` is honoured; else the binaries are
those of `tests/cluster/build.sh`.
"""

import base64
import fcntl
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import TextIO

import pytest
from ports import free_port

BUILD = Path(__file__).parent / "cluster" / "build.sh"
ADMIN = "admin-of-the-test-cluster"
SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager")
AUDITED = ("audited-cluster", "audited-namespaces")
"""Namespaces of accounts whose every request is written down."""


def assets() -> Path | None:
    """Return a folder with the binaries, None where there is none; builds nothing."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        return Path(given)
    if shutil.which("go") is None:
        return None
    done = subprocess.run(
        [BUILD], stdout=subprocess.PIPE, env={**os.environ, "GOFLAGS": "-mod=mod"}, check=False
    )
    return Path(done.stdout.decode().strip()) if done.returncode == 0 else None


def missing(reason: str) -> None:
    """Skip for want of a server, or fail under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def end_leftovers(mark: TextIO) -> None:
    """End what a session that was killed has left: processes that work in its folder."""
    mark.seek(0)
    for line in mark.read().splitlines():
        pid, _, folder = line.partition(" ")
        try:
            if str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)") == folder:
                os.kill(int(pid), signal.SIGKILL)
        except OSError:
            continue  # it has ended
    mark.truncate(0)


class Cluster:
    """One API server and what belongs to it; its data under a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._etcd, self._peer = free_port(), free_port(), free_port()
        self._mark: TextIO | None = None
        self.pods, self.services = self._ranges()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._binaries: dict[str, str] = {}

    def _ranges(self) -> tuple[str, str]:
        """Return addresses for pods and for Services that no other cluster of the machine uses."""
        for n in range(64):
            file = Path(tempfile.gettempdir()) / f"tocsin-test-cluster-{n}"
            if self._mark is not None and not file.exists():
                continue
            mark = file.open("a+")
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                mark.close()
                continue
            end_leftovers(mark)
            if self._mark is None:
                self._mark, ranges = mark, (f"10.213.{4 * n}.0/22", f"10.214.{4 * n}.0/22")
            else:
                mark.close()
        if self._mark is None:
            pytest.fail("64 test clusters run on this machine")
        return ranges

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig of somebody who may do everything."""
        return self.config_for("admin", ADMIN)

    # ------------------------------------------------------------------------ life

    def start(self) -> None:
        """Start everything and wait until it answers."""
        folder = assets()
        if folder is None:
            missing("needs kube-apiserver: install Go, or set KUBEBUILDER_ASSETS")
            return
        for name in (*SERVERS, "kubectl"):
            found = folder / name
            path = str(found) if found.exists() else shutil.which(name)
            if path is None:
                missing(f"needs {name}: install etcd-server, or set KUBEBUILDER_ASSETS")
                return
            self._binaries[name] = path
        self.folder.mkdir(parents=True, exist_ok=True)
        key = self.folder / "sa.key"
        run = partial_run(self.folder)
        run("openssl", "genrsa", "-out", str(key), "2048")
        run("openssl", "rsa", "-in", str(key), "-pubout", "-out", str(self.folder / "sa.pub"))
        (self.folder / "tokens.csv").write_text(f'{ADMIN},admin,1,"system:masters"\n')
        self._run_etcd()
        self.start_api()
        self._run_controllers()

    def _run_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        self._run(
            "etcd", "--data-dir", f"{self.folder}/etcd", "--unsafe-no-fsync",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"default={peer}",
        )  # fmt: skip

    def start_api(self) -> None:
        """Start the API server, on the port of the last time if there was one."""
        self._run(
            "kube-apiserver",
            "--etcd-servers", f"http://127.0.0.1:{self._etcd}",
            "--cert-dir", f"{self.folder}/pki",
            "--secure-port", str(self.port), "--bind-address", "127.0.0.1",
            "--service-account-key-file", f"{self.folder}/sa.pub",
            "--service-account-signing-key-file", f"{self.folder}/sa.key",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--token-auth-file", f"{self.folder}/tokens.csv",
            "--authorization-mode", "RBAC",
            "--service-cluster-ip-range", self.services,
            "--audit-policy-file", str(self._audited()), "--audit-log-path", str(self.audit),
        )  # fmt: skip
        self._until_ready()

    @property
    def audit(self) -> Path:
        """What accounts of the namespaces AUDITED asked for, a line of JSON for each."""
        return self.folder / "audit.log"

    def _audited(self) -> Path:
        groups = [f"system:serviceaccounts:{name}" for name in AUDITED]
        policy = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata", "userGroups": groups}, {"level": "None"}],
        }
        file = self.folder / "audit.json"
        file.write_text(json.dumps(policy))
        return file

    def _run_controllers(self) -> None:
        self._run(
            "kube-controller-manager", "--kubeconfig", self.kubeconfig,
            "--service-account-private-key-file", f"{self.folder}/sa.key",
            "--root-ca-file", f"{self.folder}/pki/apiserver.crt",
            "--leader-elect=false", "--bind-address", "127.0.0.1",
            "--secure-port", str(free_port()),
            "--controllers", "*,-nodelifecycle,-nodeipam,-cloud-node-lifecycle,"
            "-service-lb-controller,-node-route-controller",
        )  # fmt: skip

    def _run(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [self._binaries[name], *arguments], stdout=log, stderr=log, cwd=self.folder
            )
        if self._mark:
            self._mark.write(f"{self._processes[name].pid} {self.folder.resolve()}\n")
            self._mark.flush()

    def _until_ready(self) -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self._processes["kube-apiserver"].poll() is not None:
                break
            try:
                self.call("GET", "/readyz")
            except OSError:
                time.sleep(0.05)
            else:
                return
        log = (self.folder / "kube-apiserver.log").read_text()[-2000:]
        pytest.fail(f"kube-apiserver did not get ready:\n{log}")

    @property
    def pids(self) -> list[int]:
        """The processes of the cluster."""
        return [process.pid for process in self._processes.values()]

    def kill_api(self) -> None:
        """End the API server at once; its data stays."""
        self._end("kube-apiserver", signal.SIGKILL)

    def stop(self) -> None:
        """End everything."""
        for name in reversed(SERVERS):
            self._end(name, signal.SIGKILL)
        if self._mark:
            self._mark.close()
            self._mark = None

    def _end(self, name: str, number: int) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.send_signal(number)
            process.wait()

    # ------------------------------------------------------------------------ use

    def config_for(self, name: str, token: str, namespace: str = "default") -> str:
        """Write the kubeconfig of somebody and return its path."""
        file = self.folder / f"{name}.kubeconfig"
        authority = base64.b64encode((self.folder / "pki" / "apiserver.crt").read_bytes()).decode()
        cluster = {"server": self.server, "certificate-authority-data": authority}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [
                {
                    "name": "test",
                    "context": {"cluster": "test", "user": name, "namespace": namespace},
                }
            ],
            "current-context": "test",
        }
        whole = file.with_suffix(f".{threading.get_ident()}")  # others may be reading the one there
        whole.write_text(json.dumps(config))
        whole.replace(file)
        return str(file)

    @property
    def environment(self) -> dict[str, str]:
        """What somebody at a shell has who may do everything: the cluster and its `kubectl`."""
        folder = Path(self._binaries["kubectl"]).parent
        path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        cache = str(self.folder / "kubectl-cache")  # the next cluster may have our port
        return {
            **os.environ, "PATH": path, "KUBECONFIG": self.kubeconfig, "KUBECACHEDIR": cache,
        }  # fmt: skip

    def kubectl(self, *words: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run kubectl as the admin; `returncode`, `stdout` and `stderr` are in what comes back."""
        return subprocess.run(
            [self._binaries["kubectl"], *words], env=self.environment, input=given,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def call(self, method: str, path: str, body: object = None, **headers: str) -> dict:
        """Ask the API server as its admin and return the answer. Raises OSError."""
        context = ssl._create_unverified_context()
        request = urllib.request.Request(
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {ADMIN}",
                "Content-Type": "application/json",
            }
            | {k.replace("_", "-"): v for k, v in headers.items()},
        )
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if content.startswith(b"{") else {}

    def namespace(self, name: str) -> str:
        """Make a namespace, called like a test, in which pods can be made; return its name.

        One that another test made, such as that of a well-known product, is taken as it is.
        """
        name = re.sub(r"[^a-z0-9]+", "-", name.lower())[:60].strip("-")
        try:
            self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        except urllib.error.HTTPError as exc:
            if exc.code != HTTPStatus.CONFLICT:
                raise
        self._until_served(f"/api/v1/namespaces/{name}/serviceaccounts/default")
        return name

    def apply(self, file: Path) -> None:
        """Apply all objects of a file, CRDs among them, and wait until those are served."""
        import yaml

        for made in yaml.safe_load_all(file.read_text()):
            self._apply(made)
            if made["kind"] == "CustomResourceDefinition":
                spec = made["spec"]
                path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}"
                self._until_served(f"{path}/{spec['names']['plural']}")

    def _apply(self, made: dict) -> None:
        group, _, version = made["apiVersion"].rpartition("/")
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        metadata, plural = made["metadata"], _plural(made["kind"])
        space = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        self.call(
            "PATCH",
            f"{root}{space}/{plural}/{metadata['name']}?fieldManager=tests&force=true",
            made,
            Content_Type="application/apply-patch+yaml",
        )

    def _until_served(self, path: str) -> None:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            try:
                self.call("GET", path)
            except urllib.error.HTTPError:
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"{path} is not served")

    def account(self, name: str, namespace: str) -> str:
        """Make a service account and return its kubeconfig."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.call("POST", path, {"metadata": {"name": name}})
        return self.token_for(name, namespace)

    def token_for(self, name: str, namespace: str) -> str:
        """Return the kubeconfig of a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = self.call("POST", f"{path}/{name}/token", asked)["status"]["token"]
        return self.config_for(f"{namespace}-{name}", token, namespace)

    def compact(self) -> None:
        """Have etcd forget every older version, as it does by itself every five minutes."""
        url = f"http://127.0.0.1:{self._etcd}/v3/kv"
        key = base64.b64encode(b"compaction").decode()
        put = _post(f"{url}/put", {"key": key, "value": key})
        _post(f"{url}/compaction", {"revision": put["header"]["revision"], "physical": True})


def _plural(kind: str) -> str:
    """Return the plural of a kind of the tests."""
    lower = kind.lower()
    return lower + ("es" if lower.endswith("s") else "s")


def _post(url: str, body: object) -> dict:
    request = urllib.request.Request(url, data=json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def partial_run(folder: Path):
    """Return a function that runs a command in a folder and fails the test if it fails."""

    def run(*words: str) -> None:
        done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    return run
