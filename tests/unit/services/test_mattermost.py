"""Mattermost: what is posted."""

from typing import Any

import pytest
from services_kit import Reply, talk

from services.mattermost import Mattermost
from services.service import Message
from spine.errors import TriggerError
from spine.model import load

TOKEN = {"token": "hush-hush\n"}


async def sent(block: dict[str, Any], url: str = "{url}") -> Any:
    async with talk(Mattermost, TOKEN | {"apiURL": url}) as (client, at):
        at.answers["posts"] = {"id": "p1"}
        receipt = await client.send(Message(text="it is done", block=block), "c1", "k1")
    return at.last, receipt


@pytest.mark.parametrize("url", ["{url}", "{url}/"])
async def test_post(url: str) -> None:
    got, receipt = await sent({}, url)
    assert (got.method, got.path) == ("POST", "/api/v4/posts")
    assert got.headers["authorization"] == "Bearer hush-hush"
    assert got.json == {"channel_id": "c1", "message": "it is done", "pending_post_id": "k1"}
    assert receipt.detail == {"id": "p1"}


@pytest.mark.parametrize("attachments", ['[{"title": "T", "new": 1}]', [{"title": "T", "new": 1}]])
async def test_attachments(attachments: Any) -> None:
    got, _ = await sent({"attachments": attachments})
    assert got.json["props"] == {"attachments": [{"title": "T", "new": 1}]}


async def test_extra_is_merged() -> None:
    got, _ = await sent({"attachments": [{}], "extra": {"props": {"card": "c"}, "root_id": "r"}})
    assert got.json["props"] == {"attachments": [{}], "card": "c"}
    assert got.json["root_id"] == "r"


async def test_attachments_that_are_no_json_are_left_out() -> None:
    got, receipt = await sent({"attachments": "[{]"})
    assert "props" not in got.json
    assert receipt.problems[0].startswith("attachments was left out")


async def test_refusal_says_why() -> None:
    async with talk(Mattermost, TOKEN) as (client, at):
        why = {"id": "api.context.permissions", "message": "You do not have permission"}
        at.reply = lambda _: Reply(403, why)
        with pytest.raises(TriggerError, match="You do not have permission") as caught:
            await client.send(Message(text="a"), "c1", "k")
    assert caught.value.permanent


def test_empty_recipient() -> None:
    assert load(Mattermost, TOKEN | {"apiURL": "https://h"}).problem(" ") == "it is empty"


async def test_long_text_is_cut() -> None:
    async with talk(Mattermost, TOKEN) as (client, at):
        receipt = await client.send(Message(text="x" * 16_384), "1", "k")
        told = at.last.json["message"]
        fits = await client.send(Message(text=told), "1", "k")
    assert len(told) <= 16383
    assert told.endswith("...")
    assert receipt.problems == ("the text was cut to 16383 letters",)
    assert fits.problems == ()
