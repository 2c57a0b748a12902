"""Webex: people and rooms."""

import pytest
from services_kit import talk

from services.service import Message
from services.webex import API, Webex
from spine.model import load


@pytest.mark.parametrize(
    ("recipient", "place"),
    [("jane@example.com", "toPersonEmail"), ("Y2lz", "roomId"), ("a b@c.d e", "roomId")],
)
async def test_recipient(recipient: str, place: str) -> None:
    async with talk(Webex, {"token": "hush-hush"}) as (client, at):
        at.answers["messages"] = {"id": "m1"}
        block = {"extra": {"parentId": "p"}}
        receipt = await client.send(Message(text="**done**", block=block), recipient, "k")
    assert (at.last.method, at.last.path) == ("POST", "/v1/messages")
    assert at.last.headers["authorization"] == "Bearer hush-hush"
    assert at.last.json == {place: recipient, "markdown": "**done**", "parentId": "p"}
    assert receipt.detail == {"id": "m1"}


def test_address_of_the_api() -> None:
    assert load(Webex, {"token": "t"}).api_url == API == "https://webexapis.com"


async def test_long_text_is_cut() -> None:
    async with talk(Webex, {"token": "t"}) as (client, at):
        receipt = await client.send(Message(text="ü" * 3720), "1", "k")
        told = at.last.json["markdown"]
        fits = await client.send(Message(text=told), "1", "k")
    assert len(told.encode()) <= 7439
    assert told.endswith("...")
    assert receipt.problems == ("the text was cut to 7439 bytes",)
    assert fits.problems == ()
