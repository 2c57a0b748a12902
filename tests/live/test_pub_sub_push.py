"""Pub/Sub pushes to us: the envelope, and tokens that are good, forged, and made out to others.

The tokens are signed with keys of the test, which a server of the test publishes.
"""

import asyncio
import base64
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hooks import Talk, running
from hypothesis import given
from hypothesis import strategies as st
from ports import free_port
from pubsub_emulator import emulator
from pubsub_tokens import AUDIENCE, EMAIL, Issuer

from eventbus.memory import MemoryBus
from eventsource.pubsub import push, tokens
from spine.errors import BusError, ConfigError

SUBSCRIPTION = "projects/shop-project/subscriptions/sub"
NOT_OURS = "this endpoint is for Pub/Sub\n"


def envelope(**message: Any) -> bytes:
    told = {
        "data": base64.b64encode(b'{"n":1}').decode(),
        "messageId": "11",
        "message_id": "11",
        "publishTime": "2024-07-01T10:00:00.000005Z",
        "publish_time": "2024-07-01T10:00:00.000005Z",
        "attributes": {"objectId": "a.json"},
        **message,
    }
    return json.dumps({"message": told, "subscription": SUBSCRIPTION}).encode()


def pushed(port: int, authenticated: bool = True, **source: Any) -> dict[str, Any]:
    where = {"endpoint": "/pubsub", "port": str(port), "authenticated": authenticated}
    who = {"audience": AUDIENCE, "serviceAccountEmail": EMAIL} if authenticated else {}
    return {"pubSub": {"ev": {"jsonBody": True, "push": {**where, **who}, **source}}}


@pytest.fixture
async def issuer(monkeypatch):
    async with Issuer().serve() as one:
        monkeypatch.setattr(tokens, "KEYS_URL", one.url)
        yield one


def bearer(token: bytes) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.decode()}"}


# ---------------------------------------------------------------------------- envelopes


async def test_a_pushed_message_has_the_payload_of_a_pulled_one(issuer):
    port = free_port()
    async with running(pushed(port, metadata={"a": "1"})) as it, Talk(port) as talk:
        status, _, _ = await talk.ask("/pubsub", envelope(), **bearer(issuer.token()))
        (event,) = await it.events()
    assert status == 204
    assert (event.type, event.subject) == ("pubsub", "ev")
    assert event.data == (
        b'{"id":"11","body":{"n":1},"attributes":{"objectId":"a.json"},'
        b'"publishTime":"2024-07-01 10:00:00.000005 +0000 UTC","metadata":{"a":"1"}}'
    )


async def test_a_repeated_push_is_the_same_event():
    port = free_port()
    async with running(pushed(port, authenticated=False)) as it, Talk(port) as talk:
        for _ in range(3):
            assert (await talk.ask("/pubsub", envelope()))[0] == 204
        assert (await talk.ask("/pubsub", envelope(messageId="12")))[0] == 204
        assert len({event.id for event in await it.events()}) == 2
        assert len(await it.events()) == 2


async def test_a_webhook_listens_on_the_same_port():
    port = free_port()
    hook = {"endpoint": "/hook", "port": str(port), "method": "POST"}
    spec = {**pushed(port, authenticated=False), "webhook": {"other": hook}}
    async with running(spec) as it, Talk(port) as talk:
        assert (await talk.ask("/pubsub", envelope()))[0] == 204
        assert (await talk.ask("/hook", b"{}"))[0] == 200
        assert sorted(event.type for event in await it.events()) == ["pubsub", "webhook"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "this is not what Pub/Sub pushes"),
        (b"[1]", "this is not what Pub/Sub pushes"),
        (b'{"message":{"data":""},"subscription":"s"}', "missing required field `messageId`"),
        (b'{"message":{"messageId":"1"}}', "missing required field `subscription`"),
        (envelope(data="*"), "this is not what Pub/Sub pushes"),
        (envelope(attributes={"a": 1}), "this is not what Pub/Sub pushes"),
        (envelope(publishTime="yesterday"), "publishTime 'yesterday' is not a time of RFC 3339"),
        (b"[" * 5_000, "this is not what Pub/Sub pushes"),
    ],
    ids=range(8),
)
async def test_what_is_no_envelope(body, why):
    port = free_port()
    async with running(pushed(port, authenticated=False)) as it, Talk(port) as talk:
        status, text, _ = await talk.ask("/pubsub", body)
        assert (status, await it.events()) == (400, [])
    assert why in text


