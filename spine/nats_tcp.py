"""The library's connection over TCP, whose end is no cause for a warning.

Where a connection is upgraded to TLS, the library makes the reading side by hand, and does not tell
it that it is under TLS. So at the end of every such connection asyncio warns that it cannot be
half open, which nobody wanted. Told, it says nothing; all else is the library's own.
"""

import ssl
from typing import Any

from nats.aio import client as library
from nats.aio.transport import TcpTransport
from typing_extensions import override


def end_quietly() -> None:
    """Have all clients that are made from now on end without that warning."""
    library.TcpTransport = _Tcp  # type: ignore[attr-defined]  # it has no option for what it makes


class _Tcp(TcpTransport):
    @override
    async def connect_tls(
        self, uri: Any, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        assert self._io_writer is not None
        self._io_writer.transport.get_protocol()._over_ssl = True  # type: ignore[attr-defined]  # noqa: SLF001 -- as asyncio itself does where it makes the reading side
