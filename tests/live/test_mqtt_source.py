"""The mqtt source on a real mosquitto: topics, sessions, rights, kills, and a bus that is away."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hooks import running
from mosquitto_kit import mosquitto
from nats_server import nats_server
from stream_kit import Certificates, Fickle, bodies, failure, until
from tocsin_run import started

from delivery.dead import list_dead
from eventbus.bus import EVENTS
from eventbus.jetstream import Options, connect
from eventsource import runner
from spine.event import decode
from spine.runtime import Backoff
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def server(tmp_path):
    async with mosquitto(tmp_path) as one:
        yield one


def spec(server: Any, **event: Any) -> dict[str, Any]:
    settings = {"url": server.url, "topic": "orders/#", "clientId": "tocsin", "jsonBody": True}
    return {"mqtt": {"ev": {**settings, **event}}}


async def publish(server: Any, numbers: range, *, qos: int = 1, **settings: Any) -> None:
    async with server.client(**settings) as client:
        for number in numbers:
            await client.publish(f"orders/{number}", b'{"n":%d}' % number, qos=qos)


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return sorted({one["body"]["n"] for one in found})


# ---------------------------------------------------------------------------- fields


async def test_payload(server):
    async with running(spec(server, jsonBody=False, metadata={"a": "<"})) as it:
        async with server.client() as client:
            await client.publish("orders/1", b"hi\xff", qos=0)
            await client.publish("orders/1", b"", qos=1)
        await bodies(it, 2)
        first, second = await it.events()
    assert first.type == "mqtt"
    metadata = b'"metadata":{"a":"\\u003c"}'
    assert first.data == b'{"topic":"orders/1","messageId":0,"body":"aGn/",%b}' % metadata
    assert second.data == b'{"topic":"orders/1","messageId":1,"body":"",%b}' % metadata


async def test_filter_and_what_is_no_json(server):
    event = {"filter": {"expression": "body.n > 1"}, "topic": "+/b"}
    async with running(spec(server, **event)) as it, server.client() as client:
        for body in (b'{"n": 1}', b"{oops", b' {"n": 12345678901234567890} '):
            await client.publish("a/b", body, qos=1)
        await client.publish("a/c", b'{"n": 5}', qos=1)
        await bodies(it, 1)
        (event,) = await it.events()

        async def letters() -> list[Any]:
            return [entry.letter async for entry in list_dead(it.bus)]

        (letter,) = await until(letters)
    assert b'"body":{"n":12345678901234567890}' in event.data
    assert "it is not JSON, and jsonBody is set" in letter.message
    kept = json.loads(decode(letter.data).data or b"")
    assert base64.b64decode(kept["body"]) == b"{oops"


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_is_published_while_nobody_listens(server, qos):
    bus = Fickle()
    async with running(spec(server, qos=qos), bus=bus) as it:
        await publish(server, range(10), qos=qos)
        assert numbers(await bodies(it, 10)) == [*range(10)]
    await publish(server, range(10, 20), qos=qos)
    async with running(spec(server, qos=qos), bus=bus) as it:
        await publish(server, range(20, 30), qos=qos)
        missing = [*range(10, 20)] if qos == 0 else []

        async def all_of_them() -> bool:
            found = numbers([json.loads(event.data) for event in await it.events()])
            return [n for n in range(30) if n not in found] == missing

        await until(all_of_them)
        found = [json.loads(event.data) for event in await it.events()]
    assert {one["messageId"] == 0 for one in found} == {qos == 0}


async def test_a_clean_session_is_forgotten(server):
    event = spec(server, cleanSession=True)
    async with running(event):
        pass
    await publish(server, range(10))
    async with running(event) as it:
        await publish(server, range(10, 20))
        assert numbers(await bodies(it, 10)) == [*range(10, 20)]


async def test_what_is_retained_comes_once_as_long_as_the_broker_remembers(server):
    bus = Fickle()
    async with server.client() as client:
        await client.publish("orders/1", b'{"n":1}', qos=1, retain=True)
    for _ in range(3):
        async with running(spec(server), bus=bus) as it:
            await publish(server, range(2, 3))

            async def has(it: Any = it) -> bool:
                return 2 in numbers([json.loads(e.data) for e in await it.events()])

            await until(has)
            await asyncio.sleep(0.2)
    retained = [e for e in await it.events() if b'"n":1}' in e.data]
    assert len(retained) == 1


async def test_another_topic_takes_the_place_of_the_former(server):
    bus = Fickle()
    async with running(spec(server), bus=bus):
        pass
    async with running(spec(server, topic="refunds/#"), bus=bus) as it, server.client() as client:
        await client.publish("orders/1", b'{"n":1}', qos=1)
        await client.publish("refunds/1", b'{"n":2}', qos=1)
        await bodies(it, 1)
        await asyncio.sleep(0.3)
        assert numbers(await bodies(it, 1)) == [2]


async def test_replicas_share_a_shared_topic_and_one_listens_to_others(server, monkeypatch):
    bus = Fickle()
    names = count()
    monkeypatch.setattr("socket.gethostname", lambda: f"m{next(names)}")
    event = spec(server, topic="$share/tocsin/orders/#")
    async with running(event, bus=bus) as it, running(event, bus=bus):
        await publish(server, range(200))
        assert numbers(await bodies(it, 200)) == [*range(200)]
    assert len(bus.told) == 200
    bus = Fickle()
    async with running(spec(server), bus=bus) as it, running(spec(server), bus=bus):
        await publish(server, range(50))
        assert numbers(await bodies(it, 50)) == [*range(50)]
        await asyncio.sleep(0.2)
    assert len(bus.told) == 50


# ---------------------------------------------------------------------------- logging in


def password_file(folder: Path) -> Path:
    found = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    if not Path(found).exists():
        pytest.skip("needs mosquitto_passwd: apt-get install mosquitto")
    path = folder / "passwords"
    subprocess.run([found, "-b", "-c", str(path), "ann", "s3cret"], check=True, capture_output=True)
    return path


AUTH = {
    "username": {"name": "m", "key": "user"},
    "password": {"name": "m", "key": "password"},
}
SECRETS = {("m", "user"): "ann", ("m", "password"): "s3cret\n"}
LOGIN = {"username": "ann", "password": "s3cret"}


async def test_login_and_the_lack_of_one(tmp_path):
    rules = [f"password_file {password_file(tmp_path)}", "allow_anonymous false"]
    async with mosquitto(tmp_path, *rules) as server:
        async with running(spec(server, auth=AUTH), secrets=GivenSecrets(SECRETS)) as it:
            await publish(server, range(3), **LOGIN)
            await bodies(it, 3)
        url = server.url.replace("//", "//ann:s3cret@")
        async with running(spec(server, url=url, clientId="url")):
            pass
        assert "not authorized (check auth)" in await failure(spec(server))
        wrong = GivenSecrets({("m", "user"): "ann", ("m", "password"): "gu3ss"})
        text = await failure(spec(server, auth=AUTH), secrets=wrong)
        assert "(check auth)" in text
        assert "gu3ss" not in text


async def test_a_changed_password_is_taken_with_the_next_connection(tmp_path):
    path = password_file(tmp_path)
    secrets = GivenSecrets(SECRETS)
    rules = [f"password_file {path}", "allow_anonymous false"]
    async with (
        mosquitto(tmp_path, *rules) as server,
        running(spec(server, auth=AUTH), secrets=secrets) as it,
    ):
        command = ["mosquitto_passwd", "-b", str(path), "ann", "changed"]
        subprocess.run(command, check=True, capture_output=True)
        secrets._secrets["m", "password"] = "changed"
        await server.restart()

        async def heard() -> bool:  # the broker may have forgotten the session
            await publish(server, range(3), username="ann", password="changed")
            return bool(await it.events())

        await until(heard)


PLUGIN = Path("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so")


@pytest.mark.skipif(not PLUGIN.exists(), reason="needs mosquitto's dynamic security plugin")
async def test_a_topic_that_may_not_be_read(tmp_path):
    rules = {
        "defaultACLAccess": {
            "publishClientSend": True,
            "publishClientReceive": True,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [],
        "groups": [{"groupname": "all", "roles": []}],
        "roles": [],
        "anonymousGroup": "all",
    }
    (tmp_path / "rules.json").write_text(json.dumps(rules))
    plugin = [f"plugin {PLUGIN}", f"plugin_opt_config_file {tmp_path}/rules.json"]
    async with mosquitto(tmp_path, *plugin) as server:
        assert await failure(spec(server)) == (
            "event ev failed: subscribing to orders/# of MQTT at"
            f" 127.0.0.1:{server.port}: the broker refuses"
            " (allow this user to read and subscribe to the topic)"
        )


async def test_tls(tmp_path):
    made = Certificates(tmp_path)
    made.issue("server")
    certificate, key = made.issue("client")
    rules = [f"cafile {tmp_path}/ca.pem", f"certfile {tmp_path}/server.pem"]
    rules += [f"keyfile {tmp_path}/server.key", "require_certificate true"]
    secrets = GivenSecrets({("t", "ca"): made.ca, ("t", "crt"): certificate, ("t", "key"): key})
    ours = {
        "clientCertSecret": {"name": "t", "key": "crt"},
        "clientKeySecret": {"name": "t", "key": "key"},
    }
    tls = {"caCertSecret": {"name": "t", "key": "ca"}, **ours}
    async with mosquitto(tmp_path, *rules, scheme="ssl") as server:
        for number, url in enumerate([server.url, server.url.replace("ssl:", "tcp:")]):
            event = spec(server, url=url, tls=tls, clientId=f"c{number}")
            async with running(event, secrets=secrets):
                pass
        loose = spec(server, tls={"insecureSkipVerify": True, **ours})
        async with running(loose, secrets=secrets) as it:
            await over_tls(server, tmp_path, 100)
            assert numbers(await bodies(it, 100)) == [*range(100)]
        text = await failure(spec(server))
        assert "certificate verify failed" in text.lower()
        assert "(give the CA in tls.caCertSecret)" in text


async def over_tls(server: Any, folder: Path, count: int) -> None:
    import ssl

    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    await publish(server, range(count), tls_context=context)


@asynccontextmanager
async def bridged(server: Any):
    """Yield the port of a bridge from websockets to a broker.

    mosquitto's own depend on how its libwebsockets was built.
    """

    async def forward(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("mqtt",))
        await socket.prepare(request)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def back() -> None:
            while data := await reader.read(65_536):
                await socket.send_bytes(data)

        going_back = asyncio.create_task(back())
        try:
            async for message in socket:
                writer.write(message.data)
        finally:  # the bridge may end before who uses it has said goodbye
            going_back.cancel()
            writer.transport.abort()
        return socket

    app = web.Application()
    app.router.add_get("/broker", forward)
    bridge = web.AppRunner(app, shutdown_timeout=0.1)
    await bridge.setup()
    try:
        site = web.TCPSite(bridge, "127.0.0.1", 0)
        await site.start()
        yield bridge.addresses[0][1]
    finally:
        await bridge.cleanup()


async def test_websockets(server):
    async with bridged(server) as port:
        url = f"ws://127.0.0.1:{port}/broker"
        async with running(spec(server, url=url)) as it:
            await publish(server, range(200))
            assert numbers(await bodies(it, 200)) == [*range(200)]


async def test_nobody_there(server):
    await server.end()
    assert await failure(spec(server)) == (
        f"event ev failed: connecting to MQTT at 127.0.0.1:{server.port}: nothing listens there"
    )
    text = await failure(spec(server, connectionBackoff={"duration": "10ms", "steps": 3}))
    assert "nothing listens there" in text


async def test_who_takes_the_same_client_id_is_told_of(server, caplog):
    async with running(spec(server)) as it:
        async with server.client(identifier="tocsin", clean_session=False):
            pass

        async def said() -> bool:
            return any("same clientId" in str(vars(record)) for record in caplog.records)

        await until(said)
        await publish(server, range(3))
        await bodies(it, 3)


# ---------------------------------------------------------------------------- delivery


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_bus_that_is_away_and_what_is_held_is_bounded(server, monkeypatch, qos):
    monkeypatch.setattr(runner, "PATIENCE", Backoff(duration=0.01, steps=2))
    bus = Fickle()
    async with running(spec(server, qos=qos), bus=bus) as it:
        bus.away = True
        await publish(server, range(600), qos=qos)

        async def tried() -> bool:
            return len(bus.tried) >= (600 if qos == 0 else 20)  # as the broker lends

        await until(tried)
        bus.away = False
        assert numbers(await bodies(it, 600)) == [*range(600)]
    assert set(bus.told.values()) == {1}
    assert len(bus.told) == 600


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_comes_again_while_it_is_in_hand_is_one_event(server, qos):
    bus = Fickle()
    bus.open.clear()
    async with running(spec(server, qos=qos), bus=bus) as it:
        await publish(server, range(10), qos=qos)

        async def told() -> bool:
            return len(bus.told) == 10

        await until(told)
        await server.restart(signal.SIGTERM)
        await publish(server, range(10, 12), qos=qos)

        async def more() -> bool:
            return len(bus.told) == 12

        await until(more)
        bus.open.set()
        await bodies(it, 12)
        await asyncio.sleep(0.3)
        async with asyncio.timeout(30):
            await it.stop()
    async with running(spec(server, qos=qos), bus=bus):
        await asyncio.sleep(0.3)
    assert len(bus.told) == 12, "all was acknowledged"
    assert set(bus.told.values()) == {1}


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_was_not_stored_comes_again_to_the_next_process(server, qos):
    closed = Fickle()
    closed.open.clear()
    async with running(spec(server, qos=qos), bus=closed):
        await publish(server, range(10), qos=qos)

        async def told() -> bool:
            return len(closed.told) == 10

        await until(told)
    async with running(spec(server, qos=qos)) as it:
        assert numbers(await bodies(it, 10)) == [*range(10)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("qos", [1, 2])
async def test_the_server_is_killed_in_the_middle(server, qos, number):
    async with running(spec(server, qos=qos)) as it:
        await publish(server, range(200), qos=qos)
        await bodies(it, 20)
        await server.restart(number)
        await publish(server, range(200, 400), qos=qos)

        async def all_of_them() -> bool:
            found = [json.loads(event.data) for event in await it.events()]
            return numbers(found) == [*range(400)]

        await until(all_of_them)


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize("qos", [1, 2])
async def test_the_source_is_killed_in_the_middle(tmp_path, qos):
    async with (
        mosquitto(tmp_path, "autosave_interval 1800", "autosave_on_changes false") as server,
        nats_server(tmp_path) as bus_server,
        connect(lambda: Options(servers=(bus_server.url,))) as bus,
    ):

        async def found() -> list[dict[str, Any]]:
            messages = [decode(message.data) async for message in bus.read(EVENTS)]
            return [json.loads(event.data or b"") for event in messages]

        def source() -> Any:
            return started(
                tmp_path,
                *("eventsource", "--metrics-port", "0", "--log-format", "text"),
                EVENTSOURCE_OBJECT=encoded(
                    {"metadata": {"name": "es"}, "spec": spec(server, qos=qos)}
                ),
                EVENTBUS_CONFIG=encoded({"jetstream": {"url": bus_server.url}}),
            )

        async with source() as run:
            await run.until("listening")
            filling = asyncio.create_task(publish(server, range(2000), qos=qos))

            async def some() -> bool:
                return len(await found()) >= 200

            await until(some)
            os.kill(run.process.pid, signal.SIGKILL)
            await run.process.wait()
        await filling
        await publish(server, range(2000, 2500), qos=qos)  # it may have told all there was
        async with source() as run:

            async def all_of_them() -> bool:
                return numbers(await found()) == [*range(2500)]

            await until(all_of_them)
            assert await run.stop(signal.SIGTERM) == 0, run.text
