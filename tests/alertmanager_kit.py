"""A real Alertmanager for tests: `from alertmanager_kit import alertmanager`."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import yaml
from ports import free_port


def find_binary() -> str:
    """Return an Alertmanager; skip the test where there is none, or fail under CI=true."""
    names = ("alertmanager", "prometheus-alertmanager")  # as released, and as Debian has it
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    reason = "needs Alertmanager: apt-get install prometheus-alertmanager"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def alertmanager(folder: Path, hook: str) -> AsyncIterator[str]:
    """Yield HOST:PORT of one that posts to a URL, at once, what fires and what is over."""
    binary, port = find_binary(), free_port()
    receivers = [{"name": "hook", "webhook_configs": [{"url": hook, "send_resolved": True}]}]
    route = {"receiver": "hook", "group_wait": "0s", "group_interval": "1s", "group_by": ["..."]}
    config = folder / "alertmanager.yml"
    config.write_text(yaml.safe_dump({"route": route, "receivers": receivers}))
    place = f"127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            binary,
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={place}",
            "--cluster.listen-address=",
            stdout=log,
            stderr=log,
        )
    try:
        await _listening(process, port)
        yield place
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            assert process.returncode is None, "Alertmanager has ended: see its server.log"
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)
