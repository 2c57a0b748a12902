"""Slack's requests to a real process on a real bus: signed, forged, stale, repeated, and killed."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from source_process import Place, killed_under_load, place

from eventsource.slack.signature import signature

pytestmark = pytest.mark.timeout(180)
SECRET, TOKEN = "8f742231b10e8888abcd99yyyzzz85a5", "Jhj5dZrVaK7ZwHHjRyZWjbDl"


@pytest.fixture
async def at(tmp_path: Path):
    async with place(tmp_path) as one:
        yield one


def spec(at: Place) -> dict[str, Any]:
    event = {
        "webhook": {"endpoint": "/slack", "port": str(at.port)},
        "signingSecret": at.secret("slack", "signing", SECRET),
        "token": at.secret("slack", "token", TOKEN),
    }
    return {"slack": {"app": event}}


def signed(
    body: bytes, *, secret: str = SECRET, ago: int = 0, form: bool = False, **headers: str
) -> tuple[str, bytes, dict[str, str]]:
    moment = str(int(time.time()) - ago)
    told = {
        "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
        "X-Slack-Request-Timestamp": moment,
        "X-Slack-Signature": signature(secret, moment.encode(), body).decode(),
        **headers,
    }
    return "/slack", body, {name: value for name, value in told.items() if value}


def callback(number: int, **more: Any) -> bytes:
    inner = {"type": "app_mention", "user": "U1", "text": str(number), "channel": "C1"}
    outer = {"token": TOKEN, "team_id": "T1", "type": "event_callback", "event": inner}
    return json.dumps({**outer, "event_id": f"Ev{number:06}", **more}).encode()


def command(**more: str) -> bytes:
    fields = {"token": TOKEN, "command": "/deploy", "text": "web", "trigger_id": "1.2.3", **more}
    return urlencode(fields).encode()


async def data(at: Place) -> list[Any]:
    return [json.loads(event.data or b"") for event in await at.events()]


async def test_each_callback_is_one_event_though_the_process_is_killed(at):
    await at.start(spec(at))
    deliveries = [signed(callback(number)) for number in range(120)]

    in_vain = await killed_under_load(at, spec(at), deliveries)

    texts = sorted(int(one["Data"]["text"]) for one in await data(at))
    assert texts == list(range(120))
    assert in_vain, "the process was away for a while"


async def test_a_callback_that_comes_again_with_another_time_is_the_same_event(at):
    await at.start(spec(at))
    for ago in (0, 60, 200):
        again = signed(callback(1), ago=ago, **{"X-Slack-Retry-Num": "1"})
        assert await at.post(*again) == 200
    assert len(await at.events()) == 1


async def test_forged_and_stale_requests_are_refused_and_counted(at):
    await at.start(spec(at))
    path, body, headers = signed(callback(1))
    stolen = {**headers, "X-Slack-Request-Timestamp": str(int(time.time()) + 1)}
    forged = [
        (signed(callback(1), **{"X-Slack-Signature": ""}), 401),
        (signed(callback(1), **{"X-Slack-Request-Timestamp": ""}), 401),
        (signed(callback(1), ago=301), 401),
        (signed(callback(1), ago=-330), 401),
        (signed(callback(1), **{"X-Slack-Request-Timestamp": "now"}), 401),
        (signed(callback(1), secret="guessed"), 403),
        ((path, callback(2), headers), 403),
        ((path, body, stolen), 403),
        (signed(command(), secret="guessed", form=True), 403),
        (signed(command(token="other"), form=True), 403),
        (signed(callback(1, token="other")), 403),
    ]
    for request, status in forged:
        assert await at.post(*request) == status, request
    assert await at.events() == []
    metrics = await at.metrics()
    for status, count in ((401, 5), (403, 6)):
        line = next(one for one in metrics.splitlines() if f'"{status}"' in one)
        assert line.endswith(f" {count}.0"), line
    assert at.run is not None
    assert SECRET not in at.run.text


async def test_a_refusal_does_not_tell_the_right_signature(at):
    await at.start(spec(at))
    path, body, headers = signed(callback(1), secret="guessed")
    answer = await at.client.post(
        f"http://127.0.0.1:{at.port}{path}", content=body, headers=headers
    )
    right = signature(SECRET, headers["X-Slack-Request-Timestamp"].encode(), body).decode()
    assert answer.status_code == 403
    assert right.removeprefix("v0=") not in answer.text + str(answer.headers)
    assert at.run is not None
    assert right.removeprefix("v0=") not in at.run.text


async def test_the_url_is_verified_with_the_challenge_and_nothing_else(at):
    await at.start(spec(at))
    ask = json.dumps({"type": "url_verification", "token": TOKEN, "challenge": "abc123"}).encode()
    path, body, headers = signed(ask)
    answer = await at.client.post(
        f"http://127.0.0.1:{at.port}{path}", content=body, headers=headers
    )
    assert (answer.status_code, answer.text) == (200, "abc123")
    assert answer.headers["content-type"].startswith("text/plain")
    assert await at.events() == []


async def test_commands_and_interactions(at):
    await at.start(spec(at))
    click = json.dumps({"type": "block_actions", "token": TOKEN, "trigger_id": "1.2.4"})
    assert await at.post(*signed(command(), form=True)) == 200
    assert await at.post(*signed(command(), form=True)) == 200  # within five minutes: the same
    assert await at.post(*signed(urlencode({"payload": click}).encode(), form=True)) == 200
    assert (
        await at.post(*signed(urlencode({"ssl_check": "1", "token": TOKEN}).encode(), form=True))
        == 200
    )
    first, second = await data(at)
    assert (first["command"], first["text"], first["is_enterprise_install"]) == (
        "/deploy",
        "web",
        False,
    )
    assert (second["type"], second["trigger_id"]) == ("block_actions", "1.2.4")
    assert TOKEN not in json.dumps([first, second])


async def test_a_secret_is_replaced_without_a_restart_and_without_a_loss(at):
    await at.start(spec(at))
    assert await at.post(*signed(callback(1))) == 200
    at.secret("slack", "signing", "a new one")
    await at.deliver(*signed(callback(2), secret="a new one"))
    assert await at.post(*signed(callback(3))) == 200, "signed just before Slack had it"
    assert len(await at.events()) == 3


async def test_the_bus_is_away(at):
    await at.start(spec(at))
    await at.server.kill()
    assert await at.post(*signed(callback(1))) == 503
    await at.server.start()
    await at.deliver(*signed(callback(1)))
    assert len(await at.events()) == 1
