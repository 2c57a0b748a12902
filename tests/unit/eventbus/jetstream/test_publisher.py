"""The window of the publisher, and what the server's refusals mean."""

import asyncio

import pytest

from eventbus.jetstream import publisher
from eventbus.jetstream.publisher import Publisher, Window
from spine.errors import BusError, ConflictError, EventError


async def started(*coroutines) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(c) for c in coroutines]
    await asyncio.sleep(0)
    return tasks


async def test_so_many_pass_and_the_others_in_their_order():
    window = Window(2, 1000)
    tasks = await started(*(window.take(1) for _ in range(5)))
    assert [t.done() for t in tasks] == [True, True, False, False, False]
    window.give(1)
    await asyncio.sleep(0)
    assert [t.done() for t in tasks] == [True, True, True, False, False]
    for _ in range(2):
        window.give(1)
    await asyncio.gather(*tasks)


async def test_so_many_bytes_pass_and_one_that_is_larger_passes_alone():
    window = Window(10, 100)
    tasks = await started(window.take(60), window.take(60), window.take(1))
    assert [t.done() for t in tasks] == [True, False, False]  # nobody overtakes
    window.give(60)
    await asyncio.gather(*tasks)
    window.give(60)
    window.give(1)
    (large,) = await started(window.take(500))
    assert large.done()
    (next_one,) = await started(window.take(1))
    assert not next_one.done()
    window.give(500)
    await next_one


async def test_one_that_gives_up_leaves_its_place():
    window = Window(1, 100)
    await window.take(1)
    tasks = await started(*(window.take(1) for _ in range(3)))
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    window.give(1)
    await tasks[1]
    assert not tasks[2].done()
    window.give(1)
    await tasks[2]


async def test_one_that_gives_up_as_its_turn_comes_passes_it_on():
    window = Window(1, 100)
    await window.take(1)
    tasks = await started(*(window.take(1) for _ in range(2)))
    window.give(1)
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    await asyncio.wait_for(tasks[1], 1)


class Reply:
    """An answer of the server to the one message that waits."""

    def __init__(self, subject: str, data: bytes) -> None:
        self.subject = subject
        self.data = data


class Wire:
    """A connection on which a test answers."""

    def __init__(self, *answers: bytes, up: bool = True, max_payload: int = 1000) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, bytes, dict]] = []
        self.is_up = up
        self.down_for = 0.0 if up else 1e9
        self.problem = "" if up else "nothing listens"
        self.max_payload = max_payload

    async def listen_directly(self, subject, callback):
        self.callback = callback

    def post_with(self, subject, data, reply, headers):
        return False  # `send` does it

    def on_up(self, callback):
        self.came_up = callback

    async def send(self, subject, data, reply, headers):
        self.sent.append((subject, data, headers))
        if self.answers:
            answer = self.answers.pop(0)
            if answer is not None:
                self.callback(Reply(reply, answer))


made: list[str] = []


async def make(stream: str) -> None:
    made.append(stream)


async def publisher_on(wire: Wire) -> Publisher:
    made.clear()
    found = Publisher(wire, make)
    await found.open()
    return found


def refusal(code: int, err_code: int, why: str) -> bytes:
    return b'{"error":{"code":%d,"err_code":%d,"description":"%s"}}' % (
        code,
        err_code,
        why.encode(),
    )


async def test_an_acknowledgement():
    wire = Wire(b'{"stream":"s","seq":7,"duplicate":true,"domain":"x"}')
    ack = await (await publisher_on(wire)).publish("s", "s.x", b"1", message_id="m")
    assert (ack.seq, ack.duplicate) == (7, True)
    assert wire.sent == [("s.x", b"1", {"Nats-Msg-Id": "m"})]


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (refusal(400, 10071, "wrong last sequence: 5"), ConflictError, "wrong last sequence"),
        (refusal(400, 10054, "message size exceeds maximum"), EventError, "stream s limits"),
        (refusal(503, 10077, "maximum bytes exceeded"), BusError, "publishing to s.x: maximum"),
        (b"hello", BusError, "something else answers"),
    ],
)
async def test_refusals(answer, error, message):
    with pytest.raises(error, match=message):
        await (await publisher_on(Wire(answer))).publish("s", "s.x", b"1")


