"""Webhook: an HTTP request that a template describes.

Without a block for this service in the template it is a POST of the message. Argo's engine sends
a GET then, also where a body was written and `method` was not: that is almost never meant.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, ClassVar, NamedTuple

import orjson
from pydantic import Field
from typing_extensions import override

from services.hiding import HIDDEN
from services.service import Block, Client, Message, Receipt, Service
from services.structures import not_json
from services.web import BasicAuth, Content, Transport, Web, joined
from spine.errors import ConfigError, TriggerError
from spine.model import Model
from spine.runtime import Env

_PLAIN = frozenset({"content-type", "accept", "user-agent"})
"""Headers that hold no credential."""
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Header(Model):
    """A header."""

    name: str
    """Its name."""
    value: str = ""
    """Its value."""


class WebhookBlock(Block):
    """The request."""

    method: str = ""
    """HTTP method; where none is given POST with a body, and GET without."""
    path: str = ""
    """What follows the URL of the service, joined by one slash; a query is added to that of the
    URL."""
    body: str | dict[str, Any] | list[Any] = ""
    """Its body; the message where there is no block. Written as YAML and not as text, it is sent as
    JSON."""


class Webhook(Transport, Service):
    """Sends an HTTP request."""

    kind: ClassVar[str] = "webhook"
    block: ClassVar[type[Block] | None] = WebhookBlock
    block_by_name: ClassVar[bool] = True
    recipients: ClassVar[str] = "none: leave it empty"
    idempotent: ClassVar[str] = "header Idempotency-Key"
    example: ClassVar[str] = """
service.webhook.audit: |
  url: https://audit.example.com/hooks
  headers:
    - {name: Authorization, value: Bearer $audit-token}
template.audit: |
  webhook:
    audit:
      method: POST
      path: /events
      body: |
        {"name": {{ .obj.metadata.name | toJson }}}
"""

    url: Annotated[str, Field(min_length=1), HIDDEN]
    """Where requests go."""
    headers: list[Header] = []
    """Headers of each request."""
    basic_auth: BasicAuth | None = None
    """Name and password."""
    retry_wait_min: Any = None
    """Of no effect: what fails is tried again as everything is."""
    retry_wait_max: Any = None
    """Of no effect."""
    retry_max: int = 3
    """Of no effect."""

    @classmethod
    @override
    def preview(cls, message: Message) -> str:
        request = _request(message)
        line = f"{request.method} {request.path}".strip()
        typed = f"\nContent-Type: {request.content.type}" if request.content.type else ""
        return f"{line}{typed}\n\n{request.content.data.decode()}"

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@asynccontextmanager
async def _open(service: Webhook, env: Env) -> AsyncIterator[Client]:
    web = await Web.of(env, service, hidden=_hidden(service))
    yield _Client(service, env.name, web)


def _hidden(service: Webhook) -> Iterator[str]:
    """Yield what headers hold: whole, and without a word such as Bearer before it."""
    for header in service.headers:
        if header.name.lower() not in _PLAIN:
            yield header.value
            yield header.value.strip().rpartition(" ")[2]
    if service.basic_auth is not None:
        yield service.basic_auth.header.rpartition(" ")[2]


def _value(header: Header) -> str:
    """Return the value of a header, less blanks: many Secrets end with a newline."""
    value = header.value.strip()
    if _CONTROL.search(value):
        raise ConfigError(f"reading header {header.name!r}: its value holds a control character")
    return value


class _Request(NamedTuple):
    method: str
    path: str
    content: Content


def _request(message: Message) -> _Request:
    """Return what a message makes of a request."""
    block = message.block
    body = block.get("body", "") if block else message.text
    if isinstance(body, str):
        content = Content("", body.encode())
    else:
        content = Content("application/json", orjson.dumps(body))
    method = block.get("method", "").strip().upper()
    default = "POST" if content.data or not block else "GET"
    return _Request(method or default, block.get("path", ""), content)


class _Client(Client):
    def __init__(self, service: Webhook, name: str, web: Web) -> None:
        self._service, self._what, self._web = service, f"sending webhook {name!r}", web
        self._headers = {header.name: _value(header) for header in service.headers}
        if service.basic_auth is not None:
            self._headers["Authorization"] = service.basic_auth.header
        self._lower = {name.lower(): value for name, value in self._headers.items()}

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        request = _request(message)
        content, broken = self._typed(request.content)
        headers = self._headers
        if "idempotency-key" not in self._lower:
            headers = {"Idempotency-Key": key, **headers}
        try:
            answer = await self._web.call(
                self._what,
                request.method,
                joined(self._service.url, request.path),
                headers=headers,
                content=content,
                private=frozenset(self._lower),
            )
        except TriggerError as exc:
            if broken and exc.permanent and not exc.hint:
                exc.hint = f"its body is {broken}"
            raise
        problems = (f"body: {broken}",) if broken else ()
        return Receipt(answer.summary, {"status": answer.status}, problems)

    def _typed(self, content: Content) -> tuple[Content, str]:
        """Return a body as its headers call it, and what is wrong with it as JSON."""
        given = self._lower.get("content-type", "")
        if content.type:  # written as a structure: it is JSON
            return content._replace(type="" if given else content.type), ""
        return content, not_json(content.data) if "json" in given.lower() and content.data else ""
