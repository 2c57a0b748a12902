"""A gRPC service of one's own for tests: it tells what a test puts in, and can be killed.

`from eventing_kit import eventing_server`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from ports import free_port

from eventsource.generic.protocol import handler


class Eventing:
    """One server of `eventing.proto`."""

    def __init__(self, token: str, credentials: Any) -> None:
        self.token, self._credentials = token, credentials
        self._server: Any = None
        self.port = free_port()
        self.asked: list[tuple[str, bytes]] = []
        """Name and configuration of each call."""
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        """Events to tell; None ends the call."""
        self.told = 0
        self._asking = 0
        """Calls that wait for an event."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, on the port of the last time."""
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((handler(self._happening, self.token),))
        where = f"127.0.0.1:{self.port}"
        if self._credentials is None:
            self._server.add_insecure_port(where)
        else:
            self._server.add_secure_port(where, self._credentials)
        await self._server.start()

    async def kill(self) -> None:
        """End it, and every call of it, at once."""
        if self._server is not None:
            await self._server.stop(0)
        while self._asking:  # or a call that is over takes the next event
            await asyncio.sleep(0)

    def tell(self, *events: bytes) -> None:
        """Tell of events as soon as somebody listens."""
        for event in events:
            self.waiting.put_nowait(event)

    async def _happening(self, name: str, config: bytes) -> AsyncIterator[bytes]:
        self.asked.append((name, config))
        while (event := await self._next()) is not None:
            yield event
            self.told += 1

    async def _next(self) -> bytes | None:
        self._asking += 1
        try:
            return await self.waiting.get()
        finally:
            self._asking -= 1


@asynccontextmanager
async def eventing_server(token: str = "", credentials: Any = None) -> AsyncIterator[Eventing]:
    """Yield a server; with a token, it asks for it."""
    one = Eventing(token, credentials)
    try:
        await one.start()
        yield one
    finally:
        await one.kill()
