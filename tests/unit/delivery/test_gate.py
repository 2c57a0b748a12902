"""A clean stop."""

import asyncio

import pytest

from delivery.gate import Gate


@pytest.mark.looptime
async def test_empties_when_the_last_one_leaves() -> None:
    gate = Gate()

    async def work(seconds: float) -> None:
        with gate:
            await asyncio.sleep(seconds)

    async with asyncio.TaskGroup() as group:
        group.create_task(work(1))
        group.create_task(work(3))
        await asyncio.sleep(0)
        gate.close()
        assert await gate.empty(20)
        assert asyncio.get_running_loop().time() == pytest.approx(3)


@pytest.mark.looptime
async def test_does_not_wait_longer_than_told() -> None:
    gate = Gate()
    with gate:
        assert not await gate.empty(5)
        assert asyncio.get_running_loop().time() == pytest.approx(5)


@pytest.mark.looptime
async def test_holds_what_comes_when_closed() -> None:
    gate = Gate()
    await gate.hold()
    gate.close()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1_000):
            await gate.hold()


@pytest.mark.looptime
async def test_sleep_ends_when_closed() -> None:
    gate = Gate()
    await gate.sleep(2)
    asyncio.get_running_loop().call_later(3, gate.close)
    await gate.sleep(100)

    assert asyncio.get_running_loop().time() == pytest.approx(5)
