"""A client whose busiest subscriptions are called straight from what the socket gave.

The library puts each message into a queue, from which a task of the subscription takes it, after
regular expressions have read it. For acknowledgements and for pulled messages that costs more than
handling them does. Here their callbacks are plain functions, called in the order of arrival;
whatever else the server says is read by the library as ever.
"""

import asyncio
import logging
from collections.abc import Callable

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
BUSY_SECONDS = 0.001
"""Commands that follow each other more closely are sent together, a turn of the loop later: of
many events a second each costs less then, and so does each acknowledgement of theirs."""
_END = b"\r\n"
_MESSAGES = frozenset({b"MSG", b"HMSG"})


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
        self._ps = self._parser = _Parser(self)
        self._socket: asyncio.WriteTransport | None = None
        loop = asyncio.get_running_loop()
        self._now, self._posted = loop.time, 0.0
        self._flushed: asyncio.Future[None] = loop.create_future()
        self._flushed.set_result(None)

    def attach(self) -> None:
        """Go past the library's streams, once it is connected.

        Its reading and writing tasks cost each message a turn of the loop. What is not a direct
        message still goes to them, and what they have begun is ended first.
        """
        for task in (self._flusher_task, self._reading_task):
            if task is not None:
                task.add_done_callback(_heard)
        reader = getattr(self._transport, "_io_reader", None)
        writer = getattr(self._transport, "_io_writer", None)
        if reader is None or writer is None:
            return  # a websocket has neither
        self._parser.attach(reader)
        self._socket = writer.transport

    def answer_no_more(self, why: Exception) -> None:
        """End requests whose answers are lost with the connection; they would wait in vain."""
        for waiting in list(self._resp_map.values()):
            if not waiting.done():
                waiting.set_exception(why)
                waiting.exception()  # who asks may have gone, or not have come to wait for it yet

    def post(self, command: bytes) -> bool:
        """Put a command on its way; return False where that has to be waited for, or is lost."""
        socket = self._socket
        if socket is None or not self.is_connected or socket.is_closing():
            return False
        if self._pending_data_size + socket.get_write_buffer_size() > CLIENT_BUFFER:
            return False
        now = self._now()
        is_busy = now - self._posted < BUSY_SECONDS
        self._posted = now
        if not (is_busy or self._pending):
            socket.write(command)
            return True
        self._pending.append(command)  # behind what the library has not sent yet
        self._pending_data_size += len(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            self._flush_queue.put_nowait(self._flushed)
        return True


def _heard(task: asyncio.Task[None]) -> None:
    """Take note of how a task of the library ended, so that asyncio does not tell of it."""
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.debug("nats: %s", exc)


class _Parser(Parser):
    """Reads messages of direct subscriptions, and gives the library all else in whole pieces."""

    @override
    def reset(self) -> None:
        super().reset()
        self._kept: list[bytes] = []
        self._size = self._wanted = 0
        self._parsing = False

    def attach(self, reader: asyncio.StreamReader) -> None:
        """Read what comes before the library's reading task does."""
        library = reader.feed_data

        def feed(data: bytes) -> None:
            if self._parsing or reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001 -- has no other sign that it is behind
                library(data)  # in its turn
            elif rest := self._take(data):
                library(rest)

        reader.feed_data = feed  # type: ignore[assignment,method-assign]  # its protocol calls it

    @override
    async def parse(self, data: bytes = b"") -> None:
        self._parsing = True
        try:
            while data := self._take(data):
                stop = data.find(_END) + 2
                if stop < 2:  # noqa: PLR2004 -- there is none
                    raise ProtocolError("nats: a line without an end")
                words = data[: stop - 2].split(b" ")
                if words[0] in _MESSAGES:
                    stop += _size(words[-1]) + 2
                await super().parse(data[:stop])
                data = data[stop:]
        finally:
            self._parsing = False

    def _take(self, data: bytes) -> bytes:
        """Call callbacks; return what begins with a whole piece for the library, if there is one.

        A piece whose end has not come is kept.
        """
        if self._kept:
            self._kept.append(data)
            self._size += len(data)
            if self._size < self._wanted:
                return b""
            data = b"".join(self._kept)
            self._kept.clear()
        at = 0
        while at < len(data):
            end = data.find(_END, at)
            if end < 0:
                if len(data) - at > LONGEST_LINE:
                    break
                self._keep(data[at:], 0)
                return b""
            words = data[at:end].split(b" ")
            stop = end + 2
            callback = None
            if words[0] in _MESSAGES and words[-1].isdigit():
                stop += int(words[-1]) + 2
                if len(words) > 3 and words[2].isdigit():  # noqa: PLR2004 -- subject, id and size
                    callback = self.nc.direct.get(int(words[2]))
            if stop > len(data):
                self._keep(data[at:], stop - at)
                return b""
            if callback is None:
                break
            _call(callback, words, data, end + 2, stop - 2)
            at = stop
        return data[at:]

    def _keep(self, rest: bytes, wanted: int) -> None:
        self._kept, self._size, self._wanted = [rest], len(rest), wanted


def _call(callback: Direct, words: list[bytes], data: bytes, start: int, stop: int) -> None:
    headers, least = None, 4
    try:
        if words[0] == b"HMSG":
            least, body = 5, start + int(words[-2])
            headers, start = _headers(data[start:body]), body
        reply = words[3].decode() if len(words) > least else ""
        callback(Delivered(words[1].decode(), reply, data[start:stop], headers))
    except Exception:
        log.exception("taking a message of %s", words[1])


def _headers(block: bytes) -> dict[str, str] | None:
    """Return the headers of a message; a status is one of them, as the library has it."""
    first, *lines = block.decode(errors="replace").split("\r\n")
    found = {}
    _, _, status = first.partition(" ")
    if status:
        found["Status"], _, why = status.partition(" ")
        if why:
            found["Description"] = why
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found or None


def _size(word: bytes) -> int:
    if not word.isdigit():
        raise ProtocolError("nats: malformed MSG")
    return int(word)


def plain_of(subject: str, data: bytes, reply: str = "") -> bytes:
    """Return the line that publishes a message without headers."""
    where = f"{subject} {reply}" if reply else subject
    return b"PUB %b %d\r\n%b\r\n" % (where.encode(), len(data), data)


def command_of(subject: str, data: bytes, reply: str, headers: dict[str, str]) -> bytes | None:
    """Return the line that publishes a message with headers; None where one breaks lines.

    Subject and reply are checked by who makes them.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        return None
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    size = len(head)
    line = f"HPUB {subject} {reply} {size} {size + len(data)}\r\n".encode()
    return b"".join((line, head, data, b"\r\n"))
