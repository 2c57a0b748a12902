"""MQTT: an event for each message of the topics of a broker.

The broker remembers us by our client id: what is published while we are away waits there, and a
message is acknowledged after its event is on the bus. One that the broker sends again while we
have it in hand is one event; after a crash it is another, as MQTT gives messages no id. One
replica listens at a time, unless the topic is a shared one.
"""

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import field_validator
from typing_extensions import override

from eventsource.bodies import base64_body, json_body, metadata_member
from eventsource.mqtt.hands import Hands
from eventsource.mqtt.link import Link, linked
from eventsource.mqtt.message import MqttMessage
from eventsource.mqtt.patient import Login
from eventsource.mqtt.place import place_of
from eventsource.mqtt.topics import is_shared, wrong_topic
from eventsource.sessions import stay
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from eventsource.taking import Taken, Taker
from spine.access import BasicAuth, TlsConfig, secret_of
from spine.errors import BusError
from spine.fields import Name
from spine.http.tls import Tls, tls_context
from spine.retrying import RetryBackoff
from spine.runtime import Env, cancelled_at_exit

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

log = logging.getLogger(__name__)


class Mqtt(Source):
    """Receives the messages of a topic."""

    type: ClassVar[str] = "mqtt"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = MqttMessage(
        "sensors/kitchen/temperature", 7, b'{"celsius":21.5}', b',"metadata":{"team":"home"}'
    )
    url: Name
    """The broker: `tcp://`, `ssl://`, `ws://` or `wss://` with host and port."""
    topic: Name
    """What to subscribe to, with `+` for one level and `#` for all that follow. With
    `$share/NAME/` before it, the broker divides the messages among all replicas."""
    client_id: Name
    """How the broker knows us; no other client of it may have the same. For a shared topic the
    name of the machine is added."""
    qos: Literal[0, 1, 2] = 1
    """Ours: 0 takes a message at most once, as Argo Events does; 1 at least once; 2 once, as far as
    the broker goes. No message comes with more than it was published with."""
    clean_session: bool | None = None
    """Ours: whether the broker forgets us, with what waits for us, when the connection ends. It
    does where `qos` is 0 or the topic is shared, and remembers us otherwise."""
    connection_backoff: RetryBackoff | None = None
    """Attempts to connect, and the waits between them, before the event counts as failed; it is
    started again all the same."""
    json_body: bool = False
    """Whether messages are JSON and become `body` as they are; otherwise `body` is base64."""
    tls: TlsConfig | None = None
    """TLS settings; with them the connection is encrypted, whatever the scheme says."""
    auth: BasicAuth | None = None
    """Name and password; without it those of the URL. Read again for each connection."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which messages become events."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        place_of(url)
        return url

    @field_validator("topic")
    @classmethod
    def _can_be_subscribed_to(cls, topic: str) -> str:
        if wrong := wrong_topic(topic):
            raise ValueError(wrong)
        return topic

    @property
    @override
    def alone(self) -> bool:
        return not is_shared(self.topic)

    @property
    def clean(self) -> bool:
        """Whether the broker forgets us."""
        if self.clean_session is not None:
            return self.clean_session
        return self.qos == 0 or is_shared(self.topic)

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        taker = Taker(env.name, emit)
        hands = Hands(taker, self._taken)

        async def session(up: Callable[[], None]) -> None:
            place, login = place_of(self.url), self._login(env)
            pacing = asyncio.create_task(hands.pace(), name="mqtt pace")
            try:
                async with (
                    cancelled_at_exit(pacing),
                    linked(place, login, self._context(env), hands) as link,
                ):
                    hands.use(link)
                    await self._subscribe(link, env, remembered=await link.open())
                    up()
                    try:
                        await link.until_closed()
                    except asyncio.CancelledError:
                        link.pause()
                        await taker.finish()  # while what is done can still be acknowledged
                        raise
            finally:
                hands.use(None)

        try:
            await stay(session, env, taker, self.connection_backoff)
        finally:
            await taker.finish()

    def _login(self, env: Env) -> Login:
        place = place_of(self.url)
        username, password = place.username, place.password
        if self.auth is not None:
            username = secret_of(self.auth.username, env.secrets)
            password = secret_of(self.auth.password, env.secrets)
        replica = f"-{socket.gethostname()}" if is_shared(self.topic) else ""
        return Login(self.client_id + replica, self.clean, username, password)

    def _context(self, env: Env) -> ssl.SSLContext | None:
        if self.tls is not None:
            return tls_context(self.tls.read(env.secrets))
        return tls_context(Tls()) if place_of(self.url).encrypted else None

    async def _subscribe(self, link: Link, env: Env, *, remembered: bool) -> None:
        """Subscribe, unless the broker remembers that we have.

        It would send what it retains of the topic each time, which would be another event.
        """
        wanted = {"clientId": self.client_id, "topic": self.topic, "qos": self.qos}
        known = await _known(env) if remembered else {}
        if remembered and known == wanted:
            return
        if known.get("clientId") == self.client_id and known.get("topic") != self.topic:
            await link.unsubscribe(str(known["topic"]))
        granted = await link.subscribe(self.topic, self.qos)
        if granted < self.qos:
            log.warning("the broker grants QoS %d, not %d", granted, self.qos)
        if env.memory is not None and not self.clean:
            with suppress(BusError):  # then it is subscribed to once more
                await env.memory.put(json.dumps(wanted).encode())

    def _taken(self, message: "MQTTMessage") -> Taken:
        data, topic, number = bytes(message.payload), message.topic, message.mid
        metadata = metadata_member(self.metadata)
        body = json_body if self.json_body else base64_body
        return Taken(
            form=lambda: MqttMessage(topic, number, body(data), metadata),
            as_it_is=lambda: MqttMessage(topic, number, base64_body(data), metadata),
            what=f"a message of topic {topic}",
            size=len(data),
        )


async def _known(env: Env) -> dict[str, object]:
    """Return what the broker was asked for when it was last asked."""
    try:
        kept = await env.memory.get() if env.memory is not None else None
        found = json.loads(kept or b"{}")
    except (BusError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
