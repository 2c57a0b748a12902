"""One holder at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from delivery.lease import MARGIN, TERM, Lease
from eventbus.bus import LEASES, Store
from spine.errors import BusError

pytestmark = pytest.mark.looptime


class Work:
    """What the holder does; notes when it began and ended."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.at_it = False
        self.begins: list[float] = []

    async def __call__(self) -> None:
        self.at_it = True
        self.begins.append(asyncio.get_running_loop().time())
        try:
            await asyncio.Event().wait()
        finally:
            self.at_it = False


@asynccontextmanager
async def running(step: Callable[[], Awaitable[None]]):
    task = asyncio.ensure_future(step())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Broken(Store):
    """A store that can be cut off."""

    def __init__(self, store: Store) -> None:
        self.store, self.away = store, False

    def _check(self) -> None:
        if self.away:
            raise BusError("the bus is away")

    async def get(self, key):
        self._check()
        return await self.store.get(key)

    async def put(self, key, value, *, revision):
        self._check()
        return await self.store.put(key, value, revision=revision)

    async def delete(self, key, *, revision=None):
        self._check()

    async def keys(self, prefix=""):
        return await self.store.keys(prefix)


async def test_first_comes_at_once_and_second_waits(bus) -> None:
    one, two = (Work(Lease(bus.store(LEASES), "a")) for _ in range(2))
    async with running(lambda: one.lease.run(one)):
        await asyncio.sleep(0.1)
        assert one.at_it
        assert one.lease.held
        async with running(lambda: two.lease.run(two)):
            await asyncio.sleep(10 * TERM)
            assert one.at_it
            assert not two.at_it
            assert not two.lease.held


async def test_given_up_lease_is_taken_soon(bus) -> None:
    one, two = (Work(Lease(bus.store(LEASES), "a")) for _ in range(2))
    async with running(lambda: two.lease.run(two)) as second:
        await asyncio.sleep(0.1)
        async with running(lambda: one.lease.run(one)):
            second.cancel()
            await asyncio.sleep(TERM / 4)
            assert one.at_it


async def test_holder_that_died_is_followed_after_the_term(bus) -> None:
    store = Broken(bus.store(LEASES))
    one, two = Work(Lease(store, "a")), Work(Lease(bus.store(LEASES), "a"))
    async with running(lambda: one.lease.run(one)):
        await asyncio.sleep(0.1)
        async with running(lambda: two.lease.run(two)):
            await asyncio.sleep(0.1)
            store.away = True
            async with asyncio.timeout(3 * TERM):
                while not two.at_it:
                    assert one.at_it or not one.lease.held
                    await asyncio.sleep(0.1)
            assert not one.at_it, "both would act"
            assert not one.lease.held


async def test_short_outage_does_not_end_the_work(bus) -> None:
    store = Broken(bus.store(LEASES))
    one = Work(Lease(store, "a"))
    async with running(lambda: one.lease.run(one)):
        await asyncio.sleep(0.1)
        store.away = True
        await asyncio.sleep(TERM / 2)
        store.away = False
        await asyncio.sleep(5 * TERM)

        assert len(one.begins) == 1
        assert one.lease.held


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.9, 1.3, 1.7])
async def test_who_follows_in_a_shorter_term_begins_within_it_and_its_look(bus, offset) -> None:
    """As sources do: wherever between two renewals the holder dies, it takes less than ten."""
    store, loop = Broken(bus.store(LEASES)), asyncio.get_running_loop()
    one = Work(Lease(store, "a", term=7.0))
    two = Work(Lease(bus.store(LEASES), "a", term=7.0))
    async with running(lambda: one.lease.run(one)):
        await asyncio.sleep(0.1)
        async with running(lambda: two.lease.run(two)):
            await asyncio.sleep(5 + offset)
            store.away, died = True, loop.time()
            async with asyncio.timeout(30):
                while not two.at_it:
                    await asyncio.sleep(0.01)
    assert 7.0 - MARGIN < loop.time() - died < 9.0
