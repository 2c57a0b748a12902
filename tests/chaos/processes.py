"""Processes of a storm: started, ended, stopped, and started again when they end by themselves."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chaos.network import Node

GRACE = 30.0
"""Seconds after SIGTERM until SIGKILL, as in a pod."""
AGAIN = 1.0
"""Seconds until a process that ended by itself is started again."""


class Process:
    """One process that is meant to run, whatever happens to it."""

    def __init__(
        self,
        name: str,
        node: Node,
        words: list[str],
        folder: Path,
        note: Callable[[str], None],
        env: dict[str, str] | None = None,
    ) -> None:
        self.name, self.node, self.words, self.folder = name, node, words, folder
        self.log = folder / f"{name}.log"
        self._env = {**os.environ, **(env or {})}
        self._note = note
        self._meant_to_end = False
        self._watching: asyncio.Task[None] | None = None
        self.process: asyncio.subprocess.Process | None = None
        self.started = 0.0
        self.starts = 0

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Start it, and see to it that it goes on."""
        if self.running:
            return
        self._meant_to_end = False
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.node.prefix, *self.words,
                cwd=self.folder, env=self._env, stdout=out, stderr=out,
            )  # fmt: skip
        self.started = time.time()
        self.starts += 1
        self._watching = asyncio.create_task(self._watch(self.process), name=f"watch {self.name}")

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if not self._meant_to_end:
            self._note(f"{self.name} ended by itself with {code}")
            await asyncio.sleep(AGAIN)
            if not self._meant_to_end:
                await self.start()

    def send(self, number: int) -> None:
        """Send a signal."""
        if self.running:
            assert self.process is not None
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def leave(self) -> None:
        """Let it end from now on, without starting it again."""
        self._meant_to_end = True

    async def kill(self) -> None:
        """End it with SIGKILL."""
        self.leave()
        if self._watching is not None and not self.running:
            self._watching.cancel()
        self.send(signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()

    async def terminate(self) -> None:
        """End it with SIGTERM, as a pod is ended."""
        self._meant_to_end = True
        if not self.running:
            return
        assert self.process is not None
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(GRACE):
                code = await self.process.wait()
        except TimeoutError:
            self._note(f"{self.name} did not end within {GRACE:g} s of SIGTERM")
            await self.kill()
            return
        if code not in {0, 1} if self.name.startswith("nats") else code:
            self._note(f"{self.name} ended with {code} after SIGTERM")

    async def answers(self, port: int, path: str = "/readyz") -> bool:
        """Whether it answers a request with 200."""
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection(self.node.address, port)
                try:
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    async def until_ready(self, port: int, path: str = "/readyz", seconds: float = 180.0) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(seconds):
            while not await self.answers(port, path):
                await asyncio.sleep(0.1)

    def size(self) -> tuple[int, int] | None:
        """Return resident bytes and open files; None where it does not run."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
            return pages * 4096, len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        except (OSError, AssertionError):
            return None
