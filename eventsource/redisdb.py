"""Redis servers: what both of its sources are configured by, and a connection in our terms."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from eventsource.source import EventSourceFilter, Source
from spine.access import TlsConfig, secret_of
from spine.errors import ConfigError, SourceError
from spine.fields import Int32
from spine.http.tls import tls_context
from spine.runtime import Env
from spine.secrets import SecretRef

if TYPE_CHECKING:
    from redis.asyncio import Connection, ConnectionPool, Redis

PORT = 6379
CONNECT_SECONDS = 5.0
"""In which a server must have taken us in."""
ANSWER_SECONDS = 10.0
"""In which a server must answer, longer than it is ever asked to wait."""
CLOSE_SECONDS = 0.2
CONNECTIONS = 4
"""To one server: one that waits for messages, and those that acknowledge."""


class OnRedis(Source):
    """What every source on a Redis server is configured by."""

    host_address: str
    """Host and port of the server, as in `redis.argo-events.svc:6379`; 6379 without a port."""
    db: Annotated[Int32, Field(ge=0)] = 0
    """Number of the database."""
    username: str = ""
    """Name of the user; the server's default user where it is empty."""
    password: SecretRef | None = None
    """Where the password stands; read again for each connection."""
    tls: TlsConfig | None = None
    """TLS settings; without them the connection is in plain text."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which messages become events."""

    @field_validator("host_address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        if "://" in address:
            raise ValueError("write host and port alone, and tls for an encrypted connection")
        host, port = split(address)
        if not host or not 0 < port < 65_536:  # noqa: PLR2004 -- ports have 16 bits
            raise ValueError("write host and port, as in redis.argo-events.svc:6379")
        return address

    @asynccontextmanager
    async def connection(self, env: Env, grant: str) -> AsyncIterator["Redis"]:
        """Yield a client; `grant` is what its user must be granted, in the words of Redis.

        Raises SourceError for whatever the server or the connection does in the block, ConfigError
        for settings that cannot work.
        """
        try:
            from redis.asyncio import Redis
            from redis.exceptions import RedisError
        except ImportError as exc:
            hint = "pip install 'tocsin[redis]'"
            raise ConfigError(f"listening to Redis: {exc}", hint=hint) from exc
        client = Redis(connection_pool=self._pool(env))
        try:
            yield client
        except (RedisError, OSError) as exc:
            hint = self._hint(exc, grant)
            raise SourceError(
                f"listening to Redis at {self.host_address}: {_why(exc)}", hint=hint
            ) from exc
        finally:
            await _close(client)

    def _pool(self, env: Env) -> "ConnectionPool":
        from redis.asyncio import Connection, ConnectionPool
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        host, port = split(self.host_address)
        tls = tls_context(self.tls.read(env.secrets)) if self.tls is not None else None
        return ConnectionPool(
            connection_class=Connection if tls is None else _encrypted(tls),
            max_connections=CONNECTIONS,
            host=host,
            port=port,
            db=self.db,
            username=self.username or None,
            password=secret_of(self.password, env.secrets) or None,
            protocol=2,  # every server knows it
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
        )

    def _hint(self, exc: Exception, grant: str) -> str:
        from redis.exceptions import AuthenticationError, NoPermissionError

        if isinstance(exc, NoPermissionError):
            return f"allow it: ACL SETUSER {self.username or 'default'} {grant}"
        if isinstance(exc, AuthenticationError):
            return "check username and password"
        if isinstance(_cause(exc), ssl.SSLCertVerificationError):
            return "give the CA in tls.caCertSecret"
        return ""


def split(address: str) -> tuple[str, int]:
    """Return host and port of an address; port 0 is one that is none."""
    host, colon, port = address.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = address, str(PORT)
    digits = port.isascii() and port.isdecimal()
    return host.removeprefix("[").removesuffix("]"), int(port) if digits else 0


def _encrypted(context: ssl.SSLContext) -> "type[Connection]":
    """Return a kind of connection that uses a TLS context of ours."""
    from redis.asyncio import SSLConnection

    class Encrypted(SSLConnection):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.ssl_context.context = context

    return Encrypted


def _cause(exc: BaseException) -> BaseException:
    """Return what the library wraps."""
    while (inner := exc.__cause__ or exc.__context__) is not None:
        exc = inner
    return exc


def _why(exc: Exception) -> str:
    cause = _cause(exc)
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(cause, ssl.SSLError):
        return str(cause)
    return str(exc) or "no answer in time"


async def _close(client: "Redis") -> None:
    with suppress(Exception):  # it is thrown away
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.connection_pool.disconnect()
