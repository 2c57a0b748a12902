"""Sizes, limits and settings of streams, and how fast it is."""

import asyncio
import logging
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from eventbus.bus import ACTIONS, DEAD, DECISIONS, EVENTS, LEASES, STATE, Message, Reader, Topic
from eventbus.jetstream import Options, connect, watch
from eventbus.jetstream.api import Api
from eventbus.settings import StreamSettings
from spine.errors import BusError, EventError
from spine.event import Event, new_id

BEEP = Topic("uploads", "beep").subject
READER = Reader("sensor", (BEEP,), start="all")


def event(size: int = 2, name: str = "beep") -> Event:
    return Event(source="uploads", subject=name, type="t", data=b"x" * size, id=new_id())


@asynccontextmanager
async def opened(server, settings=None, *, provision=False):
    def options() -> Options:
        return Options((server.url,))

    async with connect(options, settings=settings, provision=provision, give_up_after=60) as bus:
        yield bus


async def config_of(bus, stream=EVENTS):
    info = await Api(bus._connection).stream(stream)
    return info["config"]


async def looked(bus):
    """Wait until publishing was watched for the first time."""
    async with asyncio.timeout(60):
        while not bus._watch._last:
            await asyncio.sleep(0.01)


async def drain(bus, least, reader=READER):
    """Read everything that is there, and so many at least."""
    got = []

    async def handle(message: Message) -> None:
        got.append(message)

    task = asyncio.create_task(bus.consume(reader, handle, in_flight=100))
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.1)
            (info,) = [i for i in await bus.readers(EVENTS) if i.durable == reader.durable]
            if len(got) >= least and not info.pending and not info.in_flight:
                break
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return got


# ---------------------------------------------------------------------------- sizes


async def test_eight_megabytes_pass_and_more_does_not(server):
    async with opened(server) as bus:
        assert bus.max_payload > 8_000_000
        await bus.append(DEAD, f"{DEAD}.x", b"x" * bus.max_payload, message_id="m" * 64)
        with pytest.raises(EventError, match=r"the bus takes \d+ \(raise max_payload"):
            await bus.append(DEAD, f"{DEAD}.x", b"x" * (bus.max_payload + 1))
        assert not bus.problem


async def test_large_events_arrive_without_filling_the_memory(server):
    async with opened(server) as bus:
        await bus.ensure(READER)
        for _ in range(30):
            await bus.publish(event(5_000_000))
        running = most = done = 0

        async def handle(message: Message) -> None:
            nonlocal running, most, done
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.1)
            running -= 1
            done += 1

        reading = asyncio.create_task(bus.consume(READER, handle, in_flight=1000))
        async with asyncio.timeout(90):
            while done < 30:
                await asyncio.sleep(0.1)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert most < 30


# ---------------------------------------------------------------------------- settings


async def test_streams_are_as_design_says(server):
    async with opened(server) as bus:
        events = await config_of(bus)
        assert events["subjects"] == ["default.*.*"]
        assert (events["storage"], events["retention"]) == ("file", "limits")
        assert (events["max_msgs"], events["max_age"]) == (-1, 168 * 3600 * 10**9)
        assert events["duplicate_window"] == 300 * 10**9
        assert (await config_of(bus, ACTIONS))["retention"] == "workqueue"
        assert (await config_of(bus, DEAD))["max_age"] == 30 * 24 * 3600 * 10**9
        assert (await config_of(bus, DECISIONS))["storage"] == "memory"
        assert (await config_of(bus, f"KV_{STATE}"))["max_msgs_per_subject"] == 1
        assert (await config_of(bus, f"KV_{LEASES}"))["max_age"] == 10 * 10**9


async def test_an_existing_stream_is_changed_only_when_told(server):
    async with opened(server, StreamSettings(max_msgs=100)):
        pass
    other = StreamSettings(max_msgs=200, max_age=3600)
    async with opened(server, other) as bus:
        assert (await config_of(bus))["max_msgs"] == 100
    async with opened(server, other, provision=True) as bus:
        config = await config_of(bus)
        assert (config["max_msgs"], config["max_age"]) == (200, 3600 * 10**9)


async def test_a_stream_is_not_shrunk_below_what_is_unread(server, caplog):
    async with opened(server, StreamSettings(max_msgs=100)) as bus:
        await bus.ensure(READER)
        for _ in range(50):
            await bus.publish(event())
    small = StreamSettings(max_msgs=10, max_bytes=1000, max_age=60)
    async with opened(server, small, provision=True) as bus:
        config = await config_of(bus)
        assert (config["max_msgs"], config["max_bytes"]) == (100, -1)
        assert config["max_age"] == 168 * 3600 * 10**9
        assert "would evict unread events" in caplog.text
        assert len(await drain(bus, 50)) == 50
    async with opened(server, small, provision=True) as bus:
        assert (await config_of(bus))["max_msgs"] == 10


async def test_replicas_that_a_single_server_cannot_keep_are_one(server, caplog):
    async with opened(server, StreamSettings(replicas=3)) as bus:
        assert (await config_of(bus))["num_replicas"] == 1
        await bus.publish(event())
    assert "3 replicas need a cluster" in caplog.text
    async with opened(server, StreamSettings(replicas=3), provision=True) as bus:
        await bus.publish(event())


async def test_a_lease_that_nobody_renews_is_free(server, monkeypatch):
    from eventbus.jetstream import streams

    monkeypatch.setattr(streams, "LEASE_SECONDS", 1.0)
    async with opened(server) as bus:
        store = bus.store(LEASES)
        began = time.monotonic()
        await store.put("k", b"me", revision=None)
        assert await store.get("k") is not None or time.monotonic() - began > 0.9
        async with asyncio.timeout(30):
            while await store.get("k") is not None:
                await asyncio.sleep(0.1)
        await store.put("k", b"other", revision=None)


