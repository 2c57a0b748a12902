"""The nats source on a real nats-server: subjects, queues, streams, rights and kills."""

import asyncio
import base64
import json
import os
import signal
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import nats
import nkeys
import pytest
from hooks import running
from nats_server import nats_server
from stream_kit import Certificates, Fickle, bodies, failure, until
from tocsin_run import started

from delivery.dead import list_dead
from eventbus.bus import EVENTS
from eventbus.jetstream import Options, connect
from eventsource import runner
from eventsource.nats import stream
from eventsource.taking import LIMIT
from spine.errors import ConfigError
from spine.event import decode
from spine.runtime import Backoff
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(120)


def spec(server: Any, **event: Any) -> dict[str, Any]:
    return {"nats": {"ev": {"url": server.url, "subject": "orders.*", **event}}}


def kept(server: Any, **settings: Any) -> dict[str, Any]:
    return spec(server, jsonBody=True, jetStream={"ackWait": "1s", **settings})


@asynccontextmanager
async def talking(server: Any, **login: Any):
    """Yield a client; one that is cut off by a kill is of no more use."""
    client = await nats.connect(server.url, allow_reconnect=False, connect_timeout=30, **login)
    client.jetstream = partial(client.jetstream, timeout=30)  # type: ignore[method-assign]
    try:
        yield client
    finally:
        await client.close()


async def store(server: Any, numbers: range, **login: Any) -> None:
    async with talking(server, **login) as client:
        for number in numbers:
            await client.jetstream().publish("orders.new", b'{"n":%d}' % number)


@pytest.fixture
async def orders(server):
    """A server with a stream of orders."""
    async with talking(server) as client:
        await client.jetstream().add_stream(name="ORDERS", subjects=["orders.*"])
    return server


def numbers(found: list[dict[str, Any]]) -> Counter[int]:
    return Counter(one["body"]["n"] for one in found)


async def acknowledged(server: Any, durable: str = "hooks-ev") -> None:
    async def all_of_them() -> bool:
        async with talking(server) as client:
            info = await client.jetstream().consumer_info("ORDERS", durable)
        return info.num_ack_pending == 0 and info.num_pending == 0

    await until(all_of_them)


# ---------------------------------------------------------------------------- core


async def test_payload(server):
    headers = "NATS/1.0\r\nB: 1\r\na-b: x\r\nB: 2\r\n\r\n"
    async with running(spec(server, metadata={"t": "<"})) as it, talking(server) as client:
        await client.publish("orders.new", b"hi\xff")
        size = len(headers)
        await client._send_command(f"HPUB orders.new {size} {size + 1}\r\n{headers}x\r\n".encode())
        await client._flush_pending(force_flush=True)
        await bodies(it, 2)
        first, second = await it.events()
    assert first.type == "nats"
    assert first.data == b'{"subject":"orders.new","body":"aGn/","metadata":{"t":"\\u003c"}}'
    assert second.data == (
        b'{"subject":"orders.new","body":"eA==","header":{"B":["1","2"],"a-b":["x"]},'
        b'"metadata":{"t":"\\u003c"}}'
    )


async def test_json_body_filter_and_what_is_no_json(server):
    event = {"jsonBody": True, "filter": {"expression": "body.n > 1"}}
    async with running(spec(server, **event)) as it, talking(server) as client:
        for body in (b'{"n": 1}', b"{oops", b"", b' {"n": 12345678901234567890} '):
            await client.publish("orders.new", body)
        await client.flush()
        await bodies(it, 1)
        (event,) = await it.events()

        async def letters() -> list[Any]:
            found = [entry.letter async for entry in list_dead(it.bus)]
            return found if len(found) == 2 else []

        found = await until(letters)
    assert b'"body":{"n":12345678901234567890}' in event.data
    kept = [json.loads(decode(letter.data).data or b"")["body"] for letter in found]
    assert [base64.b64decode(body) for body in kept] == [b"{oops", b""]


async def test_members_of_a_queue_share(server):
    bus = Fickle()
    event = spec(server, queue="tocsin")
    async with running(event, bus=bus) as it, running(event, bus=bus), talking(server) as client:
        for _ in range(500):
            await client.publish("orders.new", b"x")
        await client.flush()
        await bodies(it, 500)
        await asyncio.sleep(0.2)
    assert len(bus.told) == 500


