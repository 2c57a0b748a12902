"""Telegram: chats, threads, and messages that it cannot parse."""

from dataclasses import dataclass
from typing import Any

import pytest
from services_kit import Got, Reply, talk

from services.service import Message
from services.telegram import Telegram
from spine.errors import TriggerError
from spine.model import load

TOKEN = {"token": "123:hush-hush"}
OK = {"ok": True, "result": {"message_id": 7}}


@dataclass(frozen=True)
class Case:
    recipient: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return self.recipient


CASES = [
    Case("-1001234567890", {"chat_id": -1001234567890}),
    Case("123456", {"chat_id": 123456}),
    Case("-100123|5", {"chat_id": -100123, "message_thread_id": 5}),
    Case(" 123 | 5 ", {"chat_id": 123, "message_thread_id": 5}),
    Case("deploys", {"chat_id": "@deploys"}),
    Case("@deploys", {"chat_id": "@deploys"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_recipient(case: Case) -> None:
    async with talk(Telegram, TOKEN) as (client, at):
        at.answers["sendMessage"] = OK
        receipt = await client.send(Message(text="*done*"), case.recipient, "k")
    (got,) = at.got
    assert (got.method, got.path) == ("POST", "/bot123:hush-hush/sendMessage")
    assert got.json == {**case.body, "text": "*done*", "parse_mode": "Markdown"}
    assert receipt.detail == {"message_id": 7}


@pytest.mark.parametrize(
    ("block", "more"),
    [
        ({"parseMode": ""}, {}),
        ({"parseMode": "HTML"}, {"parse_mode": "HTML"}),
        (
            {"extra": {"disable_notification": True}},
            {"parse_mode": "Markdown", "disable_notification": True},
        ),
    ],
)
async def test_block(block: dict[str, Any], more: dict[str, Any]) -> None:
    async with talk(Telegram, TOKEN) as (client, at):
        at.answers["sendMessage"] = OK
        await client.send(Message(text="a", block=block), "1", "k")
    assert at.last.json == {"chat_id": 1, "text": "a", **more}


def refused(status: int, why: str, **parameters: Any) -> Reply:
    body = {"ok": False, "error_code": status, "description": why, "parameters": parameters}
    return Reply(status, body)


async def test_text_that_cannot_be_parsed_goes_out_plain() -> None:
    why = "Bad Request: can't parse entities: Can't find end of the entity at byte offset 4"

    def reply(got: Got) -> Reply:
        return refused(400, why) if "parse_mode" in got.json else Reply(200, OK)

    async with talk(Telegram, TOKEN) as (client, at):
        at.reply = reply
        receipt = await client.send(Message(text="a_b"), "1", "k")
    assert [got.json.get("parse_mode") for got in at.got] == ["Markdown", None]
    assert at.last.json["text"] == "a_b"
    assert receipt.problems == (f"sent as plain text: {why}",)


async def test_group_that_has_a_new_id() -> None:
    def reply(got: Got) -> Reply:
        if got.json["chat_id"] == -5:
            return refused(400, "group chat was upgraded", migrate_to_chat_id=-1005)
        return Reply(200, OK)

    async with talk(Telegram, TOKEN) as (client, at):
        at.reply = reply
        receipt = await client.send(Message(text="a"), "-5", "k")
    assert at.last.json["chat_id"] == -1005
    assert receipt.problems == ("chat -5 is now -1005: change the recipient",)


async def test_wait_stands_in_the_body() -> None:
    async with talk(Telegram, TOKEN) as (client, at):
        at.reply = lambda _: refused(429, "Too Many Requests: retry after 9", retry_after=9)
        with pytest.raises(TriggerError, match="Too Many Requests") as caught:
            await client.send(Message(text="a"), "1", "k")
    assert (caught.value.retry_after, caught.value.permanent) == (9, False)


@pytest.mark.parametrize(
    ("status", "why", "permanent"),
    [
        (400, "Bad Request: chat not found", True),
        (401, "Unauthorized", True),
        (403, "Forbidden: bot was blocked by the user", True),
        (502, "Bad Gateway", False),
    ],
)
async def test_refusal(status: int, why: str, permanent: bool) -> None:
    async with talk(Telegram, TOKEN) as (client, at):
        at.reply = lambda _: refused(status, why)
        with pytest.raises(TriggerError, match=why) as caught:
            await client.send(Message(text="a"), "1", "k")
    assert caught.value.permanent == permanent
    assert "hush" not in str(caught.value)
    assert len(at.got) == 1


async def test_thread_that_is_no_number() -> None:
    service = load(Telegram, TOKEN)
    assert service.problem("-100|x") == "thread 'x' is no number"
    assert service.problem("") == "it is empty"
    async with talk(Telegram, TOKEN) as (client, at):
        with pytest.raises(TriggerError, match="thread 'x' is no number"):
            await client.send(Message(text="a"), "-100|x", "k")
        assert at.got == []


async def test_long_text_is_cut() -> None:
    async with talk(Telegram, TOKEN) as (client, at):
        receipt = await client.send(Message(text="\U0001f600" * 2049), "1", "k")
        told = at.last.json["text"]
        fits = await client.send(Message(text=told), "1", "k")
    assert len(told.encode("utf-16-le")) // 2 <= 4096
    assert told.endswith("...")
    assert receipt.problems == ("the text was cut to 4096 letters",)
    assert fits.problems == ()