@given(
    st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(repr).map(str.encode)
)
def test_reading_raises_nothing_else(body):
    with suppress(ValueError):
        push.read(body)


async def test_other_subscriptions_are_refused():
    port = free_port()
    spec = pushed(port, authenticated=False, projectID="shop-project", subscriptionID="other")
    async with running(spec) as it, Talk(port) as talk:
        status, text, _ = await talk.ask("/pubsub", envelope())
        assert (status, text) == (403, "this endpoint is for another subscription\n")
        assert await it.events() == []


async def test_a_poison_message_is_taken_and_set_aside():
    from delivery.dead import list_dead

    port = free_port()
    async with running(pushed(port, authenticated=False)) as it, Talk(port) as talk:
        for _ in range(2):
            poison = envelope(data=base64.b64encode(b"{oops").decode())
            assert (await talk.ask("/pubsub", poison))[0] == 204
        (letter,) = [entry.letter async for entry in list_dead(it.bus)]
        assert await it.events() == []
    assert "it is not JSON, and jsonBody is set" in letter.message


async def test_pub_sub_is_told_to_come_again_when_the_bus_is_away(monkeypatch):
    from eventsource import runner
    from spine.runtime import Backoff

    class Away(MemoryBus):
        async def publish(self, event):
            raise BusError("away")

    monkeypatch.setattr(runner, "PATIENCE", Backoff(duration=0.01, steps=2))
    port = free_port()
    async with running(pushed(port, authenticated=False), bus=Away()), Talk(port) as talk:
        status, _, headers = await talk.ask("/pubsub", envelope())
    assert (status, "retry-after" in headers) == (503, True)


# ---------------------------------------------------------------------------- tokens


@dataclass(frozen=True)
class Forged:
    name: str
    why: str
    claims: dict[str, Any] = field(default_factory=dict)
    kid: str = "first"
    signed_by: str = "first"

    def __str__(self) -> str:
        return self.name


FORGED = [
    Forged("signed by somebody else", "Could not verify token signature", signed_by="forger"),
    Forged("key that nobody knows", "which Google does not have", kid="forger", signed_by="forger"),
    Forged("key that is no RSA key", "which Google does not have", kid="other"),
    Forged("expired", "Token expired", {"iat": 1_000, "exp": 2_000}),
    Forged("of tomorrow", "Token used too early", {"iat": 9_999_999_999, "exp": 9_999_999_999 + 1}),
    Forged("without end", "required claim exp", {"exp": None}),
    Forged("for another audience", "wrong audience", {"aud": "https://other.example.com"}),
    Forged("for a list of audiences", "wrong audience", {"aud": [AUDIENCE, "x"]}),
    Forged("for nobody", "wrong audience", {"aud": None}),
    Forged(
        "of another issuer", "was issued by 'https://evil.example'", {"iss": "https://evil.example"}
    ),
    Forged("of no issuer", "was issued by None", {"iss": None}),
    Forged("of another account", "is of 'x@evil.example'", {"email": "x@evil.example"}),
    Forged("of no account", "is of None", {"email": None}),
    Forged("of an unverified account", "is of 'push@", {"email_verified": False}),
    Forged("that says it is verified", "is of 'push@", {"email_verified": "true"}),
]


@pytest.mark.parametrize("case", FORGED, ids=str)
async def test_forged(case: Forged, issuer, caplog):
    issuer.make("forger", publish=False)
    issuer.keys["other"] = issuer.keys["first"]
    token = issuer.token(case.kid, case.signed_by, **case.claims)
    port = free_port()
    async with running(pushed(port)) as it, Talk(port) as talk:
        status, text, headers = await talk.ask("/pubsub", envelope(), **bearer(token))
        assert (status, text, headers["www-authenticate"]) == (401, NOT_OURS, "Bearer")
        assert await it.events() == []
    (record,) = [r for r in caplog.records if r.message == "refusing a pushed message"]
    assert case.why in record.error


def unsigned(issuer: Issuer) -> bytes:
    """Return a token that says of itself that it is not signed."""

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    return b".".join([part({"alg": "none", "kid": "first"}), part(issuer.claims()), b""])


def symmetric(issuer: Issuer) -> bytes:
    """Return a token that is signed with the public key, as if it were a secret."""
    import hashlib
    import hmac

    from eventsource.pubsub.tokens import _pems

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    pem = _pems(json.dumps(issuer.key_set()).encode())["first"]
    text = b".".join([part({"alg": "HS256", "kid": "first"}), part(issuer.claims())])
    mac = hmac.new(pem.encode(), text, hashlib.sha256).digest()
    return text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")


