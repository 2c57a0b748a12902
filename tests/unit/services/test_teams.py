"""Teams: the message card, and the answer that alone is a success."""

from dataclasses import dataclass
from typing import Any

import pytest
from services_kit import Reply, talk

from services.service import Message
from services.teams import Teams
from spine.errors import TriggerError
from spine.model import load

URLS = {"recipientUrls": {"platform": "{url}/hush-hush-1", "payments": "{url}/hush-hush-2"}}
BARE = {
    "@type": "MessageCard",
    "context": "https://schema.org/extensions",
    "title": "",
    "summary": "",
    "text": "it is done",
}


@dataclass(frozen=True)
class Case:
    name: str
    block: dict[str, Any]
    body: dict[str, Any]

    def __str__(self) -> str:
        return self.name


FACTS = [{"name": "Rev", "value": "abc"}]
CASES = [
    Case("the message", {}, BARE),
    Case(
        "texts",
        {"title": "T", "summary": "S", "text": "other", "themeColor": "#f00"},
        BARE | {"title": "T", "summary": "S", "text": "other", "themeColor": "#f00"},
    ),
    Case(
        "facts are one more section",
        {"facts": '[{"name": "Rev", "value": "abc"}]', "sections": [{"text": "s"}]},
        BARE | {"sections": [{"text": "s"}, {"facts": FACTS}]},
    ),
    Case(
        "actions",
        {"potentialAction": '[{"@type": "OpenUri", "name": "Open"}]'},
        BARE | {"potentialAction": [{"@type": "OpenUri", "name": "Open"}]},
    ),
    Case("a whole card as text", {"template": '{"a": 1}', "title": "T"}, {"a": 1}),
    Case("a whole card as YAML", {"template": {"a": {"b": "c"}}}, {"a": {"b": "c"}}),
    Case("extra", {"extra": {"correlationId": "7"}}, BARE | {"correlationId": "7"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_card(case: Case) -> None:
    async with talk(Teams, URLS, url="") as (client, at):
        at.answers["hush-hush-1"] = "1"
        receipt = await client.send(Message(text="it is done", block=case.block), "platform", "k")
    assert (at.last.method, at.last.path) == ("POST", "/hush-hush-1")
    assert at.last.headers["content-type"] == "application/json"
    assert at.last.json == case.body
    assert receipt.problems == ()


@dataclass(frozen=True)
class Answer:
    body: str
    permanent: bool

    def __str__(self) -> str:
        return self.body


ANSWERS = [
    Answer("", False),
    Answer("Webhook message delivery failed with error: endpoint returned HTTP error 429", False),
    Answer("Webhook message delivery failed with error: endpoint returned HTTP error 413", True),
    Answer("Webhook message delivery failed with error: endpoint returned HTTP error 500", False),
    Answer("11", False),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
async def test_200_with_another_body_than_1_is_no_success(answer: Answer) -> None:
    async with talk(Teams, URLS, url="") as (client, at):
        at.reply = lambda _: Reply(200, answer.body)
        with pytest.raises(TriggerError, match="200, but not taken") as caught:
            await client.send(Message(text="a"), "platform", "k")
    assert caught.value.permanent == answer.permanent


async def test_recipient_that_is_no_key() -> None:
    service = load(Teams, URLS)
    assert service.problem("platform") == ""
    told = "recipientUrls has no 'platfrom' (did you mean 'platform')"
    assert service.problem("platfrom") == told
    assert "its keys are: payments, platform" in service.problem("x")
    async with talk(Teams, URLS, url="") as (client, at):
        with pytest.raises(TriggerError, match="did you mean 'platform'") as caught:
            await client.send(Message(text="a"), "platfrom", "k")
        assert at.got == []
    assert caught.value.permanent


async def test_facts_that_are_no_json_are_left_out() -> None:
    async with talk(Teams, URLS, url="") as (client, at):
        at.answers["hush-hush-1"] = "1"
        message = Message(text="it is done", block={"facts": "[{", "sections": '{"a": 1}'})
        receipt = await client.send(message, "platform", "k")
        assert at.last.json == BARE
    sections, facts = receipt.problems
    assert sections == "sections was left out: it is not a list"
    assert facts.startswith("facts was left out: no JSON at line 1 column 3")


def test_preview() -> None:
    block = {
        "title": "T",
        "facts": FACTS,
        "potentialAction": [{"name": "Open", "targets": [{"uri": "https://h"}]}],
        "sections": [{"text": "s", "facts": FACTS}],
    }
    shown = Teams.preview(Message(text="it is done", block=block))
    assert shown.split("\n") == [
        "# T",
        "it is done",
        "Rev: abc",
        "s",
        "Rev: abc",
        "[Open](https://h)",
    ]
    assert Teams.preview(Message(block={"template": '{"a": 1}'})) == "a: 1"
