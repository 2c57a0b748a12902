"""Rocket.Chat: a login that is kept, and what is posted."""

import asyncio
from typing import Any

import pytest
from services_kit import Got, Receiver, Reply, talk

from services.rocketchat import RocketChat
from services.service import Message
from spine.errors import TriggerError

USER = {"email": "bot@example.com", "password": "hush-hush"}
DONE = Message(text="it is done")


def server(at: Receiver, *, forgets_after: int = 1000) -> None:
    """Take posts with the token that was given last; forget it after so many of them."""
    given = 0
    posts = 0

    def reply(got: Got) -> Reply:
        nonlocal given, posts
        if got.place.endswith("login"):
            given, posts = given + 1, 0
            data = {"authToken": f"hush-token-{given}", "userId": "u1"}
            return Reply(200, {"status": "success", "data": data})
        posts += 1
        if got.headers["x-auth-token"] != f"hush-token-{given}" or posts > forgets_after:
            return Reply(401, {"status": "error", "message": "You must be logged in"})
        return Reply(200, {"success": True, "message": {"_id": "m1"}})

    at.reply = reply


def rocketchat(**config: Any) -> Any:
    return talk(RocketChat, USER | config, url="serverUrl")


async def test_login_is_kept() -> None:
    async with rocketchat() as (client, at):
        server(at)
        for _ in range(3):
            receipt = await client.send(DONE, "#general", "k")
    assert [got.path for got in at.got] == ["/api/v1/login", *["/api/v1/chat.postMessage"] * 3]
    assert at.got[0].form == {"user": "bot@example.com", "password": "hush-hush"}
    assert at.last.headers["x-auth-token"] == "hush-token-1"
    assert at.last.headers["x-user-id"] == "u1"
    assert at.last.json == {"channel": "#general", "text": "it is done"}
    assert receipt.detail == {"id": "m1"}


async def test_login_that_is_forgotten_is_made_anew() -> None:
    async with rocketchat() as (client, at):
        server(at, forgets_after=2)
        for _ in range(5):
            await client.send(DONE, "#general", "k")
    assert [got.path.rpartition("/")[2] for got in at.got].count("login") == 3


async def test_many_at_a_time_log_in_once() -> None:
    async with rocketchat() as (client, at):
        server(at)
        await asyncio.gather(*(client.send(DONE, "#general", f"k{n}") for n in range(10)))
    assert [got.path.rpartition("/")[2] for got in at.got].count("login") == 1


async def test_login_that_is_never_taken_is_an_error() -> None:
    async with rocketchat() as (client, at):
        server(at, forgets_after=0)
        with pytest.raises(TriggerError, match="401") as caught:
            await client.send(DONE, "#general", "k")
    assert caught.value.permanent
    assert len(at.got) == 4


async def test_login_that_is_refused() -> None:
    async with rocketchat() as (client, at):
        at.reply = lambda _: Reply(401, {"status": "error", "message": "Unauthorized"})
        with pytest.raises(TriggerError, match="logging in: 401") as caught:
            await client.send(DONE, "#general", "k")
    assert caught.value.permanent


async def test_login_without_a_token() -> None:
    async with rocketchat() as (client, at):
        at.answers["login"] = {"status": "success", "data": {"userId": "u"}}
        with pytest.raises(TriggerError, match="without a token"):
            await client.send(DONE, "#general", "k")


@pytest.mark.parametrize(
    ("recipient", "place"), [("#general", "channel"), ("@jane", "channel"), ("5xY", "roomId")]
)
async def test_recipient(recipient: str, place: str) -> None:
    async with rocketchat(alias="bot", icon=":x:", avatar="https://h/a.png") as (client, at):
        server(at)
        block = {"attachments": '[{"title": "T"}]', "extra": {"parseUrls": False}}
        await client.send(Message(text="it is done", block=block), recipient, "k")
    assert at.last.json == {
        place: recipient,
        "text": "it is done",
        "alias": "bot",
        "emoji": ":x:",
        "avatar": "https://h/a.png",
        "attachments": [{"title": "T"}],
        "parseUrls": False,
    }


@pytest.mark.parametrize(
    ("status", "error", "permanent"),
    [
        (200, "[invalid-channel]", True),
        (400, "[invalid-channel]", True),
        (400, "Please slow down [error-too-many-requests]", False),
        (500, "oops", False),
    ],
)
async def test_refusal(status: int, error: str, permanent: bool) -> None:
    async with rocketchat() as (client, at):
        server(at)
        await client.send(DONE, "#general", "k")
        at.reply = lambda _: Reply(status, {"success": False, "error": error})
        with pytest.raises(TriggerError) as caught:
            await client.send(DONE, "#general", "k")
    assert error in caught.value.message
    assert caught.value.permanent == permanent