async def test_tokens_without_a_proper_signature(issuer):
    port = free_port()
    async with running(pushed(port)) as it, Talk(port) as talk:
        for token in (unsigned(issuer), symmetric(issuer), b"x", b"", b"a.b.c", b"...."):
            status, text, _ = await talk.ask("/pubsub", envelope(), **bearer(token))
            assert (status, text) == (401, NOT_OURS)
        assert (await talk.ask("/pubsub", envelope()))[0] == 401
        assert (await talk.ask("/pubsub", envelope(), Authorization="Basic eA=="))[0] == 401
        assert await it.events() == []


async def test_a_body_is_not_read_before_the_token(issuer):
    port = free_port()
    async with running(pushed(port)), Talk(port) as talk:
        talk.say(b"POST /pubsub HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
        status, _ = await talk.head()
    assert status == 401


async def test_new_keys_are_fetched_once_for_many(issuer, monkeypatch):
    port = free_port()
    async with running(pushed(port)) as it:

        async def send(number: int, token: bytes) -> int:
            async with Talk(port) as talk:
                sent = envelope(messageId=str(number))
                return (await talk.ask("/pubsub", sent, **bearer(token)))[0]

        first = issuer.token()
        assert await asyncio.gather(*(send(n, first) for n in range(20))) == [204] * 20
        assert issuer.asked == 1
        issuer.make("second")
        second = issuer.token("second")
        assert await send(20, second) == 401  # looked a moment ago
        monkeypatch.setattr(tokens, "_PAUSE", 0.0)
        assert await send(21, second) == 204
        assert await send(22, first) == 204
        assert issuer.asked == 2
        assert len(await it.events()) == 22


async def test_keys_that_cannot_be_fetched(issuer):
    port = free_port()
    issuer.down = True
    async with running(pushed(port)) as it, Talk(port) as talk:
        status, text, headers = await talk.ask("/pubsub", envelope(), **bearer(issuer.token()))
        assert (status, text) == (503, "the token cannot be verified now\n")
        assert headers["retry-after"] == "5"
        issuer.down = False
        assert (await talk.ask("/pubsub", envelope(), **bearer(issuer.token())))[0] == 204
        assert len(await it.events()) == 1


async def test_a_known_token_ends_with_its_time(issuer, monkeypatch):
    verifier = tokens.Verifier(AUDIENCE, EMAIL, tokens.Keys())
    header = b"Bearer " + issuer.token()
    await verifier.check(header)
    later = tokens.time.time() + 3700
    monkeypatch.setattr(tokens.time, "time", lambda: later)
    monkeypatch.setattr("google.auth._helpers.utcnow", lambda: _naive(later))
    with pytest.raises(tokens.Refused, match="Token expired"):
        await verifier.check(header)


def _naive(seconds: float) -> Any:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


@given(st.binary(max_size=80))
def test_whatever_stands_in_the_header_is_refused(header):
    async def check() -> None:
        verifier = tokens.Verifier(AUDIENCE, EMAIL, tokens.Keys("http://127.0.0.1:9/"))
        for one in (header, b"Bearer " + header):
            with pytest.raises(tokens.Refused):
                await verifier.check(one)

    asyncio.run(check())


def test_missing_library_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "google.auth", None)
    with pytest.raises(ConfigError, match=r"pip install 'tocsin\[gcp\]'"):
        tokens.Verifier(AUDIENCE, EMAIL, tokens.Keys())


# ---------------------------------------------------------------------------- the emulator


async def test_the_emulator_pushes_to_us(tmp_path):
    port = free_port()
    async with emulator(tmp_path, "emulator") as server:
        topic = await server.topic("uploads")
        where = {"push_endpoint": f"http://127.0.0.1:{port}/pubsub"}
        await server.subscribe(topic, "sub", push_config=where)
        async with running(pushed(port, authenticated=False)) as it:
            sent = [b'{"n":%d}' % n for n in range(50)]
            ids = await server.publish(topic, sent, objectId="a.json")
            async with asyncio.timeout(60):
                while len(events := await it.events()) < 50:
                    await asyncio.sleep(0.05)
    found = [json.loads(event.data or b"") for event in events]
    assert sorted(one["id"] for one in found) == sorted(ids)
    assert sorted(one["body"]["n"] for one in found) == list(range(50))
    assert {one["attributes"]["objectId"] for one in found} == {"a.json"}
