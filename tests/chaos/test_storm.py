"""A short storm in CI; the long one is `make chaos`."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from nats_server import find_binary as find_nats
from redis_kit import find_binary as find_redis

from chaos import network

ROOT = Path(__file__).resolve().parent.parent.parent
SEED = 11


@pytest.fixture(autouse=True)
def _all_is_there() -> None:
    find_nats()
    find_redis()
    if why := network.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@pytest.mark.timeout(600)
async def test_nothing_is_lost_in_a_storm() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chaos", "--short", "--seed", str(SEED)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()

    text = told.decode()
    assert process.returncode == 0, text
    assert "| each |" in text
    print(text)
