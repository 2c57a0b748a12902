"""NATS: publishes a message to a subject.

The key is the header `Nats-Msg-Id`, by which a stream drops what comes twice. Without `jetStream`
a message is sent once the server has it; nobody may have listened. With it, once a stream has it.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import Field
from typing_extensions import override

from services.hiding import HIDDEN, Hiding, credentials
from services.service import Client, Message, Receipt, Service
from spine import nats_client
from spine.errors import ConfigError, TriggerError
from spine.http.egress import check_host
from spine.http.tls import Tls
from spine.model import Model
from spine.nats_client import Login, Peers, Server
from spine.runtime import Env

ID = "Nats-Msg-Id"
"""The header by which a stream knows a message again."""


class NatsTls(Model):
    """How a server is trusted, and how it knows us; PEM texts."""

    ca: str = ""
    """CA certificates; none: those of the system."""
    certificate: str = ""
    """Client certificate."""
    key: Annotated[str, HIDDEN] = ""
    """Its private key."""
    insecure_skip_verify: bool = False
    """Whether any certificate is accepted."""


class Nats(Service):
    """Publishes to a NATS subject."""

    kind: ClassVar[str] = "nats"
    recipients: ClassVar[str] = "subject"
    idempotent: ClassVar[str] = "header Nats-Msg-Id"
    example: ClassVar[str] = """
service.nats: |
  url: nats://nats.messaging:4222
  username: tocsin
  password: $nats-password
template.ready: |
  message: "{{ .obj.metadata.name }} is ready"
"""

    url: Annotated[str, Field(min_length=1)]
    """Servers, separated by commas, such as `nats://broker:4222`."""
    headers: dict[str, str] = {}
    """Headers of each message."""
    nkey: Annotated[str, HIDDEN] = ""
    """Seed of an nkey to log in with."""
    username: str = ""
    """Name to log in with."""
    password: Annotated[str, HIDDEN] = ""
    """Password to log in with."""
    token: Annotated[str, HIDDEN] = ""
    """Ours: token to log in with."""
    credentials: Annotated[str, HIDDEN] = ""
    """Ours: content of a credentials file to log in with."""
    tls: NatsTls | None = None
    """Ours: TLS settings; none: those of the system, where the server asks for TLS."""
    jet_stream: bool = False
    """Ours: whether a message is sent only once a stream has it."""

    @override
    def problem(self, recipient: str) -> str:
        if not recipient:
            return "no subject: name one"
        if _BAD_SUBJECT.search(recipient):
            return f"{recipient!r} is no subject: words joined by dots, without wildcards"
        return ""

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


_BAD_SUBJECT = re.compile(r"[\x00-\x20\x7f]|(?:^|\.)(?:[*>]?)(?:\.|$)")
"""Spaces, empty words and wildcards."""
_BAD_HEADER = re.compile(r"[\x00-\x1f\x7f]")


@asynccontextmanager
async def _open(service: Nats, env: Env) -> AsyncIterator[Client]:
    server = _server(service, env.name)
    async with Peers() as peers:
        yield _Client(service, server, peers)


def _server(service: Nats, name: str) -> Server:
    login = Login(
        service.username, service.password, service.token, service.nkey.strip(), service.credentials
    )
    given = service.tls
    tls = None
    if given is not None:
        tls = Tls(given.ca, given.certificate, given.key, verify=not given.insecure_skip_verify)
    server = Server(service.url, tls, login, f"service {name}")
    for url in server.urls:
        check_host(_host(url), f"opening nats {name!r}")
    return server


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        raise ConfigError("reading url of service nats: it is none", hint="nats://HOST:4222")
    return host


class _Client(Client):
    def __init__(self, service: Nats, server: Server, peers: Peers) -> None:
        self._service, self._server, self._peers = service, server, peers
        self._hide = Hiding(credentials(service))

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        if why := self._service.problem(recipient):
            raise TriggerError(f"publishing to NATS: {why}", permanent=True)
        body = message.text.encode(errors="replace")
        sent = nats_client.Message(recipient, body, _headers(self._service.headers, key))
        try:
            if not self._service.jet_stream:
                await self._peers.publish(self._server, sent)
                return Receipt(f"published to {recipient}", {"subject": recipient})
            stored = await self._peers.store(self._server, sent)
        except TriggerError as exc:
            text = self._hide(exc.message)
            raise TriggerError(text, hint=exc.hint, permanent=exc.permanent) from exc
        detail = {"subject": recipient, "stream": stored.stream, "sequence": stored.seq}
        twice = " (it had it already)" if stored.duplicate else ""
        return Receipt(f"in stream {stored.stream}{twice}", detail)


def _headers(given: Mapping[str, str], key: str) -> dict[str, str]:
    """Return headers without line breaks, which would end them."""
    clean = {name: _BAD_HEADER.sub(" ", value) for name, value in given.items()}
    return {ID: key, **clean}
