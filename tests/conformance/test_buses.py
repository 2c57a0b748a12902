"""What every bus must do. Each bus runs all of it; there is no copy for one bus."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest
from nats_server import nats_server

from eventbus.bus import ACTIONS, DEAD, EVENTS, STATE, Bus, Message, Reader, ReaderInfo, Topic
from eventbus.jetstream import Options, connect
from eventbus.memory import MemoryBus
from spine.errors import ConfigError, ConflictError, EventError, RemoteError
from spine.event import Event, decode

BEEP, BOOP = Topic("uploads", "beep").subject, Topic("uploads", "boop").subject


@asynccontextmanager
async def memory(folder):
    yield MemoryBus()


@asynccontextmanager
async def jetstream(folder):
    async with (
        nats_server(folder) as server,
        connect(lambda: Options((server.url,)), give_up_after=60) as bus,
    ):
        yield bus


@pytest.fixture(params=[memory, jetstream], ids=lambda f: f.__name__)
async def bus(request, tmp_path):
    async with request.param(tmp_path) as bus:
        yield bus


def event(n: int, *, id: str = "", name: str = "beep", data: bytes = b"{}") -> Event:
    return Event(source="uploads", subject=name, type="t", data=data, id=id or f"id-{n}")


async def eventually(check: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.005)


async def counted(bus: Bus, pending: int, in_flight: int, stream: str = EVENTS) -> ReaderInfo:
    """Wait until a bus counts so: what was stored or acknowledged just now may come later."""
    until = time.monotonic() + 30
    while True:
        (info,) = await bus.readers(stream)
        if (info.pending, info.in_flight) == (pending, in_flight):
            return info
        assert time.monotonic() < until, info
        await asyncio.sleep(0.005)


class Inbox:
    """A handler that remembers, and can be told to fail."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.messages: list[Message] = []
        self.seen: list[Message] = []
        """With those that failed."""

    async def __call__(self, message: Message) -> None:
        self.seen.append(message)
        if self.failures:
            raise self.failures.pop(0)
        self.messages.append(message)

    @property
    def ids(self) -> list[str]:
        return [decode(m.data).id for m in self.messages]

    async def holds(self, *want: int) -> bool:
        await eventually(lambda: len(self.messages) >= len(want))
        return self.ids == [f"id-{n}" for n in want]