async def test_without_a_queue_one_replica_listens(server):
    bus = Fickle()
    async with running(spec(server), bus=bus) as it, running(spec(server), bus=bus):
        async with talking(server) as client:
            for _ in range(20):
                await client.publish("orders.new", b"x")
            await client.flush()
        await bodies(it, 20)
        await asyncio.sleep(0.2)
    assert len(bus.told) == 20


async def test_the_server_is_killed_and_what_was_received_is_not_lost(server, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", Backoff(duration=0.01, steps=2))
    bus = Fickle()
    async with running(spec(server, jsonBody=True), bus=bus) as it:
        bus.away = True
        async with talking(server) as client:
            for number in range(1000):
                await client.publish("orders.new", b'{"n":%d}' % number)
            await client.flush()
        await until(lambda: _tried(bus, 1000))
        await server.restart()
        bus.away = False
        assert numbers(await bodies(it, 1000)) == Counter(range(1000))

        async def heard() -> bool:
            async with talking(server) as client:
                await client.publish("orders.new", b'{"n":-1}')
                await client.flush()
            return len(await it.events()) > 1000

        await until(heard)


async def _tried(bus: Fickle, count: int) -> bool:
    return len(bus.tried) >= count


# ---------------------------------------------------------------------------- logging in

SECRETS = {("n", "token"): "s3cret\n", ("n", "user"): "ann", ("n", "pass"): "pw"}
TOKEN = {"token": {"name": "n", "key": "token"}}
BASIC = {
    "basic": {
        "username": {"name": "n", "key": "user"},
        "password": {"name": "n", "key": "pass"},
    }
}


@pytest.mark.parametrize(
    ("rules", "auth", "login"),
    [
        ("authorization { token: s3cret }", TOKEN, {"token": "s3cret"}),
        ("authorization { user: ann, password: pw }", BASIC, {"user": "ann", "password": "pw"}),
    ],
    ids=["token", "basic"],
)
async def test_login_and_the_lack_of_one(tmp_path, rules, auth, login):
    async with nats_server(tmp_path, extra=rules) as server:
        async with running(spec(server, auth=auth), secrets=GivenSecrets(SECRETS)) as it:
            async with talking(server, **login) as client:
                await client.publish("orders.new", b"x")
                await client.flush()
            await bodies(it, 1)
        text = await failure(spec(server))
        assert "authorization violation (check auth)" in text.lower()
        wrong = GivenSecrets(dict.fromkeys(SECRETS, "gu3ss"))
        assert "gu3ss" not in await failure(spec(server, auth=auth), secrets=wrong)


async def test_nkey(tmp_path):
    pair = nkeys.from_seed(nkeys.encode_seed(b"0" * 32, nkeys.PREFIX_BYTE_USER))
    rules = f"authorization {{ users: [{{ nkey: {pair.public_key.decode()} }}] }}"
    secrets = GivenSecrets({("n", "seed"): f"{pair.seed.decode()}\n"})
    auth = {"nkey": {"name": "n", "key": "seed"}}
    async with (
        nats_server(tmp_path, extra=rules) as server,
        running(spec(server, auth=auth), secrets=secrets),
    ):
        pass


async def test_a_changed_token_is_taken_with_the_next_connection(tmp_path):
    secrets = GivenSecrets(SECRETS)
    async with (
        nats_server(tmp_path, extra="authorization { token: s3cret }") as server,
        running(spec(server, auth=TOKEN), secrets=secrets) as it,
    ):
        server.extra = "authorization { token: other }"
        secrets._secrets["n", "token"] = "other"
        await server.restart()

        async def heard() -> bool:
            async with talking(server, token="other") as client:
                await client.publish("orders.new", b"x")
                await client.flush()
            return bool(await it.events())

        await until(heard)


async def test_tls(tmp_path):
    made = Certificates(tmp_path)
    made.issue("server")
    certificate, key = made.issue("client")
    rules = (
        f'tls {{ cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.key",'
        f' ca_file: "{tmp_path}/ca.pem", verify: true }}'
    )
    secrets = GivenSecrets({("t", "ca"): made.ca, ("t", "crt"): certificate, ("t", "key"): key})
    tls = {
        "caCertSecret": {"name": "t", "key": "ca"},
        "clientCertSecret": {"name": "t", "key": "crt"},
        "clientKeySecret": {"name": "t", "key": "key"},
    }
    async with nats_server(tmp_path, extra=rules) as server:
        async with running(spec(server, tls=tls), secrets=secrets):
            pass
        assert "certificate verify failed" in await failure(spec(server, tls={"enabled": True}))


async def test_nothing_is_said_to_a_server_without_tls_where_it_is_configured(server):
    with pytest.raises(ConfigError, match="does not speak TLS"):
        await failure(spec(server, tls={"enabled": True}))


async def test_nobody_there(server):
    await server.kill()
    assert await failure(spec(server)) == (
        f"event ev failed: listening to NATS at {server.url}: nothing listens there"
    )


async def test_a_backoff_says_how_often_a_server_is_looked_for(server):
    await server.kill()
    event = spec(server, connectionBackoff={"duration": "10ms", "steps": 3, "jitter": 0})
    assert "nothing listens there" in await failure(event)


RIGHTS = """authorization { users: [
    { user: admin, password: pw }
    { user: ann, password: pw, permissions: { subscribe: ["_INBOX.>", "other.>"],
        publish: ["$JS.API.STREAM.>", "$JS.API.CONSUMER.INFO.>"] } } ] }"""


async def test_rights_that_are_missing(tmp_path):
    secrets = GivenSecrets(SECRETS)
    admin = {"user": "admin", "password": "pw"}
    async with nats_server(tmp_path, extra=RIGHTS) as server:
        async with talking(server, **admin) as client:
            await client.jetstream().add_stream(name="ORDERS", subjects=["orders.*"])
        text = await failure(spec(server, auth=BASIC), secrets=secrets)
        assert 'permissions violation for subscription to "orders.*"' in text.lower()
        assert "(allow this user to subscribe to it)" in text
        text = await failure(spec(server, auth=BASIC, jetStream={}), secrets=secrets)
        assert "consumer.create" in text.lower()
        assert "(allow this user to publish to it)" in text


# ---------------------------------------------------------------------------- JetStream


async def test_stream_is_found_by_its_subject_and_a_durable_made(orders):
    await store(orders, range(5))
    async with running(kept(orders)) as it:
        await store(orders, range(5, 8))
        assert numbers(await bodies(it, 3)) == Counter([5, 6, 7])
        await acknowledged(orders)
    await store(orders, range(8, 10))
    async with running(kept(orders)) as it:
        assert numbers(await bodies(it, 2)) == Counter([8, 9])
        await acknowledged(orders)
    async with running(kept(orders, durable="all", startFrom="all", stream="ORDERS")) as it:
        assert numbers(await bodies(it, 10)) == Counter(range(10))


async def test_replicas_share_a_durable(orders):
    bus = Fickle()
    event = kept(orders, ackWait="30s")
    async with running(event, bus=bus) as it, running(event, bus=bus):
        await store(orders, range(300))
        assert numbers(await bodies(it, 300)) == Counter(range(300))
        await acknowledged(orders)
    assert set(bus.told.values()) == {1}


async def test_a_redelivery_is_the_same_event_and_poison_is_set_aside(orders, monkeypatch):
    async def never(self, session) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stream.Stream, "_acknowledge", never)
    bus = Fickle()
    async with talking(orders) as client:
        await client.jetstream().publish("orders.new", b'{"n":1}')
        await client.jetstream().publish("orders.new", b"{oops")
    for _ in range(2):  # what the first has not acknowledged comes to the second
        async with running(kept(orders, startFrom="all"), bus=bus) as it:

            async def both() -> bool:
                return len([1 async for _ in list_dead(bus)]) > 0 and bool(await it.events())

            await until(both)
            monkeypatch.setattr(stream.Stream, "_tell", lambda *_: asyncio.sleep(0))
    monkeypatch.undo()
    async with running(kept(orders), bus=bus) as it:
        await acknowledged(orders)
        assert len(bus.told) == 1


