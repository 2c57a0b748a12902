"""Webhook: which request goes out, and what becomes of redirects and of bodies that are no JSON."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from services_kit import Got, Reply, receiver, talk

from services.service import Message
from services.webhook import Webhook
from spine.errors import ConfigError, TriggerError
from spine.model import load


@dataclass(frozen=True)
class Case:
    name: str
    block: dict[str, Any]
    method: str
    path: str
    body: bytes
    url: str = "{url}/in"
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("without a block the message is posted", {}, "POST", "/in", b"it is done"),
    Case("body", {"body": "b"}, "POST", "/in", b"b"),
    Case("method", {"method": "put", "body": "b"}, "PUT", "/in", b"b"),
    Case("an empty body replaces the message", {"method": "POST", "body": ""}, "POST", "/in", b""),
    Case("a block without a body asks", {"path": "ping"}, "GET", "/in/ping", b""),
    Case("one slash", {"path": "/a/b", "body": "b"}, "POST", "/in/a/b", b"b", "{url}/in/"),
    Case(
        "the query stays behind the path",
        {"path": "/a", "body": "b"},
        "POST",
        "/in/a?k=v",
        b"b",
        "{url}/in?k=v",
    ),
    Case(
        "two queries are one",
        {"path": "/a?x=1", "body": "b"},
        "POST",
        "/in/a?k=v&x=1",
        b"b",
        "{url}/in?k=v",
    ),
    Case(
        "a structure is JSON",
        {"body": {"text": 'a "quote"', "n": 1}},
        "POST",
        "/in",
        b'{"text":"a \\"quote\\"","n":1}',
        headers={"content-type": "application/json"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_request(case: Case) -> None:
    async with talk(Webhook, {"url": case.url}, url="") as (client, at):
        receipt = await client.send(Message(text="it is done", block=case.block), "", "k1")
    assert (at.last.method, at.last.path, at.last.body) == (case.method, case.path, case.body)
    assert at.last.headers["idempotency-key"] == "k1"
    assert at.last.headers.items() >= case.headers.items()
    assert (receipt.summary, receipt.problems) == ("200 Told", ())


async def test_no_content_type_unless_one_is_given() -> None:
    async with talk(Webhook, {}, url="url") as (client, at):
        await client.send(Message(text="a"), "", "k")
        assert "content-type" not in at.last.headers


async def test_headers_and_basic_auth() -> None:
    config = {
        "headers": [
            {"name": "X-Team", "value": "red\n"},
            {"name": "Authorization", "value": "Bearer replaced"},
            {"name": "Idempotency-Key", "value": "own"},
        ],
        "basicAuth": {"username": "me", "password": "pass"},
    }
    async with talk(Webhook, config, url="url") as (client, at):
        await client.send(Message(text="a"), "", "k")
    assert at.last.headers["x-team"] == "red"
    assert at.last.headers["authorization"] == "Basic bWU6cGFzcw=="
    assert at.last.headers["idempotency-key"] == "own"


async def test_user_in_the_url_logs_in() -> None:
    async with receiver() as at:
        url = at.url.replace("http://", "http://me:pa%40ss@")
        async with talk(Webhook, {"url": url}, url="") as (client, _):
            await client.send(Message(text="a"), "", "k")
    assert at.last.headers["authorization"] == "Basic bWU6cGFAc3M="


async def test_header_with_a_control_character_is_refused() -> None:
    config = {"headers": [{"name": "X-A", "value": "hush\r\nX-B: 1"}]}
    with pytest.raises(ConfigError, match="'X-A'") as caught:
        async with talk(Webhook, config, url="url"):
            pass
    assert "hush" not in str(caught.value)


def moved(status: int, where: str):
    def reply(got: Got) -> Reply | None:
        return Reply(status, headers={"Location": where}) if got.path == "/in" else None

    return reply


async def test_redirect_that_keeps_the_request_is_followed() -> None:
    async with talk(Webhook, {"url": "{url}/in"}, url="") as (client, at):
        at.reply = moved(307, "/there")
        await client.send(Message(text="a"), "", "k")
        assert [(got.method, got.path, got.body) for got in at.got] == [
            ("POST", "/in", b"a"),
            ("POST", "/there", b"a"),
        ]


async def test_redirect_to_an_answer_is_followed() -> None:
    async with talk(Webhook, {"url": "{url}/in"}, url="") as (client, at):
        at.reply = moved(302, "/answer")
        await client.send(Message(text="a"), "", "k")
        assert [(got.method, got.path) for got in at.got] == [("POST", "/in"), ("GET", "/answer")]


async def test_redirect_that_drops_the_body_is_an_error() -> None:
    async with talk(Webhook, {"url": "{url}/in"}, url="") as (client, at):
        at.reply = moved(301, "/there?token=hush")
        with pytest.raises(TriggerError, match="has moved to http") as caught:
            await client.send(Message(text="a"), "", "k")
    assert caught.value.permanent
    assert "hush" not in str(caught.value)


async def test_redirect_to_the_same_elsewhere_drops_the_body_too() -> None:
    async with receiver() as other, talk(Webhook, {"url": "{url}/in"}, url="") as (client, at):
        at.reply = moved(302, f"{other.url}/in")
        with pytest.raises(TriggerError, match="has moved to http"):
            await client.send(Message(text="a"), "", "k")


async def test_credentials_do_not_follow_to_another_host() -> None:
    config = {"url": "{url}/in", "headers": [{"name": "X-Token", "value": "hush-hush"}]}
    async with receiver() as other, talk(Webhook, config, url="") as (client, at):
        at.reply = moved(307, f"{other.url}/there")
        await client.send(Message(text="a"), "", "k")
        assert "x-token" in at.last.headers
        assert "x-token" not in other.last.headers
        assert other.last.body == b"a"


JSON = {"headers": [{"name": "Content-Type", "value": "application/json"}]}
BROKEN = Message(text="a", block={"body": '{"text": "a "quote""}'})


async def test_body_that_is_no_json_goes_out_and_is_told() -> None:
    async with talk(Webhook, JSON, url="url") as (client, at):
        receipt = await client.send(BROKEN, "", "k")
        assert at.last.body == b'{"text": "a "quote""}'
    (problem,) = receipt.problems
    assert problem.startswith("body: no JSON at line 1 column 14")
    assert "toJson" in problem


async def test_body_that_is_no_json_explains_a_refusal() -> None:
    async with talk(Webhook, JSON, url="url") as (client, at):
        at.reply = lambda _: Reply(400, "bad request")
        with pytest.raises(TriggerError, match="400 Told: bad request") as caught:
            await client.send(BROKEN, "", "k")
    assert caught.value.hint.startswith("its body is no JSON at line 1 column 14")


async def test_where_nobody_may_ask(monkeypatch) -> None:
    monkeypatch.setenv("TOCSIN_EGRESS", "*.example.com")
    async with talk(Webhook, {}, url="url") as (client, at):
        with pytest.raises(TriggerError, match="TOCSIN_EGRESS does not allow 127") as caught:
            await client.send(Message(text="a"), "", "k")
        assert caught.value.permanent
        assert at.got == []


async def test_redirect_to_where_nobody_may_ask() -> None:
    async with talk(Webhook, {"url": "{url}/in"}, url="") as (client, at):
        at.reply = moved(307, "http://169.254.169.254/latest/meta-data")
        with pytest.raises(TriggerError, match="never fetched") as caught:
            await client.send(Message(text="a"), "", "k")
        assert caught.value.permanent


def test_published_configuration_loads() -> None:
    """Numbers of nanoseconds, and the durations that the documentation shows."""
    for wait in (500_000_000, "2s"):
        load(Webhook, {"url": "http://h", "retryWaitMin": wait, "retryWaitMax": wait})


def test_preview_is_the_request() -> None:
    message = Message(text="a", block={"method": "PUT", "path": "/x", "body": {"a": "ü"}})
    assert Webhook.preview(message) == 'PUT /x\nContent-Type: application/json\n\n{"a":"ü"}'
    assert Webhook.preview(Message(text="a")) == "POST\n\na"
