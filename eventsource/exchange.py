"""A request that came whole, and its answer.

Most requests of senders arrive in one piece. For those the messages of ASGI are a detour: the
head, the body and the answer are passed on as they are. A request that comes in parts, asks first,
or stands behind another one goes the long way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from eventsource.answers import BROKEN, Answer

if TYPE_CHECKING:
    from eventsource.listener import Connection

log = logging.getLogger(__name__)

Lines = list[tuple[bytes, bytes]]
"""Header lines, names in lower case."""
Whole = Callable[[str, str, bytes, Lines, bytes], Awaitable[Answer]]
"""Answers method, path, query, header lines and body."""

_SHORT = 256
"""Bytes of a URL that is worth remembering."""


class Exchange:
    """Stands where uvicorn has its cycle, for one request."""

    __slots__ = (
        "body",
        "connection",
        "disconnected",
        "keep_alive",
        "method",
        "response_complete",
        "task",
    )

    more_body = False
    response_started = False
    message_event = asyncio.Event()
    """Nobody waits for more of the request."""

    def __init__(
        self, connection: "Connection", method: str, body: bytes, keep_alive: bool
    ) -> None:
        self.connection, self.method, self.body = connection, method, body
        self.keep_alive = keep_alive
        self.disconnected = self.response_complete = False
        self.task: asyncio.Task[None] | None = None
        """What answers it, as long as it does."""

    @property
    def scope(self) -> "Exchange":
        """What tells one request from another."""
        return self

    async def run(self, answer: Whole, path: str, query: bytes, lines: Lines) -> None:
        """Have the request answered, and send that."""
        connection = self.connection
        try:
            try:
                found = await answer(self.method, path, query, lines, self.body)
            except Exception:
                log.exception("answering a request")
                found = BROKEN
            if connection.flow.write_paused and not self.disconnected:
                await connection.flow.drain()
            if not self.disconnected:
                self._send(found)
        finally:  # a callback of the task would come a turn of the loop later, for each request
            connection.tasks.discard(self.task)

    def _send(self, found: Answer) -> None:
        connection = self.connection
        self.response_complete = True
        text = b"" if self.method == "HEAD" else found.content
        close = b"" if self.keep_alive else b"connection: close\r\n"
        connection.transport.write(
            b"%b%b%b%b\r\n%b" % (found.status_line, connection.date, found.head, close, text)
        )
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()


def parts(url: bytes) -> tuple[str, bytes]:
    """Return path and query of a request. Raises for what is no URL."""
    return _known(url) if len(url) < _SHORT else _parts(url)


def _parts(url: bytes) -> tuple[str, bytes]:
    import httptools  # here: who only reads manifests loads no server

    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return (unquote(path) if "%" in path else path), parsed.query or b""


_known = lru_cache(maxsize=1024)(_parts)