# ---------------------------------------------------------------------------- nothing unread goes


@pytest.mark.parametrize(
    "settings",
    [StreamSettings(max_msgs=200), StreamSettings(max_bytes=300_000)],
    ids=["messages", "bytes"],
)
async def test_publishing_stops_before_something_unread_goes(server, monkeypatch, settings):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    async with opened(server, settings) as bus:
        await bus.ensure(READER)
        refused = None
        stored = 0
        for _ in range(400):
            try:
                await bus.publish(event(1000))
                stored += 1
            except BusError as exc:
                refused = exc
                break
            await asyncio.sleep(0.002)
        assert refused is not None
        found = re.search(r"durable sensor has (\d+) unread events", str(refused))
        assert found is not None
        assert abs(stored - int(found[1])) < 20  # some may have been on their way at the last look
        assert "delete the durable if nobody wants it" in str(refused)
        assert bus.held
        assert len(await drain(bus, stored)) == stored
        async with asyncio.timeout(30):
            while bus.held:
                await asyncio.sleep(0.05)
        await bus.publish(event(1000))
        assert bus.evicted == 0


async def test_a_full_stream_that_is_read_is_no_reason_to_stop(server, monkeypatch):
    """Limits are always reached in the end; what was read may go."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.02)
    async with opened(server, StreamSettings(max_msgs=50)) as bus:
        read = asyncio.Event()

        async def handle(message: Message) -> None:
            read.set()

        await bus.ensure(READER)
        task = asyncio.create_task(bus.consume(READER, handle, in_flight=10))
        idle = replace(READER, durable="idle", subjects=(Topic("uploads", "never").subject,))
        rare = replace(READER, durable="rare", subjects=(Topic("uploads", "rare").subject,))
        await bus.ensure(idle)
        await bus.ensure(rare)
        for _ in range(200):
            read.clear()
            await bus.publish(event())
            async with asyncio.timeout(60):
                await read.wait()
            await asyncio.sleep(0.001)
        await bus.publish(event(name="rare"))  # unread, but the newest
        await asyncio.sleep(0.2)
        await bus.publish(event())
        assert not bus.held
        assert bus.evicted == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_burst_between_two_looks_evicts_nothing(server, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3600)
    async with opened(server, StreamSettings(max_msgs=2000)) as bus:
        await bus.ensure(READER)
        await bus.publish(event())
        await looked(bus)
        stored = 1

        async def publish() -> None:
            nonlocal stored
            for _ in range(200):
                await bus.publish(event())
                stored += 1

        results = await asyncio.gather(*(publish() for _ in range(20)), return_exceptions=True)
        assert any(isinstance(r, BusError) for r in results)
        assert 1800 <= stored <= 2000
        assert len(await drain(bus, stored)) == stored


async def test_what_others_push_out_is_counted(server, monkeypatch, caplog):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3600)
    async with opened(server, StreamSettings(max_msgs=20)) as bus:
        await bus.ensure(READER)
        await bus.publish(event())
        await looked(bus)
        for _ in range(9):
            await bus.publish(event())
        await bus._watch.look()
        for n in range(50):  # as another program would
            await bus.append(EVENTS, BEEP, b"{}", message_id=f"m{n}")
        await bus._watch.look()  # what goes during a look may not be seen
        assert bus.evicted == 40
    assert "unread events were evicted" in caplog.text


async def test_events_that_would_soon_be_too_old_stop_publishing(server, monkeypatch):
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "FULL", 0.3)  # so that it is held for a while
    async with opened(server, StreamSettings(max_age=3.0, duplicates=1.0)) as bus:
        await bus.ensure(READER)
        await bus.publish(event())
        async with asyncio.timeout(30):
            while not bus.held:
                await asyncio.sleep(0.01)
        assert "events are kept for 3 s" in bus.held
        async with asyncio.timeout(30):
            while bus.held:
                await asyncio.sleep(0.05)


async def test_a_stream_that_refuses_at_its_limit_tells_so(server):
    async with opened(server, StreamSettings(max_msgs=5, discard="new")) as bus:
        for n in range(5):
            await bus.append(EVENTS, BEEP, b"{}", message_id=f"m{n}")
        with pytest.raises(BusError, match="maximum messages exceeded"):
            await bus.append(EVENTS, BEEP, b"{}", message_id="m5")


# ---------------------------------------------------------------------------- speed


async def test_twenty_thousand_messages(server, caplog):
    """Printed, not judged: the machine is shared."""
    caplog.set_level(logging.ERROR)
    count, size, publishers = 20_000, 1024, 256
    async with opened(server) as bus:
        events = iter([event(size) for _ in range(count)])

        async def publish() -> None:
            for one in events:
                await bus.publish(one)

        begin = time.perf_counter()
        await asyncio.gather(*(publish() for _ in range(publishers)))
        publishing = time.perf_counter() - begin
        got: list[int] = []
        done = asyncio.Event()

        async def handle(message: Message) -> None:
            got.append(message.sequence)
            if len(got) == count:
                done.set()

        begin = time.perf_counter()
        task = asyncio.create_task(bus.consume(READER, handle, in_flight=512))
        await done.wait()
        consuming = time.perf_counter() - begin
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert got == list(range(1, count + 1))
    print(f"\npublished {count / publishing:,.0f}/s, consumed {count / consuming:,.0f}/s")
