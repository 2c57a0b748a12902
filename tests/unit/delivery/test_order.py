"""Keys and numbers keep their order, whatever happens in which order."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.order import Chains, Line


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=20))
def test_members_of_a_key_follow_one_another(members: list[tuple[str, int]]) -> None:
    async def main() -> None:
        chains, began, busy = Chains(), [], set()

        async def pass_through(number: int, key: str, ticks: int) -> None:
            async with chains.place(key):
                assert key not in busy
                busy.add(key)
                began.append((key, number))
                for _ in range(ticks):
                    await asyncio.sleep(0)
                busy.discard(key)

        tasks = [asyncio.ensure_future(pass_through(n, *m)) for n, m in enumerate(members)]
        await asyncio.gather(*tasks)
        for key in "abc":
            numbers = [n for k, n in began if k == key]
            assert numbers == sorted(numbers)
        assert len(began) == len(members)
        assert len(chains) == 0

    asyncio.run(main())


async def test_other_keys_do_not_wait() -> None:
    chains = Chains()
    first, second, other = chains.place("a"), chains.place("a"), chains.place("b")
    async with first:
        async with asyncio.timeout(1), other:
            pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), second:
                pass
    assert len(chains) == 1


async def test_a_failure_lets_the_next_in_and_a_cancellation_does_not() -> None:
    chains = Chains()
    places = [chains.place("a") for _ in range(3)]
    with pytest.raises(ValueError, match="x"):
        async with places[0]:
            raise ValueError("x")
    with pytest.raises(asyncio.CancelledError):
        async with places[1]:
            raise asyncio.CancelledError
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), places[2]:
            pass
    chains.reset()
    async with asyncio.timeout(1), chains.place("a"):
        pass


@given(st.permutations(range(8)), st.lists(st.integers(0, 5), min_size=8, max_size=8))
def test_numbers_pass_in_rising_order(order: list[int], ticks: list[int]) -> None:
    async def main() -> None:
        line, passed = Line(), []
        for number in order:
            line.enter(number)

        async def one(number: int) -> None:
            for _ in range(ticks[number]):
                await asyncio.sleep(0)
            await line.turn(number)
            passed.append(number)
            for _ in range(ticks[-number - 1]):
                await asyncio.sleep(0)
            line.leave(number)
            line.leave(number)

        await asyncio.gather(*(one(n) for n in order))
        assert passed == sorted(order)

    asyncio.run(main())


async def test_who_has_not_come_does_not_wait() -> None:
    line = Line()
    line.enter(5)
    async with asyncio.timeout(1):
        await line.turn(7)
    line.enter(3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await line.turn(5)
    line.reset()
    line.enter(9)
    async with asyncio.timeout(1):
        await line.turn(9)
