"""A real mosquitto for tests: started on a free port, killed, restarted.

`from mosquitto_kit import mosquitto`. Its sessions outlive a restart: they are written to its
folder when they change.
"""

import asyncio
import getpass
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from ports import free_port


def find_binary() -> str:
    """Return a mosquitto; skip the test where there is none, or fail under CI=true."""
    if found := shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin"):
        return found
    reason = "needs mosquitto: apt-get install mosquitto"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Mosquitto:
    """One broker process with its store under a folder."""

    def __init__(self, folder: Path, *settings: str, scheme: str = "tcp") -> None:
        self.folder, self.settings, self.scheme = folder, settings, scheme
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "mosquitto.conf"
        lines = [
            "persistence true", f"persistence_location {self.folder}/",
            "autosave_on_changes true", "autosave_interval 1",
            "max_queued_messages 0", f"user {getpass.getuser()}", f"listener {self.port} 127.0.0.1",
        ]  # fmt: skip
        if not any(line.startswith(("password_file", "allow_anonymous")) for line in self.settings):
            lines.append("allow_anonymous true")
        config.write_text("\n".join([*lines, *self.settings]) + "\n")
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                find_binary(), "-c", str(config), stdout=log, stderr=log
            )
        async with asyncio.timeout(60):
            while not await self._listens():
                if self.process.returncode is not None:
                    pytest.fail(f"mosquitto ended:\n{(self.folder / 'server.log').read_text()}")
                await asyncio.sleep(0.02)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def client(self, **settings: Any) -> aiomqtt.Client:
        """Return a client, to be entered."""
        return aiomqtt.Client("127.0.0.1", self.port, **settings)

    async def end(self, number: int = signal.SIGKILL) -> None:
        """End it with a signal; SIGTERM lets it write what it knows."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def restart(self, number: int = signal.SIGKILL) -> None:
        """End it and start it again with the same port and store."""
        await self.end(number)
        await self.start()


@asynccontextmanager
async def mosquitto(folder: Path, *settings: str, scheme: str = "tcp") -> AsyncIterator[Mosquitto]:
    """Yield a running broker whose files are in `folder`; `settings` are lines of its file."""
    server = Mosquitto(folder / "mosquitto", *settings, scheme=scheme)
    try:
        await server.start()
        yield server
    finally:
        await server.end()
