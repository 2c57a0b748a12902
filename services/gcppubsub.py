"""Google Cloud Pub/Sub: publishes a message to a topic.

Calls go out on a channel that is kept. The key of a message is its attribute `idempotency-key`:
Pub/Sub itself knows none, but who receives it can tell what comes twice.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import Field
from typing_extensions import override

from services.fitting import word
from services.hiding import HIDDEN, Hiding, credentials
from services.service import Block, Client, Message, Receipt, Service
from spine import gcp
from spine.errors import ConfigError, TriggerError
from spine.http.egress import check_host
from spine.runtime import Env

if TYPE_CHECKING:
    import grpc.aio

KEY = "idempotency-key"
"""The attribute in which the key of a message stands."""
TIMEOUT = 20.0
"""Seconds for a call, with the wait for a connection."""
_PUBLISH = "/google.pubsub.v1.Publisher/Publish"
_ROLE = "roles/pubsub.publisher"
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 10_000),
]
_MAY_PASS = frozenset(
    {
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "ABORTED",
        "INTERNAL",
        "UNKNOWN",
        "CANCELLED",
    }
)
"""Statuses after which another try may work."""


class GcppubsubBlock(Block):
    """What goes with the message."""

    attributes: dict[str, str] = {}
    """Attributes of the message, by which subscriptions filter."""


class Gcppubsub(Service):
    """Publishes to a topic of Google Cloud Pub/Sub."""

    kind: ClassVar[str] = "gcppubsub"
    block: ClassVar[type[Block] | None] = GcppubsubBlock
    recipients: ClassVar[str] = "name of a topic; empty: `topic`"
    idempotent: ClassVar[str] = "attribute idempotency-key"
    example: ClassVar[str] = """
service.gcppubsub: |
  project: shop-project
  topic: deployments
  keyFile: $pubsub-key
template.ready: |
  message: "{{ .obj.metadata.name }} is ready"
  gcppubsub:
    attributes:
      namespace: "{{ .obj.metadata.namespace }}"
"""

    project: Annotated[str, Field(min_length=1)]
    """Project that the topic belongs to."""
    topic: str = ""
    """Name of the topic where a recipient names none."""
    key_file: Annotated[str, HIDDEN] = ""
    """Path of a service account's key file; ours: or its content, such as `$pubsub-key`. None: the
    service account of this process."""

    @override
    def problem(self, recipient: str) -> str:
        return "" if recipient or self.topic else "no topic: name one, or write topic"

    def path(self, recipient: str) -> str:
        """Return the full name of a topic."""
        topic = recipient or self.topic
        return topic if topic.startswith("projects/") else f"projects/{self.project}/topics/{topic}"

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@cache
def _api() -> Any:
    """Return the messages of the API. Raises ConfigError without the library."""
    try:
        from google.pubsub_v1.types import pubsub
    except ImportError as exc:
        raise ConfigError(
            f"publishing to Pub/Sub: {exc}", hint="pip install 'tocsin[gcp]'"
        ) from exc
    return pubsub


@asynccontextmanager
async def _open(service: Gcppubsub, env: Env) -> AsyncIterator[Client]:
    await asyncio.to_thread(_api)  # the import takes a while
    import grpc.aio

    host = gcp.emulator()
    identity = None if host else await asyncio.to_thread(_identity, service, env.name)
    if host:
        channel = grpc.aio.insecure_channel(host, options=_OPTIONS)
    else:
        check_host(gcp.PUBSUB, f"opening gcppubsub {env.name!r}")
        channel = grpc.aio.secure_channel(gcp.PUBSUB, _tls(), options=_OPTIONS)
    async with channel:
        yield _Client(service, channel, identity)


def _tls() -> Any:
    import grpc

    return grpc.ssl_channel_credentials()


def _identity(service: Gcppubsub, name: str) -> gcp.Identity:
    """Return who we are. Raises ConfigError, and TriggerError where Google is not to be asked."""
    scopes, doing = gcp.PUBSUB_SCOPES, f"reading keyFile of gcppubsub {name!r}"
    text = service.key_file
    if not text:
        try:
            return gcp.of_machine(scopes, gcp.PUBSUB)
        except gcp.NoIdentity as exc:
            raise TriggerError(
                f"finding credentials for gcppubsub {name!r}: {exc}",
                hint="write keyFile, or run as a service account (workload identity)",
            ) from exc
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text()
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or "it is no path"
            raise ConfigError(f"{doing}: {why}", hint="write a path, or $KEY") from exc
    return gcp.of_key(text, scopes, gcp.PUBSUB, doing)


class _Client(Client):
    def __init__(
        self, service: Gcppubsub, channel: "grpc.aio.Channel", identity: gcp.Identity | None
    ) -> None:
        self._service, self._identity = service, identity
        self._hide = Hiding(credentials(service))
        request, answer = _api().PublishRequest.pb(), _api().PublishResponse.pb()
        self._publish: Any = channel.unary_unary(
            _PUBLISH,
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        if why := self._service.problem(recipient):
            raise TriggerError(f"publishing to Pub/Sub: {why}", permanent=True)
        topic = self._service.path(recipient)
        attributes = _attributes(message, key)
        if not message.text and len(attributes) == 1:
            raise TriggerError(f"publishing to {topic}: the message is empty", permanent=True)
        sent = _api().PubsubMessage.pb()(
            data=message.text.encode(errors="replace"), attributes=attributes
        )
        asked = _api().PublishRequest.pb()(topic=topic, messages=[sent])
        (number,) = (await self._call(asked, topic)).message_ids
        name = topic.rpartition("/")[2]
        return Receipt(f"in topic {name}", {"messageId": number, "topic": topic})

    async def _call(self, asked: Any, topic: str) -> Any:
        import grpc.aio

        try:
            return await self._publish(
                asked,
                timeout=TIMEOUT,
                wait_for_ready=False,
                metadata=(("x-goog-request-params", f"topic={quote(topic, safe='')}"),),
                credentials=None if self._identity is None else self._identity.call,
            )
        except grpc.aio.AioRpcError as exc:
            status, details = exc.code().name, exc.details() or "no reason given"
            raise TriggerError(
                self._hide(f"publishing to {topic}: {status}: {details}"),
                hint=self._hint(status, details),
                permanent=status not in _MAY_PASS,
            ) from exc

    def _hint(self, status: str, details: str) -> str:
        account = self._identity.account if self._identity else ""
        account = account or "the service account of this process"
        if status == "PERMISSION_DENIED":
            return f"grant {account} the role {_ROLE}"
        if status == "UNAUTHENTICATED" or "metadata from plugin" in details:
            return f"Google does not take the credentials of {account}: make a new key"
        if status == "NOT_FOUND":
            return "check project and topic: a topic is not made by itself"
        return ""


def _attributes(message: Message, key: str) -> dict[str, str]:
    given = message.block.get("attributes") or {}
    return {KEY: key} | {name: text for name in given if (text := word(given, name))}
