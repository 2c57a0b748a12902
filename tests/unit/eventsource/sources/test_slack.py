"""The slack source: its configuration, who may post, and the event that a request becomes."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsource import web
from eventsource.slack import payloads
from eventsource.slack import request as slack
from eventsource.slack import signature as signatures
from eventsource.sources import slack as module
from eventsource.sources.slack import Slack
from spine.errors import BusError, EventError
from spine.model import InvalidModel, load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

HOOK = {"endpoint": "/slack", "port": "12000"}
REF = {"name": "s", "key": "k"}
NOW = 1_531_420_618
LINES = Path(__file__).with_name("slack.jsonl").read_text().split("\n")
ARGO = [json.loads(line) for line in LINES if line]
"""What Slack sends, and what the Go client of Argo Events writes of it."""


def source(**more: Any) -> tuple[Slack, list[str]]:
    warnings: list[str] = []
    base = {"webhook": HOOK, "signingSecret": REF, "token": REF}
    raw = {name: value for name, value in {**base, **more}.items() if value is not None}
    return load(Slack, raw, on_warning=warnings.append), warnings


# ---------------------------------------------------------------------------- configuration


def test_what_is_taken():
    assert source()[1] == []
    assert source(metadata={"a": "b"})[1] == ["metadata: of no effect, as in Argo Events"]
    assert source(token=None)[1] == ["token: Argo Events wants it; the signature says all here"]


def test_nothing_is_taken_unsigned():
    with pytest.raises(InvalidModel, match="signingSecret: required field is missing"):
        source(signingSecret=None)


# ---------------------------------------------------------------------------- signatures


def test_the_signature_of_slacks_documentation():
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
        b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    made = signatures.signature("8f742231b10e8888abcd99yyyzzz85a5", b"1531420618", body)
    assert made == b"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def good(secret: str = "x", moment: int | str = NOW, body: bytes = b"{}") -> dict[bytes, bytes]:
    at = str(moment).encode()
    return {
        b"x-slack-request-timestamp": at,
        b"x-slack-signature": signatures.signature(secret, at, body),
    }


SIGNED = [
    (good(), 200),
    (good("old"), 200),
    (good(moment=NOW - 300), 200),
    (good(moment=NOW + 300), 200),
    (good(moment=NOW - 301), 401),
    (good(moment=NOW + 301), 401),
    (good(moment=f"-{NOW}"), 401),
    (good(moment=f"{NOW}.0"), 401),
    (good(moment="9" * 5000), 401),
    (good(moment="\u0661"), 401),
    (good(moment=""), 401),
    ({}, 401),
    (good() | {b"x-slack-signature": b""}, 401),
    (good("guessed"), 403),
    (good(body=b"{ }"), 403),
    (good() | {b"x-slack-request-timestamp": str(NOW + 1).encode()}, 403),
    (good() | {b"x-slack-signature": b"v0="}, 403),
    (good() | {b"x-slack-signature": b"v1=" + good()[b"x-slack-signature"][3:]}, 403),
    (good() | {b"x-slack-signature": "v0=ü".encode()}, 403),
]


@pytest.mark.parametrize(("fields", "status"), SIGNED, ids=range(len(SIGNED)))
def test_signatures(fields, status):
    refusal = signatures.refusal(fields, b"{}", ["x", "old"], NOW)
    assert (200 if refusal is None else refusal.status) == status
    if refusal is not None:
        assert good()[b"x-slack-signature"][3:].decode() not in refusal.text


# ---------------------------------------------------------------------------- payloads


def lacking(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Return where we do not say what Argo Events says; more may be there."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            found
            for name, value in theirs.items()
            for found in (
                lacking(value, ours[name], f"{path}.{name}") if name in ours else [f"{path}.{name}"]
            )
        ]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = enumerate(zip(theirs, ours, strict=True))
        return [found for n, (a, b) in pairs for found in lacking(a, b, f"{path}[{n}]")]
    return [] if theirs == ours else [f"{path}: {ours!r}"]


@pytest.mark.parametrize("case", ARGO, ids=lambda case: case["in"].get("event", case["in"])["type"])
def test_payloads_have_what_argo_events_writes(case):
    sent = case["in"]
    if "event" in sent:
        made, secret = payloads.event(sent["event"]), []
    else:
        made, secret = payloads.interaction(sent), [".token: '*** Masked Auth Secret ***'"]
    found = lacking(case["out"], json.loads(made.encode()))
    assert [one for one in found if not one.endswith(".attachments[0].blocks")] == secret


def test_an_event_has_its_members_in_order_and_then_what_the_client_does_not_know():
    inner = {"type": "app_mention", "text": "<@U0> é", "team": "T1", "user": "U1", "blocks": [1.5]}
    assert payloads.event(inner).encode().decode() == (
        '{"type":"app_mention","Data":{"type":"app_mention","user":"U1",'
        '"text":"\\u003c@U0\\u003e é","ts":"","thread_ts":"","channel":"","event_ts":"",'
        '"team":"T1","blocks":[1.5]}}'
    )


def test_an_event_of_a_kind_that_the_client_does_not_know():
    inner = {"type": "new_thing", "a": {"b": None}}
    made = payloads.event(inner).encode()
    assert made == b'{"type":"new_thing","Data":{"type":"new_thing","a":{"b":null}}}'


def test_a_command():
    form = {"token": "T", "team_id": "T1", "command": "/deploy", "is_enterprise_install": "false"}
    assert payloads.command(form).encode() == (
        b'{"token":"*** Masked Auth Secret ***","team_id":"T1","team_domain":"",'
        b'"is_enterprise_install":false,"channel_id":"","channel_name":"","user_id":"",'
        b'"user_name":"","command":"/deploy","text":"","response_url":"","trigger_id":"",'
        b'"api_app_id":""}'
    )
    more = payloads.command({**form, "enterprise_id": "E1", "is_enterprise_install": "true"})
    assert b'"team_domain":"","enterprise_id":"E1","is_enterprise_install":true,' in more.encode()


def test_zeros_are_not_shared_between_events():
    first = json.loads(payloads.interaction({"type": "block_actions"}).encode())
    payloads.interaction({"type": "view_submission", "view": {"state": {"values": {}}}})
    assert json.loads(payloads.interaction({"type": "block_actions"}).encode()) == first


# ---------------------------------------------------------------------------- requests


@dataclass
class Emitted:
    payloads: list[Any] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    refusal: Exception | None = None

    async def __call__(self, payload, *, id=None, **_):
        if self.refusal:
            raise self.refusal
        self.payloads.append(json.loads(payload.encode()))
        self.ids.append(id)


def request(body: bytes, *, form: bool = False, moment: int = NOW) -> web.Request:
    kind = b"application/x-www-form-urlencoded" if form else b"application/json; charset=utf-8"
    fields = {**good(body=body, moment=moment), b"content-type": kind}
    return web.Request(list(fields.items()), fields, b"", body)


@pytest.fixture(autouse=True)
def _now(monkeypatch):
    monkeypatch.setattr(module.time, "time", lambda: float(NOW))


async def post(asked: web.Request, emitted: Emitted | None = None, tokens: Any = None) -> Any:
    emitted = emitted or Emitted()
    env = Env("es", "ev", "ns", GivenSecrets(), Shared())
    wanted = tokens or (lambda: ("T",))
    return await source()[0]._handler(env, emitted, lambda: ("x",), wanted)(asked), emitted


def outer(kind: str = "event_callback", **more: Any) -> bytes:
    return json.dumps({"token": "T", "type": kind, **more}).encode()


MENTION = {"type": "app_mention", "text": "hi"}


def fields(**more: Any) -> bytes:
    return urlencode({"token": "T", **more}).encode()


def payload(**more: Any) -> bytes:
    return urlencode({"payload": json.dumps({"token": "T", **more})}).encode()


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    form: bool = False
    status: int = 200
    text: str = "success"
    events: int = 0


CASES = [
    Case("callback", outer(event=MENTION, event_id="Ev1"), events=1),
    Case("challenge", outer("url_verification", challenge="abc"), text="abc"),
    Case("rate limit", outer("app_rate_limited")),
    Case("command", fields(command="/a"), form=True, events=1),
    Case("click", payload(type="block_actions"), form=True, events=1),
    Case("dialog", payload(type="view_submission"), form=True, text="", events=1),
    Case("TLS", fields(ssl_check="1"), form=True),
    Case("other token", outer(event=MENTION, token="U"), status=403, text="token is wrong"),
    Case("no token", b'{"type":"event_callback","event":{}}', status=403, text="token is wrong"),
    Case("token no text", b'{"token":[],"type":"x"}', status=403, text="token is wrong"),
    Case(
        "challenge of others", b'{"type":"url_verification","challenge":"a"}', status=403, text=""
    ),
    Case(
        "command of others", urlencode({"command": "/a"}).encode(), form=True, status=403, text=""
    ),
    Case("no event", outer(), status=400, text="the callback has no event"),
    Case("no JSON", b"{", status=400, text="the body is not JSON"),
    Case("no object", b"[]", status=400, text="the body is not a JSON object"),
    Case(
        "payload no JSON", b"payload=%7B", form=True, status=400, text="field payload is not JSON"
    ),
    Case("other form", b"a=1", form=True, status=400, text="could not determine slack type"),
    Case("bad form", b"a=%zz", form=True, status=400, text="cannot read"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_requests(case):
    answer, emitted = await post(request(case.body, form=case.form))
    assert (answer.status, len(emitted.payloads)) == (case.status, case.events)
    if case.status == 200:
        assert answer.text == case.text
    assert case.text in answer.text


async def test_a_request_that_is_not_signed_is_not_read():
    asked = request(outer(event=MENTION))
    asked.body += b" "
    answer, emitted = await post(asked)
    assert (answer.status, emitted.payloads) == (403, [])


async def test_a_callback_that_comes_again_is_the_same_event():
    first = (await post(request(outer(event=MENTION, event_id="Ev1"))))[1].ids
    again = request(outer(event=MENTION, event_id="Ev1", retry=1), moment=NOW + 60)
    assert (await post(again))[1].ids == first
    assert (await post(request(outer(event=MENTION, event_id="Ev2"))))[1].ids != first


async def test_a_command_that_is_replayed_is_the_same_event():
    ids = [
        (await post(request(fields(command="/a", trigger_id=number), form=True)))[1].ids[0]
        for number in ("1", "1", "2")
    ]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


@pytest.mark.parametrize("error", [BusError("no answer"), EventError("too large")])
async def test_errors_of_the_bus_reach_the_server(error):
    with pytest.raises(type(error)):
        await post(request(outer(event=MENTION)), Emitted(refusal=error))


KEYS = [
    "type",
    "event",
    "message",
    "previous_message",
    "files",
    "actions",
    "view",
    "state",
    "values",
    "token",
    "channel",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["message", "block_actions", "view_submission", "app_mention"]))
def test_reading_raises_nothing_else(value, kind):
    with suppress(ValueError):
        slack.read(request(json.dumps(value).encode()))
    if isinstance(value, dict):
        payloads.event({**value, "type": kind}).encode()
        payloads.interaction({**value, "type": kind}).encode()
        payloads.event(value).encode()
        payloads.interaction(value).encode()
