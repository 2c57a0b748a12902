"""A real redis-server for tests: started on a free port, killed, restarted.

`from redis_kit import redis_server`. It keeps what it acknowledged: every write is synced.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from ports import free_port
from redis.asyncio import Redis
from redis.exceptions import RedisError


def find_binary() -> str:
    """Return a redis-server; skip the test where there is none, or fail under CI=true."""
    if found := shutil.which("redis-server"):
        return found
    reason = "needs redis-server: apt-get install redis-server"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class RedisServer:
    """One server process with its store under a folder."""

    def __init__(self, folder: Path, *settings: str, tls: bool = False, **client: Any) -> None:
        self.folder, self.settings, self.tls = folder, settings, tls
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self.client = Redis(host="127.0.0.1", port=self.port, **client)
        """A client of the test; it may do everything."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "redis.conf"
        lines = [
            "bind 127.0.0.1", f"dir {self.folder}", 'save ""', "appendonly yes",
            "appendfsync always", "databases 4", *self.settings,
        ]  # fmt: skip
        lines.append(f"tls-port {self.port}" if self.tls else f"port {self.port}")
        config.write_text("\n".join(lines) + "\n")
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                find_binary(), str(config), stdout=log, stderr=log
            )
        async with asyncio.timeout(60):
            while not await self._answers():
                if self.process.returncode is not None:
                    pytest.fail(f"redis-server ended:\n{(self.folder / 'server.log').read_text()}")
                await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        with suppress(RedisError, OSError):
            return bool(await self.client.ping())
        return False

    async def kill(self) -> None:
        """End it with SIGKILL."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def restart(self) -> None:
        """Kill it and start it again with the same port and store."""
        await self.kill()
        await self.start()


@asynccontextmanager
async def redis_server(
    folder: Path, *settings: str, tls: bool = False, **client: Any
) -> AsyncIterator[RedisServer]:
    """Yield a running server whose files are in `folder`; `settings` are lines of its file.

    `client` are settings of the client of the test.
    """
    server = RedisServer(folder / "redis", *settings, tls=tls, **client)
    try:
        await server.start()
        yield server
    finally:
        await server.client.aclose()
        await server.kill()
