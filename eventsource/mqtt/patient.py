"""paho's client, made patient: a message has arrived when we say so.

Its own way with QoS 2 tells the broker that a message has arrived before anybody has seen it, and
what a process holds then dies with it. So that answer, as the one of QoS 1, waits until it is
given; the broker sends the message again where it never is.
"""

import socket
import ssl
from functools import cache
from typing import Any, NamedTuple

from typing_extensions import override

from eventsource.mqtt.place import Place
from spine.errors import ConfigError

ANSWER_SECONDS = 5.0
"""In which a broker must answer what needs no work."""


class Login(NamedTuple):
    """Who we are, and whether the broker remembers us."""

    client_id: str
    clean: bool
    """Whether the broker forgets what we subscribed to when the connection ends."""
    username: str = ""
    password: str = ""


def client(place: Place, login: Login, tls: ssl.SSLContext | None) -> Any:
    """Return a client that is yet to connect. Raises ConfigError where the library is missing."""
    kind = _kind()
    from paho.mqtt.enums import CallbackAPIVersion

    paho = kind(
        CallbackAPIVersion.VERSION2,
        client_id=login.client_id,
        clean_session=login.clean,
        transport="websockets" if place.path else "tcp",
        reconnect_on_failure=False,
        manual_ack=True,
    )
    paho.connect_timeout = ANSWER_SECONDS
    if login.username:
        paho.username_pw_set(login.username, login.password or None)
    if tls is not None:
        paho.tls_set_context(tls)
    if place.path:
        paho.ws_set_options(place.path)
    return paho


@cache
def _kind() -> Any:
    try:
        from paho.mqtt.client import Client, MQTTMessage
        from paho.mqtt.enums import MQTTErrorCode
    except ImportError as exc:
        raise ConfigError(f"listening to MQTT: {exc}", hint="pip install 'tocsin[mqtt]'") from exc

    class Patient(Client):
        """Overrides where paho answers; its tests with a real broker fail where it is rebuilt."""

        @override
        def _send_pubrec(self, mid: int) -> MQTTErrorCode:
            return MQTTErrorCode.MQTT_ERR_SUCCESS  # `arrived` says it

        @override
        def _handle_publish(self) -> MQTTErrorCode:
            result = super()._handle_publish()
            while self._in_messages:  # of QoS 2, which paho would hand over later
                self._handle_on_message(self._in_messages.popitem()[1])
            return result

        @override
        def _handle_pubrel(self) -> MQTTErrorCode:
            return self._send_pubcomp(int.from_bytes(self._in_packet["packet"][:2]))

        @override
        def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
            assert self._ssl_context is not None
            sock = self._ssl_context.wrap_socket(
                tcp_sock, server_hostname=self._host, do_handshake_on_connect=False
            )
            try:
                sock.settimeout(ANSWER_SECONDS)
                sock.do_handshake()
            except BaseException:
                sock.close()  # paho leaves it open
                raise
            return sock

        def arrived(self, message: MQTTMessage) -> MQTTErrorCode:
            """Say that a message of QoS 1 or 2 has arrived."""
            if message.qos == 1:
                return self._send_puback(message.mid)
            return super()._send_pubrec(message.mid)

    return Patient
