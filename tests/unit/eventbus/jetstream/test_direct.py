"""What the server says reaches callbacks whole and in order, however the socket cuts it."""

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


@pytest.mark.parametrize("size", [1, 2, 7, 40, 10_000])
async def test_messages_in_pieces(size):
    client = Client()
    for at in range(0, len(SAID), size):
        await client._ps.parse(SAID[at : at + size])
    status = {"Status": "100", "Description": "Idle Heartbeat"}
    assert client.told == [
        ("a.b", "", b"first", None),
        "ping",
        ("a.b", "reply.to", b"", None),
        ("a.c", "", b"", status),
        ("a.c", "re.ply", b"body", status),
        (2, b"MSG "),
        ("a.b", "", b"\r\nlast", None),
    ]


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
    monkeypatch.setattr(direct, "LONGEST_LINE", 100)
    with pytest.raises(ProtocolError):
        await Client()._ps.parse(b"x" * 101)


async def test_nothing_is_posted_without_a_connection():
    assert not Client().post(b"PUB a 0\r\n\r\n")
