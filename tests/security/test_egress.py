"""What a tenant tries to reach the credentials of the machine, by each way that speaks HTTP.

A real server stands at an address that is treated as one of the cloud's; it must never be asked
for anything. Names are resolved as an attacker's name server would.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from aiohttp import web

from delivery.action import Action
from eventsource.buckets.server import Place as Bucket
from eventsource.buckets.server import open_server
from sensor.artifact import GitArtifact, S3Artifact
from sensor.kubernetes import argo_server, s3
from sensor.kubernetes.fetching import fetch
from sensor.kubernetes.git.repositories import open_repositories
from sensor.triggers.http import Http
from services.service import Message, Service
from services.webhook import Webhook
from spine import aws
from spine.errors import Fault, TriggerError
from spine.http import egress
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets, SecretRef

FORBIDDEN = "127.0.0.66"
"""Stands for 169.254.169.254 in these tests, as a server can listen there."""
SECRETS = GivenSecrets({("s", "k"): "key"})
KEY = SecretRef(name="s", key="k")


@dataclass
class Metadata:
    """A server that hands out credentials, and who asked it."""

    port: int
    asked: list[str]


@pytest.fixture
async def metadata(monkeypatch):
    asked: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(f"{request.method} {request.raw_path}")
        return web.Response(text="kind: ConfigMap\napiVersion: v1\nmetadata: {name: stolen}\n")

    real = egress._is_refused
    monkeypatch.setattr(egress, "_is_refused", lambda one: str(one) == FORBIDDEN or real(one))
    for name in ("HTTP_PROXY", "http_proxy", "TOCSIN_EGRESS", "TOCSIN_EGRESS_ADDRESSES"):
        monkeypatch.delenv(name, raising=False)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, FORBIDDEN, 0)
    await site.start()
    yield Metadata(runner.addresses[0][1], asked)
    await runner.cleanup()


@pytest.fixture
async def env():
    async with Shared() as shared:
        yield Env("post", "beep", "ns", SECRETS, shared, host="127.0.0.1")


# ---------------------------------------------------------------------------- the ways


async def trigger(env: Env, place: str) -> None:
    made = load(Http, {"url": f"http://{place}/latest/meta-data"})
    async with made.open(env) as sender:
        content = made.compile()({})
        await sender.send(Action(key="k", sensor="s", trigger="t", kind="http", content=content), 1)


async def service(env: Env, place: str) -> None:
    made: Service = load(Webhook, {"url": f"http://{place}/latest/meta-data"})
    async with made.open(env) as client:
        await client.send(Message(text="it is done"), "", "k")


async def artifact_url(env: Env, place: str) -> None:
    await fetch(f"http://{place}/latest/meta-data", verify=True)


async def artifact_s3(env: Env, place: str) -> None:
    raw = {"endpoint": place, "insecure": True, "bucket": {"name": "latest", "key": "meta"}}
    await s3.read(load(S3Artifact, raw), SECRETS)


async def artifact_git(env: Env, place: str) -> None:
    raw = {"url": f"http://{place}/latest.git", "filePath": "meta", "branch": "main"}
    async with open_repositories() as repositories:
        await repositories.read(load(GitArtifact, raw), SECRETS)


async def source_minio(env: Env, place: str) -> None:
    bucket = Bucket(place, "latest", "", True, KEY, KEY, None)
    async with (
        open_server(bucket, SECRETS) as server,
        server.get([("location", "")], "looking at", "s3:GetBucketLocation"),
    ):
        pass


async def sdk_of_aws(env: Env, place: str) -> None:
    access = aws.Access(region="r-1", key="k", secret="s", endpoint=f"http://{place}")
    async with aws.open_client("sqs", access, "asking") as client:
        try:
            await client.list_queues()
        except Exception as exc:
            raise OSError(str(exc)) from exc


async def server_of_workflows(env: Env, place: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("ARGO_SERVER", place)
    patch.setenv("ARGO_SECURE", "false")
    await argo_server.retry("ns", "stolen", [])


WAYS: list[Callable[..., Awaitable[None]]] = [
    trigger,
    service,
    artifact_url,
    artifact_s3,
    artifact_git,
    source_minio,
    sdk_of_aws,
    server_of_workflows,
]


async def attempt(way: Callable[..., Awaitable[None]], env: Env, place: str, patch) -> Exception:
    """Try a way; return why it did not work."""
    more = (patch,) if way is server_of_workflows else ()
    try:
        async with asyncio.timeout(60):
            await way(env, place, *more)
    except (Fault, OSError, ValueError) as exc:
        return exc
    pytest.fail(f"{way.__name__} has asked {place}")


def fooled(monkeypatch, addresses: dict[str, list[str]]) -> None:
    """Have names mean an address each time, the last one for good."""
    real = socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        found = addresses.get(host if isinstance(host, str) else host.decode())
        if found is None:
            return real(host, port, *args, **kwargs)
        one = found.pop(0) if len(found) > 1 else found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, int(port or 0)))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


# ---------------------------------------------------------------------------- attacks


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_address_written_out(way, env, metadata, monkeypatch) -> None:
    why = await attempt(way, env, f"{FORBIDDEN}:{metadata.port}", monkeypatch)
    assert "never fetched from" in str(why)
    assert metadata.asked == []


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_name_that_means_the_address(way, env, metadata, monkeypatch) -> None:
    fooled(monkeypatch, {"innocent.test": [FORBIDDEN]})
    await attempt(way, env, f"innocent.test:{metadata.port}", monkeypatch)
    assert metadata.asked == []


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_name_that_means_another_address_the_second_time(
    way, env, metadata, monkeypatch
) -> None:
    """The name server answers whoever looks before with something harmless."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        fooled(monkeypatch, {"innocent.test": ["127.0.0.1", FORBIDDEN]})
        for _ in range(3):
            await attempt(way, env, f"innocent.test:{metadata.port}", monkeypatch)
    assert metadata.asked == []


