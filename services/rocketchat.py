"""Rocket.Chat: posts to channels, people and rooms, as a user who logs in.

The login is kept until the server no longer takes it; Argo's engine logs in for each message, and
servers limit how often that may be done.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field
from typing_extensions import override

from services.hiding import HIDDEN, Token
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged, nobody
from services.structures import Structures
from services.web import (
    Content,
    Transport,
    Web,
    form_content,
    json_content,
    json_of,
    over_http,
    refused,
)
from spine.errors import TriggerError
from spine.http.client import Response
from spine.runtime import Env

_NOT_LOGGED_IN = 401
_OK = range(200, 300)
_BUSY = "error-too-many-requests"


class RocketChatBlock(OpenBlock):
    """What a post has beside its text."""

    attachments: str | list[Any] = ""
    """Attachments, as JSON or YAML."""


class RocketChat(Transport, Service):
    """Posts to Rocket.Chat."""

    kind: ClassVar[str] = "rocketchat"
    block: ClassVar[type[Block] | None] = RocketChatBlock
    recipients: ClassVar[str] = "`#channel`, `@user`, or a room's id"
    example: ClassVar[str] = """
service.rocketchat: |
  serverUrl: https://chat.example.com
  email: $rocketchat-email
  password: $rocketchat-password
template.app-degraded: |
  message: "{{ .app.metadata.name }} is degraded"
  rocketchat:
    attachments:
      - title: "{{ .app.metadata.name }}"
        color: "#E01E5A"
"""

    email: Annotated[str, Field(min_length=1)]
    """E-mail address or name of the user."""
    password: Token
    """Password of the user."""
    server_url: Annotated[str, Field(min_length=1)]
    """Where the server is, without `/api/v1`."""
    alias: str = ""
    """Name that messages are shown with."""
    icon: str = ""
    """Emoji in place of the user's picture, such as `:rocket:`."""
    avatar: Annotated[str, HIDDEN] = ""
    """URL of a picture in place of the user's."""

    @override
    def problem(self, recipient: str) -> str:
        return nobody(recipient)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, env.name, web))


class _Login(NamedTuple):
    token: str
    user: str


class _Client(Client):
    def __init__(self, service: RocketChat, name: str, web: Web) -> None:
        self._service, self._what, self._web = service, f"telling Rocket.Chat by {name!r}", web
        self._root = f"{service.server_url.rstrip('/')}/api/v1"
        self._login: _Login | None = None
        self._logging_in = asyncio.Lock()

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        structures = Structures(message.block)
        content = json_content(self._body(message, recipient, structures))
        login = await self._logged_in(None)
        response = await self._post(content, login)
        if response.status == _NOT_LOGGED_IN:
            response = await self._post(content, await self._logged_in(login))
        told = json_of(response.body)
        told = told if isinstance(told, dict) else {}
        if response.status not in _OK or told.get("success") is False:
            raise self._refused(response, str(told.get("error", "")))
        sent = told.get("message")
        detail = {"id": sent["_id"]} if isinstance(sent, dict) and "_id" in sent else {}
        return Receipt(f"{response.status} {response.reason}", detail, tuple(structures.problems))

    def _body(self, message: Message, recipient: str, structures: Structures) -> dict[str, Any]:
        service = self._service
        place = "channel" if recipient.startswith(("#", "@")) else "roomId"
        body: dict[str, Any] = {place: recipient, "text": message.text}
        looks = {"alias": service.alias, "emoji": service.icon, "avatar": service.avatar}
        body |= {name: value for name, value in looks.items() if value}
        attachments = structures.get("attachments")
        if attachments is not None:
            body["attachments"] = attachments
        return merged(body, message.block.get("extra"))

    async def _post(self, content: Content, login: _Login) -> Response:
        return await self._web.ask(
            self._what,
            "POST",
            f"{self._root}/chat.postMessage",
            headers={"X-Auth-Token": login.token, "X-User-Id": login.user},
            content=content,
            private=frozenset({"x-auth-token", "x-user-id"}),
        )

    async def _logged_in(self, stale: _Login | None) -> _Login:
        """Return a login other than the stale one; of several who ask, one logs in."""
        async with self._logging_in:
            if self._login is None or self._login == stale:
                self._login = None
                self._login = await self._log_in()
            return self._login

    async def _log_in(self) -> _Login:
        what = f"{self._what}: logging in"
        service = self._service
        answer = await self._web.call(
            what,
            "POST",
            f"{self._root}/login",
            content=form_content({"user": service.email, "password": service.password}),
        )
        told = answer.json()
        data = told.get("data") if isinstance(told, dict) else None
        if not isinstance(data, dict) or not data.get("authToken") or not data.get("userId"):
            raise TriggerError(f"{what}: {answer.summary}, but without a token")
        return _Login(str(data["authToken"]), str(data["userId"]))

    def _refused(self, response: Response, error: str) -> TriggerError:
        """Return what a refusal means; one with 200 stands in the body."""
        exc = refused(self._what, response, self._web.hide, why=error)
        if _BUSY in error:
            exc.permanent = False
        elif response.status in _OK:
            exc.permanent = True
        return exc
