"""A port that closes, and one that is full."""

import asyncio
from typing import Any

from ports import free_port

from eventsource.listener import BOUNDS, Bounds, Listener, listen


async def _never(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nothing is to be served")


async def test_connection_that_shows_up_after_the_end_is_closed():
    """The loop accepts a connection some steps before it tells the protocol of it."""
    listener = Listener(_never, BOUNDS)
    await listener.drain()
    server = await asyncio.get_running_loop().create_server(
        listener.connection, "127.0.0.1", port := free_port()
    )
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(60):
            assert await _rest(reader) == b""
        writer.transport.abort()
    finally:
        server.close()
    assert not listener.state.connections


async def test_connections_at_the_moment_of_the_end_are_all_closed():
    for steps in range(6):
        async with listen("127.0.0.1", port := free_port(), _never):
            opening = asyncio.create_task(asyncio.open_connection("127.0.0.1", port))
            for _ in range(steps):
                await asyncio.sleep(0)
        try:
            reader, writer = await opening
        except ConnectionError:
            continue
        async with asyncio.timeout(60):
            assert await _rest(reader) == b""
        writer.transport.abort()


async def test_an_idle_connection_makes_room_and_else_a_new_one_is_told_to_come_back():
    gate = asyncio.Event()

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await gate.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path.encode())
        return reader, writer

    bounds = Bounds(connections=2)
    async with (
        asyncio.timeout(30),
        listen("127.0.0.1", port := free_port(), answering, bounds=bounds) as listener,
    ):
        idle, idle_writer = await ask("/")
        assert b" 204 " in await idle.readuntil(b"\r\n\r\n")
        slow = [await ask("/slow"), await ask("/slow")]
        assert await idle.read() == b"", "it made room"

        refused, refused_writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await refused.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        assert len(listener.state.connections) == 2

        gate.set()
        for reader, _ in slow:
            assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        again, again_writer = await ask("/")
        assert b" 204 " in await again.readuntil(b"\r\n\r\n")
        writers = [idle_writer, refused_writer, again_writer, *(writer for _, writer in slow)]
        for writer in writers:
            writer.close()
        await asyncio.gather(*(w.wait_closed() for w in writers), return_exceptions=True)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
