"""Redis: an event for each message of the channels of a Redis server.

A server tells every subscriber of every message and keeps none, so one replica listens at a time,
and what is published while nobody does is nobody's: where that matters, use a stream. A message
that was received is held until its event is on the bus; while that is away, no more is read.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator
from typing_extensions import override

from eventsource.bodies import json_body, metadata_member, text
from eventsource.redisdb import OnRedis
from eventsource.sessions import asked, stay
from eventsource.source import Emit, Payload
from eventsource.taking import Taken, Taker
from spine.errors import SourceError
from spine.lang import gojson
from spine.runtime import Env

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

BEAT = 15.0
"""Seconds without a word after which the server is asked whether it lives."""


class RedisMessage:
    """The payload of one message."""

    __slots__ = ("_body", "_channel", "_metadata")

    def __init__(self, channel: str, body: bytes, metadata: bytes = b"") -> None:
        """Take `body` as JSON text; `metadata` is empty, or the member with its comma."""
        self._channel, self._body, self._metadata = channel, body, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        channel = gojson.quote(self._channel)
        return b'{"channel":%b,"pattern":"","body":%b%b}' % (channel, self._body, self._metadata)


class Redis(OnRedis):
    """Receives the messages that are published to channels."""

    type: ClassVar[str] = "redis"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = RedisMessage(
        "orders", b'"{\\"order\\":42}"', b',"metadata":{"team":"web"}'
    )
    channels: list[str]
    """Names of the channels; none is a pattern."""
    namespace: str = ""
    """Accepted and without effect, as Argo Events asks for it beside a password: the Secret is that
    of the object's namespace."""
    json_body: bool = False
    """Whether messages are JSON and become `body` as they are; otherwise `body` is their text."""

    @field_validator("channels")
    @classmethod
    def _some(cls, channels: list[str]) -> list[str]:
        if not channels or not all(channels):
            raise ValueError("write the names of the channels to listen to")
        return list(dict.fromkeys(channels))

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        taker = Taker(env.name, emit)

        async def session(up: Callable[[], None]) -> None:
            grant = f"+subscribe +ping {' '.join(f'&{channel}' for channel in self.channels)}"
            async with self.connection(env, grant) as client, client.pubsub() as subscription:
                await asked(subscription.subscribe(*self.channels))
                await self._listen(subscription, up, taker)

        try:
            await stay(session, env, taker, None)
        finally:
            await taker.finish()

    async def _listen(self, subscription: "PubSub", up: Callable[[], None], taker: Taker) -> None:
        waiting, pinged = set(self.channels), False
        while True:
            found = await asked(subscription.get_message(timeout=BEAT))
            if found is None:
                if pinged or waiting:
                    raise SourceError(f"listening to Redis at {self.host_address}: no sign of life")
                pinged = True
                await asked(subscription.ping())
                continue
            pinged = False
            if found["type"] == "message":
                await taker.begin(self._taken(found))
            elif found["type"] == "subscribe" and waiting:
                waiting.discard(found["channel"].decode())
                if not waiting:
                    up()

    def _taken(self, found: dict[str, Any]) -> Taken:
        data: bytes = found["data"]
        channel = found["channel"].decode()
        metadata = metadata_member(self.metadata)
        body = json_body if self.json_body else text
        return Taken(
            form=lambda: RedisMessage(channel, body(data), metadata),
            as_it_is=lambda: RedisMessage(channel, text(data), metadata),
            what=f"a message of channel {channel}",
            size=len(data),
        )
