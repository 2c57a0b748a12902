"""What a tenant's login is good for on a bus: a real server with the accounts that we configure."""

import asyncio
import json
from contextlib import asynccontextmanager

import nats
import pytest
from nats_server import nats_server

from controller.bus.access import Login, accounts
from eventbus import open_bus
from eventbus.bus import DEAD, EVENTS
from eventbus.config import BusConfig
from spine.model import load
from spine.secrets import GivenSecrets

TENANT, OURS, SYSTEM = Login("tenant", "t0"), Login("controller", "c0"), Login("system", "s0")


@asynccontextmanager
async def bus(tmp_path):
    """Yield a server with our accounts, whose streams the controller has made."""
    extra = accounts(TENANT, OURS, SYSTEM, whole_account=False)
    async with nats_server(tmp_path, extra=extra) as server:
        raw = {"jetstream": {"url": server.url, "accessSecret": {"name": "s", "key": "k"}}}
        secrets = GivenSecrets({("s", "k"): OURS.text})
        async with open_bus(load(BusConfig, raw), secrets, give_up_after=60.0) as opened:
            await opened.append(DEAD, f"{DEAD}.sensor.a.b", b"a dead letter")
            yield server


async def login(server, who: Login, errors: list[str]):
    async def note(exc):
        errors.append(str(exc))

    return await nats.connect(
        server.url, user=who.user, password=who.password, error_cb=note, max_reconnect_attempts=0
    )


async def streams(server) -> dict[str, int]:
    """Return all streams and how many messages each has."""
    client = await login(server, OURS, [])
    found = await client.jetstream(timeout=60).streams_info()
    await client.close()
    return {one.config.name: one.state.messages for one in found}


async def api(client, method: str, body: dict | None = None, seconds: float = 1):
    """Ask the API; return the answer, None where there is none."""
    try:
        answer = await client.request(
            f"$JS.API.{method}", json.dumps(body or {}).encode(), timeout=seconds
        )
    except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
        return None
    return json.loads(answer.data)


async def test_tenant_deletes_empties_and_changes_no_stream(tmp_path):
    async with bus(tmp_path) as server:
        before, errors = await streams(server), []
        client = await login(server, TENANT, errors)
        for stream in before:
            assert await api(client, f"STREAM.DELETE.{stream}") is None
            assert (
                await api(client, f"STREAM.UPDATE.{stream}", {"name": stream, "max_age": 1}) is None
            )
        for stream in (EVENTS, DEAD):
            assert await api(client, f"STREAM.PURGE.{stream}") is None
        assert await api(client, "ACCOUNT.PURGE.js") is None
        await client.close()
        assert await streams(server) == before
        assert any("permissions violation" in text.lower() for text in errors)


@pytest.mark.parametrize(
    "subject", [f"$JS.API.STREAM.DELETE.{DEAD}", f"$JS.API.STREAM.PURGE.{DEAD}"]
)
async def test_tenant_has_the_server_send_what_it_may_not(tmp_path, subject):
    """A consumer delivers to a subject of its choice, with the rights of the server."""
    async with bus(tmp_path) as server:
        client = await login(server, TENANT, [])
        wanted = {
            "stream_name": DEAD,
            "config": {
                "name": "thief",
                "durable_name": "thief",
                "deliver_subject": subject,
                "deliver_policy": "all",
                "ack_policy": "none",
            },
        }
        answer = await api(client, f"CONSUMER.CREATE.{DEAD}.thief", wanted, 60)
        assert answer["name"] == "thief"  # the server takes it: what counts is what comes of it
        await client.jetstream(timeout=60).publish(f"{DEAD}.sensor.a.b", b"{}")
        await asyncio.sleep(1)  # nothing is to happen, and nobody tells when
        await client.close()
        assert (await streams(server)).get(DEAD, 0) == 2


async def test_tenant_makes_a_stream_that_copies_or_catches_others(tmp_path):
    async with bus(tmp_path) as server:
        before, client = await streams(server), await login(server, TENANT, [])
        for config in (
            {"name": "mine", "mirror": {"name": EVENTS}},
            {"name": "mine", "subjects": [">"]},
            {
                "name": EVENTS,
                "subjects": [f"{EVENTS}.*.*"],
                "republish": {"src": ">", "dest": "x.>"},
            },
        ):
            name = config["name"]
            answer = await api(client, f"STREAM.CREATE.{name}", config)
            assert answer is None or answer.get("error"), answer
        await client.close()
        assert await streams(server) == before


async def test_tenant_reads_no_system_account_and_listens_to_nobody(tmp_path):
    async with bus(tmp_path) as server:
        errors: list[str] = []
        client = await login(server, TENANT, errors)
        heard = []

        async def hear(message):
            heard.append(message.subject)

        for subject in (">", "default.>", "$SYS.>", "$JS.API.>", "$KV.>"):
            await client.subscribe(subject, cb=hear)
        await client.flush()
        other = await login(server, OURS, [])
        await other.publish(f"{EVENTS}.a.b", b"x")
        await other.flush()
        await client.flush()
        await other.close()
        await client.close()
        assert heard == []
        assert len([one for one in errors if "subscription" in one.lower()]) == 5


async def test_all_of_one_bus_share_what_is_on_it(tmp_path):
    """The page says so plainly: a bus is the boundary, and not a Sensor."""
    async with bus(tmp_path) as server:
        raw = {"jetstream": {"url": server.url, "accessSecret": {"name": "s", "key": "k"}}}
        secrets = GivenSecrets({("s", "k"): TENANT.text})
        async with open_bus(load(BusConfig, raw), secrets, give_up_after=60.0) as opened:
            found = [one.data async for one in opened.read(DEAD)]
        assert found == [b"a dead letter"]
