"""Teams workflows: the adaptive card, and addresses that are doubtful."""

from dataclasses import dataclass
from typing import Any

import pytest
from services_kit import talk

from services.service import Message
from services.teams_workflows import TeamsWorkflows
from spine.model import load

URLS = {"recipientUrls": {"platform": "{url}/workflows/1"}}
TEXT = {"type": "TextBlock", "text": "it is done", "wrap": True}


def card(*body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "AdaptiveCard", "version": "1.4", "body": list(body), **more}


@dataclass(frozen=True)
class Case:
    name: str
    block: dict[str, Any]
    card: dict[str, Any]

    def __str__(self) -> str:
        return self.name


FACTS = '[{"name": "Rev", "value": "abc"}]'
FACT_SET = {"type": "FactSet", "facts": [{"title": "Rev", "value": "abc"}]}
TITLE = {"type": "TextBlock", "text": "T", "size": "Large", "weight": "Bolder", "wrap": True}
CASES = [
    Case("the message", {}, card(TEXT)),
    Case("title", {"title": "T"}, card(TITLE, TEXT)),
    Case(
        "title with a colour",
        {"title": "T", "themeColor": "Attention", "summary": "S", "template": "{}"},
        card(TITLE | {"color": "Attention"}, TEXT),
    ),
    Case("text", {"text": "other"}, card(TEXT | {"text": "other"})),
    Case("facts", {"facts": FACTS}, card(TEXT, FACT_SET)),
    Case(
        "facts of sections",
        {"sections": [{"facts": [{"name": "Rev", "value": "abc"}]}, {"text": "no facts"}]},
        card(TEXT, FACT_SET),
    ),
    Case(
        "actions that open a page",
        {
            "potentialAction": [
                {"@type": "OpenUri", "name": "Open", "targets": [{"uri": "https://h"}]},
                {"@type": "HttpPOST", "name": "Not here"},
                {"@type": "OpenUri", "name": "No target"},
            ]
        },
        card(TEXT, actions=[{"type": "Action.OpenUrl", "title": "Open", "url": "https://h"}]),
    ),
    Case("a whole card", {"adaptiveCard": '{"type": "AdaptiveCard"}'}, {"type": "AdaptiveCard"}),
    Case("a whole card as YAML", {"adaptiveCard": {"body": [1]}, "title": "T"}, {"body": [1]}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_card(case: Case) -> None:
    async with talk(TeamsWorkflows, URLS, url="") as (client, at):
        receipt = await client.send(Message(text="it is done", block=case.block), "platform", "k")
    assert (at.last.method, at.last.path) == ("POST", "/workflows/1")
    assert at.last.json == {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "content": case.card}
        ],
    }
    assert receipt.problems == ()


@dataclass(frozen=True)
class Address:
    url: str
    doubt: str = ""

    def __str__(self) -> str:
        return self.url


ADDRESSES = [
    Address("https://x.api.powerautomate.com/a"),
    Address("https://default1.2.environment.api.powerplatform.com:443/powerautomate/a"),
    Address("https://x.flow.microsoft.com/a"),
    Address("https://prod-1.westus.logic.azure.com:443/workflows/1"),
    Address("https://acme.webhook.office.com/workflows/1"),
    Address("https://proxy.example.com/powerautomate/1"),
    Address("http://localhost:8080/a"),
    Address("http://127.0.0.1/a"),
    Address("https://acme.webhook.office.com/webhookb2/1", "host acme.webhook.office.com is none"),
    Address("https://evil.example.com/a", "host evil.example.com is none"),
    Address("https://mylogic.azure.com/a", "host mylogic.azure.com is none"),
    Address("https://notlogic.azure.com.example.com/a", "is none that hands out workflows"),
    Address("http://x.flow.microsoft.com/a", "workflows are reached by https"),
]


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_doubtful_address_is_a_warning_and_no_more(address: Address) -> None:
    warnings: list[str] = []
    load(TeamsWorkflows, {"recipientUrls": {"a": address.url}}, on_warning=warnings.append)
    if not address.doubt:
        assert warnings == []
        return
    (warning,) = warnings
    assert warning.startswith("recipientUrls.a: ")
    assert address.doubt in warning


def test_preview() -> None:
    message = Message(text="it is done", block={"title": "T", "facts": FACTS})
    assert TeamsWorkflows.preview(message) == "# T\nit is done\nRev: abc"


def test_recipient_that_is_no_key() -> None:
    assert "did you mean 'platform'" in load(TeamsWorkflows, URLS).problem("platfrom")
