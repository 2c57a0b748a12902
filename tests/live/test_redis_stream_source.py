"""The redisStream source on a real redis-server: what it makes, takes over and survives."""

import asyncio
import base64
import json
import os
import signal
from collections import Counter
from typing import Any

import pytest
from hooks import running
from nats_server import nats_server
from redis_kit import redis_server
from stream_kit import Certificates, Fickle, bodies, failure, until
from tocsin_run import started

from delivery.dead import list_dead
from eventbus.bus import EVENTS
from eventbus.jetstream import Options, connect
from eventsource import runner
from eventsource.taking import LIMIT
from spine.errors import EventError
from spine.event import decode
from spine.runtime import Backoff
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(120)
GROUP = "argo-events-cg"
NEEDED = "+xgroup +xinfo +xreadgroup +xack +xclaim +xautoclaim"


@pytest.fixture
async def server(tmp_path):
    async with redis_server(tmp_path) as one:
        yield one


def spec(server: Any, **event: Any) -> dict[str, Any]:
    return {"redisStream": {"ev": {"hostAddress": server.address, "streams": ["orders"], **event}}}


async def fill(server: Any, numbers: range, stream: str = "orders") -> list[bytes]:
    async with server.client.pipeline(transaction=False) as pipe:
        for number in numbers:
            pipe.xadd(stream, {"n": number})
        return await pipe.execute()


async def pending(server: Any, group: str = GROUP, stream: str = "orders") -> int:
    return (await server.client.xpending(stream, group))["pending"]


async def none_pending(server: Any) -> None:
    async def none() -> bool:
        return await pending(server) == 0

    await until(none)


# ---------------------------------------------------------------------------- fields


async def test_payload_and_id(server):
    async with running(spec(server, metadata={"team": "<a>"})) as it:
        entry = await server.client.xadd("orders", {"b": "2", "a": "<1>", b"\xffz": b"a\xfe\xff"})
        await bodies(it, 1)
        (event,) = await it.events()
        await none_pending(server)
    assert event.type == "redisStream"
    values = '{"a":"\\u003c1\\u003e","b":"2","\ufffdz":"a\ufffd\ufffd"}'
    metadata = '{"team":"\\u003ca\\u003e"}'
    head = f'{{"stream":"orders","message_id":"{entry.decode()}"'
    assert event.data == f'{head},"values":{values},"metadata":{metadata}}}'.encode()


async def test_streams_group_database_and_filter(server):
    other = server.client.__class__(host="127.0.0.1", port=server.port, db=3)
    event = {
        "streams": ["orders", "refunds"],
        "db": 3,
        "consumerGroup": "mine",
        "maxMsgCountPerRead": 3,
        "filter": {"expression": "int(values.n) > 7 && len(values) == 1"},
    }
    async with running(spec(server, **event)) as it, other:
        for stream in ("orders", "refunds"):
            for number in range(10):
                await other.xadd(stream, {"n": number})
        found = await bodies(it, 4)
        groups = await other.xinfo_groups("refunds")

        async def acknowledged() -> bool:
            return (await other.xpending("orders", "mine"))["pending"] == 0

        await until(acknowledged)
    assert Counter((one["stream"], one["values"]["n"]) for one in found) == Counter(
        [("orders", "8"), ("orders", "9"), ("refunds", "8"), ("refunds", "9")]
    )
    assert [group["name"] for group in groups] == [b"mine"]


async def test_a_new_group_begins_with_what_is_new_and_an_old_one_where_it_was(server):
    await fill(server, range(5))
    async with running(spec(server)) as it:
        await fill(server, range(5, 8))
        assert [one["values"]["n"] for one in await bodies(it, 3)] == ["5", "6", "7"]
    await fill(server, range(8, 10))
    async with running(spec(server)) as it:
        assert [one["values"]["n"] for one in await bodies(it, 2)] == ["8", "9"]


