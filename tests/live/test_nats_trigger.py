"""Trigger nats against a real nats-server: what is published, confirmed and refused."""

import asyncio
from contextlib import asynccontextmanager

import nats
import pytest
from nats_server import nats_server
from plan_kit import event

from delivery.action import Action
from sensor.plan import compile_plan
from sensor.spec import SensorSpec
from sensor.triggers.nats import Nats
from spine.errors import TriggerError
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

SECRETS = {("broker", "token"): "s3cret\n", ("broker", "user"): "ann", ("broker", "pass"): "pw"}
TOKEN = {"token": {"name": "broker", "key": "token"}}
BASIC = {
    "basic": {
        "username": {"name": "broker", "key": "user"},
        "password": {"name": "broker", "key": "pass"},
    }
}


def action(url: str, **settings) -> Action:
    template = {
        "url": url,
        "subject": "orders.",
        "payload": [{"src": {"dependencyName": "order", "dataKey": "id"}, "dest": "id"}],
        "parameters": [
            {"src": {"dependencyName": "order", "dataKey": "id"}, "dest": "subject"}
            | {"operation": "append"}
        ],
    }
    spec = {
        "dependencies": [{"name": "order", "eventSourceName": "s", "eventName": "e"}],
        "triggers": [{"template": {"name": "t", "nats": template | settings}}],
    }
    (planned,) = compile_plan("till", "ns", load(SensorSpec, spec)).triggers.values()
    return planned.render({"order": event("order", data=b'{"id": "A-1"}')}, "key")


@asynccontextmanager
async def sending(secrets=SECRETS):
    async with Shared() as shared:
        env = Env("till", "t", "ns", GivenSecrets(secrets), shared, host="127.0.0.1")
        trigger = load(Nats, {"url": "u", "subject": "s", "payload": []})
        async with trigger.open(env) as sender:
            yield sender


@asynccontextmanager
async def listening(url: str, **options):
    client = await nats.connect(url, connect_timeout=30, **options)
    try:
        subscription = await client.subscribe("orders.>")
        await client.flush()
        yield subscription
    finally:
        await client.close()


async def test_message_is_there_when_send_returns(tmp_path) -> None:
    async with (
        nats_server(tmp_path) as server,
        sending() as sender,
        listening(server.url) as subscription,
    ):
        outcome = await sender.send(action(server.url), 1)
        message = await subscription.next_msg(20)
    assert (message.subject, message.data) == ("orders.A-1", b'{"id":"A-1"}')
    assert outcome.summary == "published to orders.A-1"


@pytest.mark.parametrize(
    ("rules", "auth", "options"),
    [
        ("authorization { token: s3cret }", TOKEN, {"token": "s3cret"}),
        ("authorization { user: ann, password: pw }", BASIC, {"user": "ann", "password": "pw"}),
    ],
    ids=["token", "basic"],
)
async def test_login_and_the_lack_of_one(tmp_path, rules, auth, options) -> None:
    async with nats_server(tmp_path, extra=rules) as server, sending() as sender:
        async with listening(server.url, **options) as subscription:
            await sender.send(action(server.url, auth=auth), 1)
            await subscription.next_msg(20)
        with pytest.raises(TriggerError, match=r"(?i)authorization violation.*check nats.auth"):
            await sender.send(action(server.url), 1)


async def test_nkey(tmp_path) -> None:
    import nkeys

    pair = nkeys.from_seed(nkeys.encode_seed(b"0" * 32, nkeys.PREFIX_BYTE_USER))
    rules = f"authorization {{ users: [{{ nkey: {pair.public_key.decode()} }}] }}"
    secrets = {("broker", "seed"): f"{pair.seed.decode()}\n"}
    async with nats_server(tmp_path, extra=rules) as server, sending(secrets) as sender:
        auth = {"nkey": {"name": "broker", "key": "seed"}}
        outcome = await sender.send(action(server.url, auth=auth), 1)
    assert "orders.A-1" in outcome.summary


async def test_a_subject_that_may_not_be_published_to_is_a_permanent_refusal(tmp_path) -> None:
    rules = """authorization { users: [
        { user: ann, password: pw, permissions: { publish: ["other.>"] } } ] }"""
    async with nats_server(tmp_path, extra=rules) as server, sending() as sender:
        with pytest.raises(TriggerError, match=r"(?i)permissions violation.*orders\.A-1") as caught:
            await sender.send(action(server.url, auth=BASIC), 1)
        assert caught.value.permanent
        await sender.send(action(server.url, auth=BASIC, subject="other."), 1)  # the rest works


async def test_a_server_that_comes_back_is_found_again(tmp_path) -> None:
    async with nats_server(tmp_path) as server, sending() as sender:
        await sender.send(action(server.url), 1)
        await server.kill()
        with pytest.raises(TriggerError, match="nothing listens there") as caught:
            await sender.send(action(server.url), 1)
        assert not caught.value.permanent
        await server.start()
        async with listening(server.url) as subscription:
            await sender.send(action(server.url), 2)
            assert (await subscription.next_msg(20)).data == b'{"id":"A-1"}'


async def test_what_is_too_large_is_refused_for_good(tmp_path) -> None:
    async with nats_server(tmp_path, max_payload="1KB") as server, sending() as sender:
        big = action(server.url)
        big.content["body"] = "x" * 2000
        with pytest.raises(TriggerError, match="2000 bytes are more than the 1024") as caught:
            await sender.send(big, 1)
    assert caught.value.permanent


async def test_a_rotated_token_is_taken_at_once(tmp_path) -> None:
    secrets = dict(SECRETS)
    given = GivenSecrets(secrets)
    rules = "authorization { token: s3cret }"
    async with nats_server(tmp_path, extra=rules) as server, sending() as sender:
        sender._secrets = given
        given._secrets["broker", "token"] = "old"
        with pytest.raises(TriggerError, match=r"(?i)authorization"):
            await sender.send(action(server.url, auth=TOKEN), 1)
        given._secrets["broker", "token"] = "s3cret"
        await sender.send(action(server.url, auth=TOKEN), 2)


async def test_nothing_leaves_in_plain_text_where_tls_is_configured(tmp_path) -> None:
    seen = []

    async def handle(reader, writer) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.10.0","max_payload":1024}\r\n')
        seen.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, sending() as sender:
        tls = {"enabled": True}
        with pytest.raises(TriggerError, match="does not speak TLS"):
            await sender.send(action(f"nats://127.0.0.1:{port}", tls=tls, auth=TOKEN), 1)
    assert seen[:1] in ([], [b""]) or b"s3cret" not in b"".join(seen)


async def test_many_at_once_all_arrive(tmp_path) -> None:
    async with (
        nats_server(tmp_path) as server,
        sending() as sender,
        listening(server.url) as subscription,
    ):
        one = action(server.url)
        await asyncio.gather(*(sender.send(one, 1) for _ in range(200)))
        for _ in range(200):
            await subscription.next_msg(20)
