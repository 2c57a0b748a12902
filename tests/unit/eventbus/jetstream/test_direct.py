"""What the server says reaches callbacks whole and in order, however the socket cuts it."""

import asyncio
import gc
from types import SimpleNamespace

import pytest
from nats.errors import ProtocolError

from eventbus.jetstream import direct
from eventbus.jetstream.direct import DirectClient

HEAD = b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"
SAID = (
    b"MSG a.b 1 5\r\nfirst\r\n"
    b"PING\r\n"
    b"MSG a.b 1 reply.to 0\r\n\r\n"
    b"HMSG a.c 1 %d %d\r\n%b\r\n"
    % (len(HEAD), len(HEAD), HEAD)
    + b"HMSG a.c 1 re.ply %d %d\r\n%bbody\r\n" % (len(HEAD), len(HEAD) + 4, HEAD)
    + b"MSG other 2 4\r\nMSG \r\n"
    b"+OK\r\n"
    b"MSG a.b 1 6\r\n\r\nlast\r\n"
)


class Client(DirectClient):
    """Keeps what goes the library's way."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []
        self.direct[1] = lambda m: self.told.append((m.subject, m.reply, m.data, m.headers))

    async def _process_ping(self) -> None:
        self.told.append("ping")

    async def _process_msg(self, sid, subject, reply, data, headers) -> None:
        self.told.append((sid, data))


STATUS = {"Status": "100", "Description": "Idle Heartbeat"}
TOLD = [
    ("a.b", "", b"first", None),
    "ping",
    ("a.b", "reply.to", b"", None),
    ("a.c", "", b"", STATUS),
    ("a.c", "re.ply", b"body", STATUS),
    (2, b"MSG "),
    ("a.b", "", b"\r\nlast", None),
]


@pytest.mark.parametrize("size", [1, 2, 7, 40, 10_000])
async def test_messages_in_pieces(size):
    client = Client()
    for at in range(0, len(SAID), size):
        await client._ps.parse(SAID[at : at + size])
    assert client.told == TOLD


class Socket:
    """What is written, and how much of it waits."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.waits, self.closing = 0, False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def get_write_buffer_size(self) -> int:
        return self.waits

    def is_closing(self) -> bool:
        return self.closing


def attached() -> tuple[Client, asyncio.StreamReader, Socket]:
    """Return a connected client, what its socket is read into, and what is written to it."""
    client, reader, socket = Client(), asyncio.StreamReader(), Socket()
    writer = SimpleNamespace(transport=socket)
    client._transport = SimpleNamespace(_io_reader=reader, _io_writer=writer)
    client._status = Client.CONNECTED
    client.attach()
    return client, reader, socket


async def read(client: Client, reader: asyncio.StreamReader) -> None:
    """Do what the library's task does."""
    while data := await reader.read(32_768):
        await client._ps.parse(data)


@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("size", [1, 7, 40, 10_000])
async def test_nothing_passes_what_the_library_has_not_read_yet(size, turns):
    client, reader, _ = attached()
    reading = asyncio.create_task(read(client, reader))
    for at in range(0, len(SAID), size):
        reader.feed_data(SAID[at : at + size])
        for _ in range(turns):
            await asyncio.sleep(0)
    reader.feed_eof()
    await reading
    assert client.told == TOLD


async def test_what_comes_while_the_library_is_at_a_piece_waits_for_it():
    client, reader, _ = attached()
    go_on = asyncio.Event()

    async def slowly() -> None:
        await go_on.wait()
        client.told.append("ping")

    client._process_ping = slowly
    reading = asyncio.create_task(read(client, reader))
    reader.feed_data(b"PING\r\n")
    await asyncio.sleep(0)
    reader.feed_data(b"MSG a.b 1 1\r\nb\r\n")
    reader.feed_eof()
    assert client.told == []
    go_on.set()
    await reading
    assert client.told == ["ping", ("a.b", "", b"b", None)]


async def test_a_direct_message_takes_no_turn_of_the_loop():
    client, reader, _ = attached()
    head = b"NATS/1.0\r\nNats-Msg-Id: a:b\r\nempty:\r\n\r\n"
    reader.feed_data(b"HMSG a.b 1 %d %d\r\n%bx\r\n" % (len(head), len(head) + 1, head))
    assert client.told == [("a.b", "", b"x", {"Nats-Msg-Id": "a:b", "empty": ""})]


async def test_a_command_goes_out_at_once_but_behind_what_the_library_holds():
    client, _, socket = attached()
    assert client.post(b"one")
    client._posted = 0.0
    client._pending, client._pending_data_size = [b"held"], 4
    client._flush_queue = asyncio.Queue()
    assert client.post(b"two")
    assert (socket.sent, client._pending) == ([b"one"], [b"held", b"two"])
    assert client._flush_queue.qsize() == 1


async def test_commands_that_follow_each_other_closely_go_together_and_in_order():
    client, _, socket = attached()
    client._flush_queue = asyncio.Queue()
    moments = iter([1.0, 1.0004, 1.1, 1.2])
    client._now = lambda: next(moments)
    assert client.post(b"one")
    assert client.post(b"two")
    assert client.post(b"three"), "however late: two has not gone out yet"
    assert (socket.sent, client._pending) == ([b"one"], [b"two", b"three"])
    client._pending, client._pending_data_size = [], 0  # the library has sent them
    assert client.post(b"four")
    assert socket.sent == [b"one", b"four"]


@pytest.mark.parametrize("wrong", ["full", "closing", "lost"])
async def test_a_command_that_cannot_go_is_not_taken(wrong):
    client, _, socket = attached()
    socket.waits = direct.CLIENT_BUFFER + 1 if wrong == "full" else 0
    socket.closing = wrong == "closing"
    if wrong == "lost":
        client._status = Client.DISCONNECTED
    assert not client.post(b"one")
    assert socket.sent == []


async def test_callback_with_a_bug_costs_its_message_only(caplog):
    client = Client()
    client.direct[3] = lambda _: 1 / 0  # type: ignore[assignment]  # it never returns
    await client._ps.parse(b"MSG x 3 1\r\na\r\nMSG a.b 1 1\r\nb\r\n")
    assert client.told == [("a.b", "", b"b", None)]
    assert "taking a message" in caplog.text


async def test_what_is_no_message_is_left_to_the_library(monkeypatch):
    with pytest.raises(ProtocolError):
        await Client()._ps.parse(b"nonsense\r\n")
    with pytest.raises(ProtocolError):
        await Client()._ps.parse(b"MSG a.b 1 much\r\n")
    with pytest.raises(ProtocolError):
        await Client()._ps.parse(b"MSG 1\r\nx\r\n")
    with pytest.raises(ProtocolError):
        await Client()._ps.parse(b"MSG a.b 1 -7\r\n")
    monkeypatch.setattr(direct, "LONGEST_LINE", 100)
    with pytest.raises(ProtocolError):
        await Client()._ps.parse(b"x" * 101)


async def test_nothing_is_posted_without_a_connection():
    assert not Client().post(b"PUB a 0\r\n\r\n")


async def test_a_request_that_its_asker_gave_up_is_lost_without_a_word():
    """It may end while it is being sent, before anybody waits for its answer."""
    said = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    client = Client()
    client._resp_map["a"] = asyncio.get_running_loop().create_future()

    client.answer_no_more(ConnectionResetError("lost"))
    client._resp_map.clear()
    gc.collect()

    assert said == []
