"""The generic source and services of one's own: what they tell, whom they trust, how they end."""

import asyncio
import base64
import json
import signal
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from eventing_kit import eventing_server
from hooks import running
from ports import free_port
from stream_kit import Certificates, Fickle, bodies, failure, until

from eventbus.bus import DEAD
from eventbus.memory import MemoryBus
from eventsource import runner
from spine.errors import ConfigError
from spine.runtime import Backoff
from spine.secrets import GivenSecrets, KeyRef, SecretRef, Secrets

pytestmark = pytest.mark.timeout(120)
ROOT = Path(__file__).parents[2]
TOKEN = {"name": "doors", "key": "token"}


@pytest.fixture
def soon(monkeypatch):
    """A source that failed is started again soon."""
    monkeypatch.setattr(runner, "RESTART", Backoff(0.1, 1.0, 0.0, 0, 0.1))


def spec(url: str, **more: Any) -> dict[str, Any]:
    event = {"url": url, "config": "doors: [north]", "insecure": True, "jsonBody": True, **more}
    return {"generic": {"ev": event}}


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [one["body"]["n"] for one in found]


def events(*of: int) -> list[bytes]:
    return [b'{"n":%d}' % n for n in of]


# ---------------------------------------------------------------------------- what it tells


async def test_events_and_who_asks_for_them():
    async with eventing_server() as server:
        more = {"metadata": {"a": "b"}, "filter": {"expression": "body.n != 2"}}
        async with running(spec(server.address, **more)) as it:
            server.tell(b'{"n": 1.0e2}', *events(2, 3))
            await bodies(it, 2)
            first, second = await it.events()
    assert first.data == b'{"body":{"n":1.0e2},"metadata":{"a":"b"}}'
    assert second.data == b'{"body":{"n":3},"metadata":{"a":"b"}}'
    assert first.type == "generic"
    assert server.asked == [("ev", b"doors: [north]")]


async def test_bytes_are_base64():
    async with eventing_server() as server, running(spec(server.address, jsonBody=False)) as it:
        server.tell(b"\x00\xff")
        (found,) = await bodies(it, 1)
    assert found == {"body": base64.b64encode(b"\x00\xff").decode()}


async def test_what_is_not_json_is_set_aside():
    bus = MemoryBus()
    async with eventing_server() as server, running(spec(server.address), bus=bus) as it:
        server.tell(b"{", *events(1))
        assert numbers(await bodies(it, 1)) == [1]
        (letter,) = [json.loads(one.data) async for one in bus.read(DEAD)]
    assert "it is not JSON, and jsonBody is set" in letter["message"]


# ---------------------------------------------------------------------------- what it survives


async def test_killed_service_is_called_again_and_what_it_told_is_kept():
    bus = Fickle()
    async with eventing_server() as server, running(spec(server.address), bus=bus) as it:
        bus.away = True
        server.tell(*events(1, 2, 3))
        await until(lambda: _tried(bus, 3))
        await server.kill()
        bus.away = False
        assert sorted(numbers(await bodies(it, 3))) == [1, 2, 3]
        for n in (4, 5):
            server.tell(*events(n))
            await server.start()
            assert numbers(await bodies(it, n))[-1] == n
            await server.kill()
    assert len(server.asked) >= 3


async def _tried(bus: Fickle, count: int) -> bool:
    return len(bus.tried) >= count


async def test_process_that_is_killed_and_started_again():
    """The service that users are shown."""
    port = free_port()
    script = ROOT / "examples/event-sources/generic_server.py"

    async def start() -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script), f"127.0.0.1:{port}", "t0k"),
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
        )
        assert child.stdout is not None
        assert b"listening" in await child.stdout.readline()
        return child

    asked = spec(f"127.0.0.1:{port}", authSecret=TOKEN, config="0.05")
    secrets = GivenSecrets({("doors", "token"): "t0k"})
    child = await start()
    try:
        async with running(asked, secrets=secrets) as it:
            for _ in range(2):
                have = len(await it.events())
                found = await bodies(it, have + 5)
                child.send_signal(signal.SIGKILL)
                await child.wait()
                child = await start()
            have = len(await it.events())
            found = await bodies(it, have + 5)
    finally:
        child.kill()
        await child.wait()
    assert {one["body"]["event"] for one in found} == {"ev"}


