"""NATS: publishes one message for each firing.

Success means that the server has the message: it answered after it, and did not refuse it. All
of the settings follow from the events where parameters say so, the subject too. Secrets are named
in an action and read when it is sent, so a rotated one is taken at once.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.fields import Name
from sensor.parameters import PayloadEntry
from sensor.sending import Sending
from spine.access import TlsConfig
from spine.errors import ConfigError, TriggerError
from spine.http.tls import read_tls
from spine.nats_client import Message, Peers
from spine.nats_server import Login, NatsAuth, Server
from spine.runtime import Env
from spine.secrets import Secrets


class Nats(Sending):
    """Publishes to a NATS subject."""

    kind: ClassVar[str] = "nats"

    url: Name
    """Servers, separated by commas, such as `nats://broker:4222`."""
    subject: Name
    """Subject to publish to."""
    payload: list[PayloadEntry]
    """What the message is built from."""
    tls: TlsConfig | None = None
    """TLS settings; none trusts the system's CA certificates, where the server asks for TLS."""
    auth: NatsAuth | None = None
    """How to log in."""

    @override
    def check(self) -> None:
        if _BAD_SUBJECT.search(self.subject):
            raise ConfigError(
                f"reading nats.subject {self.subject!r}: it is no subject to publish to",
                hint="words joined by dots, without spaces and wildcards",
            )

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        return _open(env)


_BAD_SUBJECT = re.compile(r"[\x00-\x20\x7f]|(?:^|\.)(?:[*>]?)(?:\.|$)")
"""Spaces, empty words and wildcards."""


# ---------------------------------------------------------------------------- sending


@asynccontextmanager
async def _open(env: Env) -> AsyncIterator[Sender]:
    async with Peers() as peers:
        yield NatsSender(peers, env.secrets)


class NatsSender(Sender):
    """Publishes what an action of kind `nats` holds."""

    def __init__(self, peers: Peers, secrets: Secrets) -> None:
        self._peers = peers
        self._secrets = secrets

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        content = action.content
        subject = content["subject"]
        try:
            server = self._server(content)
        except ConfigError as exc:  # a Secret may yet come
            raise TriggerError(f"publishing to {subject}: {exc}") from exc
        body = content.get("body", "").encode(errors="replace")
        await self._peers.publish(server, Message(subject, body))
        return Outcome(f"published to {subject}", {"subject": subject, "bytes": len(body)})

    def _server(self, content: Mapping[str, Any]) -> Server:
        tls = read_tls(content["tls"], self._secrets) if "tls" in content else None
        auth = NatsAuth(**content["auth"]).read(self._secrets) if "auth" in content else Login()
        return Server(content["url"], tls, auth, "nats.auth")
