"""Webhook: an HTTP request that a template describes.

Without a block for this service in the template it is a POST of the message. Argo's engine sends
a GET then, also where a body was written and `method` was not: that is almost never meant.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from services.service import Block, Client, Message, Receipt, Service
from services.web import BasicAuth, Content, Transport, Web
from spine.model import Model
from spine.runtime import Env


class Header(Model):
    """A header."""

    name: str
    """Its name."""
    value: str = ""
    """Its value."""


class WebhookBlock(Block):
    """The request."""

    method: str = ""
    """HTTP method; POST where none is given."""
    path: str = ""
    """What follows the URL of the service, joined by one slash."""
    body: str = ""
    """Its body; the message where there is no block."""


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

    url: Annotated[str, Field(min_length=1)]
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

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@asynccontextmanager
async def _open(service: Webhook, env: Env) -> AsyncIterator[Client]:
    yield _Client(service, env.name, await Web.of(env, service))


class _Client(Client):
    def __init__(self, service: Webhook, name: str, web: Web) -> None:
        self._service, self._name, self._web = service, name, web
        self._headers = {header.name: header.value for header in service.headers}
        if service.basic_auth is not None:
            self._headers["Authorization"] = service.basic_auth.header

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        block = message.block
        body = block.get("body", "") if block else message.text
        answer = await self._web.call(
            f"sending webhook {self._name!r}",
            block.get("method") or "POST",
            joined(self._service.url, block.get("path", "")),
            headers={"Idempotency-Key": key, **self._headers},
            content=Content("", body.encode()),
            private=frozenset(name.lower() for name in self._headers),
        )
        return Receipt(answer.summary, {"status": answer.status})


def joined(url: str, path: str) -> str:
    """Return a URL with a path behind it, joined by exactly one slash."""
    return url if not path else f"{url.rstrip('/')}/{path.lstrip('/')}"
