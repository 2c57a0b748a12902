"""What Alertmanager is sent, each member of it."""

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Any

import pytest
from services_kit import Reply, receiver, talk

from services.alertmanager import Alertmanager, AlertmanagerBlock
from services.service import Message
from spine.errors import ConfigError, TriggerError
from spine.lang import gotemplate
from spine.model import load


def alertmanager(*targets: str, **config: Any) -> Any:
    return talk(Alertmanager, {"targets": list(targets), **config}, url="apiPath")


def cluster(*targets: str, **config: Any) -> Any:
    """Return a client of these targets; its own receiver gets nothing."""
    config |= {"apiPath": "/api/v2/alerts"}
    return alertmanager(*targets, **config)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_an_alert_without_a_block() -> None:
    async with receiver() as at, cluster(at.host) as (client, _):
        receipt = await client.send(Message(text="it broke", template="down"), "", "k")

    assert (at.last.method, at.last.path) == ("POST", "/api/v2/alerts")
    (alert,) = at.last.json
    assert moment(alert.pop("startsAt")).utcoffset() == timedelta(0)
    assert alert == {
        "labels": {"alertname": "down"},
        "annotations": {"description": "it broke"},
    }
    assert receipt.summary == "taken by 1 of 1"


async def test_all_of_a_block() -> None:
    block = {
        "labels": {"alertname": "Own", "severity": "critical", "gone": "<no value>"},
        "annotations": {"summary": "s", "n": 5},
        "generatorURL": "git@github.com:o/r.git",
        "extra": {"labels": {"team": "ops"}, "endsAt": "2030-01-01T00:00:00Z"},
    }
    async with receiver() as at, cluster(at.host) as (client, _):
        await client.send(Message(text="m", block=block, template="down"), "", "k")

    (alert,) = at.last.json
    assert alert["labels"] == {"alertname": "Own", "severity": "critical", "team": "ops"}
    assert alert["annotations"] == {"summary": "s", "n": "5"}
    assert alert["generatorURL"] == "https://github.com/o/r.git"
    assert alert["endsAt"] == "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://x.test/a?b=c#d", "https://x.test/a?b=c#d"),
        ("ssh://git@x.test:22/a/b", "https://x.test/a/b"),
        ("<no value>", None),
        ("", None),
        ("nonsense", None),
    ],
)
async def test_where_it_comes_from(url: str, sent: str | None) -> None:
    async with receiver() as at, cluster(at.host) as (client, _):
        await client.send(Message(text="m", block={"generatorURL": url}), "", "k")
    assert at.last.json[0].get("generatorURL") == sent


async def test_the_end_has_an_end() -> None:
    async with receiver() as at, cluster(at.host) as (client, _):
        await client.send(Message(text="well", resolved=True), "", "k")
    (alert,) = at.last.json
    assert alert["endsAt"] == alert["startsAt"]


async def test_an_alert_lasts_as_long_as_is_set() -> None:
    async with receiver() as at, cluster(at.host, lasts="24h") as (client, _):
        await client.send(Message(text="m"), "", "k")
        (alert,) = at.last.json
        assert moment(alert["endsAt"]) - moment(alert["startsAt"]) == timedelta(hours=24)
        await client.send(Message(text="m", resolved=True), "", "k")
        (alert,) = at.last.json
        assert alert["endsAt"] == alert["startsAt"]


async def test_all_targets_are_asked_at_a_time_and_one_is_enough() -> None:
    async with (
        receiver() as good,
        receiver() as bad,
        cluster(bad.host, "127.0.0.1:1", good.host, timeout=2) as (client, _),
    ):
        bad.hang = True
        sending = asyncio.create_task(client.send(Message(text="m"), "", "k"))
        async with asyncio.timeout(60):
            await good.came.wait()  # while the first one still says nothing
            await bad.came.wait()
            assert not sending.done()
            receipt = await sending

    assert receipt.summary == "taken by 1 of 3"
    assert len(receipt.problems) == 2
    assert "no response within 2 s" in receipt.problems[0]
    assert good.last.json == bad.last.json


@pytest.mark.parametrize(
    ("statuses", "permanent", "retry_after"),
    [((400, 400), True, None), ((400, 503), False, 9), ((500, 500), False, 9)],
)
async def test_nobody_took_it(
    statuses: tuple[int, int], permanent: bool, retry_after: float | None
) -> None:
    async with receiver() as one, receiver() as two, cluster(one.host, two.host) as (client, _):
        for at, status in zip((one, two), statuses, strict=True):
            after = {"Retry-After": "9"} if status >= 500 else {}
            at.reply = lambda _, s=status, h=after: Reply(s, {"error": "no"}, h)
        with pytest.raises(TriggerError) as caught:
            await client.send(Message(text="m"), "", "k")
    assert str(caught.value).count("posting an alert to") == 2
    assert (caught.value.permanent, caught.value.retry_after) == (permanent, retry_after)


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        ({"bearerToken": "t0ken"}, "Bearer t0ken"),
        (
            {"bearerToken": "t0ken", "basicAuth": {"username": "me", "password": "secret"}},
            f"Basic {base64.b64encode(b'me:secret').decode()}",
        ),
        ({}, None),
    ],
)
async def test_what_it_proves_itself_with(config: dict[str, Any], sent: str | None) -> None:
    async with receiver() as at, cluster(at.host, **config) as (client, _):
        await client.send(Message(text="m"), "", "k")
    assert at.last.headers.get("authorization") == sent


def test_defaults() -> None:
    service = load(Alertmanager, {})
    assert (service.targets, service.scheme) == (["127.0.0.1:9093"], "http")
    assert (service.api_path, service.timeout) == ("/api/v2/alerts", 3)
    with pytest.raises(ConfigError, match="targets"):
        load(Alertmanager, {"targets": []})
    with pytest.raises(ConfigError, match="lasts: reading duration '1 day'"):
        load(Alertmanager, {"lasts": "1 day"})


@pytest.mark.parametrize(
    ("app", "url"),
    [
        ({"spec": {"source": {"repoURL": "https://g.test/o/r"}}}, "https://g.test/o/r"),
        ({"spec": {"sources": [{}]}}, "<no value>"),
    ],
    ids=["one source", "several"],
)
def test_the_repository_of_an_application(app: dict[str, Any], url: str) -> None:
    text = AlertmanagerBlock.defaults["generatorURL"]
    assert gotemplate.compile(text).render({"app": app}) == url
