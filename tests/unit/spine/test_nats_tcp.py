"""Connections to NATS servers: names that are looked up, and writes after the end."""

import asyncio
import gc
import socket
from contextlib import suppress
from functools import partial
from urllib.parse import urlparse

import pytest
import uvloop
from listening import stop_listening
from nats.aio.client import Client

from spine.nats_tcp import _Tcp, close, end_quietly

NOWHERE = urlparse("nats://no such host:4222")
"""Refused by the resolver itself, which asks no server for a name with blanks."""
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_look_up_that_nobody_waits_for_ends_without_a_word(loop):
    said = []
    running = loop()
    running.set_exception_handler(lambda _, context: said.append(context["message"]))

    async def given_up() -> None:
        tasks = [asyncio.create_task(_Tcp().connect(NOWHERE, 1024, 5)) for _ in range(100)]
        for _ in range(4):  # turns of the loop, in which the look-ups begin
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()

    running.run_until_complete(given_up())
    running.close()  # once all look-ups have ended
    gc.collect()

    assert said == []


async def test_a_name_server_that_is_silent_is_told_with_the_name(monkeypatch):
    never = asyncio.Event()

    async def look_up(*_: object, **__: object) -> None:
        await never.wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)

    with pytest.raises(TimeoutError, match=r"looking up bus\.example: no answer in time"):
        await _Tcp().connect(urlparse("nats://bus.example:4222"), 1024, 0.01)


async def test_each_address_of_a_name_is_tried(monkeypatch):
    async def look_up(host: str, port: int, **_: object) -> list[object]:
        assert host == "bus.example"
        return [(0, 0, 0, "", ("::1", port, 0, 0)), (0, 0, 0, "", ("127.0.0.1", port))]

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        # asyncio takes addresses as they are, and looks up nothing
        transport = _Tcp()
        await transport.connect(urlparse(f"nats://bus.example:{server.getsockname()[1]}"), 1024, 10)
        transport.close()
        await transport.wait_closed()


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_write_after_the_end_is_no_bug(loop):
    async def written() -> None:
        server = await asyncio.start_server(_hang_up, "127.0.0.1", 0)
        transport = _Tcp()
        port = server.sockets[0].getsockname()[1]
        await transport.connect(urlparse(f"nats://127.0.0.1:{port}"), 1024, 10)
        with pytest.raises(ConnectionResetError):
            await _until_it_breaks(transport)
        for _ in range(10):  # turns of the loop, in which it is closed
            await asyncio.sleep(0)
        for write, data in ((transport.write, b"x"), (transport.writelines, [b"x"])):
            with suppress(ConnectionResetError):  # asyncio drops it, uvloop raises
                write(data)
        transport.close()
        server.close()
        await server.wait_closed()

    running = loop()
    running.run_until_complete(written())
    running.close()


@pytest.mark.parametrize("half", ["its flush fails", "it is cancelled"])
async def test_what_the_library_closed_by_half_is_closed(half, monkeypatch):
    """It calls a client closed before it is."""
    gone = asyncio.Event()
    server = await asyncio.start_server(partial(_greet, gone), "127.0.0.1", 0)
    end_quietly()
    client = Client()
    await client.connect(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    transport = client._transport._io_writer.transport
    if half == "its flush fails":
        client._pending, client._pending_data_size = [b"x"], 1
        monkeypatch.setattr(_Tcp, "drain", _broken)
    closing = asyncio.create_task(client.close())
    while not client.is_closed:
        await asyncio.sleep(0)
    if half == "it is cancelled":
        closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    assert not transport.is_closing()

    await close(client)

    assert transport.is_closing()
    await gone.wait()
    await stop_listening(server)


async def _broken(_: _Tcp) -> None:
    raise ConnectionResetError


async def _greet(
    gone: asyncio.Event, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Say what a server says, and answer what it is asked."""
    writer.write(b'INFO {"server_id": "a", "version": "2.10.0", "max_payload": 1000}\r\n')
    with suppress(OSError):
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
    writer.transport.abort()
    gone.set()


async def _until_it_breaks(transport: _Tcp) -> None:
    """Write; nothing is read, so who writes is the first to hear of the end."""
    async with asyncio.timeout(60):
        while True:
            transport.write(b"PING\r\n")
            await transport.drain()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()