async def test_a_bus_that_is_away_and_what_is_held_is_bounded(orders):
    bus = Fickle()
    async with running(kept(orders, ackWait="5s"), bus=bus) as it:
        bus.open.clear()
        await store(orders, range(1500))
        await until(lambda: _tried(bus, LIMIT))
        await asyncio.sleep(5.2)  # longer than the server waits for an acknowledgement
        async with talking(orders) as client:
            info = await client.jetstream().consumer_info("ORDERS", "hooks-ev")
        assert info.num_ack_pending == LIMIT
        assert info.num_redelivered == 0
        bus.open.set()
        assert numbers(await bodies(it, 1500)) == Counter(range(1500))
        await acknowledged(orders)
    assert set(bus.told.values()) == {1}


async def test_a_durable_of_somebody_else_is_left_alone(orders):
    async with talking(orders) as client:
        await client.jetstream().subscribe("orders.*", durable="push", cb=None)
        await client.jetstream().pull_subscribe("orders.other", durable="other")
    with pytest.raises(ConfigError, match="it pushes its messages"):
        await failure(kept(orders, durable="push"))
    with pytest.raises(ConfigError, match=r"it takes orders\.other, not orders\.\*"):
        await failure(kept(orders, durable="other"))
    assert "no stream has it" in await failure(spec(orders, subject="none", jetStream={}))
    text = await failure(spec(orders, jetStream={"stream": "NONE"}))
    assert "stream NONE does not exist" in text


