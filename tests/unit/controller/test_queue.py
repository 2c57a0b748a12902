"""The queue of what is to be looked at."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.queue import STALE, Queue
from spine.runtime import Backoff


@pytest.fixture
async def queue():
    return Queue[str](retry=Backoff(duration=8.0, factor=2.0, jitter=0.0, steps=0, cap=30.0))


async def nothing(queue):
    """Return whether nobody can take anything just now."""
    taking = asyncio.create_task(queue.take())
    for _ in range(5):
        await asyncio.sleep(0)
    gone = not taking.done()
    taking.cancel()
    return gone


async def test_a_key_that_waits_is_taken_once(queue):
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert await nothing(queue)


async def test_a_key_is_in_one_hand_at_a_time_and_comes_again_if_told_meanwhile(queue):
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    assert await nothing(queue)
    assert len(queue) == 0
    queue.done("a")
    assert await queue.take() == "a"
    queue.done("a")
    assert await nothing(queue)


async def test_one_that_waits_is_woken_when_the_key_is_given_back(queue):
    queue.add("a")
    await queue.take()
    queue.add("a")
    waiting = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.done("a")
    assert await asyncio.wait_for(waiting, 60) == "a"


async def test_what_fails_comes_later_and_later_up_to_a_bound(queue):
    waits = []
    for _ in range(4):
        queue._due.clear()
        queue.add("a")
        await queue.take()
        waits.append(queue.failed("a"))
    assert waits == [8.0, 16.0, 30.0, 30.0]
    assert await nothing(queue)


async def test_success_forgets_failures(queue):
    queue.add("a")
    await queue.take()
    queue.failed("a")
    queue.add("a")
    await queue.take()
    queue.done("a")
    queue.add("a")
    await queue.take()
    assert queue.failed("a") == 8.0


async def test_a_server_that_asks_for_patience_gets_it(queue):
    queue.add("a")
    await queue.take()
    assert queue.failed("a", at_least=20.0) == 20.0


async def test_a_change_does_not_wait_for_a_failure_to_be_tried_again(queue):
    queue.add("a")
    await queue.take()
    queue.failed("a")
    queue.add("a")
    assert await queue.take() == "a"


async def test_what_is_added_first_goes_before_others(queue):
    for key in ("a", "b"):
        queue.add(key)
    queue.add("c", first=True)
    queue.add("b", first=True)
    assert [await queue.take() for _ in range(3)] == ["c", "b", "a"]


async def test_a_key_is_looked_at_again_when_it_asks_for_it(queue):
    queue.add("a")
    await queue.take()
    queue.done("a", again=0.01)
    assert await asyncio.wait_for(queue.take(), 60) == "a"


async def test_all_is_forgotten(queue):
    queue.add("a")
    queue.add("b", after=100.0)
    await queue.take()
    queue.forget()
    assert await nothing(queue)
    queue.add("a")
    assert await queue.take() == "a"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["add", "first", "work"]))))
def test_no_key_is_lost_or_held_twice(steps):
    async def run():
        queue, wanted, now = Queue[str](), set(), 0.0
        queue.clock = lambda: now
        for key, step in steps:
            if step == "work":
                if len(queue):
                    taken = await queue.take()
                    wanted.remove(taken)
                    queue.add(taken)  # told of while it is in hand
                    assert taken not in await _drained(queue, wanted)
                    queue.done(taken)
                    wanted.add(taken)
            else:
                queue.add(key, first=step == "first")
                wanted.add(key)
        assert set(await _drained(queue, set(wanted))) == wanted

    async def _drained(queue, wanted):
        taken = [await queue.take() for _ in range(len(queue))]
        for one in taken:
            queue.done(one)
            queue.add(one)
        assert set(taken) == wanted
        assert len(taken) == len(wanted)
        return taken

    asyncio.run(run())


async def test_what_is_out_of_date_does_not_pile_up(queue):
    for _ in range(5 * STALE):
        queue.add("a")
        assert await queue.take() == "a"
        queue.done("a", 3600.0)
    assert len(queue._heap) <= 2 + STALE
    assert len(queue._due) == 1
