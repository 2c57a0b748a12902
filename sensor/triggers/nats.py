"""NATS: publishes one message for each firing.

Success means that the server has the message: it answered after it, and did not refuse it. All
of the settings follow from the events where parameters say so, the subject too. Secrets are named
in an action and read when it is sent, so a rotated one is taken at once.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

from pydantic import model_validator
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.credentials import BasicAuth, TlsConfig
from sensor.fields import Name
from sensor.parameters import PayloadEntry
from sensor.sending import Sending
from spine.errors import ConfigError, TriggerError
from spine.http.tls import read_tls
from spine.model import Model, warn
from spine.nats_client import Login, Message, Peers, Server
from spine.runtime import Env
from spine.secrets import SecretRef, Secrets


class NatsAuth(Model):
    """How to log in; one of these."""

    basic: BasicAuth | None = None
    """Name and password."""
    token: SecretRef | None = None
    """Where a token stands."""
    nkey: SecretRef | None = None
    """Where the seed of an nkey stands."""
    credential: SecretRef | None = None
    """Where the content of a credentials file stands."""

    @model_validator(mode="after")
    def _one(self) -> "NatsAuth":
        kinds = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if not kinds:
            raise ValueError("set basic, token, nkey or credential")
        if len(kinds) > 1:
            warn(f"{', '.join(kinds)}: only {kinds[0]} counts")
        return self


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
        login = self._login(content.get("auth", {}))
        return Server(content["url"], tls, login, "nats.auth")

    def _login(self, auth: Mapping[str, Any]) -> Login:
        if "basic" in auth:
            basic = auth["basic"]
            return Login(user=self._key(basic, "username"), password=self._key(basic, "password"))
        if "token" in auth:
            return Login(token=self._key(auth, "token"))
        if "nkey" in auth:
            return Login(seed=self._key(auth, "nkey").strip())
        return Login(credentials=self._key(auth, "credential"))

    def _key(self, refs: Mapping[str, Any], name: str) -> str:
        return self._secrets.secret(SecretRef(**refs[name])) if name in refs else ""
