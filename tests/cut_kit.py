"""A line to a server that a test can cut: what is on it is lost, and the server goes on.

`from cut_kit import Line, line`. For servers that keep all in memory, whose own death would
take what the test is about with it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from listening import stop_listening
from ports import free_port


class Line:
    """Passes bytes on from a port of its own to another on loopback."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = free_port()
        self.hears = asyncio.Event()
        """Cleared by a test: what clients say stays on the line from then on."""
        self.hears.set()
        self.opened = 0
        """Connections so far."""
        self.passing = 0
        """Connections that are not over yet."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        """Take connections, on the port of the last time."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """Break what is connected, and refuse everybody."""
        if self._server is not None:
            await stop_listening(self._server)
        for end in list(self._ends):
            end.transport.abort()
        self.hears.set()  # too late for what it held back

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.passing += 1
        ends = {writer}
        self._ends.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            ends.add(back)
            if writer.is_closing():  # cut meanwhile
                return
            self._ends.add(back)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, back, self.hears))
                tasks.create_task(_copy(there, writer))
        except OSError:
            return
        finally:
            self._ends -= ends
            for end in ends:
                end.transport.abort()
            self.passing -= 1


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: asyncio.Event | None = None
) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            if passes is not None:
                await passes.wait()
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def line(target: int) -> AsyncIterator[Line]:
    """Yield a line to a port of loopback."""
    one = Line(target)
    await one.mend()
    try:
        yield one
    finally:
        await one.cut()
        while one.passing:
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # what was aborted is closed
