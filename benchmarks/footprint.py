"""What it takes to be there: memory of idle processes, and the start of `tocsin run`.

Memory is the resident set, and of it what no other process shares; of a run each page is counted
once, in shares, for whoever has it. A start is told in seconds
on the clock, which others on the machine lengthen, and in seconds of processor time.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.kubernetes import maker
from benchmarks.notifier import api_server, notifier
from benchmarks.stage import TICKS, event_source, free_port, sensor, stage

ROOT = Path(__file__).resolve().parent.parent
SETTLED = 10.0
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
        "idle sensor, k8s": ("sensor", maker()),
        "idle notifier": ("notifier", notifier()),
    }
    with _compiled():
        async with stage() as here:
            await api_server(here, url, 0)
            for name, (verb, manifest) in idle.items():
                for number in range(1 + ROUNDS):
                    process = await here.ours(verb, manifest)
                    await asyncio.sleep(SETTLED)
                    told = f"{_memory(process.pid)}   {process.cpu():.2f} s cpu to start"
                    await process.stop()
                    if number:  # the first compiles what it imports
                        say(name, told)
        for _ in range(ROUNDS):
            await _quickstart(say)


@contextmanager
def _compiled() -> Iterator[None]:
    """Have processes write compiled code and find it, as that of an installed package is."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        yield


def _memory(pid: int) -> str:
    own = _part(pid, "Private_Clean:") + _part(pid, "Private_Dirty:")
    return f"{_part(pid, 'Rss:'):5.1f} MiB resident, {own:5.1f} of its own"


def _part(pid: int, name: str) -> float:
    """Return a figure of the memory of a process, in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


async def _quickstart(say: Callable[[str, str], None]) -> None:
    """Start `tocsin run examples/quickstart` and wait until it says that it runs."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as state:
        began, first = time.monotonic(), 0.0
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
                    first = first or time.monotonic() - began
                    said += line
            seconds = time.monotonic() - began
            family = _family(child.pid)
            cpu, load = sum(map(_cpu, family)), os.getloadavg()[0]
            share = sum(_part(pid, "Pss:") for pid in family)
            text = f"{seconds:5.2f} s, first word {first:5.2f} s   {cpu:5.2f} s cpu and"
            text += f" {share:5.1f} MiB of {len(family)} processes"
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
