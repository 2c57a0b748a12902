"""Teams workflows: adaptive cards to the webhooks of Power Automate, which post them in Teams.

Its addresses are long and their host has changed more than once, so one that is none of those known
is worth a warning and no more.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from typing_extensions import override

from services.hiding import HIDDEN
from services.service import Block, Client, Message, Receipt, Service, merged, missing_key
from services.structures import Structures
from services.teams_block import TeamsBlock, readable
from services.web import Transport, Web, json_content, over_http
from spine.errors import TriggerError
from spine.model import warn
from spine.runtime import Env

_HOSTS = (
    "api.powerautomate.com",
    "api.powerplatform.com",
    "flow.microsoft.com",
    "logic.azure.com",
    "logic.azure.us",
)
"""Domains that hand out such addresses."""


class TeamsWorkflowsBlock(TeamsBlock):
    """What a card for Teams is made of. `summary` and `template` are of no effect."""

    adaptive_card: str | dict[str, Any] = ""
    """The whole adaptive card, as JSON or YAML; nothing else counts then."""


class TeamsWorkflows(Transport, Service):
    """Posts adaptive cards to Microsoft Teams by workflows."""

    kind: ClassVar[str] = "teams-workflows"
    block: ClassVar[type[Block] | None] = TeamsWorkflowsBlock
    recipients: ClassVar[str] = "a key of `recipientUrls`"
    example: ClassVar[str] = """
service.teams-workflows: |
  recipientUrls:
    platform: $workflow-platform-url
template.app-degraded: |
  message: "{{ .app.metadata.name }} is degraded"
  teams-workflows:
    title: "{{ .app.metadata.name }} is degraded"
    themeColor: Attention
    facts:
      - name: Revision
        value: "{{ .app.status.sync.revision }}"
    potentialAction:
      - "@type": OpenUri
        name: Open
        targets:
          - os: default
            uri: "{{ .context.argocdUrl }}/applications/{{ .app.metadata.name }}"
"""

    recipient_urls: Annotated[dict[str, str], Field(min_length=1), HIDDEN]
    """URLs of workflows, by names that recipients use."""

    @field_validator("recipient_urls")
    @classmethod
    def _known(cls, urls: dict[str, str]) -> dict[str, str]:
        for name, url in urls.items():
            doubt = _doubt(url.strip())
            if doubt:
                warn(f"recipientUrls.{name}: {doubt}")
        return urls

    @override
    def problem(self, recipient: str) -> str:
        return missing_key("recipientUrls", self.recipient_urls, recipient)

    @classmethod
    @override
    def preview(cls, message: Message) -> str:
        return readable(message, "adaptiveCard")

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, env.name, web))


def _doubt(url: str) -> str:
    """Return why a URL is probably none of a workflow, empty where it may well be."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return "it is no URL"
    if not host or host == "localhost" or host.startswith("127."):
        return ""  # a server of a test; what is no URL is told when it is used
    if parts.scheme != "https":
        return "workflows are reached by https"
    known = any(host == one or host.endswith(f".{one}") for one in _HOSTS)
    connector = host.endswith("webhook.office.com") and "/workflows" in parts.path
    if known or connector or "/powerautomate/" in parts.path:
        return ""
    return f"host {host} is none that hands out workflows"


class _Client(Client):
    def __init__(self, service: TeamsWorkflows, name: str, web: Web) -> None:
        self._service, self._what, self._web = service, f"telling Teams by {name!r}", web

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        problem = self._service.problem(recipient)
        if problem:
            raise TriggerError(f"{self._what}: {problem}", permanent=True)
        structures = Structures(message.block)
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": card(message, structures),
        }
        body = merged({"type": "message", "attachments": [attachment]}, message.block.get("extra"))
        answer = await self._web.call(
            self._what,
            "POST",
            self._service.recipient_urls[recipient].strip(),
            content=json_content(body),
        )
        return Receipt(answer.summary, problems=tuple(structures.problems))


def card(message: Message, structures: Structures) -> dict[str, Any]:
    """Return the adaptive card of a message."""
    whole: dict[str, Any] | None = structures.get("adaptiveCard", dict)
    if whole is not None:
        return whole
    block, body = message.block, []
    if block.get("title"):
        title = {"type": "TextBlock", "text": block["title"], "size": "Large", "weight": "Bolder"}
        if block.get("themeColor"):
            title["color"] = block["themeColor"]
        body.append({**title, "wrap": True})
    text = block.get("text") or message.text
    if text:
        body.append({"type": "TextBlock", "text": text, "wrap": True})
    body += _fact_sets([{"facts": structures.get("facts")}])
    body += _fact_sets(structures.get("sections") or [])
    out: dict[str, Any] = {"type": "AdaptiveCard", "version": "1.4", "body": body}
    actions = [a for one in structures.get("potentialAction") or [] if (a := _action(one))]
    if actions:
        out["actions"] = actions
    return out


def _fact_sets(sections: list[Any]) -> list[dict[str, Any]]:
    """Return a set of facts for each section that has some."""
    out = []
    for section in sections:
        facts = section.get("facts") if isinstance(section, Mapping) else None
        pairs = [
            {"title": str(one.get("name", "")), "value": str(one.get("value", ""))}
            for one in (facts if isinstance(facts, list) else [])
            if isinstance(one, Mapping)
        ]
        if pairs:
            out.append({"type": "FactSet", "facts": pairs})
    return out


def _action(action: Any) -> dict[str, Any] | None:
    """Return an action that opens a page; there is no other in a workflow's card."""
    if not isinstance(action, Mapping) or action.get("@type") != "OpenUri":
        return None
    targets = action.get("targets")
    first = targets[0] if isinstance(targets, list) and targets else None
    if not isinstance(first, Mapping) or not first.get("uri"):
        return None
    return {"type": "Action.OpenUrl", "title": str(action.get("name", "")), "url": first["uri"]}
