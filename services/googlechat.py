"""Google Chat: texts and cards to the webhooks of spaces.

Chat may answer 200 with an error in its body. The key goes along as `requestId`, with which Chat
gives the message that is there already in place of a second one.
"""

import uuid
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field
from typing_extensions import override

from services.fitting import word
from services.hiding import HIDDEN
from services.service import (
    Block,
    Client,
    Message,
    OpenBlock,
    Receipt,
    Service,
    merged,
    missing_key,
    plain,
)
from services.structures import Structures
from services.web import BUSY, Transport, Web, joined, json_content, over_http
from spine.errors import TriggerError
from spine.runtime import Env

_OURS = uuid.UUID("5bd2d0ae-6f0f-4a35-93c4-4a0a6a8e7a0b")
"""Names of cards are made within this."""


class GoogleChatBlock(OpenBlock):
    """Cards and thread of a message in Google Chat."""

    together: ClassVar[bool] = False

    cards_v2: Annotated[str | list[Any], Field(alias="cardsV2")] = ""
    """List of cards of version 2, as YAML or JSON."""
    cards: str | list[Any] = ""
    """List of cards of version 1, as YAML or JSON."""
    thread_key: str = ""
    """Messages of one space with the same key form a thread."""


class GoogleChat(Transport, Service):
    """Posts to spaces of Google Chat."""

    kind: ClassVar[str] = "googlechat"
    block: ClassVar[type[Block] | None] = GoogleChatBlock
    recipients: ClassVar[str] = "a key of `webhooks`"
    idempotent: ClassVar[str] = "query parameter requestId"
    example: ClassVar[str] = """
service.googlechat: |
  webhooks:
    platform: $chat-platform-url
template.app-degraded: |
  message: "{{ .app.metadata.name }} is degraded"
  googlechat:
    threadKey: "{{ .app.metadata.uid }}"
    cardsV2:
      - header:
          title: "{{ .app.metadata.name }} is degraded"
        sections:
          - widgets:
              - decoratedText:
                  topLabel: Revision
                  text: "{{ .app.status.sync.revision }}"
"""

    webhooks: Annotated[dict[str, str], Field(min_length=1), HIDDEN]
    """URLs of webhooks, by names that recipients use."""

    @override
    def problem(self, recipient: str) -> str:
        return missing_key("webhooks", self.webhooks, recipient)

    @classmethod
    @override
    def preview(cls, message: Message) -> str:
        cards, problems = _cards(message, "")
        told = Message(text="" if cards else message.text, block=cards)
        return "\n".join([plain(told), *(f"({problem})" for problem in problems)])

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, env.name, web))


class _Client(Client):
    def __init__(self, service: GoogleChat, name: str, web: Web) -> None:
        self._service, self._what, self._web = service, f"telling Google Chat by {name!r}", web

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        problem = self._service.problem(recipient)
        if problem:
            raise TriggerError(f"{self._what}: {problem}", permanent=True)
        cards, problems = _cards(message, key)
        body: dict[str, Any] = {"text": "" if cards else message.text, **cards}
        query = {"requestId": key}
        thread = word(message.block, "threadKey")
        if thread:
            query |= {
                "threadKey": thread,
                "messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
            }
        answer = await self._web.call(
            self._what,
            "POST",
            joined(self._service.webhooks[recipient].strip(), f"?{urlencode(query)}"),
            content=json_content(merged(body, message.block.get("extra"))),
        )
        told = answer.json()
        if not isinstance(told, dict):
            raise TriggerError(
                f"{self._what}: {answer.summary}, but not taken: the answer is no JSON object",
                hint="is it the URL of a webhook?",
            )
        if told.get("error"):
            raise self._refused(told["error"])
        detail = {"name": told["name"]} if "name" in told else {}
        return Receipt(answer.summary, detail, tuple(problems))

    def _refused(self, error: Any) -> TriggerError:
        """Return what an error means that came with a success."""
        found = error if isinstance(error, Mapping) else {"message": error}
        status = found.get("code")
        status = status if isinstance(status, int) else 500
        told = f"{found.get('status', '')} {found.get('message', '')}".strip()
        return TriggerError(
            self._web.hide(f"{self._what}: refused: {status} {told}")[:500],
            permanent=status < 500 and status not in BUSY,  # noqa: PLR2004 -- its own fault
        )


def _cards(message: Message, key: str) -> tuple[dict[str, Any], list[str]]:
    """Return the cards of a message as Chat takes them, and what is wrong with others."""
    structures = Structures(message.block, yaml=True)
    out: dict[str, Any] = {}
    second = structures.get("cardsV2")
    if second is not None:
        out["cardsV2"] = [_named(card, f"{key} {index}") for index, card in enumerate(second)]
    first = structures.get("cards")
    if first is not None:
        out["cards"] = first
    return out, structures.problems


def _named(card: Any, name: str) -> Any:
    """Return a card with an id; one that has its own stays as it is."""
    if isinstance(card, Mapping) and "card" in card:
        return card
    return {"cardId": str(uuid.uuid5(_OURS, name)), "card": card}
