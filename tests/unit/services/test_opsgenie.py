"""What Opsgenie is sent."""

from typing import Any

import pytest
from services_kit import Reply, talk

from services.opsgenie import Opsgenie
from services.service import Message
from spine.errors import TriggerError


def opsgenie(**config: Any) -> Any:
    return talk(Opsgenie, {"apiKeys": {"platform": "k3y"}, **config}, url="apiUrl")


async def test_an_alert_without_a_block() -> None:
    async with opsgenie() as (client, at):
        at.answers["/alerts"] = Reply(202, {"result": "Request will be processed"})
        receipt = await client.send(Message(text="it broke"), "platform", "key-1")

    assert (at.last.method, at.last.path) == ("POST", "/v2/alerts")
    assert at.last.headers["authorization"] == "GenieKey k3y"
    assert at.last.json == {
        "message": "it broke",
        "alias": "key-1",
        "responders": [{"type": "team", "id": "platform"}],
        "source": "Argo CD",
    }
    assert receipt.detail == {"alias": "key-1"}


async def test_all_of_a_block() -> None:
    block = {
        "description": "at length",
        "priority": "P1",
        "alias": "uid-1",
        "note": "look here",
        "actions": ["restart", ""],
        "tags": ["prod"],
        "details": {"phase": "Failed"},
        "entity": "pod",
        "visibleTo": [{"type": "team", "name": "ops", "id": ""}],
        "user": "robot",
        "extra": {"details": {"more": "1"}, "source": "ours"},
    }
    async with opsgenie() as (client, at):
        message = Message(text="it broke", block=block, incident="i-1")
        await client.send(message, "platform", "key-1")

    assert at.last.json == {
        "message": "it broke",
        "description": "at length",
        "priority": "P1",
        "alias": "uid-1",
        "note": "look here",
        "actions": ["restart"],
        "tags": ["prod"],
        "details": {"phase": "Failed", "more": "1"},
        "entity": "pod",
        "visibleTo": [{"type": "team", "name": "ops"}],
        "user": "robot",
        "responders": [{"type": "team", "id": "platform"}],
        "source": "ours",
    }


async def test_a_long_message_goes_on_in_the_description() -> None:
    text = "first line\n" + "x" * 200
    async with opsgenie() as (client, at):
        await client.send(Message(text=text), "platform", "k")
        assert at.last.json["message"] == "first line"
        assert at.last.json["description"] == text

        assert "note" not in at.last.json

        await client.send(Message(text="y" * 131), "platform", "k")
        assert at.last.json["message"] == "y" * 127 + "..."

        await client.send(Message(text=text, block={"description": "d"}), "platform", "k")
        assert at.last.json["description"] == "d"
        assert at.last.json["note"] == text


@pytest.mark.parametrize(
    ("block", "incident", "alias"),
    [
        ({}, "", "key-2"),
        ({}, "i-1", "i-1"),
        ({"alias": "team/a b"}, "i-1", "team%2Fa%20b"),
    ],
)
async def test_the_end_closes_the_alert(block: Any, incident: str, alias: str) -> None:
    async with opsgenie() as (client, at):
        message = Message(text="it is well", block=block, incident=incident, resolved=True)
        receipt = await client.send(message, "platform", "key-2")

    assert at.last.path == f"/v2/alerts/{alias}/close?identifierType=alias"
    assert at.last.json == {"source": "Argo CD", "note": "it is well"}
    assert receipt.summary.startswith("closed")


async def test_nothing_to_close_is_well() -> None:
    async with opsgenie() as (client, at):
        at.reply = lambda _: Reply(404, {"message": "Alert with id [x] does not exist"})
        receipt = await client.send(Message(resolved=True), "platform", "k")
        assert receipt.summary == "no such alert is open"

        at.reply = lambda _: Reply(403, {"message": "no"})
        with pytest.raises(TriggerError, match="403"):
            await client.send(Message(resolved=True), "platform", "k")


async def test_a_team_without_a_key() -> None:
    service = Opsgenie(api_keys={"platform": "k"})
    assert service.problem("platfrom") == "apiKeys has no 'platfrom' (did you mean 'platform')"
    async with opsgenie() as (client, at):
        with pytest.raises(TriggerError, match="did you mean 'platform'") as caught:
            await client.send(Message(text="a"), "platfrom", "k")
    assert caught.value.permanent
    assert at.got == []


async def test_an_empty_message_is_not_sent() -> None:
    async with opsgenie() as (client, at):
        with pytest.raises(TriggerError, match="the message is empty") as caught:
            await client.send(Message(block={"description": "d"}), "platform", "k")
    assert caught.value.permanent
    assert at.got == []


async def test_a_host_is_reached_by_https_whatever_it_is_called() -> None:
    async with (
        opsgenie() as (_, at),
        talk(
            Opsgenie,
            {"apiKeys": {"a": "k3y"}, "apiUrl": at.url.removeprefix("http://")},
            url="apiUrl",
        ) as (client, _),
    ):
        with pytest.raises(TriggerError):
            await client.send(Message(text="a"), "a", "k")
        assert at.got == [], "the key went out in the clear"