@pytest.mark.parametrize("way", [trigger, service, artifact_url], ids=lambda way: way.__name__)
@pytest.mark.parametrize("form", ["[::ffff:{}]", "{:d}", "{:#x}"])
async def test_other_ways_to_write_the_address(way, form, env, metadata, monkeypatch) -> None:
    number = int.from_bytes(socket.inet_aton(FORBIDDEN))
    host = form.format(FORBIDDEN if "::" in form else number)
    await attempt(way, env, f"{host}:{metadata.port}", monkeypatch)
    assert metadata.asked == []


@pytest.mark.parametrize(
    "way", [trigger, service, artifact_url, artifact_s3, artifact_git, source_minio]
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirect(way, status, env, metadata, monkeypatch) -> None:
    there = f"http://{FORBIDDEN}:{metadata.port}/latest/meta-data"

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers={"Location": there})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        await attempt(way, env, f"127.0.0.1:{runner.addresses[0][1]}", monkeypatch)
    finally:
        await runner.cleanup()
    assert metadata.asked == []


@pytest.mark.parametrize("way", [trigger, service, artifact_url, artifact_s3, source_minio])
async def test_proxy(way, env, metadata, monkeypatch) -> None:
    """A proxy is asked for whatever it is, so it is no way around."""
    monkeypatch.setenv("http_proxy", f"http://{FORBIDDEN}:{metadata.port}")
    await attempt(way, env, "innocent.test", monkeypatch)
    assert metadata.asked == []


async def test_an_event_chooses_the_address(env, metadata, monkeypatch) -> None:
    """The URL is a parameter; the action is given up at once, not tried for a day."""
    with pytest.raises(TriggerError, match="never fetched from") as found:
        await trigger(env, f"{FORBIDDEN}:{metadata.port}")
    assert found.value.permanent


# ---------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "[fd00:ec2::254]",
        "fd20:ce::254",
        "fd00:42::42",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "::ffff:100.100.100.200",
    ],
)
def test_addresses_that_are_never_asked(address: str) -> None:
    assert egress.refused(address)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "127.0.0.1", "::1", "192.168.1.1", "2001:db8::1", "::ffff:10.0.0.1", "h"],
)
def test_addresses_that_may_be(address: str) -> None:
    """Inside of a cluster, targets have private addresses; a NetworkPolicy says which."""
    assert not egress.refused(address)


def test_an_operator_can_allow_an_address(monkeypatch) -> None:
    monkeypatch.setenv("TOCSIN_EGRESS_ADDRESSES", "169.254.20.10, fe80::5")
    assert not egress.refused("169.254.20.10")
    assert not egress.refused("fe80::5")
    assert egress.refused("169.254.169.254")


@pytest.mark.parametrize(
    "way", [trigger, service, artifact_url, artifact_s3, artifact_git, sdk_of_aws]
)
async def test_only_hosts_of_a_list(way, env, metadata, monkeypatch) -> None:
    monkeypatch.setenv("TOCSIN_EGRESS", "*.example.test")
    why = await attempt(way, env, "127.0.0.1:1", monkeypatch)
    assert "TOCSIN_EGRESS does not allow 127.0.0.1" in str(why)


async def test_what_is_allowed_is_reached(env, metadata, monkeypatch) -> None:
    """These tests can fail: without the refusal the server is asked."""
    monkeypatch.setattr(egress, "_is_refused", lambda _: False)
    with contextlib.suppress(Fault):
        await trigger(env, f"{FORBIDDEN}:{metadata.port}")
    assert metadata.asked == ["POST /latest/meta-data"]
