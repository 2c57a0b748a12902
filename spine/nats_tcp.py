"""The library's connection over TCP, whose failures and end are no cause for words of asyncio.

Where a connection is upgraded to TLS, the library makes the reading side by hand, and does not tell
it that it is under TLS. So at the end of every such connection asyncio warns that it cannot be
half open, which nobody wanted. And where a name server takes its time, uvloop leaves a look-up
behind that nobody waits for any more; how it ended is told as an error that was never retrieved.
Here names are looked up first, by who waits. A write to a connection that broke a moment ago is an
OSError, as the library expects it; all else is the library's own.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import ParseResult

from nats.aio import client as library
from nats.aio.transport import TcpTransport
from typing_extensions import override

from spine.runtime import broken_as_reset


def end_quietly() -> None:
    """Have all clients that are made from now on say nothing but what they raise."""
    library.TcpTransport = _Tcp  # type: ignore[attr-defined]  # it has no option for what it makes


async def close(client: library.Client, seconds: float = 2.0) -> None:
    """Close a client within some seconds, whatever is wrong with it."""
    try:
        with suppress(Exception):  # it is thrown away
            async with asyncio.timeout(seconds):
                await client.close()
    finally:
        drop(client)


def drop(client: library.Client) -> None:
    """Let go of a client's connection, once it is closed or cannot be.

    The library breaks off its own closing where the last flush fails or the task that does it is
    cancelled. It then calls itself closed, and keeps the socket.
    """
    writer = getattr(client._transport, "_io_writer", None)  # noqa: SLF001 -- the library has no other way to it
    if writer is not None:
        writer.transport.abort()


class _Tcp(TcpTransport):
    @override
    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        last = OSError(f"{uri.hostname} has no address")
        hosts = await _addresses(uri, connect_timeout)
        async with asyncio.timeout(connect_timeout):
            for host in hosts:
                at = f"[{host}]" if ":" in host else host
                one = uri._replace(netloc=f"{at}:{uri.port}")
                try:
                    return await super().connect(one, buffer_size, connect_timeout)  # type: ignore[no-any-return]  # the library has no types there
                except OSError as exc:
                    last = exc
            raise last

    @override
    async def connect_tls(
        self, uri: Any, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        assert self._io_writer is not None
        self._io_writer.transport.get_protocol()._over_ssl = True  # type: ignore[attr-defined]  # noqa: SLF001 -- as asyncio itself does where it makes the reading side

    @override
    def write(self, payload: bytes) -> None:
        with broken_as_reset():
            super().write(payload)  # type: ignore[no-untyped-call]  # the library has no types there

    @override
    def writelines(self, payload: list[bytes]) -> None:
        with broken_as_reset():
            super().writelines(payload)  # type: ignore[no-untyped-call]  # the library has no types there


async def _addresses(uri: ParseResult, seconds: float) -> list[str]:
    """Look a name up. Raises OSError, and TimeoutError with a text of its own."""
    look_up = asyncio.get_running_loop().getaddrinfo
    try:
        async with asyncio.timeout(seconds):
            found = await look_up(uri.hostname, uri.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise TimeoutError(f"looking up {uri.hostname}: no answer in time") from None
    return [str(address[0]) for *_, address in found]
