"""The redis source on a real redis-server: channels, rights, kills, and a bus that is away."""

import asyncio
import json
import signal
from typing import Any

import pytest
from hooks import running
from redis_kit import redis_server
from stream_kit import Certificates, Fickle, bodies, failure, until

from delivery.dead import list_dead
from eventsource import runner
from eventsource.sources import redis as source
from spine.event import decode
from spine.runtime import Backoff
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def server(tmp_path):
    async with redis_server(tmp_path) as one:
        yield one


def spec(server: Any, **event: Any) -> dict[str, Any]:
    return {"redis": {"ev": {"hostAddress": server.address, "channels": ["orders"], **event}}}


async def publish(server: Any, *messages: Any, channel: str = "orders") -> None:
    """Publish to whoever listens, of whom there must be one."""
    for message in messages:
        assert await server.client.publish(channel, message) == 1


async def test_payload(server):
    async with running(spec(server, channels=["orders", "refunds"], metadata={"a": "<"})) as it:
        await publish(server, b'{"n":1}\xff')
        await publish(server, "x", channel="refunds")
        await bodies(it, 2)
        first, second = await it.events()
    assert first.type == "redis"
    assert (
        first.data
        == (
            '{"channel":"orders","pattern":"","body":"{\\"n\\":1}\ufffd","metadata":{"a":"\\u003c"}}'
        ).encode()
    )
    assert json.loads(second.data)["channel"] == "refunds"
    assert first.id != second.id


async def test_json_body_filter_and_what_is_no_json(server):
    event = {"jsonBody": True, "filter": {"expression": "body.n > 1"}}
    async with running(spec(server, **event)) as it:
        await publish(server, '{"n": 1}', "{oops", ' {"n": 12345678901234567890, "f": 1.0e2} ')
        await bodies(it, 1)
        (event,) = await it.events()

        async def letters() -> list[Any]:
            return [entry.letter async for entry in list_dead(it.bus)]

        (letter,) = await until(letters)
    assert b'"body":{"n":12345678901234567890,"f":1.0e2}' in event.data
    assert "it is not JSON, and jsonBody is set" in letter.message
    assert json.loads(decode(letter.data).data or b"")["body"] == "{oops"


async def test_login_and_what_is_missing(tmp_path):
    rules = [
        "user default off",
        "user admin on >admin ~* &* +@all",
        "user reader on >s3cret resetchannels &orders -@all +subscribe +ping",
    ]
    password = {"password": {"name": "redis", "key": "password"}, "namespace": "argo-events"}
    right = GivenSecrets({("redis", "password"): "s3cret"})
    async with redis_server(tmp_path, *rules, username="admin", password="admin") as server:
        reader = {"username": "reader", **password}
        async with running(spec(server, **reader), secrets=right) as it:
            await publish(server, "x")
            await bodies(it, 1)
        text = await failure(spec(server, channels=["other"], **reader), secrets=right)
        assert "(allow it: ACL SETUSER reader +subscribe +ping &other)" in text
        wrong = GivenSecrets({("redis", "password"): "gu3ss"})
        text = await failure(spec(server, **reader), secrets=wrong)
        assert "(check username and password)" in text
        assert "gu3ss" not in text


async def test_tls(tmp_path):
    made = Certificates(tmp_path)
    made.issue("server")
    files = [f"tls-ca-cert-file {tmp_path}/ca.pem", f"tls-cert-file {tmp_path}/server.pem"]
    files += [f"tls-key-file {tmp_path}/server.key", "tls-auth-clients no", "port 0"]
    ca = {"ssl": True, "ssl_ca_certs": f"{tmp_path}/ca.pem"}
    tls = {"caCertSecret": {"name": "t", "key": "ca"}}
    secrets = GivenSecrets({("t", "ca"): made.ca})
    async with (
        redis_server(tmp_path, *files, tls=True, **ca) as server,
        running(spec(server, tls=tls), secrets=secrets) as it,
    ):
        await publish(server, "x")
        await bodies(it, 1)


async def test_one_replica_listens_and_another_takes_over(server):
    bus = Fickle()
    async with running(spec(server), bus=bus) as one, running(spec(server), bus=bus) as two:
        await publish(server, "first")
        await bodies(one, 1)
        await one.stop()

        async def listens() -> bool:
            return (await server.client.pubsub_numsub("orders"))[0][1] == 1

        await until(listens)
        await publish(server, "second")
        await bodies(two, 2)
    assert len(bus.told) == 2


async def test_the_server_is_killed_in_the_middle(server):
    async with running(spec(server)) as it:
        await publish(server, *range(100))
        await bodies(it, 100)
        await server.restart()

        async def listens() -> bool:
            return (await server.client.pubsub_numsub("orders"))[0][1] == 1

        await until(listens)
        await publish(server, *range(100, 200))
        found = await bodies(it, 200)
    assert sorted(int(one["body"]) for one in found) == list(range(200))


async def test_what_was_received_outlives_the_connection_and_a_bus_that_is_away(
    server, monkeypatch
):
    monkeypatch.setattr(runner, "PATIENCE", Backoff(duration=0.01, steps=2))
    bus = Fickle()
    async with running(spec(server), bus=bus) as it:
        bus.away = True
        await publish(server, *range(100))

        async def taken() -> bool:
            return len(bus.tried) == 100

        await until(taken)
        await server.kill()
        await asyncio.sleep(0.3)
        bus.away = False
        found = await bodies(it, 100)
        await server.start()
    assert sorted(int(one["body"]) for one in found) == list(range(100))
    assert set(bus.told.values()) == {1}


async def test_a_server_that_says_nothing_more_is_left(server, monkeypatch, caplog):
    monkeypatch.setattr(source, "BEAT", 1.0)
    async with running(spec(server)) as it:

        async def pings() -> int:
            return int((await server.client.info("commandstats"))["cmdstat_ping"]["calls"])

        before = await pings()

        async def asked() -> bool:
            return await pings() > before

        await until(asked)
        await publish(server, "alive")
        await bodies(it, 1)  # and it has answered before
        assert "making another" not in caplog.text
        monkeypatch.setattr(source, "BEAT", 0.2)
        server.process.send_signal(signal.SIGSTOP)
        try:

            async def given_up() -> bool:
                return any("no sign of life" in str(vars(r)) for r in caplog.records)

            await until(given_up)
        finally:
            server.process.send_signal(signal.SIGCONT)

        async def heard() -> bool:
            await server.client.publish("orders", "again")
            return len(await it.events()) > 1

        await until(heard)
