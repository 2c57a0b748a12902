"""Files to the bus, beside a bare watchfiles client that only counts what it is told.

A process of its own writes the files, as fast as it can; the clock runs from its first file.
"""

import asyncio
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.stage import Stage, stage

COUNT = 10_000
ROUNDS = 7
_WRITER = """
import sys
folder, count, body = sys.argv[1], int(sys.argv[2]), b"x" * 1024
for number in range(count):
    with open(f"{folder}/{number}", "wb", buffering=0) as file:
        file.write(body)
"""

Say = Callable[[str, str], None]


def source(folder: Path) -> dict[str, Any]:
    """Return an EventSource that tells of new files."""
    path = {"directory": f"{folder}/", "pathRegexp": "^[0-9]+$"}
    metadata = {"name": "files", "namespace": "bench"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventSource",
        "metadata": metadata,
        "spec": {"file": {"new": {"eventType": "CREATE", "watchPathConfig": path}}},
    }


async def _write(folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", _WRITER, str(folder), str(COUNT)
    )


async def bare(folder: Path) -> float:
    """Return files a second of awatch."""
    from watchfiles import Change, awatch

    stop, seen = asyncio.Event(), set()
    folder.mkdir()

    async def count() -> None:
        async for changes in awatch(
            folder, recursive=False, watch_filter=None, step=20, debounce=100, stop_event=stop
        ):
            seen.update(path for change, path in changes if change is Change.added)
            if len(seen) >= COUNT:
                return

    counting = asyncio.create_task(count())
    await asyncio.sleep(0.5)
    writer = await _write(folder)
    began = await _begun(folder)
    await counting
    rate = COUNT / (time.monotonic() - began)
    await writer.wait()
    return rate


async def _begun(folder: Path) -> float:
    """Return when the first file was there."""
    while not (folder / "0").exists():
        await asyncio.sleep(0.001)
    return time.monotonic()


async def ours(here: Stage, folder: Path) -> tuple[float, float]:
    """Return files a second on the bus, and processor seconds."""
    folder.mkdir()
    process = await here.ours("eventsource", source(folder))
    used = process.cpu()
    writer = await _write(folder)
    began = await _begun(folder)
    while await process.metric("argo_events_events_sent_total") < COUNT:
        await asyncio.sleep(0.02)
    rate = COUNT / (time.monotonic() - began)
    used = process.cpu() - used
    await writer.wait()
    await process.stop()
    return rate, used


async def measure(say: Say) -> None:
    """Print what watching costs."""
    alone, stored, ratios, used = [], [], [], []
    async with stage() as here:
        for number in range(ROUNDS):
            first, second = here.folder / f"bare{number}", here.folder / f"ours{number}"
            alone.append(await bare(first))
            rate, cpu = await ours(here, second)
            stored.append(rate)
            ratios.append(rate / alone[-1])
            used.append(cpu / COUNT * 1e6)
            shutil.rmtree(first)
            shutil.rmtree(second)
    say("file, bare watchfiles", f"{median(alone):8.0f} /s")
    say(
        "file, to the bus",
        f"{median(stored):8.0f} /s   ratio {median(ratios):.2f}   {median(used):.0f} us of CPU"
        f" for each   ratios {' '.join(f'{one:.2f}' for one in sorted(ratios))}",
    )
