"""Processes that run on, whose output nobody reads any more: they stop in order."""

import asyncio
import signal

import pytest
from live.test_run_folder import Folder
from live.test_run_pod import bus, source
from nats_server import find_binary
from ports import free_port
from sink import sink
from tocsin_run import UP, Run, gone, started


async def deafen(run: Run) -> None:
    """Close the pipe of what a process prints."""
    reading = run.process._transport.get_pipe_transport(1)
    pipe = reading.get_extra_info("pipe")
    reading.close()
    while not pipe.closed:
        await asyncio.sleep(0)


@pytest.mark.parametrize("interrupted", [False, True], ids=["alone", "with Ctrl-C"])
async def test_a_run_stops(tmp_path, interrupted):
    """As in `tocsin run . | tee log`, where Ctrl-C ends both, and is not the second one."""
    find_binary()
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            pids = run.pids()
            await deafen(run)
            if interrupted:
                run.process.send_signal(signal.SIGINT)
            else:
                await folder.post(10)

            assert await run.ended() == 141
            assert await gone(pids) == []


async def test_a_pod_stops(tmp_path):
    """Its bus is away, of which each attempt writes a line."""
    env = {"EVENTBUS_CONFIG": bus("nats://127.0.0.1:1"), "EVENTSOURCE_OBJECT": source(free_port())}
    async with started(tmp_path, "eventsource", "--metrics-port", "0", **env) as run:
        await run.until("the bus is away")
        await deafen(run)

        assert await run.ended() == 141
