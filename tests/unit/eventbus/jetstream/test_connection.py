"""The connection keeps what the client library loses."""

import asyncio
from types import SimpleNamespace

import pytest

from eventbus.jetstream.connection import Connection
from eventbus.jetstream.dialing import Options
from eventbus.jetstream.direct import command_of
from spine.errors import BusError


class Swallowing:
    """A client that takes a cancellation for an answer, as the real one sometimes does."""

    is_connected = True

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    async def publish(self, subject, data, *, reply, headers):
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def request(self, subject, data, *, timeout):
        await self.publish(subject, data, reply="", headers=None)
        return SimpleNamespace(data=b"{}")


def connected(client) -> Connection:
    connection = Connection(lambda: Options(("nats://h",)))
    connection._client = client
    connection._state.up.set()
    return connection


@pytest.mark.parametrize("how", ["send", "request"])
async def test_a_swallowed_cancellation_still_ends_the_task(how):
    client = Swallowing()
    connection = connected(client)
    if how == "send":
        doing = connection.send("a.b", b"")
    else:
        doing = connection.request("a.b", b"", seconds=5, what="asking")
    task = asyncio.create_task(doing)
    await client.waiting.wait()
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()


@pytest.mark.looptime
async def test_a_request_without_an_answer_is_an_error_and_no_cancellation():
    class Silent(Swallowing):
        async def request(self, subject, data, *, timeout):
            await asyncio.Event().wait()

    with pytest.raises(BusError, match="asking: no answer within 5 s"):
        await connected(Silent()).request("a.b", b"", seconds=5, what="asking")


def test_a_line_with_headers_is_what_the_protocol_wants():
    made = command_of("default.a.b", b"{}", "_INBOX.x.1", {"Nats-Msg-Id": "7"})

    head = b"NATS/1.0\r\nNats-Msg-Id: 7\r\n\r\n"
    size = len(head)
    assert made == b"HPUB default.a.b _INBOX.x.1 %d %d\r\n%b{}\r\n" % (size, size + 2, head)


@pytest.mark.parametrize("text", ["7\r\nPUB evil 0", "7\n", "\r7"])
def test_a_header_that_breaks_lines_is_left_to_the_library(text: str):
    assert command_of("default.a.b", b"{}", "_INBOX.x.1", {"Nats-Msg-Id": text}) is None