async def test_login_and_what_is_missing(tmp_path):
    rules = [
        "user default off",
        "user admin on >admin ~* &* +@all",
        f"user reader on >s3cret ~orders -@all {NEEDED}",
        "user poor on >s3cret ~orders -@all +xgroup +xinfo",
    ]
    login = {"username": "admin", "password": "admin"}
    password = {"password": {"name": "redis", "key": "password"}}
    right = GivenSecrets({("redis", "password"): "s3cret\n"})
    wrong = GivenSecrets({("redis", "password"): "gu3ss"})
    async with redis_server(tmp_path, *rules, **login) as server:
        reader = spec(server, username="reader", **password)
        async with running(reader, secrets=right) as it:
            await server.client.xadd("orders", {"n": 1})
            await bodies(it, 1)
        text = await failure(reader, secrets=wrong)
        assert "invalid username-password pair" in text
        assert "(check username and password)" in text
        assert "gu3ss" not in text
        text = await failure(spec(server, username="poor", **password), secrets=right)
        assert "'xreadgroup' command (allow it: ACL SETUSER poor +xgroup +xinfo" in text
        text = await failure(
            spec(server, streams=["other"], username="reader", **password), secrets=right
        )
        assert "ACL SETUSER reader" in text
        assert "~other" in text
        assert "Authentication required" in await failure(spec(server))


async def test_a_changed_password_is_taken_with_the_next_connection(tmp_path):
    values = {("redis", "password"): "one"}
    secrets = GivenSecrets(values)
    event = {"password": {"name": "redis", "key": "password"}}
    async with (
        redis_server(tmp_path, "requirepass one", password="one") as server,
        running(spec(server, **event), secrets=secrets) as it,
    ):
        await server.client.config_set("requirepass", "two")
        secrets._secrets["redis", "password"] = "two"
        await server.client.client_kill_filter(_type="normal", skipme=True)
        await server.client.xadd("orders", {"n": 1})
        await bodies(it, 1)


async def test_tls(tmp_path):
    made = Certificates(tmp_path)
    made.issue("server")
    certificate, key = made.issue("client")
    files = [f"tls-ca-cert-file {tmp_path}/ca.pem", f"tls-cert-file {tmp_path}/server.pem"]
    files += [f"tls-key-file {tmp_path}/server.key", "tls-auth-clients yes", "port 0"]
    settings = {
        "ssl": True,
        "ssl_ca_certs": f"{tmp_path}/ca.pem",
        "ssl_certfile": f"{tmp_path}/client.pem",
        "ssl_keyfile": f"{tmp_path}/client.key",
    }
    secrets = GivenSecrets({("t", "ca"): made.ca, ("t", "crt"): certificate, ("t", "key"): key})
    ours = {
        "clientCertSecret": {"name": "t", "key": "crt"},
        "clientKeySecret": {"name": "t", "key": "key"},
    }
    async with redis_server(tmp_path, *files, tls=True, **settings) as server:
        tls = {"caCertSecret": {"name": "t", "key": "ca"}, **ours}
        async with running(spec(server, tls=tls), secrets=secrets) as it:
            await server.client.xadd("orders", {"n": 1})
            await bodies(it, 1)
        text = await failure(spec(server, tls={"enabled": True}))
        assert "CERTIFICATE_VERIFY_FAILED" in text
        assert "(give the CA in tls.caCertSecret)" in text
        async with running(spec(server, tls={"insecureSkipVerify": True, **ours}), secrets=secrets):
            pass


async def test_nobody_there(tmp_path):
    async with redis_server(tmp_path) as server:
        await server.kill()
        assert await failure(spec(server)) == (
            f"event ev failed: listening to Redis at {server.address}: nothing listens there"
        )


async def test_a_key_that_is_no_stream(server):
    await server.client.set("orders", "x")
    assert "WRONGTYPE" in await failure(spec(server))


# ---------------------------------------------------------------------------- delivery


async def test_what_can_never_be_an_event_is_set_aside_and_acknowledged(server, monkeypatch):
    bus = Fickle()
    publish = bus.publish

    async def picky(event):
        if b'"n":"1"' in (event.data or b""):
            raise EventError("too large")
        await publish(event)

    monkeypatch.setattr(bus, "publish", picky)
    async with running(spec(server), bus=bus) as it:
        await fill(server, range(3))
        await bodies(it, 2)
        await none_pending(server)
        (letter,) = [entry.letter async for entry in list_dead(bus)]
    assert letter.message == "too large"
    assert json.loads(decode(letter.data).data or b"")["values"] == {"n": "1"}


