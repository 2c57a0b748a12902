"""The bus goes away in every way: nothing that was accepted is lost, and everything goes on."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from eventbus.bus import ACTIONS, DEAD, DECISIONS, EVENTS, STATE, Message, Reader, Topic
from eventbus.jetstream import Options, connect, publisher
from spine.errors import BusError, RemoteError
from spine.event import Event, decode

BEEP = Topic("uploads", "beep").subject
READER = Reader("sensor", (BEEP,), start="all")


def event(n: int) -> Event:
    return Event(source="uploads", subject="beep", type="t", data=b"{}", id=f"id-{n}")


@pytest.fixture
async def bus(server):
    async with connect(lambda: Options((server.url,)), give_up_after=60) as bus:
        yield bus


async def eventually(check, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.01)


def halt(pid: int) -> None:
    """Stop a process, with each of its threads."""
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + 30
    for thread in Path(f"/proc/{pid}/task").iterdir():
        while (thread / "stat").read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < until, f"process {pid} does not stop"
            time.sleep(0.001)


async def known(bus, durable="sensor"):
    """Wait until a durable is there."""
    async with asyncio.timeout(60):
        while durable not in {info.durable for info in await bus.readers(EVENTS)}:
            await asyncio.sleep(0.01)


async def all_done(bus):
    """Wait until the one durable has nothing left; the bus may be told a moment later."""
    async with asyncio.timeout(60):
        while [(i.pending, i.in_flight) for i in await bus.readers(EVENTS)] != [(0, 0)]:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def consuming(bus, handle, reader=READER, in_flight=64):
    task = asyncio.create_task(bus.consume(reader, handle, in_flight=in_flight))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Seen:
    def __init__(self, slow: float = 0.0) -> None:
        self.slow = slow
        self.begun: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()

    async def __call__(self, message: Message) -> None:
        name = decode(message.data).id
        self.begun[name] += 1
        if self.slow:
            await asyncio.sleep(self.slow)
        self.ids[name] += 1


async def test_kill_under_load_loses_nothing_acknowledged(server, bus, monkeypatch):
    """Every publish ends, and what was acknowledged arrives, though the server dies twice."""
    monkeypatch.setattr(publisher, "GIVE_UP_SECONDS", 60.0)
    stored: list[str] = []
    failed: list[str] = []
    stop = asyncio.Event()
    seen = Seen()

    async def publish(worker: int) -> None:
        n = worker
        while not stop.is_set():
            try:
                await bus.publish(event(n))
                stored.append(f"id-{n}")
            except BusError:
                failed.append(f"id-{n}")
            n += 50

    async def more() -> None:
        least = len(stored) + 500
        await eventually(lambda: len(stored) >= least)

    async with consuming(bus, seen):
        workers = [asyncio.create_task(publish(w)) for w in range(50)]
        for _ in range(2):
            await more()
            await server.kill()
            await asyncio.sleep(0.5)
            await eventually(lambda: bus.problem)
            await server.restart()
            await eventually(lambda: not bus.problem)
        await more()
        stop.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*workers)
        assert failed == []  # away for less than publishing gives up after
        await eventually(lambda: len(seen.ids) >= len(stored))
    assert set(stored) <= set(seen.ids)
    twice = sum(count > 1 for count in seen.ids.values())
    print(f"{len(stored)} stored, {twice} delivered twice")


async def test_pending_publishes_fail_when_the_bus_stays_away(server, bus, monkeypatch):
    await bus.publish(event(0))
    await server.kill()
    monkeypatch.setattr(publisher, "GIVE_UP_SECONDS", 1.0)
    begin = asyncio.get_running_loop().time()
    results = await asyncio.gather(
        *(bus.publish(event(n)) for n in range(1, 2000)), return_exceptions=True
    )
    assert asyncio.get_running_loop().time() - begin < 10
    monkeypatch.undo()
    assert all(isinstance(r, BusError) for r in results)
    assert "127.0.0.1" in str(results[-1])
    await server.restart()
    await eventually(lambda: not bus.problem)
    await bus.publish(event(1))


async def test_a_retry_is_stored_once(server, bus, monkeypatch):
    """A server that answers late is sent the same message id again."""
    monkeypatch.setattr(publisher, "ACK_SECONDS", 0.3)
    await bus.publish(event(0))
    halt(server.pid)
    publishing = asyncio.create_task(bus.publish(event(1)))
    await asyncio.sleep(1.0)
    assert not publishing.done()
    os.kill(server.pid, signal.SIGCONT)
    await publishing
    assert len([m async for m in bus.read(EVENTS)]) == 2


async def test_what_was_asked_of_a_server_that_died_is_not_waited_for(server, bus):
    """The answer to a request is lost with its connection, however long it might have taken."""
    store = bus.store(STATE)
    assert await store.get("none") is None
    halt(server.pid)
    reading = asyncio.create_task(store.get("none"))
    await asyncio.sleep(0.1)
    await server.kill()
    async with asyncio.timeout(4):  # an answer may take five
        with pytest.raises(BusError, match=r"the connection to the bus at nats://.* was lost"):
            await reading
    await server.restart()
    await eventually(lambda: not bus.problem)
    assert await store.get("none") is None


async def test_a_wiped_store_is_made_anew_and_read_from_the_start(server, bus):
    seen = Seen()
    async with consuming(bus, seen, replace(READER, start="new")):
        await known(bus)
        for n in range(20):
            await bus.publish(event(n))
        await eventually(lambda: len(seen.ids) == 20)
        await server.wipe()
        await server.restart()
        for n in range(100, 105):  # stored before the reader has looked
            await bus.publish(event(n))
        await eventually(lambda: len(seen.ids) == 25)
    assert set(seen.ids.values()) == {1}
    await bus.append(ACTIONS, f"{ACTIONS}.s.t", b"1")
    await bus.append(DEAD, f"{DEAD}.x", b"1")
    store = bus.store(STATE)
    await store.put("k", b"1", revision=None)
    assert await store.get("k") is not None


async def test_a_wiped_bucket_is_a_conflict_and_then_empty(server, bus):
    from spine.errors import ConflictError

    store = bus.store(STATE)
    revision = await store.put("k", b"1", revision=None)
    await server.wipe()
    await server.restart()
    await eventually(lambda: not bus.problem)
    with pytest.raises(ConflictError):
        await store.put("k", b"2", revision=revision)
    assert await store.get("k") is None
    await store.put("k", b"3", revision=None)


async def test_a_durable_that_another_replica_made_anew_after_a_wipe_skips_nothing(server, bus):
    seen = Seen()
    reader = replace(READER, start="new")
    async with consuming(bus, seen, reader):
        await known(bus)
        await bus.publish(event(1))
        await eventually(lambda: len(seen.ids) == 1)
        await server.wipe()
        await server.restart()
        async with connect(lambda: Options((server.url,)), give_up_after=60) as other:
            await other.publish(event(2))
            try:
                await other.ensure(reader)  # at new, as it has no memory
            except BusError:
                pass
            await other.publish(event(3))
            await eventually(lambda: {"id-2", "id-3"} <= set(seen.ids))


async def test_a_deleted_durable_is_made_again_where_it_was(bus):
    """A server that has not forgotten the old one yet lets the new one keep its waits."""
    seen = Seen()
    failing = [RemoteError("down", retry_after=5)]

    async def handle(message: Message) -> None:
        if failing and decode(message.data).id == "id-0":
            raise failing.pop()
        await seen(message)

    async with consuming(bus, handle):
        for n in range(10):
            await bus.publish(event(n))
        await eventually(lambda: len(seen.ids) == 9)
        await asyncio.sleep(0.1)
        await bus.remove_reader(EVENTS, "sensor")
        for n in range(10, 20):
            await bus.publish(event(n))
        await eventually(lambda: len(seen.ids) == 20)


async def test_a_slow_handler_is_not_given_the_message_twice(bus):
    seen = Seen(slow=3.0)
    async with consuming(bus, seen, replace(READER, ack_wait=1.0), in_flight=10):
        for n in range(30):  # more than fit, so some wait for a slot
            await bus.publish(event(n))
        await eventually(lambda: len(seen.ids) == 30)
    assert set(seen.begun.values()) == {1}


async def test_a_slow_handler_survives_a_restart_of_the_bus(server, bus):
    seen = Seen(slow=2.5)
    async with consuming(bus, seen, replace(READER, ack_wait=2.0), in_flight=10):
        await bus.publish(event(1))
        await eventually(lambda: seen.begun)
        await server.restart()
        await eventually(lambda: len(seen.ids) == 1)
        await eventually(lambda: not bus.problem)
        await all_done(bus)
    assert set(seen.begun.values()) == {1}


async def test_handled_while_away_is_acknowledged_later(server, bus):
    begun, gate = asyncio.Event(), asyncio.Event()
    handled = []

    async def handle(message: Message) -> None:
        begun.set()
        await gate.wait()
        handled.append(message)

    async with consuming(bus, handle):
        await bus.publish(event(1))
        await eventually(begun.is_set)
        await server.kill()
        gate.set()
        await eventually(lambda: handled)
        await server.restart()
        await eventually(lambda: not bus.problem)
        await all_done(bus)
    assert len(handled) == 1


@pytest.mark.parametrize("trouble", ["killed", "without the durable", "wiped"])
async def test_settling_ends_whatever_happens_to_the_bus(server, bus, trouble):
    """And what was settled does not come again; a new stream's message is another."""
    begun, go = asyncio.Event(), asyncio.Event()
    settled: list[str] = []

    async def handle(message: Message) -> None:
        name = decode(message.data).id
        if name == "id-1" and not begun.is_set():
            begun.set()
            await go.wait()
        await message.settle()
        settled.append(name)

    async with consuming(bus, handle):
        await bus.publish(event(1))
        await eventually(begun.is_set)
        if trouble == "without the durable":
            await bus.remove_reader(EVENTS, "sensor")
            go.set()
        else:
            await server.kill()
            go.set()
            await asyncio.sleep(0.5)
            assert settled == []
            if trouble == "wiped":
                await server.wipe()
            await server.start()
        await eventually(lambda: settled == ["id-1"])
        await eventually(lambda: not bus.problem)
        await bus.publish(event(2))
        await eventually(lambda: len(settled) == 2)
        await all_done(bus)
    async with consuming(bus, handle):
        await bus.publish(event(3))
        await eventually(lambda: len(settled) == 3)
    assert settled == ["id-1", "id-2", "id-3"]


