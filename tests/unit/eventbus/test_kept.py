"""What is kept over restarts, and who may write it."""

import pytest

from eventbus.bus import STATE
from eventbus.kept import Kept
from eventbus.memory import MemoryBus
from spine.errors import BusError


@pytest.fixture
def bus():
    return MemoryBus()


async def test_who_was_replaced_writes_nothing(bus):
    leads = True
    old, new = Kept(bus, "k", lambda: leads), Kept(bus, "k")
    await old.put(b"1")
    leads = False
    await new.put(b"2")

    for write in (old.put(b"3"), old.part("p").put(b"3"), old.edit(lambda _: b"3")):
        with pytest.raises(BusError, match="another replica sees to it now"):
            await write
    assert await new.get() == b"2"
    assert await new.part("p").get() is None


async def test_who_is_replaced_while_it_writes_does_not_write_over_its_successor(bus):
    """It was stopped between its look and its write; the revision tells."""
    leads = True
    store = bus.store(STATE)
    first = await store.put("k", b"1", revision=None)
    put = store.put

    async def late(key, value, *, revision):
        nonlocal leads
        if value == b"old":
            await put(key, b"new", revision=first)
            leads = False
        return await put(key, value, revision=revision)

    store.put = late
    with pytest.raises(BusError, match="another replica"):
        await Kept(bus, "k", lambda: leads).put(b"old")
    found = await store.get("k")
    assert found is not None
    assert found[0] == b"new"
