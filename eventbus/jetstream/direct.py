"""A client whose busiest subscriptions are called straight from what the socket gave.

The library puts each message into a queue, from which a task of the subscription takes it, after
regular expressions have read it. For acknowledgements and for pulled messages that costs more than
handling them does. Here their callbacks are plain functions, called in the order of arrival;
whatever else the server says is read by the library as ever.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser
from typing_extensions import override

log = logging.getLogger(__name__)

LONGEST_LINE = 1024 * 1024
"""Bytes of a line of the server; only the one that describes the server is long."""
CLIENT_BUFFER = 16 * 1024 * 1024
"""Bytes that the client collects before a sender waits for the socket."""
_END = b"\r\n"


class Delivered(msgspec.Struct, gc=False):
    """A message as a callback gets it."""

    subject: str
    reply: str
    data: bytes
    headers: dict[str, str] | None = None


Direct = Callable[[Delivered], None]
"""Takes a message; it has no time to wait for anything."""


class DirectClient(Client):
    """The library's client, with callbacks by the id of their subscription."""

    def __init__(self) -> None:
        super().__init__()
        self.direct: dict[int, Direct] = {}
        self._ps = _Parser(self)
        self._flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushed.set_result(None)

    def post(self, command: bytes) -> bool:
        """Put a command on its way; return False where that has to be waited for, or is lost."""
        queue = self._flush_queue
        if queue is None or not self.is_connected or self._pending_data_size > CLIENT_BUFFER:
            return False
        self._pending.append(command)
        self._pending_data_size += len(command)
        if queue.empty():
            queue.put_nowait(self._flushed)  # the flusher wakes and sends all there is by then
        return True


class _Parser(Parser):
    """Reads messages of direct subscriptions, and gives the library all else in whole pieces."""

    @override
    def reset(self) -> None:
        super().reset()
        self._kept: list[bytes] = []
        self._size = self._wanted = 0

    @override
    async def parse(self, data: bytes = b"") -> None:
        if self._kept:
            self._kept.append(data)
            self._size += len(data)
            if self._size < self._wanted:
                return
            data = b"".join(self._kept)
            self._kept.clear()
        at = 0
        while at < len(data):
            end = data.find(_END, at)
            if end < 0:
                self._keep(data[at:], 0)
                return
            words = data[at:end].split(b" ")
            kind = words[0]
            stop = end + 2
            if kind in {b"MSG", b"HMSG"}:
                stop += _size(words[-1]) + 2
                if stop > len(data):
                    self._keep(data[at:], stop - at)
                    return
                callback = self.nc.direct.get(int(words[2]))
                if callback is not None:
                    await self._call(callback, words, data, end + 2, stop - 2)
                    at = stop
                    continue
            await super().parse(data[at:stop])
            at = stop

    def _keep(self, rest: bytes, wanted: int) -> None:
        if not wanted and len(rest) > LONGEST_LINE:
            raise ProtocolError("nats: a line without an end")
        self._kept, self._size, self._wanted = [rest], len(rest), wanted

    async def _call(
        self, callback: Direct, words: list[bytes], data: bytes, start: int, stop: int
    ) -> None:
        headers: Any = None
        sizes = 1
        if words[0] == b"HMSG":
            sizes = 2
            body = start + int(words[-2])
            headers = await self.nc._process_headers(data[start:body])  # noqa: SLF001 -- as the library reads them
            start = body
        reply = words[3].decode() if len(words) == 4 + sizes else ""
        try:
            callback(Delivered(words[1].decode(), reply, data[start:stop], headers))
        except Exception:
            log.exception("taking a message of %s", words[1])


def _size(word: bytes) -> int:
    if not word.isdigit():
        raise ProtocolError("nats: malformed MSG")
    return int(word)