async def test_failing_handlers_do_not_fill_the_slots(bus):
    """1,000 messages that wait for their next try leave room for the others."""
    seen = Seen()

    async def handle(message: Message) -> None:
        if int(decode(message.data).id.removeprefix("id-")) < 1000:
            raise RemoteError("down", retry_after=60)
        await seen(message)

    async with consuming(bus, handle, in_flight=16):
        await asyncio.gather(*(bus.publish(event(n)) for n in range(1100)))
        await eventually(lambda: len(seen.ids) == 100)


async def test_consuming_goes_on_after_hours_of_silence_in_small(bus, monkeypatch):
    """Pulls end and are asked for again, with nothing to do in between."""
    from eventbus.jetstream import puller

    monkeypatch.setattr(puller, "PULL_SECONDS", 0.5)
    monkeypatch.setattr(puller, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(puller, "TICK_SECONDS", 0.1)
    seen = Seen()
    async with consuming(bus, seen):
        for n in range(4):
            await asyncio.sleep(0.7)
            await bus.publish(event(n))
        await eventually(lambda: len(seen.ids) == 4)
    assert set(seen.begun.values()) == {1}


async def test_following_goes_on_though_the_stream_began_anew(server, bus):
    """Decisions are kept in memory: a restart of the server empties them."""
    got: list[bytes] = []

    async def follow() -> None:
        async with aclosing(bus.read(DECISIONS, follow=True)) as messages:
            async for message in messages:
                got.append(message.data)  # noqa: PERF401 -- it is watched while it grows

    task = asyncio.create_task(follow())
    for n in range(5):
        await bus.append(DECISIONS, f"{DECISIONS}.s.t", b"%d" % n)
    await eventually(lambda: len(got) == 5)
    await server.restart()
    await bus.append(DECISIONS, f"{DECISIONS}.s.t", b"5")
    await eventually(lambda: len(got) == 6)
    assert got[-1] == b"5"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_no_stream_takes_fails_in_time(bus, monkeypatch):
    monkeypatch.setattr(publisher, "GIVE_UP_SECONDS", 3.0)
    with pytest.raises(
        BusError, match=r"publishing to nowhere.x: not stored in 3 s: no stream takes it"
    ):
        await bus.append(DEAD, "nowhere.x", b"1")


async def test_closing_tells_those_who_still_wait(server):
    async with connect(lambda: Options((server.url,)), give_up_after=60) as bus:
        await server.kill()
        waiting = asyncio.create_task(bus.publish(event(1)))
        await asyncio.sleep(0.1)
    with pytest.raises(BusError, match="the bus was closed"):
        await waiting


async def test_a_server_that_is_not_there_is_waited_for(server, caplog):
    await server.kill()
    port = server.port

    async def open_and_publish() -> None:
        async with connect(lambda: Options((f"nats://127.0.0.1:{port}",))) as bus:
            await bus.publish(event(1))

    task = asyncio.create_task(open_and_publish())
    await eventually(lambda: "nothing listens on port" in caplog.text)
    await server.restart()
    async with asyncio.timeout(60):
        await task


async def test_or_not_for_longer_than_was_said(server, caplog):
    caplog.set_level(logging.ERROR)
    await server.kill()
    with pytest.raises(BusError, match=r"nothing listens on port \d+ \(is the bus running"):
        async with connect(lambda: Options((server.url,)), give_up_after=2.0):
            pass
