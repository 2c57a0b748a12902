"""Webex: messages of a bot to people and rooms, in Markdown."""

import re
from contextlib import AbstractAsyncContextManager
from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import override

from services.fitting import cut_to
from services.hiding import Token
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged, nobody
from services.web import Transport, Web, json_content, over_http
from spine.runtime import Env

API = "https://webexapis.com"
MESSAGE = 7439
"""Bytes of a message that Webex takes."""
_EMAIL = re.compile(r"\S+@\S+\.\S+")


class WebexBlock(OpenBlock):
    """Ours: more of a message in Webex, such as cards as `extra: {attachments: [...]}`."""


class Webex(Transport, Service):
    """Sends messages by Webex."""

    kind: ClassVar[str] = "webex"
    block: ClassVar[type[Block] | None] = WebexBlock
    recipients: ClassVar[str] = "a person's e-mail address, or a room's id"
    example: ClassVar[str] = """
service.webex: |
  token: $webex-token
template.app-degraded: |
  message: "**{{ .app.metadata.name }}** is degraded"
  webex:
    extra:
      parentId: "{{ .context.webexThread }}"
"""

    token: Token
    """Token of the bot."""
    api_url: Annotated[str, Field(alias="apiURL")] = API
    """Where the API is, without `/v1`."""

    @override
    def problem(self, recipient: str) -> str:
        return nobody(recipient)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, env.name, web))


class _Client(Client):
    def __init__(self, service: Webex, name: str, web: Web) -> None:
        self._what, self._web = f"telling Webex by {name!r}", web
        self._url = f"{(service.api_url or API).rstrip('/')}/v1/messages"
        self._headers = {"Authorization": f"Bearer {service.token}"}

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        place = "toPersonEmail" if _EMAIL.fullmatch(recipient) else "roomId"
        text = cut_to(message.text, MESSAGE, "utf-8")
        notes = (f"the text was cut to {MESSAGE} bytes",) if text != message.text else ()
        body = {place: recipient, "markdown": text}
        answer = await self._web.call(
            self._what,
            "POST",
            self._url,
            headers=self._headers,
            content=json_content(merged(body, message.block.get("extra"))),
        )
        told = answer.json()
        detail = {"id": told["id"]} if isinstance(told, dict) and "id" in told else {}
        return Receipt(answer.summary, detail, notes)
