import asyncio
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from spine.errors import RemoteError
from spine.lang import EvaluationError
from spine.lang.guard import Guard
from spine.lang.limits import Limits

MIB = 1024 * 1024
ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the workers, who know only where the code is, find what these tests run in them."""
    monkeypatch.setattr(
        "spine.lang.guard._environment",
        lambda: {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
    )


def guard(
    factory: str = "guarded:do",
    init: bytes = b"",
    *,
    tries: int = 1,
    seconds: float = 20,
    workers: int = 1,
    output_bytes: int = 16 * MIB,
) -> Guard:
    limits = Limits(
        seconds=seconds, workers=workers, output_bytes=output_bytes, memory_bytes=256 * MIB
    )
    return Guard(factory, init, limits, tries=tries)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_requests_are_answered_by_one_process() -> None:
    async with guard(init=b"hello ") as pool:
        assert await pool.call(b"world") == b"hello world"
        pid = await pool.call(b"pid")
        assert await pool.call(b"pid") == pid
        big = os.urandom(3 * MIB)
        assert await pool.call(b"x" + big) == b"hello x" + big
    assert not is_alive(int(pid))


async def test_workers_see_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    async with guard() as pool:
        assert b"TOKEN" not in await pool.call(b"env")


async def test_calls_run_in_parallel_up_to_the_number_of_workers() -> None:
    async with guard(workers=2) as pool:
        await asyncio.gather(pool.call(b"pid"), pool.call(b"pid"))
        pids = {await pool.call(b"pid") for _ in range(4)}
        assert len(pids) == 2
        before = time.monotonic()
        await asyncio.gather(*(pool.call(b"sleep 0.4") for _ in range(4)))
        assert 0.7 < time.monotonic() - before < 1.5


async def test_a_request_that_does_not_end_fails_alone() -> None:
    async with guard(seconds=0.5) as pool:
        pid = int(await pool.call(b"pid"))
        with pytest.raises(EvaluationError, match=r"did not end within 0.5 s"):
            await pool.call(b"spin")
        assert not is_alive(pid)
        assert int(await pool.call(b"pid")) != pid


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (b"abort", "too much memory or crashed"),
        (b"exit 3", "ended with code 3"),
        (b"eat 1000000000", "too much memory"),
        (b"raise oh", "ValueError: oh"),
        (b"refuse because", "^because$"),
    ],
)
async def test_a_request_that_fails_says_why_and_the_next_is_answered(
    request_: bytes, message: str
) -> None:
    async with guard() as pool:
        with pytest.raises(EvaluationError, match=message):
            await pool.call(request_)
        assert await pool.call(b"hi") == b"hi"


async def test_what_a_program_prints_does_not_get_between_the_answers() -> None:
    async with guard() as pool:
        assert await pool.call(b"print x") == b"print x"
        assert await pool.call(b"hi") == b"hi"


async def test_a_worker_that_cannot_start_is_no_fault_of_the_request() -> None:
    async with guard("guarded:refuse", b"no plan") as pool:
        with pytest.raises(RemoteError, match=r"starting guarded:refuse: .*no plan") as caught:
            await pool.call(b"")
        assert caught.value.retry_after
        assert "no plan" in pool.problem


async def test_a_worker_that_cannot_be_started_is_started_again(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    async with guard("guarded:once_there", str(ready).encode(), tries=0) as pool:
        call = asyncio.create_task(pool.call(b"hi"))
        async with asyncio.timeout(20):
            while not pool.problem:
                await asyncio.sleep(0.01)
        assert not call.done()
        ready.touch()
        assert await call == b"hi"
        assert not pool.problem


async def test_a_process_that_cannot_be_made_is_no_fault_of_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spine.lang.guard.sys.executable", "/nowhere/python")
    async with guard() as pool:
        with pytest.raises(RemoteError, match="nowhere"):
            await pool.call(b"")


async def test_stopping_while_no_worker_starts_ends_at_once() -> None:
    async with guard("guarded:refuse", b"no plan", tries=0) as pool:
        call = asyncio.create_task(pool.call(b"hi"))
        async with asyncio.timeout(20):
            while not pool.problem:
                await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_what_is_answered_may_be_so_much_longer_than_the_request() -> None:
    async with guard(output_bytes=100_000) as pool:
        pid = await pool.call(b"pid")
        assert len(await pool.call(b"make 100000")) == 100_000
        with pytest.raises(EvaluationError, match=r"above the 100000 that TOCSIN_PROGRAM_OUTPUT"):
            await pool.call(b"make 100100")
        assert len(await pool.call(b"make 100100" + b" " * 100)) == 100_100
        assert await pool.call(b"pid") == pid


async def test_a_cancelled_call_ends_its_worker_and_frees_its_place() -> None:
    async with guard() as pool:
        pid = int(await pool.call(b"pid"))
        call = asyncio.create_task(pool.call(b"sleep 30"))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not is_alive(pid)
        assert await pool.call(b"hi") == b"hi"


async def test_a_call_cancelled_while_it_waits_takes_no_place() -> None:
    async with guard() as pool:
        busy = asyncio.create_task(pool.call(b"sleep 0.5"))
        await asyncio.sleep(0.05)
        waiting = asyncio.create_task(pool.call(b"hi"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await busy
        assert await pool.call(b"hi") == b"hi"


@pytest.mark.parametrize(
    "program",
    ["def f: f; f", "{a: [limit(100000000; repeat(1))]}", "[recurse([., .])]"],
)
async def test_jq_programs_without_end_fail_alone(program: str) -> None:
    async with guard("guarded:run_jq", program.encode(), seconds=4) as pool:
        with pytest.raises(EvaluationError, match=r"did not end|too much memory|more than"):
            await pool.call(b"{}")


async def test_jq_programs_run_as_elsewhere() -> None:
    async with guard("guarded:run_jq", b"{n: [range(.n)]}") as pool:
        assert await pool.call(b'{"n": 3}') == b'{"n":[0,1,2]}'
        with pytest.raises(EvaluationError, match="range cannot be applied"):
            await pool.call(b'{"n": "x"}')


PARENT = """
    import asyncio, os, sys
    from spine.lang.guard import Guard
    from spine.lang.limits import Limits

    async def main():
        async with Guard("guarded:do", b"", Limits(workers=1, seconds=60)) as pool:
            print((await pool.call(b"pid")).decode(), flush=True)
            await pool.call(b"spin")

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of processor time ends it")
def test_no_worker_outlives_a_killed_parent() -> None:
    environment = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    code = textwrap.dedent(PARENT).replace(
        "asyncio.run",
        f"import spine.lang.guard as g; g._environment = lambda: {environment!r}\nasyncio.run",
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, **environment}
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_alive(worker)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 5
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(worker)
