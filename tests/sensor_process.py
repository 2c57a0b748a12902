"""A Sensor as a process of its own, without the command line: `python sensor_process.py JSON`."""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class Process:
    """One running replica."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self.log = process, log

    async def end(self, number: int) -> None:
        """Send a signal and wait until it is gone."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        await self.process.wait()

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    async def stop(self) -> None:
        await self.end(signal.SIGTERM)


@asynccontextmanager
async def sensor_process(
    folder: Path, url: str, spec: dict[str, Any], **more: Any
) -> AsyncIterator[Process]:
    """Start a replica of a Sensor and wait until it takes events; kill it at the end."""
    log = folder / f"sensor-{len(list(folder.glob('sensor-*.log')))}.log"
    job = json.dumps({"url": url, "spec": spec, **more})
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, job, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=out
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(90):
            line = await process.stdout.readline()
        assert line == b"ready\n", log.read_text()
        yield Process(process, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def main(job: dict[str, Any]) -> None:
    from eventbus.jetstream import Options, connect
    from sensor.plan import compile_plan
    from sensor.runner import Runner
    from sensor.spec import SensorSpec
    from spine.model import load
    from spine.secrets import GivenSecrets
    from spine.telemetry import SensorMetrics

    logging.basicConfig(level=job.get("level", "WARNING"))
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan = compile_plan(job.get("name", "s"), "ns", load(SensorSpec, job["spec"]))
    async with connect(lambda: Options(servers=(job["url"],))) as bus:
        runner = Runner(
            plan,
            bus,
            GivenSecrets(),
            SensorMetrics("ns", plan.name, plan.triggers),
            generation=job.get("generation", 0),
            ready=lambda: print("ready", flush=True),
        )
        await runner.run()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    try:
        import uvloop

        uvloop.run(main(json.loads(sys.argv[1])))
    except asyncio.CancelledError:
        sys.exit(0)
