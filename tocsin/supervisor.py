"""Child processes of `tocsin run`: started, watched, started again, and never left behind.

A child gets its job through a socket that is its standard input, so no secret is on a command
line or in a file, and it learns from the socket's end that the parent is gone, however it went.
It has a session of its own: Ctrl-C reaches the parent alone, which then stops everything in order.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from spine.errors import ConfigError
from spine.runtime import Backoff
from tocsin.console import Console
from tocsin.spare import ENVIRONMENT, Spares, Taken, put_to_work

RESTART = Backoff(duration=0.5, factor=2.0, jitter=0.2, steps=0, cap=30.0)
"""Waits before a process that ended by itself is started again."""
HEALTHY = 60.0
"""Seconds of running after which the next end counts as the first."""
GRACE = 30.0
"""Seconds that a process has to finish what is in flight."""
WRONG = 2
"""Exit code that says: another start would end the same way."""


class Child:
    """One EventSource or Sensor process."""

    def __init__(
        self,
        verb: str,
        name: str,
        job: dict[str, Any],
        console: Console,
        changed: Callable[[], None],
        spares: Spares,
    ) -> None:
        """Take `changed`, which is called when the process is another one, with other ports.

        Its process is one of `spares`, as long as there are any.
        """
        self.name = name
        self._changed = changed
        self.metrics_port = 0
        self._verb, self._console, self._spares = verb, console, spares
        self._job = json.dumps(job).encode() + b"\n"
        self._process: asyncio.subprocess.Process | Taken | None = None
        self._stopping = False
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last = ""
        console.meet(name)

    @property
    def pid(self) -> int | None:
        """Process id, None while there is no process."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def ready(self, seconds: float) -> bool:
        """Wait until the child can work; False if it takes longer.

        Raises ConfigError when it cannot ever.
        """
        try:
            await asyncio.wait_for(asyncio.shield(self._up), seconds)
        except TimeoutError:
            return False
        return True

    async def keep(self) -> None:
        """Run the process, again and again, until `stop`."""
        attempt = 1
        while not self._stopping:
            began = time.monotonic()
            code = await self._once()
            if self._stopping:
                break
            if code == WRONG:
                return self._refuse()
            attempt = 1 if time.monotonic() - began > HEALTHY else attempt
            wait = RESTART.wait(attempt)
            attempt += 1
            said = f"{self.name} {_how(code)}; starting it again in {wait:.1f} s"
            self._console.say(said, level="warning")
            await asyncio.sleep(wait)
        return None

    def _refuse(self) -> None:
        text = self._last.removeprefix("tocsin: ") or f"{self.name} cannot run as it is configured"
        if self._up.done():
            said = f"{self.name} stopped, and stays so until its manifest is changed: {text}"
            self._console.say(said, level="error")
        else:
            self._up.set_exception(ConfigError(f"starting {self.name}: {text}"))
            self._up.exception()  # whoever waits in `ready` gets it; it need not be anybody

    async def _once(self) -> int:
        """Start the process and see it to its end; return its exit code."""
        process, channel = await self._begin()
        self._process = process
        reader, writer = await asyncio.open_connection(sock=channel)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._relay(process))
                tasks.create_task(self._listen(reader))
                with suppress(OSError):
                    writer.write(self._job)
                    await writer.drain()
                code = await process.wait()
        except BaseException:
            self.kill()
            raise
        finally:
            writer.close()
        return code

    async def _begin(self) -> tuple[asyncio.subprocess.Process | Taken, socket.socket]:
        """Return a process that waits for its job, and the socket that leads to it."""
        if (spare := self._spares.take()) is not None:
            return await put_to_work(spare, self._verb)
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "tocsin", self._verb, "--supervised"),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **ENVIRONMENT},
            )
        return process, ours

    async def _relay(self, process: asyncio.subprocess.Process | Taken) -> None:
        """Print what the process prints, line by line, however long the lines are."""
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._print(line)
        if rest:
            self._print(rest)

    def _print(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        if text.startswith("tocsin: "):
            self._last = text
            if not self._up.done():
                return  # it goes into the error that `ready` raises
        self._console.relay(self.name, text)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Take the reports of the process."""
        with suppress(OSError):
            while line := await reader.readline():
                report = json.loads(line)
                if "metrics" in report:
                    self.metrics_port = report["metrics"]
                    self._changed()
                if report.get("ready") and not self._up.done():
                    self._up.set_result(None)

    async def stop(self, grace: float = GRACE) -> None:
        """Let the process finish what is in flight, and end it then."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            said = f"{self.name} did not finish within {grace:g} s; killing it"
            self._console.say(said, level="warning")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End the process at once, with everything that it started."""
        self._stopping = True
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # it leads its own session


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


class Fleet:
    """Children that are started and stopped together."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._kept: dict[Child, asyncio.Task[None]] = {}

    @property
    def children(self) -> list[Child]:
        """All children, in the order of their start."""
        return list(self._kept)

    def start(self, child: Child) -> None:
        """Start a child and keep it running."""
        self._kept[child] = self._tasks.create_task(child.keep(), name=child.name)

    async def ready(self, children: Iterable[Child], seconds: float) -> list[Child]:
        """Wait for children; return those that are not ready in time. Raises ConfigError."""
        waiting = list(children)
        found = await asyncio.gather(*(child.ready(seconds) for child in waiting))
        return [child for child, ready in zip(waiting, found, strict=True) if not ready]

    async def stop(self, children: Iterable[Child] | None = None) -> None:
        """Stop some children at the same time, or all."""
        leaving = list(self._kept if children is None else children)
        await asyncio.gather(*(child.stop() for child in leaving))
        for child in leaving:
            task = self._kept.pop(child, None)
            if task is not None:
                task.cancel()  # it may wait before another start
                await asyncio.gather(task, return_exceptions=True)