async def test_a_server_without_jetstream(tmp_path):
    async with nats_server(tmp_path) as server:
        config = server.folder / "nats.conf"
        await server.kill()
        text = config.read_text()
        server.extra = "# none"
        config.write_text("\n".join(x for x in text.splitlines() if "jetstream" not in x))
        with (server.folder / "server.log").open("ab") as log:
            from nats_server import find_binary

            for old in server.folder.glob("*.ports"):
                old.unlink()
            server.process = await asyncio.create_subprocess_exec(
                find_binary(), "-c", str(config), stdout=log, stderr=log
            )
            await server._listening()
        text = await failure(spec(server, jetStream={"stream": "S"}))
        assert "JetStream does not answer" in text


async def test_a_durable_and_a_stream_that_are_deleted(orders):
    async with running(kept(orders)) as it:
        await store(orders, range(10))
        await bodies(it, 10)
        async with talking(orders) as client:
            await client.jetstream().delete_consumer("ORDERS", "hooks-ev")
        await store(orders, range(10, 20))
        await bodies(it, 20)
        async with talking(orders) as client:
            await client.jetstream().delete_stream("ORDERS")
            await client.jetstream().add_stream(name="ORDERS", subjects=["orders.*"])
        await store(orders, range(20, 30))
        assert numbers(await bodies(it, 30)) == Counter(range(30))
        await acknowledged(orders)


async def test_the_server_is_killed_in_the_middle(orders):
    async with running(kept(orders)) as it:
        await store(orders, range(500))
        await bodies(it, 100)
        await orders.restart()
        await store(orders, range(500, 1000))
        assert numbers(await bodies(it, 1000)) == Counter(range(1000))
        await acknowledged(orders)


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


async def test_the_source_is_killed_in_the_middle(orders, tmp_path):
    async with (
        nats_server(tmp_path / "bus") as bus_server,
        connect(lambda: Options(servers=(bus_server.url,))) as bus,
    ):

        async def events() -> list[Any]:
            return [decode(message.data) async for message in bus.read(EVENTS)]

        def source() -> Any:
            return started(
                tmp_path,
                *("eventsource", "--metrics-port", "0", "--log-format", "text"),
                EVENTSOURCE_OBJECT=encoded(
                    {"metadata": {"name": "hooks"}, "spec": kept(orders, startFrom="all")}
                ),
                EVENTBUS_CONFIG=encoded({"jetstream": {"url": bus_server.url}}),
            )

        await store(orders, range(2000))
        async with source() as run:

            async def some() -> bool:
                return len(await events()) >= 200

            await until(some)
            os.kill(run.process.pid, signal.SIGKILL)
            await run.process.wait()
        await store(orders, range(2000, 3000))  # it may have told all there was
        async with source() as run:

            async def all_of_them() -> bool:
                return len(await events()) >= 3000

            await until(all_of_them)
            await acknowledged(orders)
            assert await run.stop(signal.SIGTERM) == 0, run.text
        found = [json.loads(event.data) for event in await events()]
    assert numbers(found) == Counter(range(3000))
