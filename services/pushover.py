"""Pushover: messages to a phone."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from services.fitting import cut, word
from services.hiding import HIDDEN
from services.service import Block, Client, Message, OpenBlock, Receipt, Service
from services.web import Transport, Web, form_content, over_http
from spine.errors import TriggerError
from spine.runtime import Env

LONGEST = 1024
"""Characters of a message that Pushover takes."""
_FIELDS = {"title": "title", "priority": "priority", "sound": "sound", "url": "url"}
_FIELDS |= {"urlTitle": "url_title"}


class PushoverBlock(OpenBlock):
    """Ours: how the message is shown. `extra` are fields of Pushover's own."""

    title: str = ""
    """Title; the name of Pushover's application where there is none."""
    priority: str = ""
    """From -2 to 2; 2 wants `retry` and `expire` in `extra`, too."""
    sound: str = ""
    """Name of a sound."""
    url: str = ""
    """A link below the message."""
    url_title: str = ""
    """What the link is called."""


class Pushover(Transport, Service):
    """Sends to a user or a group of Pushover."""

    kind: ClassVar[str] = "pushover"
    block: ClassVar[type[Block] | None] = PushoverBlock
    recipients: ClassVar[str] = "key of a user or a group"
    example: ClassVar[str] = """
service.pushover: |
  token: $pushover-token
template.done: |
  message: "{{ .obj.metadata.name }} is done"
  pushover:
    title: "{{ .obj.kind }}"
    priority: "1"
"""

    token: Annotated[str, HIDDEN, Field(min_length=1)]
    """Token of the application."""
    api_url: Annotated[str, Field(alias="apiURL")] = "https://api.pushover.net"
    """Where its API is."""

    @override
    def problem(self, recipient: str) -> str:
        return "" if recipient else "it names no user or group"

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, web))


class _Client(Client):
    def __init__(self, service: Pushover, web: Web) -> None:
        self._service, self._web = service, web

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        what = "sending to Pushover"
        if not message.text.strip():
            raise TriggerError(f"{what}: the message is empty", permanent=True)
        text = cut(message.text, LONGEST)
        fields = {"token": self._service.token, "user": recipient, "message": text}
        fields |= {"priority": "0"} | shown(message.block)
        url = f"{self._service.api_url.rstrip('/')}/1/messages.json"
        answer = await self._web.call(what, "POST", url, content=form_content(fields))
        told = answer.json()
        request = told.get("request", "") if isinstance(told, dict) else ""
        problems = () if text == message.text else (f"message cut to {LONGEST} characters",)
        return Receipt(answer.summary, {"request": self._web.hide(str(request))}, problems)


def shown(block: dict[str, Any]) -> dict[str, str]:
    """Return what a block adds to the form."""
    found = {field: word(block, key) for key, field in _FIELDS.items() if word(block, key)}
    extra = block.get("extra")
    more = extra if isinstance(extra, dict) else {}
    return found | {str(key): str(value) for key, value in more.items()}
