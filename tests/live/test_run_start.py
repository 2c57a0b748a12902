"""The start of `tocsin run`: what it says at once, and the processes that wait for work."""

import os
import signal
from pathlib import Path

import pytest
from live.test_run_folder import UP, Folder
from nats_server import find_binary
from sink import sink
from tocsin_run import alive, descendants, gone, started

from tocsin.spare import COUNT


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


def _own(run_pid: int) -> list[int]:
    """Return the processes right below a run."""
    return [int(p) for p in Path(f"/proc/{run_pid}/task/{run_pid}/children").read_text().split()]


async def test_processes_of_a_start_are_forked_and_those_after_it_are_not(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)

            assert run.lines[0] == "Read 1 event source and 1 sensor; starting."
            hook, show = run.pid_of("EventSource", "hook"), run.pid_of("Sensor", "show")
            assert sorted(_own(run.process.pid)) == sorted(run.pids())  # those to spare are gone
            ours = Path(f"/proc/{run.process.pid}/cmdline").read_bytes()
            assert {Path(f"/proc/{p}/cmdline").read_bytes() for p in (hook, show)} == {ours}
            assert [os.getsid(p) for p in (hook, show)] == [hook, show]
            assert await folder.post(11) == 200
            await run.until(lambda: target.seen() == {"11"})

            os.kill(show, signal.SIGKILL)
            await run.until("sensor show was ended by SIGKILL")
            await run.until(lambda: run.pid_of("Sensor", "show") != show)
            again = run.pid_of("Sensor", "show")
            assert b"--supervised" in Path(f"/proc/{again}/cmdline").read_bytes()
            assert await folder.post(12) == 200
            await run.until(lambda: target.seen() == {"11", "12"})

            assert await run.stop() == 0
            assert await gone([hook, again]) == []


async def test_more_objects_than_wait_all_run(tmp_path):
    async with sink() as target:
        Folder(tmp_path, target.url)
        text = (tmp_path / "all.yaml").read_text()
        (sensor,) = (part for part in text.split("---\n") if "kind: Sensor" in part)
        more = [sensor.replace("name: show}", f"name: show{n}}}") for n in range(COUNT)]
        (tmp_path / "more.yaml").write_text("---\n".join(more))
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP, 200)

            assert len(run.state()["processes"]) == COUNT + 2
            assert all(map(alive, run.pids()))
            assert await run.stop() == 0


async def test_nothing_is_left_of_a_run_that_is_refused(tmp_path):
    (tmp_path / "wrong.yaml").write_text("kind: Sensor\napiVersion: argoproj.io/v1alpha1\n")
    os.mkfifo(tmp_path / "late.yaml")
    async with started(tmp_path, "run", ".") as run:
        await run.until(lambda: len(descendants(run.process.pid)) == COUNT)
        waiting = descendants(run.process.pid)
        (tmp_path / "late.yaml").write_text("")  # it is read now, after they were made

        assert await run.ended() == 2
        assert await gone(waiting) == []
