"""What PagerDuty's REST API is sent."""

from typing import Any

import pytest
from services_kit import Got, Reply, talk

from services.pagerduty import Pagerduty
from services.service import Message
from spine.errors import TriggerError
from spine.model import load

CONFIG = {"token": "t0ken", "from": "robot@example.test", "serviceId": "UNUSED"}
OPEN = {
    "error": {
        "message": "Arguments Caused Error",
        "code": 2002,
        "errors": ["Open incident with matching dedup key already exists on this service"],
    }
}


def pagerduty() -> Any:
    return talk(Pagerduty, CONFIG)


async def test_an_incident_without_a_block() -> None:
    async with pagerduty() as (client, at):
        at.answers["/incidents"] = Reply(201, {"incident": {"id": "Q1"}})
        receipt = await client.send(Message(text="\nit broke\nat once"), "PSVC", "key-1")

    assert (at.last.method, at.last.path) == ("POST", "/incidents")
    assert at.last.headers["authorization"] == "Token token=t0ken"
    assert at.last.headers["from"] == "robot@example.test"
    assert at.last.headers["accept"] == "application/vnd.pagerduty+json;version=2"
    assert at.last.json == {
        "incident": {
            "type": "incident",
            "title": "it broke",
            "service": {"id": "PSVC", "type": "service_reference"},
            "body": {"type": "incident_body", "details": "\nit broke\nat once"},
            "incident_key": "key-1",
        }
    }
    assert receipt.detail == {"incident_key": "key-1"}


async def test_all_of_a_block() -> None:
    block = {"title": "T", "body": "B", "urgency": "high", "priorityId": "P1"}
    block |= {"extra": {"escalation_policy": {"id": "E1"}, "service": {"summary": "s"}}}
    async with pagerduty() as (client, at):
        await client.send(Message(text="m", block=block, incident="i-1"), "PSVC", "key-1")

    assert at.last.json["incident"] == {
        "type": "incident",
        "title": "T",
        "service": {"id": "PSVC", "type": "service_reference", "summary": "s"},
        "urgency": "high",
        "body": {"type": "incident_body", "details": "B"},
        "priority": {"id": "P1", "type": "priority_reference"},
        "incident_key": "i-1",
        "escalation_policy": {"id": "E1"},
    }


async def test_one_that_is_open_already_is_no_failure_and_other_refusals_are() -> None:
    async with pagerduty() as (client, at):
        at.reply = lambda _: Reply(400, OPEN)
        receipt = await client.send(Message(text="a"), "PSVC", "k")
        assert receipt.summary == "the incident is open already"

        at.reply = lambda _: Reply(400, {"error": {"errors": ["Requester User Not Found"]}})
        with pytest.raises(TriggerError, match="Requester User Not Found") as caught:
            await client.send(Message(text="a"), "PSVC", "k")
    assert caught.value.permanent


async def test_nothing_to_say() -> None:
    async with pagerduty() as (client, at):
        await client.send(Message(template="down"), "PSVC", "k")
        assert at.last.json["incident"]["title"] == "down"
        with pytest.raises(TriggerError, match="no title") as caught:
            await client.send(Message(), "PSVC", "k")
    assert caught.value.permanent


async def test_the_end_resolves_what_is_open() -> None:
    def reply(got: Got) -> Reply:
        return Reply(
            200, {"incidents": [{"id": "Q1"}, {"id": "Q2"}]} if got.method == "GET" else {}
        )

    async with pagerduty() as (client, at):
        at.reply = reply
        receipt = await client.send(
            Message(text="well", incident="i 1", resolved=True), "PSVC", "k"
        )

    looked, *changed = at.got
    assert looked.place == "/incidents"
    assert looked.query["incident_key"] == "i 1"
    assert looked.query["service_ids[]"] == "PSVC"
    assert "statuses%5B%5D=triggered&statuses%5B%5D=acknowledged" in looked.path
    assert [(got.method, got.path) for got in changed] == [
        ("PUT", "/incidents/Q1"),
        ("PUT", "/incidents/Q2"),
    ]
    assert changed[0].json == {"incident": {"type": "incident_reference", "status": "resolved"}}
    assert changed[0].headers["from"] == "robot@example.test"
    assert receipt.summary == "resolved"


async def test_the_end_of_what_is_not_open() -> None:
    async with pagerduty() as (client, at):
        at.answers["/incidents"] = {"incidents": []}
        receipt = await client.send(Message(resolved=True), "PSVC", "k")
        assert receipt.summary == "no such incident is open"

        at.answers["/incidents"] = ["what"]
        with pytest.raises(TriggerError, match="lists no incidents"):
            await client.send(Message(resolved=True), "PSVC", "k")


def test_defaults() -> None:
    service = load(Pagerduty, {"token": "t"})
    assert service.api_url == "https://api.pagerduty.com"
    assert service.problem("") == "it names no PagerDuty service"
