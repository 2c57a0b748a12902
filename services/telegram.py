"""Telegram: messages of a bot to chats, threads and channels.

Messages are Markdown, as in Argo's engine. One that Telegram cannot parse, such as for a lonely
underscore, goes out as plain text instead, and the receipt says so.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from services.fitting import cut_to
from services.hiding import Token
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged, nobody
from services.web import Transport, Web, json_content, json_of, over_http, refused
from spine.errors import TriggerError
from spine.http.client import Response
from spine.runtime import Env

API = "https://api.telegram.org"
MESSAGE = 4096
"""Letters of a message that Telegram takes, as UTF-16 counts them."""
_OK = range(200, 300)


class TelegramBlock(OpenBlock):
    """Ours: how a message in Telegram is read."""

    parse_mode: str = "Markdown"
    """`Markdown`, `MarkdownV2`, `HTML`, or empty for plain text."""


class Telegram(Transport, Service):
    """Sends messages as a bot of Telegram."""

    kind: ClassVar[str] = "telegram"
    block: ClassVar[type[Block] | None] = TelegramBlock
    recipients: ClassVar[str] = (
        "a chat's id, such as `-1001234567890` or `123456`, with `|thread` behind it where one is "
        "meant, or a channel's name"
    )
    example: ClassVar[str] = """
service.telegram: |
  token: $telegram-token
template.app-degraded: |
  message: "*{{ .app.metadata.name }}* is degraded"
  telegram:
    parseMode: Markdown
    extra:
      disable_notification: true
"""

    token: Token
    """Token of the bot."""
    api_url: Annotated[str, Field(alias="apiURL")] = API
    """Ours: where the API is."""

    @override
    def problem(self, recipient: str) -> str:
        _, bar, thread = recipient.partition("|")
        if bar and not thread.strip().isdecimal():
            return f"thread {thread!r} is no number"
        return nobody(recipient)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, env.name, web))


class _Client(Client):
    def __init__(self, service: Telegram, name: str, web: Web) -> None:
        self._service, self._what, self._web = service, f"telling Telegram by {name!r}", web
        self._url = f"{service.api_url.rstrip('/')}/bot{service.token}/sendMessage"

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        problem = self._service.problem(recipient)
        if problem:
            raise TriggerError(f"{self._what}: {problem}", permanent=True)
        text = cut_to(message.text, 2 * MESSAGE, "utf-16-le")
        notes = [f"the text was cut to {MESSAGE} letters"] if text != message.text else []
        body = {**chat(recipient), "text": text}
        mode = message.block.get("parseMode", "Markdown")
        if mode:
            body["parse_mode"] = mode
        body = merged(body, message.block.get("extra"))
        response, problems = await self._sent(body)
        if response.status not in _OK:
            raise self._refused(response)
        told = _told(response)
        result = told.get("result")
        found = result.get("message_id") if isinstance(result, Mapping) else None
        detail = {"message_id": found} if found is not None else {}
        return Receipt(f"{response.status} {response.reason}", detail, (*notes, *problems))

    async def _sent(self, body: dict[str, Any]) -> tuple[Response, list[str]]:
        """Send a message; once more in another way where Telegram says how."""
        problems: list[str] = []
        response = await self._post(body)
        moved = _parameters(response).get("migrate_to_chat_id")
        if moved is not None:
            problems.append(f"chat {body['chat_id']} is now {moved}: change the recipient")
            body = body | {"chat_id": moved}
            response = await self._post(body)
        why = str(_told(response).get("description", ""))
        if response.status not in _OK and "can't parse" in why and "parse_mode" in body:
            problems.append(f"sent as plain text: {self._web.hide(why)}")
            response = await self._post({k: v for k, v in body.items() if k != "parse_mode"})
        return response, problems

    async def _post(self, body: dict[str, Any]) -> Response:
        return await self._web.ask(self._what, "POST", self._url, content=json_content(body))

    def _refused(self, response: Response) -> TriggerError:
        """Return what a refusal means; how long to wait may stand in its body only."""
        why = str(_told(response).get("description", ""))
        hint = "is the bot a member of the chat?" if "chat not found" in why else ""
        exc = refused(self._what, response, self._web.hide, why=why, hint=hint)
        wait = _parameters(response).get("retry_after")
        if exc.retry_after is None and isinstance(wait, int | float):
            exc.retry_after = float(wait)
        return exc


def chat(recipient: str) -> dict[str, Any]:
    """Return the members of a request that say where to: an id with its thread, or a name."""
    name, _, thread = recipient.strip().partition("|")
    name = name.strip()
    if not name.removeprefix("-").isdecimal():
        return {"chat_id": name if name.startswith("@") else f"@{name}"}
    thread = thread.strip()
    return {"chat_id": int(name)} | ({"message_thread_id": int(thread)} if thread else {})


def _told(response: Response) -> Mapping[str, Any]:
    told = json_of(response.body)
    return told if isinstance(told, Mapping) else {}


def _parameters(response: Response) -> Mapping[str, Any]:
    found = _told(response).get("parameters")
    return found if isinstance(found, Mapping) else {}
