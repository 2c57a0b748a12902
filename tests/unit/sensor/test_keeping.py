"""States in the store, while others write them too."""

import pytest
from plan_kit import dependency, event, plan, trigger

from eventbus.bus import STATE, Store
from eventbus.memory import MemoryBus
from sensor import keeping
from sensor.evaluate import evaluate
from sensor.keeping import Keeper
from sensor.state import EMPTY, State

PLAN = plan(dependency("a"), triggers=[trigger("t") | {"batch": {"count": 3}}])


async def floor() -> int:
    return 0


def keeper(store: Store) -> Keeper:
    return Keeper(PLAN, store, floor)


def more(state: State, number: int) -> State:
    one = event("a", id=str(number))
    return evaluate(PLAN, state, one, 1.0, sequence=number, stored=1.0).state


@pytest.fixture
def store(monkeypatch) -> Store:
    monkeypatch.setattr(keeping.compact, "__defaults__", (0,))  # every event in a part
    return MemoryBus().store(STATE)


async def stored(first: Keeper, numbers: range) -> None:
    for number in numbers:
        await first.load()
        assert await first.write(more(first.state, number), frozenset({"t"})) == frozenset()


async def test_what_one_wrote_another_one_reads(store) -> None:
    first, second = keeper(store), keeper(store)
    await stored(first, range(1, 3))
    await second.load()
    assert second.state == first.state
    (held,) = second.state.of("t").gathered.values()
    assert [one.event.id for one in held.events()] == ["1", "2"]


async def test_who_comes_too_late_is_told_and_reads_again(store) -> None:
    first, second = keeper(store), keeper(store)
    await stored(first, range(1, 2))
    await second.load()
    await stored(first, range(2, 3))
    assert await second.write(more(second.state, 3), frozenset({"t"})) == {"t"}
    assert second.state.of("t") == EMPTY.of("t"), "not known any more"
    await second.load()
    assert second.state == first.state


async def test_a_state_whose_events_are_deleted_while_it_is_read_is_read_again(store) -> None:
    """Another replica fires between the reading of the value and of its parts."""
    first, second = keeper(store), keeper(store)
    await stored(first, range(1, 3))
    get, fired = store.get, []

    async def overtaken(key: str):
        if "part" in key and not fired:
            fired.append(key)
            await first.load()
            state = more(first.state, 3)
            keys = [*state.of("t").released]
            await first.write(state.finish("t", keys), frozenset({"t"}))
            for part in await store.keys("till.t.part"):
                await store.delete(part)
        return await get(key)

    store.get = overtaken
    await second.load()
    assert fired
    assert second.state == first.state
    assert second.state.of("t").gathered == {}


async def test_a_glance_reads_no_events(store) -> None:
    first, second = keeper(store), keeper(store)
    await stored(first, range(1, 3))
    get, read = store.get, []

    async def counted(key: str):
        read.append(key)
        return await get(key)

    store.get = counted
    gathered, released = await second.glance("t")
    assert (gathered[""].count, released) == (2, frozenset())
    assert read == ["till.t"]
    assert (await first.glance("t"))[0] == first.state.of("t").gathered


async def test_of_what_is_to_be_deleted_so_much_waits(store) -> None:
    one = keeper(store)
    one._discard("h", map(str, range(keeping.LITTER + 5)))
    assert len(one._garbage) == keeping.LITTER