class Busy(Inbox):
    """A handler that takes messages and does not finish until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.one = asyncio.Event()
        """Lets the first message go alone."""
        self.running = 0

    async def __call__(self, message: Message) -> None:
        self.seen.append(message)
        self.running += 1
        try:
            await (self.one if message.sequence == 1 else self.go).wait()
        finally:
            self.running -= 1
        self.messages.append(message)


READER = Reader("sensor", (BEEP,))


@asynccontextmanager
async def consuming(bus: Bus, inbox: Inbox, reader: Reader = READER, in_flight: int = 10):
    await bus.ensure(reader)
    task = asyncio.create_task(bus.consume(reader, inbox, in_flight=in_flight))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nothing_more(inbox: Inbox, count: int) -> None:
    await asyncio.sleep(0.3)
    assert len(inbox.seen) == count


# ---------------------------------------------------------------------------- delivery


async def test_delivers_in_the_order_of_the_stream(bus: Bus):
    reader = replace(READER, subjects=(BEEP, BOOP))
    async with consuming(bus, inbox := Inbox(), reader):
        for n in range(50):
            await bus.publish(event(n, name=("beep", "boop")[n % 2]))
        assert await inbox.holds(*range(50))
        assert [m.sequence for m in inbox.messages] == list(range(1, 51))


async def test_deliveries_are_numbered_without_gaps(bus: Bus):
    """Also when a message comes back, and when somebody else goes on reading."""
    async with consuming(bus, first := Inbox(RemoteError("no", retry_after=0))):
        for n in range(5):
            await bus.publish(event(n))
        await eventually(lambda: len(first.messages) == 5)
    async with consuming(bus, second := Inbox()):
        await bus.publish(event(5))
        await eventually(lambda: second.messages)

    numbers = [m.number for m in (*first.seen, *second.seen)]
    assert numbers == list(range(numbers[0], numbers[0] + 7))


async def test_what_was_given_back_comes_before_what_is_new(bus: Bus):
    async with consuming(bus, busy := Busy(), in_flight=6):
        for n in range(12):
            await bus.publish(event(n))
        await eventually(lambda: busy.running == 6)
    async with consuming(bus, inbox := Inbox(), in_flight=6):
        await eventually(lambda: len(inbox.messages) == 12)

    assert sorted(m.sequence for m in inbox.messages[:6]) == [1, 2, 3, 4, 5, 6]


async def test_delivers_only_its_subjects(bus: Bus):
    async with consuming(bus, inbox := Inbox()):
        await bus.publish(event(1, name="boop"))
        await bus.publish(event(2))
        assert await inbox.holds(2)
        await nothing_more(inbox, 1)


async def test_a_star_is_any_name(bus: Bus):
    reader = replace(READER, subjects=(Topic("*", "beep").subject,))
    async with consuming(bus, inbox := Inbox(), reader):
        await bus.publish(event(1))
        await bus.publish(event(2, name="boop"))
        await bus.publish(replace_event(event(3), source="other"))
        assert await inbox.holds(1, 3)


async def test_overlapping_subjects_deliver_once_and_nothing_else(bus: Bus):
    subjects = (Topic("*", "beep").subject, Topic("uploads", "*").subject, BEEP)
    async with consuming(bus, inbox := Inbox(), replace(READER, subjects=subjects)):
        await bus.publish(replace_event(event(9, name="boop"), source="other"))
        await bus.publish(event(1))
        await bus.publish(event(2, name="boop"))
        await bus.publish(replace_event(event(3), source="other"))
        assert await inbox.holds(1, 2, 3)
        await nothing_more(inbox, 3)


def replace_event(event: Event, **changes) -> Event:
    import msgspec

    return msgspec.structs.replace(event, **changes)


async def test_a_message_says_where_it_stands(bus: Bus):
    before = time.time()
    await bus.ensure(READER)
    for n in range(3):
        await bus.publish(event(n))
    await counted(bus, pending=3, in_flight=0)
    async with consuming(bus, inbox := Inbox()):
        assert await inbox.holds(0, 1, 2)
    first = inbox.messages[0]
    assert first.subject == BEEP
    assert (first.sequence, first.deliveries) == (1, 1)
    assert [m.pending for m in inbox.messages] == [2, 1, 0]
    assert before - 1 < first.stored < time.time() + 1


async def test_an_equal_event_is_stored_once(bus: Bus):
    async with consuming(bus, inbox := Inbox()):
        await bus.publish(event(1))
        await bus.publish(event(1))
        await bus.publish(event(2))
        assert await inbox.holds(1, 2)


async def test_the_same_id_under_another_name_is_another_event(bus: Bus):
    reader = replace(READER, subjects=(BEEP, BOOP))
    async with consuming(bus, inbox := Inbox(), reader):
        await bus.publish(event(1))
        await bus.publish(event(1, name="boop"))
        assert await inbox.holds(1, 1)


async def test_every_reader_gets_every_message(bus: Bus):
    one, two = Inbox(), Inbox()
    async with consuming(bus, one), consuming(bus, two, replace(READER, durable="other")):
        await bus.publish(event(1))
        assert await one.holds(1)
        assert await two.holds(1)


async def test_replicas_share_the_messages_of_a_reader(bus: Bus):
    one, two = Busy(), Busy()
    async with consuming(bus, one, in_flight=5), consuming(bus, two, in_flight=5):
        for n in range(10):
            await bus.publish(event(n))
        await eventually(lambda: one.running + two.running == 10)
        assert (one.running, two.running) == (5, 5)


async def test_no_more_than_in_flight_are_taken(bus: Bus):
    for_all = replace(READER, start="all")
    for n in range(20):
        await bus.publish(event(n))
    async with consuming(bus, inbox := Busy(), for_all, in_flight=3):
        await eventually(lambda: inbox.running == 3)
        await nothing_more(inbox, 3)
        await counted(bus, pending=17, in_flight=3)
        inbox.one.set()
        await eventually(lambda: len(inbox.seen) == 4)
        await nothing_more(inbox, 4)
        await counted(bus, pending=16, in_flight=3)
        inbox.go.set()
        await eventually(lambda: len(inbox.messages) == 20)


async def test_strict_order_with_one_in_flight(bus: Bus):
    running, most = 0, 0

    class Slow(Inbox):
        async def __call__(self, message: Message) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.002)
            running -= 1
            await super().__call__(message)

    async with consuming(bus, inbox := Slow(), in_flight=1):
        await asyncio.gather(*(bus.publish(event(n)) for n in range(20)))
        await eventually(lambda: len(inbox.messages) == 20)
    assert most == 1
    assert [m.sequence for m in inbox.messages] == list(range(1, 21))


async def test_a_remote_error_brings_the_message_back_after_its_time(bus: Bus):
    times = []

    class Timed(Inbox):
        async def __call__(self, message: Message) -> None:
            times.append(asyncio.get_running_loop().time())
            await super().__call__(message)

    async with consuming(bus, inbox := Timed(RemoteError("down", retry_after=0.4))):
        await bus.publish(event(1))
        assert await inbox.holds(1)
    assert 0.35 < times[1] - times[0] < 15  # not after its time to be acknowledged, 30 s
    assert [m.deliveries for m in inbox.seen] == [1, 2]


async def test_others_go_on_while_one_comes_back(bus: Bus):
    await bus.ensure(READER)
    await bus.publish(event(1))
    await bus.publish(event(2))
    async with consuming(bus, inbox := Inbox(RemoteError("down", retry_after=1)), in_flight=1):
        assert await inbox.holds(2, 1)


async def test_a_bug_is_logged_and_does_not_stop_the_others(bus: Bus, caplog):
    async with consuming(bus, inbox := Inbox(ValueError("oops"))):
        await bus.publish(event(1))
        await bus.publish(event(2))
        assert await inbox.holds(2)
        await counted(bus, pending=0, in_flight=1)
    assert "a bug" in caplog.text
    assert "oops" in caplog.text


async def test_what_was_cancelled_comes_back_at_once(bus: Bus):
    await bus.ensure(READER)
    for n in range(3):
        await bus.publish(event(n))
    async with consuming(bus, busy := Busy()):
        await eventually(lambda: busy.running == 3)
    assert busy.running == 0
    async with consuming(bus, inbox := Inbox()):
        await eventually(lambda: len(inbox.messages) == 3, seconds=15)
    assert sorted(inbox.ids) == ["id-0", "id-1", "id-2"]
    assert {m.deliveries for m in inbox.messages} == {2}


@pytest.mark.parametrize("end", ["returns", "raises", "is cancelled"])
async def test_what_was_settled_is_done_whatever_becomes_of_its_handler(bus: Bus, end: str):
    settled, go = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def handle(message: Message) -> None:
        seen.append(message.sequence)
        await message.settle()
        settled.set()
        await go.wait()
        if end == "raises":
            raise RemoteError("too late", retry_after=0)

    queue = Reader("q", (f"{ACTIONS}.s.t",), stream=ACTIONS, start="all")
    async with consuming(bus, handle, queue):
        first = await bus.append(ACTIONS, f"{ACTIONS}.s.t", b"1")
        async with asyncio.timeout(60):
            await settled.wait()
        assert await bus.get(ACTIONS, first) is None, "the bus knew when it returned"
        await counted(bus, pending=0, in_flight=0, stream=ACTIONS)
        if end != "is cancelled":
            go.set()
            second = await bus.append(ACTIONS, f"{ACTIONS}.s.t", b"2")
            await eventually(lambda: second in seen)
    async with consuming(bus, inbox := Inbox(), queue):
        last = await bus.append(ACTIONS, f"{ACTIONS}.s.t", b"3")
        await eventually(lambda: [m.sequence for m in inbox.messages] == [last])
    assert seen == ([first] if end == "is cancelled" else [first, second])


async def test_a_handler_may_finish_when_cancelled(bus: Bus):
    begun, finished = asyncio.Event(), []

    async def stubborn(message: Message) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            finished.append(message)

    await bus.ensure(READER)
    await bus.publish(event(1))
    task = asyncio.create_task(bus.consume(READER, stubborn, in_flight=1))
    async with asyncio.timeout(60):
        await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(finished) == 1
    await counted(bus, pending=0, in_flight=0)


# ---------------------------------------------------------------------------- durables


async def test_a_first_durable_starts_at_what_comes(bus: Bus):
    await bus.publish(event(1))
    async with consuming(bus, inbox := Inbox()):
        await bus.publish(event(2))
        assert await inbox.holds(2)


async def test_or_at_everything(bus: Bus):
    await bus.publish(event(1))
    async with consuming(bus, inbox := Inbox(), replace(READER, start="all")):
        await bus.publish(event(2))
        assert await inbox.holds(1, 2)


async def test_or_at_a_moment(bus: Bus):
    await bus.publish(event(1))
    await asyncio.sleep(0.2)
    moment = time.time() - 0.1
    await bus.publish(event(2))
    async with consuming(bus, inbox := Inbox(), replace(READER, start=moment)):
        assert await inbox.holds(2)


async def test_an_existing_durable_keeps_its_position(bus: Bus):
    async with consuming(bus, inbox := Inbox()):
        await bus.publish(event(1))
        assert await inbox.holds(1)
        await counted(bus, pending=0, in_flight=0)
    await bus.publish(event(2))
    async with consuming(bus, inbox := Inbox(), replace(READER, start="all")):
        assert await inbox.holds(2)


async def test_an_edit_changes_subjects_and_metadata_but_not_the_position(bus: Bus):
    await bus.ensure(replace(READER, metadata={"generation": "1"}))
    await bus.publish(event(1))
    await bus.publish(event(2, name="boop"))
    edited = replace(READER, subjects=(BOOP,), metadata={"generation": "2"})
    await bus.ensure(edited)
    (info,) = await bus.readers(EVENTS)
    assert (info.metadata, info.subjects) == ({"generation": "2"}, (BOOP,))
    async with consuming(bus, inbox := Inbox(), edited):
        assert await inbox.holds(2)
        await nothing_more(inbox, 1)


async def test_ensuring_twice_changes_nothing(bus: Bus):
    for _ in range(2):
        await bus.ensure(replace(READER, subjects=(BEEP, BOOP), metadata={"a": "b"}))
    assert len(await bus.readers(EVENTS)) == 1


async def test_readers_say_how_far_they_are(bus: Bus):
    async with consuming(bus, inbox := Inbox()):
        for n in range(4):
            await bus.publish(event(n))
        assert await inbox.holds(0, 1, 2, 3)
        await counted(bus, pending=0, in_flight=0)
    await bus.publish(event(4))
    info = await counted(bus, pending=1, in_flight=0)
    assert (info.durable, info.acknowledged) == ("sensor", 4)


async def test_messages_are_counted_by_subject(bus: Bus):
    assert await bus.counts(DEAD) == {}
    one, other = f"{DEAD}.sensor.a.t", f"{DEAD}.sensor.b.t"
    first = await bus.append(DEAD, one, b"1")
    await bus.append(DEAD, one, b"2")
    await bus.append(DEAD, other, b"3")
    assert await bus.counts(DEAD) == {one: 2, other: 1}
    await bus.delete(DEAD, first)
    assert await bus.counts(DEAD) == {one: 1, other: 1}


async def test_a_removed_reader_is_gone(bus: Bus):
    await bus.ensure(READER)
    await bus.remove_reader(EVENTS, "sensor")
    await bus.remove_reader(EVENTS, "sensor")
    assert await bus.readers(EVENTS) == []


# ---------------------------------------------------------------------------- work queue

WORK = Reader("sensor-trigger", (f"{ACTIONS}.sensor.trigger",), stream=ACTIONS)


async def test_a_work_queue_keeps_only_what_is_not_done(bus: Bus):
    for n in range(3):
        await bus.append(ACTIONS, f"{ACTIONS}.sensor.trigger", b"%d" % n, message_id=f"m{n}")
    failing = Inbox(RemoteError("down", retry_after=30))
    async with consuming(bus, failing, WORK):  # from the first one, though `start` is new
        await eventually(lambda: len(failing.messages) == 2)
        async with asyncio.timeout(30):  # what is acknowledged goes a moment later
            while len(left := [m.data async for m in bus.read(ACTIONS)]) > 1:
                await asyncio.sleep(0.01)
        assert left == [b"0"]


async def test_equal_ids_are_appended_once(bus: Bus):
    first = await bus.append(ACTIONS, f"{ACTIONS}.s.t", b"1", message_id="m")
    second = await bus.append(ACTIONS, f"{ACTIONS}.s.t", b"2", message_id="m")
    assert first == second
    assert [m.data async for m in bus.read(ACTIONS)] == [b"1"]


async def test_without_an_id_equal_messages_are_two(bus: Bus):
    for _ in range(2):
        await bus.append(DEAD, f"{DEAD}.x", b"1")
    assert len([m async for m in bus.read(DEAD)]) == 2


# ---------------------------------------------------------------------------- reading


async def test_reads_what_is_there(bus: Bus):
    for n in range(600):
        await bus.append(DEAD, f"{DEAD}.{n % 2}", b"%d" % n)
    assert [m.sequence async for m in bus.read(DEAD)] == list(range(1, 601))
    odd = [int(m.data) async for m in bus.read(DEAD, [f"{DEAD}.1"])]
    assert odd == list(range(1, 600, 2))
    assert [m async for m in bus.read(DEAD, start="new")] == []
    assert [m async for m in bus.read(DEAD, [f"{DEAD}.none"])] == []


async def test_reads_since_a_moment(bus: Bus):
    await bus.append(DEAD, f"{DEAD}.x", b"1")
    await asyncio.sleep(0.2)
    moment = time.time() - 0.1
    await bus.append(DEAD, f"{DEAD}.x", b"2")
    assert [m.data async for m in bus.read(DEAD, start=moment)] == [b"2"]


async def test_follows_what_comes(bus: Bus):
    await bus.append(DEAD, f"{DEAD}.x", b"1")
    got = []

    async def follow() -> None:
        async with aclosing(bus.read(DEAD, follow=True)) as messages:
            async for message in messages:
                got.append(message.data)  # noqa: PERF401 -- it is watched while it grows

    task = asyncio.create_task(follow())
    await eventually(lambda: got == [b"1"])
    await bus.append(DEAD, f"{DEAD}.x", b"2")
    await eventually(lambda: got == [b"1", b"2"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_gets_and_deletes_one_message(bus: Bus):
    sequence = await bus.append(DEAD, f"{DEAD}.x", b"1", message_id="m")
    message = await bus.get(DEAD, sequence)
    assert message is not None
    assert (message.subject, message.data, message.sequence) == (f"{DEAD}.x", b"1", sequence)
    assert message.headers["Nats-Msg-Id"] == "m"
    assert abs(message.stored - time.time()) < 60
    await bus.delete(DEAD, sequence)
    await bus.delete(DEAD, sequence)
    assert await bus.get(DEAD, sequence) is None
    assert await bus.get(DEAD, 99) is None


# ---------------------------------------------------------------------------- limits


async def test_an_event_above_the_limit_can_never_pass(bus: Bus):
    with pytest.raises(EventError, match="the bus takes"):
        await bus.publish(event(1, data=b"x" * bus.max_payload))


async def test_a_name_that_is_no_subject_can_never_pass(bus: Bus):
    for name in ("a.b", "a b", "*", ">", ""):
        with pytest.raises(EventError, match=r"no dot, space, \* or >"):
            await bus.publish(event(1, name=name))


async def test_what_is_no_subject_can_never_pass(bus: Bus):
    for subject in ("", "a b", "a..b", "a.", ".a", "a.*", "a.>", "a\r\nb"):
        with pytest.raises(EventError, match="it is no subject"):
            await bus.append(DEAD, subject, b"1")


async def test_a_durable_has_a_plain_name(bus: Bus):
    for name in ("", "a.b", "a b", "a*", "a/b"):
        with pytest.raises(ConfigError, match="it is no name"):
            await bus.ensure(replace(READER, durable=name))


# ---------------------------------------------------------------------------- store


async def test_a_store_keeps_values(bus: Bus):
    store = bus.store(STATE)
    assert await store.get("k") is None
    first = await store.put("k", b"1", revision=None)
    assert await store.get("k") == (b"1", first)
    second = await store.put("k", b"2", revision=first)
    assert second > first
    assert await store.get("k") == (b"2", second)


async def test_a_store_refuses_a_stale_revision(bus: Bus):
    store = bus.store(STATE)
    first = await store.put("k", b"1", revision=None)
    await store.put("k", b"2", revision=first)
    for stale in (first, None):
        with pytest.raises(ConflictError, match=r"'k'.*changed by another"):
            await store.put("k", b"3", revision=stale)
    with pytest.raises(ConflictError):
        await store.put("other", b"3", revision=first)


async def test_a_deleted_key_begins_anew(bus: Bus):
    store = bus.store(STATE)
    await store.put("k", b"1", revision=None)
    await store.delete("k")
    await store.delete("k")
    assert await store.get("k") is None
    assert await store.keys() == []
    await store.put("k", b"2", revision=None)
    value, _ = await store.get("k") or (b"", 0)
    assert value == b"2"


async def test_a_key_is_deleted_only_as_it_was_seen(bus: Bus):
    store = bus.store(STATE)
    first = await store.put("k", b"1", revision=None)
    second = await store.put("k", b"2", revision=first)
    await store.delete("k", revision=first)
    assert await store.get("k") == (b"2", second)
    await store.delete("k", revision=second)
    assert await store.get("k") is None


async def test_any_text_is_a_key(bus: Bus):
    store = bus.store(STATE)
    keys = ["a", "a.b", "a..b", ".a", "a.", "a b", "a*", ">", "é/ü", "=41", "x" * 200, "a/b"]
    for key in keys:
        await store.put(key, key.encode(), revision=None)
    assert await store.keys() == sorted(keys)
    for key in keys:
        value, _ = await store.get(key) or (b"", 0)
        assert value == key.encode()


async def test_lists_keys_by_prefix(bus: Bus):
    store = bus.store(STATE)
    for key in ("s1.t1.a", "s1.t1.b", "s1.t2.a", "s10.t1"):
        await store.put(key, b"", revision=None)
    assert await store.keys("s1.t1.") == ["s1.t1.a", "s1.t1.b"]
    assert await store.keys("s1") == ["s1.t1.a", "s1.t1.b", "s1.t2.a", "s10.t1"]
    assert await store.keys("none") == []


async def test_racing_writers_lose_no_count(bus: Bus):
    store = bus.store(STATE)
    await store.put("n", b"0", revision=None)

    async def add() -> None:
        while True:
            value, revision = await store.get("n") or (b"", 0)
            try:
                await store.put("n", b"%d" % (int(value) + 1), revision=revision)
            except ConflictError:
                continue
            return

    await asyncio.gather(*(add() for _ in range(20)))
    value, _ = await store.get("n") or (b"", 0)
    assert value == b"20"


async def test_there_is_no_problem(bus: Bus):
    assert not bus.problem
