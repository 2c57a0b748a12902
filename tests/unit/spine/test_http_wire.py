"""Answers as servers send them, over kept connections of our own."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from spine.errors import TriggerError
from spine.http import url as gourl
from spine.http import wire
from spine.http.client import USER_AGENT, HttpClient, Request, open_client

ZIPPED = gzip.compress(b"hello", mtime=0)  # the same name of a test in each worker
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request with what is given, and closes where that ends with None."""

    def __init__(self, *answers: bytes | None, again: bytes | None = None) -> None:
        self.answers, self.again = list(answers), again
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = head.lower().partition(b"content-length: ")[2].split(b"\r")[0]
                self.requests.append(head + await reader.readexactly(int(size or b"0")))
                answer = self.answers.pop(0) if self.answers else self.again
                if answer is None:
                    break
                writer.write(answer)
                if self.answers and self.answers[0] is None:
                    self.answers.pop(0)
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def asking(server: Server) -> AsyncIterator[tuple[HttpClient, gourl.Url]]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with open_client({}) as client:
        yield client, gourl.parse(f"http://127.0.0.1:{port}/a?b")
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize(
    ("answer", "status", "body", "kept"),
    [
        (OK, 200, b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nX: x\r\n\r\n" + OK, 200, b"ok", True),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1 \r\nc\r\n0\r\n\r\n",
            200, b"abc", True,
        ),
        (b"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 500, b"x", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", False),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
            % (len(ZIPPED), ZIPPED), 200, b"hello", True,
        ),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok", True),
    ],
)  # fmt: skip
async def test_answers(answer, status, body, kept):
    async with asking(server := Server(answer, OK)) as (client, url):
        got = await client.send(Request("GET", url, keep=100), 20)
        assert (got.status, got.body) == (status, body)
        assert (await client.send(Request("GET", url, keep=100), 20)).body == b"ok"
    assert server.connections == (1 if kept else 2)


async def test_connection_that_comes_after_the_end_is_not_kept():
    async with asking(Server(OK)) as (_, url):
        pool = wire.Pool(guarded=False)
        asked = asyncio.create_task(
            pool.ask(url, None, wire.request_bytes("GET", url, (), b"", USER_AGENT), 100)
        )
        await asyncio.sleep(0)  # it looks up the name
        pool.close()
        assert (await asked).status == 200
        assert not any(wire.usable for kept in pool._idle.values() for wire in kept)


async def test_body_that_ends_with_the_connection():
    async with asking(Server(b"HTTP/1.1 200 OK\r\n\r\nall of it", None)) as (client, url):
        assert (await client.send(Request("GET", url, keep=100), 20)).body == b"all of it"


async def test_long_body_costs_its_connection():
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 300_000
    async with asking(server := Server(long, OK)) as (client, url):
        assert (await client.send(Request("GET", url, keep=5), 20)).body == b"xxxxx"
        await client.send(Request("GET", url), 20)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"nonsense\r\n\r\n", "its answer is not HTTP/1.1"),
        (b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "closed the connection without"),
        (b"", "closed the connection without"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * wire.MOST_HEAD + b"\r\n\r\n", "the head of its answer"),
    ],
)
async def test_what_is_no_answer(answer, why):
    async with asking(Server(answer, None, again=OK)) as (client, url):
        with pytest.raises(TriggerError, match=why):
            await client.send(Request("GET", url), 20)
        assert (await client.send(Request("GET", url), 20)).status == 200


async def test_requests_as_they_are_sent():
    async with asking(server := Server(again=OK)) as (client, url):
        await client.send(Request("POST", url, headers=[("X-A", "ü")], body=b"data"), 20)
        await client.send(Request("POST", url), 20)
        own = [("user-agent", "mine")]
        await client.send(Request("DELETE", url, headers=own, host="virtual"), 20)
        with pytest.raises(TriggerError, match="holds a line break"):
            await client.send(Request("GET", url, headers=[("X", "a\r\nY: b")]), 20)
    agent = f"User-Agent: {USER_AGENT}\r\n".encode()
    host = f"Host: {url.authority}\r\n".encode()
    assert server.requests == [
        b"POST /a?b HTTP/1.1\r\n" + host + "X-A: ü\r\n".encode() + agent
        + b"Content-Length: 4\r\n\r\ndata",
        b"POST /a?b HTTP/1.1\r\n" + host + agent + b"Content-Length: 0\r\n\r\n",
        b"DELETE /a?b HTTP/1.1\r\nuser-agent: mine\r\nHost: virtual\r\n\r\n",
    ]  # fmt: skip
    assert server.connections == 1


async def test_connection_that_the_server_closed_meanwhile_is_not_used():
    async with asking(server := Server(OK, None, OK)) as (client, url), asyncio.timeout(20):
        await client.send(Request("POST", url), 20)
        pool = client._pool
        assert pool is not None
        while any(one.usable for one in pool._wires):
            await asyncio.sleep(0.01)
        await client.send(Request("POST", url), 20)
    assert server.connections == 2


async def test_connection_that_nobody_uses_is_closed(monkeypatch):
    monkeypatch.setattr(wire, "IDLE", 0.05)
    async with asking(Server(OK)) as (client, url), asyncio.timeout(20):
        await client.send(Request("POST", url), 20)
        pool = client._pool
        assert pool is not None
        assert pool._wires
        while pool._wires:
            await asyncio.sleep(0.01)
        assert not pool._idle


async def test_who_waits_no_longer_leaves_nothing_behind():
    async with asking(Server(b"HTTP/1.1 200 OK\r\n", again=OK)) as (client, url):
        with pytest.raises(TriggerError, match="no response within"):
            await client.send(Request("POST", url), 0.1)
        pool = client._pool
        assert pool is not None
        assert not pool._wires
