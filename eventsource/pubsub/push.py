"""Push: Pub/Sub posts messages to us, as the push subscriptions of Cloud Storage users do.

A request is answered once its event is stored, so that Pub/Sub sends anything else again. Before
its body is read it must carry a token of Google's; see tokens.py.
"""

import asyncio
import base64
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Self

import msgspec
from pydantic import Field, model_validator

from delivery.report import Thinned
from eventsource import web
from eventsource.answers import Answer
from eventsource.endpoint import Endpoint
from eventsource.pubsub.message import Received
from eventsource.pubsub.tokens import Keys, Refused, Verifier
from spine.errors import SourceError
from spine.runtime import Env

log = logging.getLogger(__name__)

LARGEST = 14 * 1024 * 1024
"""Bytes of the largest message, 10 MB, in base64 and with its envelope."""
TAKEN = Answer(204)
NO_TOKEN = Answer(401, "this endpoint is for Pub/Sub\n", www_authenticate="Bearer")
NO_KEYS = Answer(503, "the token cannot be verified now\n", retry_after="5")
OTHER = Answer(403, "this endpoint is for another subscription\n")

Take = Callable[[str, Received], Awaitable[None]]
"""Makes an event of a message of a subscription."""


class Push(Endpoint):
    """Where a push subscription posts its messages to."""

    url: str = ""
    """Base URL under which Pub/Sub reaches the endpoint, such as `https://hooks.example.com`."""
    max_payload_size: int = Field(default=LARGEST, gt=0)
    """Bytes of the largest request that is taken; the default fits every message there is."""
    audience: str = ""
    """Audience of the tokens, as the subscription has it; `url` with the endpoint where it is
    empty, which is what Pub/Sub takes then."""
    service_account_email: str = ""
    """Service account of the subscription, whose tokens are good."""
    authenticated: bool = True
    """Whether requests must have a token; without it, whoever reaches the port makes events."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.authenticated and not (self.service_account_email and self.audience_wanted):
            raise ValueError(
                "needs serviceAccountEmail, and audience or url, to tell the tokens of the push"
                " subscription from others (or authenticated: false, to take what anybody posts)"
            )
        return self

    @property
    def audience_wanted(self) -> str:
        """The audience that tokens must have; empty: not known."""
        return self.audience or (self.url.rstrip("/") + self.endpoint if self.url else "")

    async def serve(self, env: Env, ours: Callable[[str], bool], take: Take) -> None:
        """Take messages of subscriptions that are ours, until cancelled."""
        verifier = None
        if self.authenticated:
            verifier = Verifier(self.audience_wanted, self.service_account_email, Keys())
        route = web.Route(
            event=env.name,
            endpoint=self.endpoint,
            method="POST",
            handler=_handler(ours, take),
            max_payload=self.max_payload_size,
            admit=_guard(env, verifier) if verifier else None,
            rejected=env.rejected,
        )
        async with web.serve(env, int(self.port), route, self.certificate(env)):
            env.listening()
            await asyncio.Event().wait()  # until cancelled


def _guard(env: Env, verifier: Verifier) -> web.Admit:
    """Return what looks at the token of a request before its body is read."""
    lines = Thinned(10)

    async def admit(fields: Mapping[bytes, bytes]) -> Answer | None:
        try:
            await verifier.check(fields.get(b"authorization", b""))
        except Refused as exc:
            if lines.passes(env.name):
                extra = {"eventName": env.name, "error": str(exc)}
                log.warning("refusing a pushed message", extra=extra)
            return NO_TOKEN
        except SourceError as exc:
            extra = {"eventName": env.name, "error": str(exc)}
            log.warning("pushed messages have to wait", extra=extra)
            return NO_KEYS
        return None

    return admit


def _handler(ours: Callable[[str], bool], take: Take) -> web.Handler:
    async def handle(request: web.Request) -> Answer:
        try:
            subscription, message = read(request.body)
        except ValueError as exc:
            return Answer(400, f"{exc}\n")
        if not ours(subscription):
            return OTHER
        await take(subscription, message)
        return TAKEN

    return handle


# ---------------------------------------------------------------------------- the envelope


class Pushed(msgspec.Struct, rename="camel"):
    """A message as it is pushed."""

    message_id: str
    publish_time: str = ""
    data: str = ""
    attributes: dict[str, str] | None = None


class Envelope(msgspec.Struct):
    """The body of a request."""

    message: Pushed
    subscription: str


_decode = msgspec.json.Decoder(Envelope).decode
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


def read(body: bytes) -> tuple[str, Received]:
    """Return subscription and message of a request. Raises ValueError saying what is wrong."""
    try:
        envelope = _decode(body)
        message = envelope.message
        data = base64.b64decode(message.data, validate=True)
    except (msgspec.DecodeError, RecursionError, ValueError) as exc:
        msg = f"this is not what Pub/Sub pushes, payload unwrapping being off: {exc}"
        raise ValueError(msg) from exc
    seconds, nanos = _moment(message.publish_time)
    attributes = message.attributes or {}
    return envelope.subscription, Received(message.message_id, data, attributes, seconds, nanos)


def _moment(text: str) -> tuple[int, int]:
    """Return Unix seconds and nanoseconds of a time of RFC 3339; 0 where there is none."""
    if not text:
        return 0, 0
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"publishTime {text!r} is not a time of RFC 3339 in UTC")
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return int(moment.timestamp()), int((match[2] or "").ljust(9, "0"))
