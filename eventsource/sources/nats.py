"""NATS: an event for each message of a subject, or of a durable consumer of JetStream.

Core NATS keeps nothing: what is published while nobody listens is nobody's, and every listener is
told of everything, so one replica listens at a time, or all of them share a queue. With
`jetStream`, a message is acknowledged after its event is on the bus, a redelivery is the same
event, and replicas share the durable.
"""

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from eventsource.bodies import base64_body, event_id, json_body, metadata_member
from eventsource.nats.message import NatsMessage, header_of
from eventsource.sessions import stay
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from eventsource.taking import LIMIT, Taken, Taker
from spine.access import TlsConfig
from spine.errors import ConfigError
from spine.fields import Name
from spine.model import Model, warn
from spine.nats_server import Login, NatsAuth, Server
from spine.retrying import RetryBackoff
from spine.runtime import Env, cancelled_at_exit, seconds

if TYPE_CHECKING:
    from nats.aio.msg import Msg

_WORD = re.compile(r"[^\x00-\x20\x7f.*>]+|\*")
_NAME = re.compile(r"[^\x00-\x20\x7f.*>/\\]+")
"""What names streams and durables."""
_REPLICAS = 8
"""How many replicas may have their hands full at a time."""


def _subject(subject: str) -> str:
    """Return a subject to listen to. Raises ValueError."""
    words = subject.split(".")
    last = words.pop() if words[-1] == ">" else ""
    if not all(_WORD.fullmatch(word) for word in words) or not (words or last):
        raise ValueError("write words joined by dots; * stands for a word, > at the end for all")
    return subject


class JetStream(Model):
    """A durable consumer of a stream."""

    stream: str = ""
    """Name of the stream; the one that has the subject where it is empty."""
    durable: str = ""
    """Name of the consumer, made where it does not exist; made of the names of EventSource and
    event where it is empty."""
    start_from: Literal["new", "all"] = "new"
    """Where a durable that is made begins: with messages that come then, or with all that the
    stream has."""
    ack_wait: str = "30s"
    """After how long a message that a dead process had in hand comes to another, for a durable that
    is made; a Go duration of a second at least."""

    @field_validator("stream", "durable")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name and not _NAME.fullmatch(name):
            raise ValueError("names of streams and durables have no dots, spaces and wildcards")
        return name

    @field_validator("ack_wait")
    @classmethod
    def _is_a_duration(cls, text: str) -> str:
        try:
            if seconds(text) < 1:
                raise ValueError("write a second at least")
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return text


class Nats(Source):
    """Receives the messages of a subject."""

    type: ClassVar[str] = "nats"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = NatsMessage(
        "shop.orders.new",
        b'{"order":42}',
        {"Trace-Id": ["7f2a"]},
        b',"metadata":{"team":"web"}',
    )
    url: Name
    """Servers, separated by commas, such as `nats://broker:4222`."""
    subject: Name
    """What to listen to; `*` stands for a word, `>` at the end for all that follow."""
    queue: Annotated[str, Field(min_length=1)] | None = None
    """Name of a queue group: its members share the messages, and all replicas listen."""
    jet_stream: JetStream | None = None
    """Ours: messages come of a stream that keeps them."""
    auth: NatsAuth | None = None
    """How to log in; read again for each connection."""
    tls: TlsConfig | None = None
    """TLS settings; none trusts the system's CA certificates, where the server asks for TLS."""
    connection_backoff: RetryBackoff | None = None
    """Attempts to connect, and the waits between them, before the event counts as failed; it is
    started again all the same."""
    json_body: bool = False
    """Whether messages are JSON and become `body` as they are; otherwise `body` is base64."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which messages become events."""

    @field_validator("subject")
    @classmethod
    def _is_a_subject(cls, subject: str) -> str:
        return _subject(subject)

    @field_validator("queue")
    @classmethod
    def _is_a_group(cls, queue: str | None) -> str | None:
        if queue is not None and any(c.isspace() for c in queue):
            raise ValueError("the name of a queue group has no spaces")
        return queue

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.queue and self.jet_stream:
            warn("queue: without effect beside jetStream, whose durable all replicas share")
        return self

    @property
    @override
    def alone(self) -> bool:
        return self.queue is None and self.jet_stream is None

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        taker = Taker(env.name, emit)
        try:
            if self.jet_stream is not None:
                await self._consume(env, taker, self.jet_stream)
            else:
                await self._listen(env, taker)
        finally:
            await taker.finish()

    async def _listen(self, env: Env, taker: Taker) -> None:
        from eventsource.nats.core import Core

        core = Core(self.subject, self.queue or "", taker, self._taken)
        passing = asyncio.create_task(core.pass_on(), name="pass on")
        try:
            async with cancelled_at_exit(passing):

                async def session(up: Callable[[], None]) -> None:
                    await core.session(self._server(env), up)

                await stay(session, env, taker, self.connection_backoff)
        finally:
            core.finish()

    async def _consume(self, env: Env, taker: Taker, settings: JetStream) -> None:
        from eventsource.nats.consumer import Consumer, Wanted
        from eventsource.nats.stream import Stream

        wanted = Wanted(
            subject=self.subject,
            stream=settings.stream,
            durable=settings.durable or re.sub(r"[^\w-]", "_", f"{env.object}-{env.name}"),
            start=settings.start_from,
            ack_wait=seconds(settings.ack_wait),
            in_hand=LIMIT * _REPLICAS,
        )

        def taken(msg: "Msg", stream: str) -> Taken:
            place = msg.metadata
            moment = str(place.timestamp.timestamp())
            parts = (env.object, env.name, stream, str(place.sequence.stream), moment)
            return self._taken(msg, event_id(parts))

        stream = Stream(Consumer(wanted), taker, taken)

        async def session(up: Callable[[], None]) -> None:
            await stream.session(self._server(env), up)

        await stay(session, env, taker, self.connection_backoff)

    def _server(self, env: Env) -> Server:
        tls = self.tls.read(env.secrets) if self.tls is not None else None
        login = self.auth.read(env.secrets) if self.auth is not None else Login()
        return Server(self.url, tls, login, "auth")

    def _taken(self, msg: "Msg", known: str = "") -> Taken:
        data, subject, header = msg.data, msg.subject, header_of(msg.headers)
        metadata = metadata_member(self.metadata)
        body = json_body if self.json_body else base64_body
        return Taken(
            form=lambda: NatsMessage(subject, body(data), header, metadata),
            as_it_is=lambda: NatsMessage(subject, base64_body(data), header, metadata),
            what=f"a message of subject {subject}",
            size=len(data),
            id=known,
        )
