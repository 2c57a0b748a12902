"""Requests that come whole are answered as those are that come in parts."""

import asyncio
import re

import pytest
from ports import free_port

from eventsource import listener, web
from eventsource.answers import Answer
from eventsource.exchange import parts

_DATE = re.compile(rb"date: [^\r]+\r\n")
_REQUESTS = {
    "post": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "empty": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "query": b"POST /a?q=1%20 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz",
    "escaped": b"POST /%61 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz",
    "nowhere": b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
    "health": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "head": b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "method": b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz",
    "large": b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123456789",
    "fails": b"POST /fails HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nz",
    "closes": b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nz",
    "old": b"POST /a HTTP/1.0\r\nHost: x\r\nContent-Length: 1\r\n\r\nz",
}
_LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def _echo(request: web.Request) -> Answer:
    await asyncio.sleep(0)
    return Answer(200, f"{request.body!r} {request.query!r} {len(request.lines)}")


async def _fail(_: web.Request) -> Answer:
    raise RuntimeError("a bug")


def _port() -> web.Port:
    port = web.Port(12000)
    port.add(web.Route("a", "/a", "POST", _echo, max_payload=8))
    port.add(web.Route("f", "/fails", "POST", _fail))
    return port


async def _said(data: bytes, size: int, *, whole: bool) -> bytes:
    """Send data in pieces and return all answers without their dates."""
    port, number = _port(), free_port()
    answer = port.answer if whole else None
    async with listener.listen("127.0.0.1", number, port, whole=answer), asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])
            await writer.drain()
            for _ in range(3):
                await asyncio.sleep(0)
        answers = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answers.count(b"date: ") == answers.count(b"HTTP/1.1 ")
    return _DATE.sub(b"", answers)


@pytest.mark.parametrize("name", _REQUESTS)
async def test_answers_are_the_same(name):
    data = _REQUESTS[name] + (b"" if name in {"closes", "old"} else _LAST)
    wanted = await _said(data, len(data), whole=False)
    assert wanted.startswith(b"HTTP/1.1 ")
    for size in (len(data), 30, 11):
        assert await _said(data, size, whole=True) == wanted


async def test_requests_behind_one_another_are_answered_in_order():
    data = b"".join(one for name, one in _REQUESTS.items() if name not in {"closes", "old"})
    data = data * 3 + _LAST
    wanted = await _said(data, len(data), whole=False)
    assert wanted.count(b"HTTP/1.1 ") == 3 * (len(_REQUESTS) - 2) + 1
    for size in (len(data), 400, 100):
        assert await _said(data, size, whole=True) == wanted


async def test_connection_that_nobody_uses_is_closed():
    bounds = listener.Bounds(idle=0.1, tick=0.02)
    port, number = _port(), free_port()
    listening = listener.listen("127.0.0.1", number, port, None, bounds, port.answer)
    async with listening, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(_REQUESTS["post"])
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")  # and its end
        writer.close()
        await writer.wait_closed()


def test_long_urls_are_read_and_not_remembered():
    assert parts(b"/" + b"a" * 300 + b"?b=c") == ("/" + "a" * 300, b"b=c")
    assert parts(b"/a%20b?b=c") == ("/a b", b"b=c")
