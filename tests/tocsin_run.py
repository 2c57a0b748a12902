"""`tocsin` as a subprocess for tests: started in a folder, watched by its output, left clean.

`from tocsin_run import Run, tocsin`. Every process that a run leaves behind is found by pid.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UP = "Ctrl-C stops."
"""What `tocsin run` prints when all is up, in one piece with what to try."""

_HOOK = """\
apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {jetstream: {version: latest}}
---
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: hook}
spec:
  webhook:
%s---
%s"""


def behind_hook(sensor: str, *events: str) -> str:
    """Return manifests of a bus, a webhook `hook` with events at %(port)d, and a Sensor behind."""
    lines = (f'    {e}: {{port: "%(port)d", endpoint: /{e}, method: POST}}\n' for e in events)
    return _HOOK % ("".join(lines), sensor)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **more}


async def tocsin(*words: str, cwd: Path, stdin: bytes = b"", **env: str) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin", *words),
        cwd=cwd,
        env=environment(**env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(120):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


class Run:
    """A command that goes on, and what it printed so far."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder, self.process = folder, process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.lines.append(line.decode().rstrip("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    async def until(self, words: str | Callable[[], Any], seconds: float = 120.0) -> None:
        """Wait until words were printed, or something is true."""
        end = time.monotonic() + seconds
        while not (words in self.text if isinstance(words, str) else words()):
            if self.process.returncode is not None:
                await asyncio.wait({self._reading}, timeout=5)
                if isinstance(words, str) and words in self.text:
                    return
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.text}")
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {words!r}:\n{self.text}")
            await asyncio.sleep(0.02)

    async def ended(self, seconds: float = 90.0) -> int:
        """Wait until it ended; return its exit code."""
        try:
            async with asyncio.timeout(seconds):
                code = await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"does not end:\n{self.text}") from None
        await asyncio.wait({self._reading}, timeout=5)
        return code

    def state(self) -> dict[str, Any]:
        """What the run says of itself."""
        found = json.loads((self.folder / ".tocsin" / "run.json").read_text())
        assert isinstance(found, dict)
        return found

    def pids(self) -> list[int]:
        """All processes of the run but itself."""
        run = self.state()
        return [*run["servers"], *(p["pid"] for p in run["processes"])]

    def pid_of(self, kind: str, name: str) -> int:
        found = [p for p in self.state()["processes"] if (p["kind"], p["name"]) == (kind, name)]
        return int(found[0]["pid"])

    async def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the end."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()


def descendants(pid: int) -> list[int]:
    """Return all processes below one."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        below.setdefault(parent, []).append(int(stat.parent.name))
    found = list(below.get(pid, []))
    for child in found:
        found += below.get(child, [])
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet fetched does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def gone(pids: list[int], seconds: float = 15.0) -> list[int]:
    """Return those processes that still run after a while."""
    end = time.monotonic() + seconds
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < end:
        await asyncio.sleep(0.02)
    return left


@asynccontextmanager
async def started(
    folder: Path, *words: str, stdin: bytes | None = None, **env: str
) -> AsyncIterator[Run]:
    """Yield a command that was started; whatever is left of it is killed in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin", *words),
        cwd=folder,
        env=environment(**env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdin is not None
    if stdin is not None:
        process.stdin.write(stdin)
        process.stdin.close()
    run = Run(folder, process)
    try:
        yield run
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.wait({run._reading}, timeout=5)
        run._reading.cancel()
