"""kill -9 of each process of a run while events pour in: nothing that was accepted is lost."""

import asyncio
import os
import signal
from itertools import count

import httpx
import pytest
from live.test_run_folder import UP, Folder
from nats_server import find_binary
from sink import sink
from tocsin_run import started

POSTERS = 8


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


async def test_source_sensor_and_bus_are_killed_under_load(tmp_path):
    accepted: set[str] = set()
    refused = 0
    numbers = count(10)

    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        url = f"http://127.0.0.1:{folder.port}/example"

        async def pour() -> None:
            nonlocal refused
            async with httpx.AsyncClient(timeout=60) as client:
                while True:
                    number = next(numbers)
                    try:
                        status = (await client.post(url, json={"id": number})).status_code
                    except httpx.TransportError:
                        status = 0
                    if status == 200:
                        accepted.add(str(number))
                    else:
                        refused += 1
                        await asyncio.sleep(0.05)

        async def more(than: int) -> None:
            async with asyncio.timeout(120):
                while len(accepted) < than + 200:
                    await asyncio.sleep(0.05)

        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            pouring = [asyncio.create_task(pour()) for _ in range(POSTERS)]
            try:
                await more(0)
                for kind, name in (("EventSource", "hook"), ("Sensor", "show"), ("", "bus")):
                    pid = run.pid_of(kind, name) if kind else run.state()["servers"][0]
                    os.kill(pid, signal.SIGKILL)
                    await more(len(accepted))
            finally:
                for task in pouring:
                    task.cancel()
                await asyncio.gather(*pouring, return_exceptions=True)
            # what the killed sensor had in hand comes back after ack_wait, 30 s
            await run.until(lambda: accepted <= target.seen())
            await run.stop()

    assert refused, "the source was down for a while"
    assert len(accepted) >= 800
