"""More than one of each, as real processes on a real nats-server: shared, led, taken over."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest
from cut_kit import Line, line
from sensor_kit import dependency, event, trigger
from sensor_process import sensor_process
from settled import settled
from sink import Sink, sink
from tocsin_run import Run, started

from delivery.dead import list_dead
from eventbus.bus import EVENTS, Bus
from spine.event import decode

pytestmark = pytest.mark.timeout(240)


async def until(true: Any, seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


def is_joined(durable: str) -> bool:
    """Say whether a durable is not that of the Sensor that shares; that one may have ended."""
    return durable == "sensor-s" or durable.startswith("actions@s@")


# ---------------------------------------------------------------------------- sensors


@pytest.fixture
async def second_target():
    async with sink() as found:
        yield found


async def test_sensors_share_and_conditions_stay_right_while_some_are_killed(
    tmp_path, server, bus, target, second_target, record_property
):
    """Side by side, as what a killed one had in hand comes back after half a minute."""
    async with asyncio.TaskGroup() as group:
        sharing = group.create_task(shared(tmp_path, server.url, bus, target))
        group.create_task(joined(tmp_path, server.url, bus, second_target))
    record_property("shares", str(sharing.result()))


def posting(target: Sink, path: str) -> dict[str, Any]:
    made = trigger("t", "c", f"{target.url}{path}")
    number = {"src": {"dependencyName": "c", "dataKey": "n"}, "dest": "id"}
    made["template"]["http"]["payload"] = [number]
    return {"dependencies": [dependency("c")], "triggers": [made]}


async def shared(folder: Path, url: str, bus: Bus, target: Sink) -> dict[str, float]:
    """Let three replicas work, each told by its path, as their specs differ there; kill one."""
    target.seconds = 0.02
    one, two, three = [
        sensor_process(folder, url, posting(target, f"/{name}"), name="sharing") for name in "xyz"
    ]
    async with one, two, three as last:
        for at in range(0, 3_000, 50):
            await asyncio.gather(*(bus.publish(event(n, "c")) for n in range(at, at + 50)))
        await until(lambda: sum(target.ids.values()) > 1_500)
        done = Counter(path for _, path, _ in target.requests)
        await last.kill()
        seen: set[str] = set()

        def all_seen() -> bool:
            seen.update(*(target.seen(f"/{name}") for name in "xyz"))
            return len(seen) == 3_000

        await until(all_seen)

    shares = {path: count / sum(done.values()) for path, count in done.items()}
    print("shares", shares)
    assert len(shares) == 3
    assert min(shares.values()) > 0.05, "none is idle"
    twice = sum(target.ids.values()) - 3_000
    assert twice <= 256, "at most what the killed one had in hand"
    return shares


async def joined(folder: Path, url: str, bus: Bus, target: Sink) -> None:
    """Kill two of three: each event fires once at most, with one of the same time of resets."""
    join = trigger("join", "a && b", f"{target.url}/join")
    join["template"]["http"]["payload"] = [
        {"src": {"dependencyName": name, "dataKey": "n"}, "dest": name} for name in "ab"
    ]
    join["template"]["conditionsReset"] = [{"byTime": {"cron": "@every 3s"}}]
    job = (folder, url, {"dependencies": [dependency("a"), dependency("b")]})
    job[2]["triggers"] = [join]
    async with (
        sensor_process(*job) as first,
        sensor_process(*job) as second,
        sensor_process(*job),
    ):
        for n in range(400):
            await asyncio.gather(bus.publish(event(n, "a")), bus.publish(event(n, "b")))
            if n == 100:
                await first.kill()
            if n == 250:
                await second.kill()
            await asyncio.sleep(0.02)
        await settled(bus, whose=is_joined)

    stored = {decode(m.data).id: m.stored async for m in bus.read(EVENTS)}
    assert len(stored) >= 800
    # what was under way at a kill may have been done twice
    found = {(body["a"], body["b"]) for _, path, body in target.requests if path == "/join"}
    for at in (0, 1):
        assert max(Counter(pair[at] for pair in found).values()) == 1, "an event fires once"
    apart = [pair for pair in found if stored[f"a{pair[0]}"] // 3 != stored[f"b{pair[1]}"] // 3]
    assert apart == []
    assert len(found) > 200  # of two in a row of one kind, the newer stands
    assert [one async for one in list_dead(bus)] == []


# ---------------------------------------------------------------------------- sources


def listening(name: str, url: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventSource",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"nats": {"e": {"url": url, "subject": f"in.{name}", "jsonBody": True, **more}}},
    }


@asynccontextmanager
async def replica(folder: Path, manifest: dict[str, Any], bus_url: str) -> AsyncIterator[Run]:
    """A process of an EventSource."""
    file = folder / f"{manifest['metadata']['name']}.json"
    file.write_text(json.dumps(manifest))
    words = ["eventsource", "-f", file.name, "--bus", bus_url, "--metrics-port", "0"]
    async with started(folder, *words, "--host", "127.0.0.1") as run:
        yield run


class Feed:
    """Publishes numbers to a subject, fifty a second."""

    def __init__(self, client: Any, subject: str) -> None:
        self._client, self._subject = client, subject
        self.number = 0

    async def run(self) -> None:
        while True:
            await self._client.publish(self._subject, b'{"n":%d}' % self.number)
            self.number += 1
            await asyncio.sleep(0.02)


@asynccontextmanager
async def feeding(url: str, subject: str) -> AsyncIterator[Feed]:
    client = await nats.connect(url)
    feed = Feed(client, subject)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.close()


@dataclass(frozen=True)
class Told:
    number: int
    stored: float


async def told(bus: Bus, name: str) -> list[Told]:
    """Return what is on the bus, in its order."""
    found = []
    async for message in bus.read(EVENTS, [f"{EVENTS}.{name}.e"]):
        body = json.loads(decode(message.data).data or b"")["body"]
        found.append(Told(body["n"], message.stored))
    return found


async def kill(run: Run, _way: Line) -> None:
    run.process.kill()


async def stop(run: Run, _way: Line) -> None:
    run.process.send_signal(signal.SIGTERM)


async def freeze(run: Run, _way: Line) -> None:
    run.process.send_signal(signal.SIGSTOP)


async def cut(_run: Run, way: Line) -> None:
    await way.cut()


async def nothing(_run: Run, _way: Line) -> None:
    pass


async def thaw(run: Run, _way: Line) -> None:
    run.process.send_signal(signal.SIGCONT)


async def mend(_run: Run, way: Line) -> None:
    await way.mend()


FAULTS = {
    "kill": (kill, nothing),
    "stop": (stop, nothing),
    "freeze": (freeze, thaw),
    "cut": (cut, mend),
}


async def failed_over(folder: Path, server: Any, bus: Bus, name: str) -> float:
    """Let a leader fail in one way and come back; return the seconds without an event."""
    begin, end = FAULTS[name]
    manifest = listening(name, server.url)
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(line(server.port))
        old = await stack.enter_async_context(
            replica(folder, manifest, f"nats://127.0.0.1:{way.port}")
        )
        await old.until('"msg":"listening"')
        new = await stack.enter_async_context(replica(folder, manifest, server.url))
        await new.until("standing by")
        feed = await stack.enter_async_context(feeding(server.url, f"in.{name}"))
        await until(lambda: feed.number > 50)
        assert '"msg":"listening"' not in new.text
        failed = time.time()
        await begin(old, way)
        await new.until('"msg":"listening"')
        first = feed.number
        await until(lambda: feed.number > first + 50)
        await end(old, way)
        if end is not nothing:
            await old.until("standing by")  # it has found out, and had its chance
        last = feed.number
        await until(lambda: feed.number > last + 50)
    found = await told(bus, name)
    numbers = [one.number for one in found]
    assert max(Counter(numbers).values()) == 1, f"{name}: told twice"
    taken = [one for one in found if one.number >= first]
    assert max(numbers) > last, f"{name}: it does not go on"
    late = [one.number for one in found if one.stored > taken[0].stored and one.number < first - 25]
    assert late == [], f"{name}: the old leader tells out of turn"
    return taken[0].stored - failed


async def test_a_single_source_has_one_leader_and_another_takes_over(
    tmp_path, server, bus, record_property
):
    """Killed, stopped, frozen and cut off from the bus, side by side."""
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(failed_over(tmp_path, server, bus, name)) for name in FAULTS
        }
    seconds = {name: round(task.result(), 1) for name, task in tasks.items()}
    record_property("failover", str(seconds))
    print("failover", seconds)
    assert seconds["stop"] < seconds["kill"], "who leaves gives the lease up"
    assert max(seconds.values()) < 40, "9 s on a machine with time; see the test of leases"


async def test_queue_sources_share(tmp_path, server, bus, record_property):
    manifest = listening("queue", server.url, queue="q")
    async with (
        replica(tmp_path, manifest, server.url) as one,
        replica(tmp_path, manifest, server.url) as two,
    ):
        await one.until('"msg":"listening"')
        await two.until('"msg":"listening"')
        async with feeding(server.url, "in.queue") as feed:
            await goes_on(bus, 60)
            first = {one.number for one in await told(bus, "queue")}
            one.process.kill()
            await one.process.wait()
            gone = feed.number  # until the server has noticed, some may be lost
            await goes_on(bus, gone)
    numbers = Counter(one.number for one in await told(bus, "queue"))
    assert set(numbers.values()) == {1}
    assert len(first) > 80, "two hear everything"


async def goes_on(bus: Bus, above: int) -> None:
    """Wait until forty numbers above one are on the bus, in a row."""
    async with asyncio.timeout(60):
        while True:
            numbers = {one.number for one in await told(bus, "queue")}
            last = max(numbers, default=0)
            if last > above + 40 and set(range(last - 40, last)) <= numbers:
                return
            await asyncio.sleep(0.1)
