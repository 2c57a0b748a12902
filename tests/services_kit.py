"""Receivers for tests of services: an HTTP server that records, and a mail server.

`from services_kit import receiver, mail_server`. Both are real, listen on loopback, and answer as
they are told.
"""

import asyncio
import json
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from services.service import Client, Service
from spine.model import load
from spine.runtime import Env, Memory, Shared
from spine.secrets import GivenSecrets

# ---------------------------------------------------------------------------- HTTP


@dataclass(frozen=True)
class Got:
    """A request that came in."""

    method: str
    path: str
    """Path and query as they were sent."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.path.partition("?")[2], keep_blank_values=True))

    @property
    def place(self) -> str:
        return self.path.partition("?")[0]

    @property
    def text(self) -> str:
        """All of it, as text."""
        lines = [f"{self.method} {self.path}", *(f"{k}: {v}" for k, v in self.headers.items())]
        return "\n".join([*lines, "", self.body.decode(errors="replace")])


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int = 200
    body: Any = field(default_factory=dict)
    """Bytes and text as they are, everything else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


class Receiver:
    """What came, and what is answered."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[Got] = []
        self.answers: dict[str, Any] = {}
        """What is answered, a Reply or the body of one, by how the path ends."""
        self.reply: Callable[[Got], Reply | None] = lambda _: None
        """Asked first."""
        self.connections: set[Any] = set()
        self.hang = False
        """Whether nothing is answered at all."""
        self.came = asyncio.Event()

    @property
    def last(self) -> Got:
        return self.got[-1]

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    async def serve(self, request: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(request.method, request.raw_path, headers, await request.read())
        self.connections.add(request.transport.get_extra_info("peername"))
        self.got.append(got)
        self.came.set()
        if self.hang:
            await asyncio.Event().wait()
        reply = self.reply(got) or self._answer(got)
        return web.Response(
            status=reply.status, body=reply.data, headers=dict(reply.headers), reason="Told"
        )

    def _answer(self, got: Got) -> Reply:
        found = next((v for end, v in self.answers.items() if got.place.endswith(end)), {})
        return found if isinstance(found, Reply) else Reply(200, found)


@asynccontextmanager
async def receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Yield a server that listens."""
    one = Receiver()
    runner = web.ServerRunner(web.Server(one.serve), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    scheme = "http://127.0.0.1" if tls is None else "https://localhost"
    one.url = f"{scheme}:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talk(
    service: type[Service],
    config: Mapping[str, Any],
    *,
    url: str = "apiURL",
    memory: Memory | None = None,
) -> AsyncIterator[tuple[Client, Receiver]]:
    """Yield an open client of a service, and the receiver that its field `url` leads to.

    `{url}` in the texts of `config` is its address, too; `url` may be empty.
    """
    async with receiver() as at, Shared() as shared:
        env = Env("alerts", "one", "ns", GivenSecrets(), shared, host="127.0.0.1", memory=memory)
        raw = placed(config, at.url) | ({url: at.url} if url and url not in config else {})
        async with load(service, raw).open(env) as client:
            yield client, at


def placed(value: Any, url: str) -> Any:
    """Return a value with `{url}`, `{host}` and `{rsa_key}` in its texts replaced."""
    match value:
        case dict():
            return {k: placed(v, url) for k, v in value.items()}
        case list():
            return [placed(one, url) for one in value]
        case str():
            value = value.replace("{rsa_key}", _rsa_key()) if "{rsa_key}" in value else value
            return value.replace("{url}", url).replace("{host}", url.partition("://")[2])
    return value


def _rsa_key() -> str:
    from github_kit import PRIVATE_KEY  # it takes a moment to make one

    return PRIVATE_KEY


class Kept(Memory):
    """A memory that outlives what uses it; `broken` is raised by every call."""

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.parts: dict[str, Kept] = {}
        self.broken: Exception | None = None

    def part(self, name: str) -> "Kept":
        made = self.parts.setdefault(name, Kept())
        made.broken = self.broken
        return made

    async def get(self) -> bytes | None:
        if self.broken is not None:
            raise self.broken
        return self.value

    async def put(self, value: bytes) -> None:
        self.value = value

    async def edit(self, change: Callable[[bytes | None], bytes]) -> None:
        self.value = change(await self.get())


# ---------------------------------------------------------------------------- mail


@dataclass(frozen=True)
class Mail:
    """A mail that was taken."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    tls: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.data, _class=EmailMessage, policy=policy.default)


class Mailbox:
    """What came, and whom the server refuses."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[Mail] = []
        self.refused: dict[str, str] = {}
        """Answer to a recipient, such as `550 no such user`."""
        self.refused_data = ""
        """Answer to the content of a mail."""
        self.hold: asyncio.Event | None = None
        """What is waited for before the content of a mail is answered."""
        self.connections = 0
        self.came = asyncio.Event()
        self.waiting = 0
        """Mails whose content is not answered yet."""
        self._changed = asyncio.Event()
        self._open: list[Any] = []

    async def changed(self) -> None:
        """Wait for the next content of a mail."""
        self._changed.clear()
        await self._changed.wait()

    def opened(self, protocol: Any) -> None:
        self.connections += 1
        self._open.append(protocol)

    def hang_up(self) -> None:
        """Close all connections."""
        for protocol in self._open:
            if protocol.transport is not None:
                protocol.transport.close()

    async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802 -- the name that aiosmtpd calls
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 -- the name that aiosmtpd calls
        self.came.set()
        self._changed.set()
        self.waiting += 1
        if self.hold is not None:
            await self.hold.wait()
        self.waiting -= 1
        if self.refused_data:
            return self.refused_data
        user = session.auth_data.login.decode() if session.auth_data else ""
        secure = session.ssl is not None
        recipients = tuple(envelope.rcpt_tos)
        self.mails.append(Mail(envelope.mail_from, recipients, envelope.content, secure, user))
        return "250 taken"


@asynccontextmanager
async def mail_server(
    *,
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    users: Mapping[str, str] | None = None,
    require_starttls: bool = False,
) -> AsyncIterator[Mailbox]:
    """Yield a mail server that listens; with `users`, only those may send."""
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    box = Mailbox()

    def check(server, session, envelope, mechanism, data) -> AuthResult:
        assert isinstance(data, LoginPassword)
        known = (users or {}).get(data.login.decode()) == data.password.decode()
        return AuthResult(success=known, handled=False, auth_data=data)

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it would rather not ask in clear
            made = SMTP(
                box,
                hostname="mail.test",
                tls_context=starttls,
                require_starttls=require_starttls,
                authenticator=check if users is not None else None,
                auth_required=users is not None,
                auth_require_tls=False,
                auth_exclude_mechanism=() if users is not None else ("PLAIN", "LOGIN"),
                enable_SMTPUTF8=True,
            )
        box.opened(made)
        return made

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=implicit)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        box.hang_up()


def server_tls(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return the context of a server named localhost, and the PEM of what signed it."""
    from git_kit import certificate

    file = certificate(folder / "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file.read_text().partition("-----BEGIN PRIVATE")[0]
