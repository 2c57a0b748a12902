"""NATS servers: where they are, who we are to them, and how a client of the library is let in.

Nothing leaves in plain text where TLS is configured, not even to a server that forgot about it.
The library is told not to reconnect by itself: it would go on with what it read at the start.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from spine.access import BasicAuth, secret_of
from spine.errors import ConfigError, RemoteError
from spine.http.tls import Tls, tls_context
from spine.model import Model, warn
from spine.secrets import SecretRef, Secrets

if TYPE_CHECKING:
    from nats.aio.client import Client

CONNECT_TIMEOUT = 5
"""Seconds in which a server must have taken us in."""


class Login(NamedTuple):
    """Who we are; empty where nothing is said."""

    user: str = ""
    password: str = ""
    token: str = ""
    seed: str = ""
    credentials: str = ""


class Server(NamedTuple):
    """Where to connect to, and how."""

    url: str
    tls: Tls | None = None
    login: Login = Login()

    settings: str = "nats"
    """Where it is configured, for errors, such as `nats` in a trigger."""

    @property
    def urls(self) -> list[str]:
        """Each of its URLs."""
        found = [part.strip() for part in self.url.split(",") if part.strip()]
        return [part if "://" in part else f"nats://{part}" for part in found]

    @property
    def shown(self) -> str:
        """Its URLs without names and passwords."""
        hosts = [urlsplit(url) for url in self.urls]
        return ", ".join(f"{h.scheme}://{h.netloc.rpartition('@')[2]}" for h in hosts)

    @property
    def private(self) -> bool:
        """Whether nothing may be said in plain text."""
        schemes = {urlsplit(url).scheme for url in self.urls}
        return self.tls is not None or bool(schemes & {"tls", "wss"})


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
    def _one(self) -> Self:
        kinds = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if not kinds:
            raise ValueError("set basic, token, nkey or credential")
        if len(kinds) > 1:
            warn(f"{', '.join(kinds)}: only {kinds[0]} counts")
        return self

    def read(self, secrets: Secrets) -> Login:
        """Return what it names as it is just now. Raises ConfigError."""
        if self.basic is not None:
            user = secret_of(self.basic.username, secrets)
            return Login(user=user, password=secret_of(self.basic.password, secrets))
        if self.token is not None:
            return Login(token=secrets.secret(self.token))
        if self.nkey is not None:
            return Login(seed=secrets.secret(self.nkey).strip())
        return Login(credentials=secret_of(self.credential, secrets))


# ---------------------------------------------------------------------------- connecting


async def connect(
    client: "Client",
    server: Server,
    refused: Callable[[str], Awaitable[None]],
    closed: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Connect a client; one that is not let in is closed.

    `refused` is told what the server refuses later, `closed` when the connection is gone. Raises
    ConfigError where TLS is demanded and not spoken, RemoteError where nobody lets us in, and what
    `of_the_library` knows.
    """
    try:
        await _connect(client, server, refused, closed)
    except BaseException:
        await close(client)
        raise


async def _connect(
    client: "Client",
    server: Server,
    refused: Callable[[str], Awaitable[None]],
    closed: Callable[[], Awaitable[None]] | None,
) -> None:
    from nats.errors import NoServersError

    from spine.nats_tcp import end_quietly

    end_quietly()
    latest = ""

    async def on_error(exc: Exception) -> None:
        nonlocal latest
        latest = why(exc, server.settings)
        await refused(latest)

    try:
        await client.connect(
            server.urls,
            error_cb=on_error,
            closed_cb=closed,
            name="tocsin",
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT,
            max_reconnect_attempts=1,  # each server is tried, and once again
            reconnect_time_wait=0,
            tls=None if server.tls is None else tls_context(server.tls),
            **_credentials(server, client),
        )
    except NoServersError as exc:  # why it found none was told before
        raise RemoteError(latest or why(exc, server.settings)) from exc
    if server.private and not _speaks_tls(client):
        raise ConfigError(_NO_TLS)


def of_the_library(exc: Exception) -> bool:
    """Whether an exception is what the library raises for a server that cannot be used."""
    from nats.errors import Error
    from nkeys import NkeysError

    return isinstance(exc, Error | NkeysError | OSError | ValueError)


def why(exc: Exception, settings: str) -> str:
    """Return what such an exception says; `settings` names where credentials are configured."""
    text = str(exc).removeprefix("nats: ").strip("' ") or type(exc).__name__
    if isinstance(exc, ConnectionRefusedError):
        return "nothing listens there"
    if "authorization" in text.lower():
        return f"{text} (check {settings})"
    return text


_NO_TLS = "the server does not speak TLS, which is configured"


def _speaks_tls(client: "Client") -> bool:
    return bool(client._server_info.get("tls_required"))  # noqa: SLF001 -- the library has no other place to look


def _credentials(server: Server, client: "Client") -> dict[str, Any]:
    """Return the client's options for a login; nothing leaves before TLS that is demanded."""

    def guarded(value: str) -> Callable[[], str] | None:
        if not value:
            return None

        def give() -> str:
            if server.private and not _speaks_tls(client):
                raise ConfigError(_NO_TLS)
            return value

        return give

    login = server.login
    if login.credentials:
        from nats.aio.client import RawCredentials

        return {"user_credentials": RawCredentials(login.credentials)}
    if login.seed:
        return {"nkeys_seed_str": login.seed}
    return {
        "user": guarded(login.user),
        "password": guarded(login.password),
        "token": guarded(login.token),
    }


async def close(client: "Client") -> None:
    """Close a client, whatever is wrong with it."""
    from spine import nats_tcp

    await nats_tcp.close(client)
