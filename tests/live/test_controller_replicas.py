"""Two replicas of the real controller: one leads, never two, and another one takes over."""

import asyncio
import json
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from controller_kit import SENSOR
from cut_kit import line

LASTS = 6.0
PATIENCE = 90.0


class Replica:
    """One process, and what it says."""

    def __init__(self, process, file):
        self.process, self.file = process, file

    def said(self, text):
        """Return how often it said something."""
        whole = self.file.read_text().rpartition("\n")[0]
        lines = [json.loads(one) for one in whole.splitlines() if one[:1] == "{"]
        return sum(one["msg"] == text for one in lines)

    async def until(self, text, times=1):
        await eventually(lambda: self.said(text) >= times, lambda: self.file.read_text()[-3000:])


async def eventually(is_it, what=lambda: ""):
    until = time.monotonic() + PATIENCE
    while not is_it():
        assert time.monotonic() < until, what()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def replica(space, folder, name, kubeconfig=None):
    """Run a controller as a process."""
    file = folder / f"{name}.log"
    with file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tocsin", "controller", "-n", space.name,
            "--own-namespace", space.name, "--kubeconfig", kubeconfig or space.cluster.kubeconfig,
            "--metrics-port", "0", "--host", "127.0.0.1", "--lease-duration", f"{LASTS:g}s",
            "--image", "tocsin:test", stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield Replica(process, file)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


async def holder(space):
    return (await space.get("Lease", "argo-events-controller"))["spec"]["holderIdentity"]


async def deployed(space, replicas):
    """Edit the Sensor, and return once somebody has seen to it."""
    await space.apply({**SENSOR, "spec": {**SENSOR["spec"], "replicas": replicas}})
    await space.until(
        "Deployment",
        "tell-sensor",
        lambda d: d is not None and d["spec"]["replicas"] == replicas,
        PATIENCE,
    )


async def test_a_frozen_leader_leads_no_more_when_it_wakes_up(space, tmp_path):
    await space.bus()
    async with replica(space, tmp_path, "one") as one:
        await one.until("leading")
        await deployed(space, 1)
        first = await holder(space)
        async with replica(space, tmp_path, "other") as other:
            await other.until("serving metrics and health")
            one.process.send_signal(signal.SIGSTOP)
            await other.until("leading")
            await deployed(space, 2)
            second = await holder(space)
            assert second != first
            before = await space.get("Deployment", "tell-sensor")
            one.process.send_signal(signal.SIGCONT)
            await one.until("leading no more")
            await deployed(space, 3)
            assert await holder(space) == second
            assert (one.said("leading"), other.said("leading no more")) == (1, 0)
            after = await space.get("Deployment", "tell-sensor")
            assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1

            other.process.terminate()  # hands over at once
            await one.until("leading", 2)
            assert await other.process.wait() == 0
            await deployed(space, 1)


async def test_a_leader_that_is_cut_off_stops_before_another_one_begins(space, tmp_path):
    await space.bus()
    config = yaml.safe_load(Path(space.cluster.kubeconfig).read_text())
    server = config["clusters"][0]["cluster"]
    async with line(urlsplit(server["server"]).port) as wire:
        server["server"] = f"https://127.0.0.1:{wire.port}"
        own = tmp_path / "kubeconfig"
        own.write_text(yaml.safe_dump(config))
        async with replica(space, tmp_path, "one", str(own)) as one:
            await one.until("leading")
            await deployed(space, 1)
            async with replica(space, tmp_path, "other") as other:
                await other.until("serving metrics and health")
                await wire.cut()
                await other.until("leading")
                assert one.said("leading no more") == 1
                await deployed(space, 2)
                await wire.mend()
                await deployed(space, 3)
                assert (one.said("leading"), other.said("leading no more")) == (1, 0)
