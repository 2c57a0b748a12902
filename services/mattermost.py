"""Mattermost: posts to channels, as a bot or a user.

The key goes along as `pending_post_id`: a server that has seen it within half a minute gives the
post that is there already in place of a second one.
"""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from services.fitting import cut
from services.hiding import Token
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged, nobody
from services.structures import Structures
from services.web import Transport, Web, json_content, over_http
from spine.runtime import Env

MESSAGE = 16_383
"""Letters of a message that a server takes, unless its settings say more."""


class MattermostBlock(OpenBlock):
    """What a post has beside its text."""

    attachments: str | list[Any] = ""
    """Attachments, as JSON or YAML."""


class Mattermost(Transport, Service):
    """Posts to Mattermost."""

    kind: ClassVar[str] = "mattermost"
    block: ClassVar[type[Block] | None] = MattermostBlock
    recipients: ClassVar[str] = "a channel's id"
    idempotent: ClassVar[str] = "member pending_post_id, for half a minute"
    example: ClassVar[str] = """
service.mattermost: |
  apiURL: https://mattermost.example.com
  token: $mattermost-token
template.app-degraded: |
  message: "{{ .app.metadata.name }} is degraded"
  mattermost:
    attachments:
      - title: "{{ .app.metadata.name }}"
        color: "#E01E5A"
        fields:
          - title: Revision
            value: "{{ .app.status.sync.revision }}"
            short: true
"""

    api_url: Annotated[str, Field(alias="apiURL", min_length=1)]
    """Where the server is, without `/api/v4`."""
    token: Token
    """Token of a bot or a user."""

    @override
    def problem(self, recipient: str) -> str:
        return nobody(recipient)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, env.name, web))


class _Client(Client):
    def __init__(self, service: Mattermost, name: str, web: Web) -> None:
        self._what, self._web = f"telling Mattermost by {name!r}", web
        self._url = f"{service.api_url.rstrip('/')}/api/v4/posts"
        self._headers = {"Authorization": f"Bearer {service.token}"}

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        structures = Structures(message.block)
        body: dict[str, Any] = {
            "channel_id": recipient,
            "message": cut(message.text, MESSAGE),
            "pending_post_id": key,
        }
        if len(message.text) > MESSAGE:
            structures.problems.append(f"the text was cut to {MESSAGE} letters")
        attachments = structures.get("attachments")
        if attachments is not None:
            body["props"] = {"attachments": attachments}
        answer = await self._web.call(
            self._what,
            "POST",
            self._url,
            headers=self._headers,
            content=json_content(merged(body, message.block.get("extra"))),
        )
        told = answer.json()
        detail = {"id": told["id"]} if isinstance(told, dict) and "id" in told else {}
        return Receipt(answer.summary, detail, tuple(structures.problems))
