"""Measure everything in one run: python -m benchmarks [--quick] [--million] [ONLY …].

Needs wrk (Debian package `wrk`) for ingest. Prints a table; ratios come from the same run.
"""

import argparse
import asyncio
import os
import re
import shutil
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks import flow, latency
from benchmarks.evaluation import measure
from benchmarks.stage import Stage, body, event_source, free_port, sensor, stage


@dataclass(frozen=True)
class Options:
    """How long to measure."""

    seconds: int = 10
    backlog: int = 50_000
    million: int = 0
    rounds: int = 3


def say(name: str, text: str) -> None:
    """Print one line of the table."""
    print(f"{name:40} {text}", flush=True)


# ---------------------------------------------------------------------------- ingest


async def wrk(here: Stage, port: int, path: str, seconds: int) -> float:
    """Return answered requests a second with 64 connections."""
    file = here.folder / "body.json"
    file.write_bytes(body())
    script = Path(__file__).with_name("post.lua")
    child = await asyncio.create_subprocess_exec(
        "wrk", "-t1", "-c64", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}{path}",
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "BODY": str(file)},
    )  # fmt: skip
    text = (await child.communicate())[0].decode()
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(text)
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None:
        raise SystemExit(text)
    return float(found[1])


async def ingest(options: Options) -> None:
    """Webhook answered after the store, beside a bare application."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: install the Debian package wrk")
    ratios, ours, bare, spent = [], [], [], []
    async with stage() as here:
        port, bare_port = free_port(), free_port()
        source = await here.ours("eventsource", event_source(port))
        plain = await here.start("benchmarks.bare", "ingest", str(bare_port))
        await _listens(bare_port)
        for _ in range(options.rounds):
            before = plain.cpu(), source.cpu()
            bare.append(await wrk(here, bare_port, "/post", options.seconds))
            ours.append(await wrk(here, port, "/post", options.seconds))
            ratios.append(ours[-1] / bare[-1])
            after = plain.cpu(), source.cpu()
            rates = bare[-1] * options.seconds, ours[-1] * options.seconds
            spent.append([(b - a) / n for a, b, n in zip(before, after, rates, strict=True)])
    say("ingest, bare uvicorn", f"{statistics.median(bare):8.0f} /s")
    say(
        "ingest, stored",
        f"{statistics.median(ours):8.0f} /s   ratio {statistics.median(ratios):.2f}",
    )
    each = min(spent, key=lambda pair: pair[1])
    say(
        "  processor time of a request",
        f"bare {each[0] * 1e6:.1f} us   ours {each[1] * 1e6:.1f} us   {each[0] / each[1]:.2f}",
    )


async def _listens(port: int) -> None:
    for _ in range(600):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise SystemExit(f"nobody listens on {port}")


# ---------------------------------------------------------------------------- drain


async def drain(options: Options) -> None:
    """Stored event to acknowledged HTTP effect, beside a bare loop."""
    async with stage() as here:
        names = {"drain, jq off": False, "drain, jq on": True}
        for jq in names.values():
            sink = await here.sink()
            first = await here.ours("sensor", sensor(f"s{int(jq)}", sink.url, jq=jq))
            await first.stop()
            await sink.process.stop()
        await here.fill(options.backlog)
        config = here.config.model_dump_json(by_alias=True, exclude_none=True)
        bare: list[tuple[float, float]] = []
        ours: dict[str, tuple[float, float]] = {}
        for name, jq in names.items():
            sink = await here.sink()
            process = await here.start("benchmarks.bare", "drain", config, sink.url, f"bare{jq}")
            bare.append(await _rate(options.backlog, sink, process))
            sink = await here.sink()
            process = await here.ours("sensor", sensor(f"s{int(jq)}", sink.url, jq=jq))
            ours[name] = await _rate(options.backlog, sink, process)
            base = bare[-1]
            say("drain, bare loop", f"{base[0]:8.0f} /s   {base[1]:6.0f} us cpu each")
            rate, cpu = ours[name]
            say(
                name,
                f"{rate:8.0f} /s   {cpu:6.0f} us cpu each   ratio {rate / base[0]:.2f}"
                f"   (by cpu {base[1] / cpu:.2f})",
            )


async def _rate(count: int, sink, process) -> tuple[float, float]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    began, ended = await sink.reach(count)
    await asyncio.sleep(0.5)
    cpu = process.cpu()
    await process.stop()
    await sink.process.stop()
    return count / (ended - began), cpu / count * 1e6


# ---------------------------------------------------------------------------- latency


async def of_latency(options: Options) -> None:
    """From the client's clock to the sink's, at 200 events a second."""
    await latency.measure(say, float(options.seconds))


# ---------------------------------------------------------------------------- slow target, memory


async def slow(options: Options) -> None:
    """An action that takes 100 ms."""
    count = min(options.backlog, 5_000)
    async with stage() as here:
        sink = await here.sink(0.1)
        first = await here.ours("sensor", sensor("slow", sink.url, jq=False))
        await first.stop()
        await here.fill(count)
        await here.ours("sensor", sensor("slow", sink.url, jq=False))
        began, ended = await sink.reach(count)
    say("actions of 100 ms", f"{count / (ended - began):8.0f} /s")


async def memory(options: Options) -> None:
    """Resident memory at rest and after many events, in and out at once."""
    total = options.million or options.backlog
    async with stage() as here:
        port = free_port()
        sink = await here.sink()
        source = await here.ours("eventsource", event_source(port))
        acting = await here.ours("sensor", sensor("mem", sink.url, jq=True))
        say(
            "memory at rest",
            f"source {source.memory():.0f} MiB   sensor {acting.memory():.0f} MiB"
            f"   nats-server {here.bus_memory():.0f} MiB",
        )
        began, sent, marks = time.monotonic(), 0, []
        while sent < total:
            sent += round(await wrk(here, port, "/post", 10) * 10)
            marks.append(f"{source.memory():.0f}/{acting.memory():.0f}")
        _, ended = await sink.reach(sent - 640, limit=1800)
        say("in and out at once", f"{sent / (ended - began):8.0f} /s")
        say(
            f"memory after {sent:,} events",
            f"source {source.memory():.0f} MiB   sensor {acting.memory():.0f} MiB"
            f"   nats-server {here.bus_memory():.0f} MiB   every 10 s: {' '.join(marks)}",
        )


async def evaluating(_: Options) -> None:
    """Evaluation alone, in this process."""
    measure(say)


async def on_kubernetes(_: Options) -> None:
    """Watching and acting on a real API server."""
    from benchmarks import kubernetes

    await kubernetes.measure(say)


async def of_files(_: Options) -> None:
    """Watching a folder."""
    from benchmarks import file

    await file.measure(say)


async def of_pubsub(_: Options) -> None:
    """Receiving from Pub/Sub servers of the tests."""
    from benchmarks import pubsub

    await pubsub.measure(say)


async def of_notifier(_: Options) -> None:
    """Watching many objects with many triggers."""
    from benchmarks import notifier

    await notifier.measure(say)


async def of_streams(_: Options) -> None:
    """Receiving from Redis streams and MQTT, on servers of the tests."""
    from benchmarks import streams

    await streams.measure(say)


async def of_sqs(_: Options) -> None:
    """Receiving from SQS, on a moto server."""
    from benchmarks import sqs

    await sqs.measure(say)


async def of_controller(_: Options) -> None:
    """Bringing a cluster to what many objects say."""
    from benchmarks import controller

    await controller.measure(say)


async def of_starting(_: Options) -> None:
    """Idle processes, and the start of the quickstart."""
    from benchmarks import footprint

    await footprint.measure(say)


async def both(options: Options) -> None:
    """In and out at once."""
    await flow.both(say, wrk, options.seconds)


async def matching(options: Options) -> None:
    """Triggers that do not match."""
    await flow.matching(say, options.backlog // 4)


async def queued(options: Options) -> None:
    """A queue from 100 events to many."""
    await flow.queued(say, options.million or 4 * options.backlog)


async def scaling(options: Options) -> None:
    """More processes of one Sensor."""
    await flow.scaling(say, options.backlog)


ALL = {
    "evaluate": evaluating,
    "ingest": ingest,
    "drain": drain,
    "latency": of_latency,
    "slow": slow,
    "memory": memory,
    "both": both,
    "matching": matching,
    "queued": queued,
    "scaling": scaling,
    "kubernetes": on_kubernetes,
    "pubsub": of_pubsub,
    "sqs": of_sqs,
    "streams": of_streams,
    "file": of_files,
    "notifier": of_notifier,
    "controller": of_controller,
    "footprint": of_starting,
}


def asked(words: list[str]) -> tuple[list[str], Options]:
    """Return what is to be measured, and how."""
    parser = argparse.ArgumentParser("benchmarks", description="Measure on real servers.")
    parser.add_argument("name", nargs="*", help=f"all, or some of: {', '.join(ALL)}")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="less of all, to see that it works")
    size.add_argument("--million", action="store_true", help="a million events in a backlog")
    found = parser.parse_args(words)
    if unknown := set(found.name) - ALL.keys():
        parser.error(f"no measurement {', '.join(unknown)}: there are {', '.join(ALL)}")
    options = Options(seconds=4, backlog=10_000, rounds=1) if found.quick else Options()
    return found.name or list(ALL), Options(million=1_000_000) if found.million else options


async def main(words: list[str]) -> None:
    """Run what is asked for."""
    names, options = asked(words)
    cores = os.cpu_count()
    print(f"1 KiB JSON, {cores} cores shared with load generator, bus and sink", flush=True)
    for name in names:
        await ALL[name](options)


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main(sys.argv[1:]))
