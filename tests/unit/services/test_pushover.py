"""What Pushover is sent."""

from typing import Any

import pytest
from services_kit import Reply, talk

from services.pushover import Pushover
from services.service import Message
from spine.errors import TriggerError

CONFIG = {"token": "t0ken"}


def pushover() -> Any:
    return talk(Pushover, CONFIG)


async def test_a_message() -> None:
    async with pushover() as (client, at):
        at.answers["/messages.json"] = {"status": 1, "request": "r-1"}
        receipt = await client.send(Message(text="it is done & dusted"), "user-1", "k")

    assert (at.last.method, at.last.path) == ("POST", "/1/messages.json")
    assert at.last.headers["content-type"] == "application/x-www-form-urlencoded"
    assert at.last.form == {
        "token": "t0ken",
        "user": "user-1",
        "message": "it is done & dusted",
        "priority": "0",
    }
    assert receipt.detail == {"request": "r-1"}
    assert receipt.problems == ()


async def test_a_block_says_how_it_is_shown() -> None:
    block = {"title": "Done", "priority": "2", "urlTitle": "look", "url": "https://x.test"}
    block |= {"extra": {"retry": 60, "expire": 3600}}
    async with pushover() as (client, at):
        await client.send(Message(text="a", block=block), "u", "k")

    form = at.last.form
    assert (form["title"], form["priority"], form["url_title"]) == ("Done", "2", "look")
    assert (form["url"], form["retry"], form["expire"]) == ("https://x.test", "60", "3600")


async def test_a_long_message_is_cut_and_said_to_be() -> None:
    async with pushover() as (client, at):
        receipt = await client.send(Message(text="ü" * 1025), "u", "k")
        assert at.last.form["message"] == "ü" * 1021 + "..."
        assert receipt.problems == ("message cut to 1024 characters",)

        await client.send(Message(text="ü" * 1024), "u", "k")
        assert at.last.form["message"] == "ü" * 1024


async def test_an_empty_message_is_not_sent() -> None:
    async with pushover() as (client, at):
        with pytest.raises(TriggerError, match="the message is empty") as caught:
            await client.send(Message(text=" \n"), "u", "k")
    assert caught.value.permanent
    assert at.got == []


async def test_what_pushover_says_against_it_is_told() -> None:
    async with pushover() as (client, at):
        told = {"user": "invalid", "errors": ["user identifier is invalid"], "status": 0}
        at.reply = lambda _: Reply(400, told)
        with pytest.raises(TriggerError, match="user identifier is invalid") as caught:
            await client.send(Message(text="a"), "u", "k")
    assert caught.value.permanent


def test_a_recipient_is_needed() -> None:
    service = Pushover(token="t")
    assert service.problem("") == "it names no user or group"
    assert service.problem("u") == ""
    assert service.api_url == "https://api.pushover.net"