async def test_a_bus_that_is_away_and_what_is_held_is_bounded(server, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", Backoff(duration=0.01, steps=2))
    bus = Fickle()
    bus.away = True
    async with running(spec(server, maxMsgCountPerRead=100), bus=bus) as it:
        await fill(server, range(3000))

        async def full() -> bool:
            return await pending(server) >= LIMIT - 100

        await until(full)
        assert await pending(server) <= LIMIT + 100
        bus.away = False
        found = await bodies(it, 3000)
        await none_pending(server)
    assert len({one["values"]["n"] for one in found}) == 3000
    assert set(bus.told.values()) == {1}


async def test_replicas_share_and_what_a_dead_one_held_is_claimed(server):
    await server.client.xgroup_create("orders", GROUP, "$", mkstream=True)
    await fill(server, range(20))
    held = await server.client.xreadgroup(GROUP, "dead", {"orders": ">"}, count=20)
    assert len(held[0][1]) == 20
    bus = Fickle()
    async with (
        running(spec(server, claimAfter=1), bus=bus) as it,
        running(spec(server, claimAfter=1), bus=bus),
    ):
        await fill(server, range(20, 500))
        found = await bodies(it, 500)
        await none_pending(server)
    assert Counter(int(one["values"]["n"]) for one in found) == Counter(range(500))


async def test_what_is_in_hand_is_not_claimed_by_others(server):
    slow, quick = Fickle(), Fickle()
    slow.open.clear()
    event = spec(server, claimAfter=2)
    async with running(event, bus=slow) as it:
        await fill(server, range(10))

        async def told() -> bool:
            return len(slow.told) == 10

        await until(told)
        async with running({"redisStream": {"other": event["redisStream"]["ev"]}}, bus=quick):
            await asyncio.sleep(2.5)
        held = await server.client.xpending_range("orders", GROUP, "-", "+", 100)
        slow.open.set()
        await bodies(it, 10)
        await none_pending(server)
    assert not quick.told
    assert {one["times_delivered"] for one in held} == {1}


async def test_a_group_that_is_deleted_is_made_again_without_a_gap(server):
    async with running(spec(server)) as it:
        await fill(server, range(10))
        await bodies(it, 10)
        await server.client.xgroup_destroy("orders", GROUP)
        await fill(server, range(10, 20))
        await bodies(it, 20)
        await server.client.delete("orders")
        await fill(server, range(20, 30))
        found = await bodies(it, 30)
    assert Counter(int(one["values"]["n"]) for one in found) == Counter(range(30))


# ---------------------------------------------------------------------------- kills


async def test_the_server_is_killed_in_the_middle(server):
    bus = Fickle()
    async with running(spec(server, maxMsgCountPerRead=50), bus=bus) as it:
        await fill(server, range(500))
        await bodies(it, 50)
        await server.restart()
        await fill(server, range(500, 1000))
        found = await bodies(it, 1000)
        await none_pending(server)
    assert Counter(int(one["values"]["n"]) for one in found) == Counter(range(1000))


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


async def test_the_source_is_killed_in_the_middle(server, tmp_path):
    async with (
        nats_server(tmp_path) as bus_server,
        connect(lambda: Options(servers=(bus_server.url,))) as bus,
    ):

        async def events() -> list[Any]:
            return [decode(message.data) async for message in bus.read(EVENTS)]

        def source() -> Any:
            event = spec(server, maxMsgCountPerRead=20, claimAfter=1)
            return started(
                tmp_path,
                *("eventsource", "--metrics-port", "0", "--log-format", "text"),
                EVENTSOURCE_OBJECT=encoded({"metadata": {"name": "es"}, "spec": event}),
                EVENTBUS_CONFIG=encoded({"jetstream": {"url": bus_server.url}}),
            )

        async with source() as run:
            await run.until("listening")
            await fill(server, range(2000))

            async def some() -> bool:
                return len(await events()) >= 200

            await until(some)
            os.kill(run.process.pid, signal.SIGKILL)
            await run.process.wait()
        await fill(server, range(2000, 3000))  # it may have told all there was
        async with source() as run:

            async def all_of_them() -> bool:
                return len(await events()) >= 3000

            await until(all_of_them)
            await none_pending(server)
            assert await run.stop(signal.SIGTERM) == 0, run.text
        found = await events()
    assert Counter(int(json.loads(e.data)["values"]["n"]) for e in found) == Counter(range(3000))
