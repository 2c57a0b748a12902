"""What an event costs as more is asked: in and out at once, triggers that do not match, a long
queue, more Sensor processes.

Each prints processor time beside rates: rates of a shared machine drift, processor time less so.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from benchmarks.stage import Process, Sink, Stage, event_source, free_port, sensor, stage

Say = Callable[[str, str], None]
WARM = 500
"""Events before it counts."""
Load = Callable[[Stage, int, str, int], Any]


async def both(say: Say, load: Load, seconds: int) -> None:
    """Webhook in and HTTP out at once, the load generator at full speed."""
    async with stage() as here:
        port, sink = free_port(), await here.sink()
        source = await here.ours("eventsource", event_source(port))
        acting = await here.ours("sensor", sensor("both", sink.url, jq=False))
        await load(here, port, "/post", 2)
        before, began = await sink.count(), time.monotonic()
        used = source.cpu(), acting.cpu()
        sent = round(await load(here, port, "/post", seconds) * seconds)
        done, took = await sink.count() - before, time.monotonic() - began
        _, ended = await sink.reach(before + sent - 640, limit=600)
        rate = sent / (ended - began)
        say("in and out at once", f"{rate:8.0f} /s through, {done / took:.0f} /s out meanwhile")
        spent = [
            (one.cpu() - at) / sent * 1e6 for one, at in zip((source, acting), used, strict=True)
        ]
        say("  processor time of an event", f"source {spent[0]:.0f} us   sensor {spent[1]:.0f} us")


def _others(name: str, url: str, others: int) -> dict[str, Any]:
    """Return a Sensor with one trigger that fires and so many whose filter refuses the event."""
    made = sensor(name, url, jq=False)
    spec = made["spec"]
    first, trigger = spec["dependencies"][0], spec["triggers"][0]
    for n in range(others):
        context = {"filters": {"context": {"subject": f"other-{n}"}}}
        spec["dependencies"].append({**first, "name": f"other-{n}", **context})
        template = {**trigger["template"], "name": f"other-{n}", "conditions": f"other-{n}"}
        spec["triggers"].append({"template": template})
    trigger["template"]["conditions"] = first["name"]
    return made


def _elsewhere(name: str, url: str, others: int) -> dict[str, Any]:
    """Return a Sensor with one trigger that fires and so many that wait for other events."""
    made = _others(name, url, others)
    for dependency in made["spec"]["dependencies"][1:]:
        dependency["eventName"] = dependency["name"]
    return made


async def _drained(here: Stage, manifest: dict[str, Any], sink: Sink, count: int) -> float:
    """Return the microseconds of processor time that each of so many events cost."""
    acting = await here.ours("sensor", manifest)
    await here.fill(WARM)
    await sink.reach(WARM, limit=600)
    await asyncio.sleep(2)  # what is done once is done
    used = acting.cpu()
    await here.fill(count)
    await sink.reach(WARM + count, limit=600)
    spent = (acting.cpu() - used) / count * 1e6
    await acting.stop()
    return spent


async def matching(say: Say, count: int) -> None:
    """One trigger that fires beside 0 to 100 that do not."""
    async with stage() as here:
        for what, make in (("of other events", _elsewhere), ("refused by a filter", _others)):
            base = 0.0
            for others in (0, 1, 10, 100):
                sink = await here.sink()
                manifest = make(f"m{others}-{make.__name__.strip('_')}", sink.url, others)
                spent = await _drained(here, manifest, sink, count)
                await sink.process.stop()
                base = base or spent
                name = f"{others} triggers beside, {what}"
                say(name, f"{spent:8.0f} us cpu each   {spent / base:.2f} of none")


async def queued(say: Say, most: int) -> None:
    """The first 10,000 events of a queue of 100 to many."""
    base = 0.0
    for size in (100, 1_000, 10_000, 100_000, most):
        async with stage() as here:
            sink = await here.sink()
            first = await here.ours("sensor", sensor("queue", sink.url, jq=False))
            await first.stop()
            await here.fill(size)
            acting = await here.ours("sensor", sensor("queue", sink.url, jq=False))
            want = min(size, 10_000)
            used, had = acting.cpu(), await sink.count()
            began = time.monotonic()
            if had < want:
                await sink.reach(want, limit=600)
            took, spent = time.monotonic() - began, acting.cpu() - used
            done = await sink.count() - had
            if size < 10_000:  # over before it can be measured
                say(f"{size:,} queued", f"done {took * 1000:.0f} ms after the start")
                continue
            base = base or spent / done
            text = f"{spent / done * 1e6:8.0f} us cpu each   {spent / done / base:.2f} of 10,000"
            say(f"{size:,} queued", f"{text}   memory {acting.memory():.0f} MiB")


async def scaling(say: Say, backlog: int) -> None:
    """One, two and four processes of one Sensor, started together on a full queue."""
    base = 0.0
    for processes in (1, 2, 4):
        async with stage() as here:
            sink = await here.sink()
            first = await here.ours("sensor", sensor("scale", sink.url, jq=False))
            await first.stop()
            await here.fill(backlog)
            manifest = sensor("scale", sink.url, jq=False)
            started: list[Process] = await asyncio.gather(
                *(here.ours("sensor", manifest) for _ in range(processes))
            )
            began, ended = await sink.reach(backlog)
            rate = backlog / (ended - began)
            spent = sum(one.cpu() for one in started) / backlog * 1e6
            base = base or rate
            text = f"{rate:8.0f} /s   {rate / base:.2f} of one   {spent:.0f} us cpu each"
            say(f"{processes} Sensor processes", text)
