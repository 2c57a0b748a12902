"""Of actions with the same idempotency key the first is done."""

import asyncio

import pytest
from delivery_kit import Target, action, clock, dead, dispatching, down, pending, refuses, until

from delivery import claims
from delivery.action import Action, action_key
from delivery.claims import Claims
from delivery.policy import Retry
from delivery.queue import Route
from eventbus.bus import STATE
from spine.errors import BusError
from spine.runtime import Backoff

pytestmark = pytest.mark.looptime

DAY = 86_400.0
THREE = Retry.of(Backoff(duration=1.0, factor=1.0, jitter=0.0, steps=3))


def once(number: int, claim: str = "k", trigger: str = "t", seconds: float = DAY) -> Action:
    return action(number, trigger, claim=claim, claimed_for=seconds)


async def test_only_the_first_acts(bus) -> None:
    target = Target()
    async with dispatching(bus, t=Route(target)) as dispatcher:
        for n in range(5):
            await dispatcher.deliver(once(n, "kl"[n % 2]))
        duplicates = dispatcher._metrics._duplicate["t"]._value.get()

    assert target.done == [once(0).key, once(1).key]
    assert duplicates == 3


async def test_at_the_same_time_and_over_replicas(bus) -> None:
    target = Target(seconds=1)
    async with (
        dispatching(bus, t=Route(target)) as one,
        dispatching(bus, t=Route(target)) as two,
    ):
        await asyncio.gather(*(d.deliver(once(n)) for n in range(50) for d in (one, two)))

    assert len({key for key, _, _ in target.attempts}) == 1
    assert len(target.done) <= 2, "the event of the first was handed to both"


async def test_the_same_action_finds_its_own_claim(bus) -> None:
    """A crash between the claim and the end of the action loses nothing."""
    target = Target(seconds=100)
    async with dispatching(bus, t=Route(target)) as dispatcher:
        cut = asyncio.ensure_future(dispatcher.deliver(once(1)))
        await asyncio.sleep(1)
        cut.cancel()
    target.seconds = 0
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(once(2))
        await dispatcher.deliver(once(1))

    assert target.done == [once(1).key]


async def test_it_is_over_after_its_time(bus) -> None:
    target = Target()
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(once(1, seconds=60))
        await asyncio.sleep(59)
        await dispatcher.deliver(once(2, seconds=60))
        await asyncio.sleep(2)
        await dispatcher.deliver(once(3, seconds=60))
        await asyncio.sleep(59)
        await dispatcher.deliver(once(4, seconds=60))

    assert target.done == [once(1).key, once(3).key]


async def test_triggers_have_their_own(bus) -> None:
    target = Target()
    async with dispatching(bus, t=Route(target), u=Route(target)) as dispatcher:
        await dispatcher.deliver(once(1))
        await dispatcher.deliver(once(2, trigger="u"))

    assert len(target.done) == 2


async def test_retries_are_no_duplicates_of_themselves(bus) -> None:
    target = Target(lambda a, n: down(a, n) if n < 3 else None)
    async with dispatching(bus, t=Route(target, retry=THREE)) as dispatcher:
        await dispatcher.deliver(once(1))
        await dispatcher.deliver(once(2))
        await until(lambda: target.done)

    assert target.done == [once(1).key]


async def test_a_dead_letter_stays_claimed_and_its_retry_acts(bus) -> None:
    target = Target(refuses)
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(once(1))
        [entry] = await dead(bus)
        target.answer = None
        await dispatcher.deliver(once(2))
        assert target.done == []
        await dispatcher.revive(entry.letter.lane, entry.letter.action, 1)
        await until(lambda: target.done)

    assert target.done == [once(1).key]


async def test_stored_and_ordered_ones_claim_before_they_are_stored(bus) -> None:
    stored, ordered = Target(), Target()
    routes = {
        "t": Route(stored, stored=True),
        "u": Route(ordered, stored=True, ordered=True),
    }
    async with dispatching(bus, **routes) as dispatcher:
        for n in range(4):
            await dispatcher.deliver(once(n))
            await dispatcher.store(once(n + 10))
            made = action(n, "u", claim="k", claimed_for=DAY, order="o")
            await dispatcher.deliver(made)
        await until(lambda: stored.done and ordered.done)
        await asyncio.sleep(1)

    assert stored.done == [once(0).key]
    assert ordered.done == [action(0, "u").key]
    assert await pending(bus) == 0


async def test_bus_that_is_away_gives_the_event_back(bus) -> None:
    target = Target()

    class Away:
        def __getattr__(self, name):
            raise BusError("away")

    async with dispatching(bus, t=Route(target)) as dispatcher:
        dispatcher._claims._store = Away()
        with pytest.raises(BusError):
            await dispatcher.deliver(once(1))
    assert target.attempts == []


# ---------------------------------------------------------------------------- sweeping


async def test_sweep_removes_what_expired(bus) -> None:
    store = bus.store(STATE)
    found = Claims(store, "s", clock)
    for n in range(100):
        assert await found.take(once(n, f"k{n}", seconds=10 if n % 2 else 1_000))
    await store.put("claims/.other.t.k", b"0 x", revision=None)
    await asyncio.sleep(20)
    await found.sweep()

    assert len(await store.keys("claims/.s.")) == 50
    assert await store.keys("claims/.other.") == ["claims/.other.t.k"]
    assert not await found.take(once(1000, "k0"))
    assert await found.take(once(1001, "k1"))


async def test_sweeps_run_now_and_then(bus) -> None:
    store = bus.store(STATE)
    metrics_of = {"t": Route(Target())}
    async with dispatching(bus, **metrics_of) as dispatcher:
        sweeping = asyncio.create_task(dispatcher._claims.sweep_on([120.0]))
        await dispatcher.deliver(once(1, seconds=120))
        await asyncio.sleep(100)
        assert len(await store.keys("claims/")) == 1
        await asyncio.sleep(120)
        assert await store.keys("claims/") == []
        sweeping.cancel()


async def test_sweep_leaves_a_claim_that_was_just_made_anew(bus) -> None:
    store = bus.store(STATE)
    found, rival = Claims(store, "s", clock), Claims(store, "s", clock)
    await found.take(once(1, seconds=10))
    await asyncio.sleep(20)

    class Slow:
        def __getattr__(self, name):
            return getattr(store, name)

        async def get(self, key: str):
            read = await store.get(key)
            await asyncio.sleep(1)
            return read

    slow = Claims(Slow(), "s", clock)
    sweeping = asyncio.create_task(slow.sweep())
    await asyncio.sleep(0.5)
    assert await rival.take(once(2, seconds=10))
    await sweeping

    assert not await found.take(once(3)), "what the rival claimed is claimed"


async def test_too_many_give_up_those_that_end_first(bus, monkeypatch, caplog) -> None:
    monkeypatch.setattr(claims, "MOST", 10)
    found = Claims(bus.store(STATE), "s", clock)
    for n in range(30):
        await found.take(once(n, f"k{n}", seconds=1_000 + n))
    await found.sweep()

    assert "gave up 20 claims" in caplog.text
    assert [await found.take(once(99, f"k{n}")) for n in (0, 19)] == [True, True]
    assert [await found.take(once(99, f"k{n}")) for n in (20, 29)] == [False, False]


async def test_what_is_none_of_ours_is_free(bus) -> None:
    await bus.store(STATE).put("claims/.s.t.k", b"\xff?", revision=None)
    assert await Claims(bus.store(STATE), "s", clock).take(once(1))
    assert once(1).key == action_key("s", "t", {"dep": "id-1"})
