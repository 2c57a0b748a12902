"""Senders that are slow, endless or silent are cut, and disturb nobody."""

import asyncio

import pytest
from hooks import Talk, running
from ports import free_port

from eventsource import listener

SOON = 8.0
"""Seconds that are less than any bound of a process, and enough for a machine that is busy."""


@pytest.fixture
def bounds():
    """What a connection may take; a test may have others."""
    return {"head": 0.3, "pause": 0.3, "body": 1.0, "idle": 1.0}


@pytest.fixture
async def port(monkeypatch, bounds):
    monkeypatch.setattr(listener, "BOUNDS", listener.Bounds(head_size=2000, tick=0.05, **bounds))
    number = free_port()
    spec = {"webhook": {"a": {"endpoint": "/a", "port": str(number), "method": "POST"}}}
    async with running(spec):
        yield number


def bounded(**more: float):
    """Have other bounds than most tests."""
    return pytest.mark.parametrize("bounds", [{"head": 0.3, "pause": 0.3, "idle": 1.0} | more])


def now() -> float:
    return asyncio.get_running_loop().time()


async def closed(client: Talk) -> bytes:
    """Return what is said until the connection is closed, which is soon."""
    async with asyncio.timeout(SOON):
        return await client.closed()


async def drip(client: Talk, text: bytes, pause: float = 0.02) -> None:
    for n in range(len(text)):
        if client.writer.is_closing():
            return
        client.say(text[n : n + 1])
        await asyncio.sleep(pause)


async def test_slow_loris_headers(port):
    began = now()
    async with Talk(port) as client:
        client.say(b"POST /a HTTP/1.1\r\nHost: x\r\n")
        dripping = asyncio.create_task(drip(client, b"X-A: b\r\n" * 100))
        said = await closed(client)
        dripping.cancel()
        assert said == b"" or said.startswith(b"HTTP/1.1 408 ")  # a reset may overtake the answer
        assert now() - began > 0.2


async def test_slow_headers_of_a_second_request(port):
    async with Talk(port) as client:
        assert (await client.ask("/a"))[0] == 200
        client.say(b"POST /a HT")
        assert (await closed(client)).startswith(b"HTTP/1.1 408 ")


async def test_silent_connection(port):
    async with Talk(port) as client:
        assert await closed(client) == b""


async def test_idle_connection_is_closed_after_a_while(port):
    began = now()
    async with Talk(port) as client:
        assert (await client.ask("/a"))[0] == 200
        assert await closed(client) == b""
        assert now() - began > 0.5


async def test_body_that_stops(port):
    async with Talk(port) as client:
        client.say(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n12")
        assert (await closed(client)).startswith(b"HTTP/1.1 408 ")


@bounded(pause=60, body=1.0)
async def test_body_that_drips(port):
    began = now()
    async with Talk(port) as client:
        client.say(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        dripping = asyncio.create_task(drip(client, b"1" * 100, 0.1))
        said = await closed(client)
        dripping.cancel()
        assert said == b"" or said.startswith(b"HTTP/1.1 408 ")  # a reset may overtake the answer
        assert now() - began > 0.8


@bounded(pause=4.0, body=60)
async def test_body_that_is_just_slow_enough(port):
    async with Talk(port) as client:
        client.say(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        await drip(client, b"123456789", 0.5)
        assert (await client.answer())[0] == 200


@bounded(head=60)
@pytest.mark.parametrize("parts", [1, 50])
async def test_endless_headers(port, parts):
    async with Talk(port) as client:
        client.say(b"POST /a HTTP/1.1\r\nHost: x\r\n")
        for _ in range(parts):
            client.say(b"X-A: " + b"b" * (3000 // parts) + b"\r\n")
            await asyncio.sleep(0.002)
        said = await closed(client)
        assert said == b"" or said.startswith(b"HTTP/1.1 431 ")  # a reset may overtake the answer


async def test_large_headers_that_come_whole(port):
    async with Talk(port) as client:
        client.post("/a", b"{}", X_A="b" * 3000)
        assert (await closed(client)).startswith(b"HTTP/1.1 431 ")
    async with Talk(port) as client:  # a large body is no large head
        assert (await client.ask("/a", b'"' + b"b" * 30_000 + b'"'))[0] == 200


async def test_others_are_served_meanwhile(port):
    async with Talk(port) as slow, Talk(port) as quick:
        slow.say(b"POST /a HTTP/1.1\r\n")
        for _ in range(20):
            assert (await quick.ask("/a"))[0] == 200
            await asyncio.sleep(0.03)


async def test_request_that_the_bus_keeps_waiting_is_not_taken_for_a_slow_one(monkeypatch):
    from eventbus.memory import MemoryBus

    class Slow(MemoryBus):
        async def publish(self, event):
            await asyncio.sleep(0.8)
            await super().publish(event)

    bounds = listener.Bounds(head=0.2, pause=0.2, body=0.3, idle=1, tick=0.05)
    monkeypatch.setattr(listener, "BOUNDS", bounds)
    number = free_port()
    spec = {"webhook": {"a": {"endpoint": "/a", "port": str(number), "method": "POST"}}}
    async with running(spec, bus=Slow()), Talk(number) as client:
        client.post("/a")
        client.say(b"POST /a HTTP/1.1\r\nHost: x\r\n")  # the next one begins, and waits its turn
        assert (await client.answer())[0] == 200
