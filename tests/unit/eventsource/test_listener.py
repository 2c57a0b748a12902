"""A port that closes."""

import asyncio

from hooks import free_port

from eventsource.listener import BOUNDS, Listener, listen


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
        async with asyncio.timeout(10):
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
        async with asyncio.timeout(10):
            assert await _rest(reader) == b""
        writer.transport.abort()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