async def test_too_large_is_not_even_sent():
    wire = Wire(max_payload=1000)
    with pytest.raises(EventError, match=r"publishing 800 bytes to s.x: the bus takes 744"):
        await (await publisher_on(wire)).publish("s", "s.x", b"x" * 800)
    assert wire.sent == []


async def test_a_bus_that_has_been_away_for_long_is_told_at_once():
    with pytest.raises(BusError, match=r"publishing to s.x: nothing listens"):
        await (await publisher_on(Wire(up=False))).publish("s", "s.x", b"1")


async def tended(found: Publisher, *publishing):
    tending = asyncio.create_task(found.tend())
    try:
        return await asyncio.gather(*publishing, return_exceptions=True)
    finally:
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)


@pytest.mark.looptime
async def test_a_lost_answer_is_asked_for_again_with_the_same_id():
    wire = Wire(None, None, b'{"seq":1}')
    found = await publisher_on(wire)
    (ack,) = await tended(found, found.publish("s", "s.x", b"1"))
    assert ack.seq == 1
    assert len({headers["Nats-Msg-Id"] for _, _, headers in wire.sent}) == 1
    assert len(wire.sent) == 3


@pytest.mark.looptime
async def test_what_is_never_answered_fails():
    found = await publisher_on(Wire())
    begin = asyncio.get_running_loop().time()
    (error,) = await tended(found, found.publish("s", "s.x", b"1"))
    assert isinstance(error, BusError)
    assert "not stored in 12 s: no acknowledgement" in str(error)
    waited = asyncio.get_running_loop().time() - begin
    assert publisher.GIVE_UP_SECONDS <= waited < publisher.GIVE_UP_SECONDS + 1


@pytest.mark.looptime
async def test_a_missing_stream_is_made_and_the_message_sent_again():
    wire = Wire(b"", b"", b'{"seq":1}', b'{"seq":2}')  # status 503 for both, then both stored
    found = await publisher_on(wire)
    acks = await tended(found, found.publish("s", "s.x", b"1"), found.publish("s", "s.x", b"2"))
    assert [ack.seq for ack in acks] == [1, 2]
    assert made == ["s"]


@pytest.mark.looptime
async def test_a_stream_that_nobody_can_say_anything_of_holds_nobody_else_up():
    """As in a cluster without a leader: what is sent to another stream is sent again meanwhile."""
    wire = Wire(b"", None, b'{"seq":1}')
    found = await publisher_on(wire)

    async def hang(stream: str) -> None:
        await asyncio.sleep(1000)

    found._ensure_stream = hang
    begin, clock = asyncio.get_running_loop().time(), asyncio.get_running_loop().time
    took: list[float] = []

    async def other() -> None:
        await found.publish("t", "t.x", b"2")
        took.append(clock() - begin)

    error, _ = await tended(found, found.publish("s", "s.x", b"1"), other())
    assert took[0] < publisher.ACK_SECONDS + 1
    assert isinstance(error, BusError)
    assert clock() - begin < publisher.GIVE_UP_SECONDS + 1


@pytest.mark.looptime
async def test_a_server_that_is_busy_is_asked_again():
    wire = Wire(refusal(503, 10008, "JetStream system temporarily unavailable"), b'{"seq":1}')
    found = await publisher_on(wire)
    (ack,) = await tended(found, found.publish("s", "s.x", b"1"))
    assert ack.seq == 1


@pytest.mark.looptime
async def test_everything_is_sent_again_over_a_new_connection_in_order():
    wire = Wire()
    found = await publisher_on(wire)

    begin = asyncio.get_running_loop().time()

    async def come_back() -> None:
        await asyncio.sleep(0.5)
        wire.answers = [b'{"seq":%d}' % n for n in (1, 2, 3)]
        wire.came_up()

    results = await tended(
        found, *(found.publish("s", "s.x", b"%d" % n) for n in (1, 2, 3)), come_back()
    )
    assert [ack.seq for ack in results[:3]] == [1, 2, 3]
    assert [data for _, data, _ in wire.sent] == [b"1", b"2", b"3"] * 2
    assert asyncio.get_running_loop().time() - begin < 1.0  # at once, not when the answer is late
