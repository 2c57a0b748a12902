"""What it takes to be there: memory of idle processes, and the start of `tocsin run`.

Memory is the resident set, and of it what no other process shares. A start is told in seconds
on the clock, which others on the machine lengthen, and in seconds of processor time.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.stage import TICKS, event_source, free_port, sensor, stage

ROOT = Path(__file__).resolve().parent.parent
SETTLED = 2.0
"""Seconds after a process said that it is ready."""
ROUNDS = 3


def _log_only() -> dict[str, Any]:
    manifest = sensor("log-only", "", jq=False)
    manifest["spec"]["triggers"] = [{"template": {"name": "show", "log": {}}}]
    return manifest


async def measure(say: Callable[[str, str], None]) -> None:
    """Print a line for each kind of process, and for the start of the quickstart."""
    url = "http://127.0.0.1:9/"
    idle = {
        "idle webhook": ("eventsource", event_source(free_port())),
        "idle sensor, log": ("sensor", _log_only()),
        "idle sensor, http": ("sensor", sensor("plain", url, jq=False)),
        "idle sensor, http and jq": ("sensor", sensor("reshaping", url, jq=True)),
    }
    async with stage() as here:
        for name, (verb, manifest) in idle.items():
            process = await here.ours(verb, manifest)
            await asyncio.sleep(SETTLED)
            say(name, f"{_memory(process.pid)}   {process.cpu():.2f} s cpu to start")
            await process.stop()
    for _ in range(ROUNDS):
        await _quickstart(say)


def _memory(pid: int) -> str:
    found: dict[str, float] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount, _ = line.split()
        found[name] = int(amount) / 1024
    own = found["Private_Clean:"] + found["Private_Dirty:"]
    return f"{found['Rss:']:5.1f} MiB resident, {own:5.1f} of its own"


async def _quickstart(say: Callable[[str, str], None]) -> None:
    """Start `tocsin run examples/quickstart` and wait until it says that it runs."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as state:
        began = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tocsin", "run", str(ROOT / "examples" / "quickstart")),
            *("--state", state, "--port-offset", str(free_port() - 12_001)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert child.stdout is not None
        try:
            async with asyncio.timeout(120):
                said = b""
                while b"Ctrl-C stops" not in said:
                    if not (line := await child.stdout.readline()):
                        raise SystemExit(f"tocsin run ended: {said.decode()}")
                    said += line
            seconds = time.monotonic() - began
            cpu = sum(map(_cpu, _family(child.pid)))
            load = os.getloadavg()[0]
            text = f"{seconds:5.2f} s   {cpu:5.2f} s cpu of {len(_family(child.pid))} processes"
            say("tocsin run examples/quickstart", f"{text}   load of the machine {load:.1f}")
        finally:
            child.send_signal(signal.SIGTERM)
            await child.communicate()


def _family(pid: int) -> list[int]:
    """Return a process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
