"""Google Chat: texts, cards, threads, and errors that come with 200."""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from services_kit import Reply, talk

from services.googlechat import GoogleChat
from services.service import Message
from spine.errors import TriggerError
from spine.model import load

ROOMS = {"webhooks": {"room": "{url}/v1/spaces/A/messages?key=hush-key-hush&token=hush-token-1"}}
CARD = {"header": {"title": "T"}, "sections": [{"widgets": [{"textParagraph": {"text": "a"}}]}]}
AS_YAML = """
- header: {title: T}
  sections:
    - widgets:
        - textParagraph: {text: a}
"""


async def sent(block: dict[str, Any]) -> Any:
    async with talk(GoogleChat, ROOMS, url="") as (client, at):
        at.answers["messages"] = {"name": "spaces/A/messages/B"}
        receipt = await client.send(Message(text="it is done", block=block), "room", "k1")
    assert at.last.method == "POST"
    assert receipt.detail == {"name": "spaces/A/messages/B"}
    return at.last, receipt


async def test_text() -> None:
    got, receipt = await sent({})
    assert got.json == {"text": "it is done"}
    assert got.query == {"key": "hush-key-hush", "token": "hush-token-1", "requestId": "k1"}
    assert receipt.problems == ()


async def test_thread() -> None:
    got, _ = await sent({"threadKey": "a b"})
    assert got.query["threadKey"] == "a b"
    assert got.query["messageReplyOption"] == "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"


@pytest.mark.parametrize("cards", [AS_YAML, '[{"header": {"title": "T"}}]', [CARD]], ids=type)
async def test_cards(cards: Any) -> None:
    got, _ = await sent({"cardsV2": cards})
    body = got.json
    assert body["text"] == ""
    (card,) = body["cardsV2"]
    assert card["card"]["header"] == {"title": "T"}
    assert uuid.UUID(card["cardId"])
    again, _ = await sent({"cardsV2": cards})
    assert again.json == body, "a message that is sent again is the same"


async def test_card_with_an_id_keeps_it() -> None:
    got, _ = await sent({"cardsV2": [{"cardId": "mine", "card": CARD}]})
    assert got.json == {"text": "", "cardsV2": [{"cardId": "mine", "card": CARD}]}


async def test_cards_of_version_1() -> None:
    got, _ = await sent({"cards": AS_YAML})
    assert got.json == {"text": "", "cards": [CARD]}


async def test_cards_that_cannot_be_read_leave_the_text() -> None:
    got, receipt = await sent({"cardsV2": "- a: [\n"})
    assert got.json == {"text": "it is done"}
    (problem,) = receipt.problems
    assert problem.startswith("cardsV2 was left out: no YAML at line 2 column 1")


async def test_extra() -> None:
    got, _ = await sent({"extra": {"accessoryWidgets": [1]}})
    assert got.json == {"text": "it is done", "accessoryWidgets": [1]}


@dataclass(frozen=True)
class Error:
    name: str
    body: Any
    permanent: bool
    told: str

    def __str__(self) -> str:
        return self.name


ERRORS = [
    Error(
        "refused",
        {"error": {"code": 404, "message": "Space not found.", "status": "NOT_FOUND"}},
        True,
        "refused: 404 NOT_FOUND Space not found",
    ),
    Error("too many", {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, False, "429"),
    Error("a text", {"error": "nonsense"}, False, "nonsense"),
    Error("no object", "[]", False, "no JSON object"),
    Error("no JSON", "<html>", False, "no JSON object"),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
async def test_error_that_comes_with_200(error: Error) -> None:
    async with talk(GoogleChat, ROOMS, url="") as (client, at):
        at.reply = lambda _: Reply(200, error.body)
        with pytest.raises(TriggerError, match=error.told) as caught:
            await client.send(Message(text="a"), "room", "k")
    assert caught.value.permanent == error.permanent


def test_recipient_that_is_no_key() -> None:
    assert "webhooks has no 'rom' (did you mean 'room')" in load(GoogleChat, ROOMS).problem("rom")


def test_preview() -> None:
    assert GoogleChat.preview(Message(text="a")) == "a"
    shown = GoogleChat.preview(Message(text="a", block={"cardsV2": AS_YAML}))
    assert "title: T" in shown
    assert "was left out" in GoogleChat.preview(Message(text="a", block={"cards": "{"}))