async def test_call_that_ends_is_made_again():
    async with eventing_server() as server, running(spec(server.address)) as it:
        server.tell(*events(1))
        server.waiting.put_nowait(None)
        server.tell(*events(2))
        assert numbers(await bodies(it, 2)) == [1, 2]
    assert len(server.asked) == 2


async def test_service_waits_while_the_bus_does():
    """Events of 100 kB: those in hand are bounded, and so is what gRPC and sockets hold."""
    bus = Fickle()
    bus.open.clear()
    async with eventing_server() as server, running(spec(server.address), bus=bus) as it:
        server.tell(*[json.dumps({"n": n, "x": "x" * 100_000}).encode() for n in range(1_500)])
        await until(lambda: _told(server, 256))
        before = -1
        while server.told != before:
            before = server.told
            await asyncio.sleep(1)
        assert server.told < 1_200
        bus.open.set()
        assert sorted(numbers(await bodies(it, 1_500))) == list(range(1_500))


async def _told(server: Any, count: int) -> bool:
    return bool(server.told >= count)


# ---------------------------------------------------------------------------- trust


async def test_service_that_is_not_there():
    told = await failure(spec(f"127.0.0.1:{free_port()}"))
    assert "no connection (is the service there, with TLS?)" in told


class Changing(Secrets):
    """A token that a test changes."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def secret(self, ref: SecretRef) -> str:
        return self.values[ref.key]

    def config_map(self, ref: KeyRef) -> str:
        raise ConfigError("there is none")


async def test_token_is_presented_and_a_new_one_is_taken(soon):
    secrets = Changing(token="old-token")
    async with (
        eventing_server("old-token") as server,
        running(spec(server.address, authSecret=TOKEN), secrets=secrets) as it,
    ):
        server.tell(*events(1))
        await bodies(it, 1)
        await server.kill()
        server.token = "new-token"
        await server.start()
        secrets.values = {"token": "new-token"}
        server.tell(*events(2))
        assert numbers(await bodies(it, 2)) == [1, 2]


async def test_wrong_token_is_said():
    secrets = GivenSecrets({("doors", "token"): "guessed"})
    async with eventing_server("t0k") as server:
        told = await failure(spec(server.address, authSecret=TOKEN), secrets=secrets)
    assert "UNAUTHENTICATED: the token is not the one (check authSecret)" in told
    assert "guessed" not in told


async def test_another_service_is_said_to_be_another():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        told = await failure(spec(f"127.0.0.1:{port}"))
    finally:
        await server.stop(0)
    assert "UNIMPLEMENTED" in told
    assert "it must have the method generic.Eventing/StartEventSource" in told


async def test_tls_with_certificates_of_both_sides(tmp_path):
    known = Certificates(tmp_path)
    server_certificate, server_key = known.issue("server")
    certificate, key = known.issue("client")
    credentials = grpc.ssl_server_credentials(
        [(server_key.encode(), server_certificate.encode())], known.ca.encode(), True
    )
    secrets = GivenSecrets(
        {("doors", "ca"): known.ca, ("doors", "crt"): certificate, ("doors", "key"): key}
    )
    tls = {
        f"{field}Secret": {"name": "doors", "key": name}
        for field, name in (("caCert", "ca"), ("clientCert", "crt"), ("clientKey", "key"))
    }
    async with eventing_server(credentials=credentials) as server:
        whole = spec(server.address, insecure=False, tls=tls)
        async with running(whole, secrets=secrets) as it:
            server.tell(*events(1))
            assert numbers(await bodies(it, 1)) == [1]
        told = await failure(spec(server.address, insecure=False))
    assert "no connection" in told
