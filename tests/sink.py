"""An HTTP endpoint for tests: counts what comes, and answers as told.

`from sink import sink`. The id of an event is read from the JSON member `id` of the body.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from listening import stop_listening
from ports import free_port


class Sink:
    """What came, path by path."""

    def __init__(self) -> None:
        self.port = free_port()
        self.ids: Counter[str] = Counter()
        """Requests that were answered well, by path and id: `/a 17`."""
        self.requests: list[tuple[float, str, Any]] = []
        """Time of the loop, path and body of every request."""
        self.status: Callable[[str, Any], int] = lambda _path, _body: 200
        self.seconds = 0.0
        self.busy = self.most = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self, path: str = "/") -> set[str]:
        return {key.split(" ", 1)[1] for key in self.ids if key.split(" ", 1)[0] == path}

    def times(self, path: str = "/") -> list[float]:
        return [at for at, where, _ in self.requests if where == path]

    async def start(self) -> None:
        """Listen, on the port of the last time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Listen no more, and cut all connections."""
        assert self._server is not None
        await stop_listening(self._server)
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (
                        int(line.split(":")[1])
                        for line in head.split("\r\n")
                        if line.lower().startswith("content-length:")
                    ),
                    0,
                )
                body = json.loads(await reader.readexactly(length) or b"null")
                status = await self._note(head.split(" ", 2)[1], body)
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _note(self, path: str, body: Any) -> int:
        self.requests.append((asyncio.get_running_loop().time(), path, body))
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            if self.seconds:
                await asyncio.sleep(self.seconds)
        finally:
            self.busy -= 1
        status = self.status(path, body)
        if status < 300:
            self.ids[f"{path} {body.get('id') if isinstance(body, dict) else body}"] += 1
        return status


@asynccontextmanager
async def sink() -> AsyncIterator[Sink]:
    """Yield a listening sink."""
    found = Sink()
    await found.start()
    try:
        yield found
    finally:
        await found.stop()
