"""One connection to NATS: credentials, TLS, the server's version, and in words what is wrong."""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nats.errors import Error as NatsError

from eventbus.jetstream.direct import CLIENT_BUFFER, DirectClient
from spine.errors import BusError, ConfigError
from spine.nats_tcp import close, end_quietly

log = logging.getLogger(__name__)

OLDEST = (2, 10)
"""First server with several filter subjects and metadata on one consumer."""
CONNECT_SECONDS = 5
PING_SECONDS = 10
"""Two unanswered pings end a connection whose other side vanished without a word."""
_NO_TLS = "the server does not speak TLS, and tls is configured"


@dataclass(frozen=True, slots=True)
class Options:
    """What it takes to connect once."""

    servers: tuple[str, ...]
    name: str = "tocsin"
    user: str | None = None
    password: str | None = None
    token: str | None = None
    creds: Path | None = None
    nkey_seed: str | None = None
    tls: ssl.SSLContext | None = None
    """Used when the server asks for TLS."""
    tls_demanded: bool = False
    """Whether a server without TLS is refused, before any credential is sent."""

    @property
    def verified(self) -> bool:
        """Whether a server has to show a certificate that we trust."""
        return self.tls is None or self.tls.verify_mode != ssl.CERT_NONE

    @property
    def shown(self) -> str:
        """The servers without credentials, for messages."""
        return ", ".join(re.sub(r"//[^/]*@", "//", server) for server in self.servers)


async def dial(options: Options, closed: asyncio.Event, errors: list[Exception]) -> DirectClient:
    """Connect once; set `closed` at the end of the connection, and note the latest `errors`.

    Raises BusError, and ConfigError for what no other attempt can mend.
    """
    end_quietly()
    client = DirectClient()

    async def on_closed() -> None:
        closed.set()

    async def on_error(exc: Exception) -> None:
        errors.append(exc)
        del errors[:-3]
        log.debug("nats: %s", exc)

    try:
        async with asyncio.timeout(CONNECT_SECONDS * (1 + len(options.servers))):
            await client.connect(
                **_credentials(options, client),
                servers=list(options.servers),
                name=options.name,
                tls=options.tls,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_SECONDS,
                ping_interval=PING_SECONDS,
                pending_size=CLIENT_BUFFER,
                closed_cb=on_closed,
                error_cb=on_error,
            )
        _check(client, options)
        client.attach()
    except (NatsError, OSError, TimeoutError) as exc:
        why = _why(options, errors[-1] if errors else exc)
        await close(client, 0.5)
        raise BusError(why) from exc
    except ConfigError:
        await close(client)
        raise
    except Exception as exc:  # the library reads keys without a look at what they are
        await close(client, 0.5)
        what = "the creds file" if options.creds else "the seed of the nkey"
        if options.creds is None and options.nkey_seed is None:
            raise BusError(_why(options, exc)) from exc
        raise ConfigError(f"connecting to {options.shown}: {what} is not one") from exc
    except BaseException:
        await close(client)
        raise
    return client


def speaks_tls(client: DirectClient) -> bool:
    """Return whether the server demands TLS."""
    return bool(client._server_info.get("tls_required"))  # noqa: SLF001 -- the library has no other place to look


def _check(client: DirectClient, options: Options) -> None:
    """Refuse a server that is not what was asked for."""
    if options.tls_demanded and not speaks_tls(client):
        raise NatsError(_NO_TLS)
    version = client.connected_server_version
    try:
        old = (version.major, version.minor) < OLDEST
    except ValueError:  # a build without a proper version is somebody's own
        old = False
    if old:
        raise ConfigError(
            f"connecting to {options.shown}: nats-server {version._server_version} is too old",  # noqa: SLF001 -- it has no other text
            hint="2.10 is the first with several filter subjects for one consumer",
        )


def _credentials(options: Options, client: DirectClient) -> dict[str, Any]:
    """Return the client's options for credentials; none leaves before TLS that was demanded."""

    def guarded(value: str | None) -> Callable[[], str] | None:
        if value is None:
            return None

        def give() -> str:
            if options.tls_demanded and not speaks_tls(client):
                raise NatsError(_NO_TLS)
            return value

        return give

    if options.creds is not None:
        return {"user_credentials": options.creds}
    if options.nkey_seed is not None:
        return {"nkeys_seed_str": options.nkey_seed}
    return {
        "user": guarded(options.user),
        "password": guarded(options.password),
        "token": guarded(options.token),
    }


def _why(options: Options, exc: Exception) -> str:
    if isinstance(exc, TimeoutError) and not str(exc):
        text = "no answer in time"
    else:
        text = str(exc).removeprefix("nats: ").strip("'")
    hint = ""
    if "authorization" in text.lower():
        hint = " (check the user, password, token or credentials of the bus)"
    elif isinstance(exc, ssl.SSLCertVerificationError):
        hint = " (give the CA in tls.caCertSecret)"
    elif isinstance(exc, ConnectionRefusedError):
        ports = ", ".join(str(urlsplit(s).port or 4222) for s in options.servers)
        text = f"nothing listens on port {ports}"
    return f"connecting to {options.shown}: {text}{hint}"
