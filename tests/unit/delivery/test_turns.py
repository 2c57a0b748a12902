"""Ordered actions: one after another within a key, at once across keys."""

import asyncio
import random
from collections import defaultdict

import msgspec
import pytest
from delivery_kit import (
    Target,
    action,
    dead,
    dispatching,
    down,
    fails_until,
    pending,
    refuses,
    until,
)

from delivery.action import Action, PartlyDone
from delivery.policy import RateLimit, Retry
from delivery.queue import Route
from delivery.turns import WINDOW
from eventbus.bus import LEASES, STATE
from eventbus.memory import MemoryBus
from spine.errors import BusError
from spine.runtime import Backoff

pytestmark = pytest.mark.looptime

THREE = Retry.of(Backoff(duration=1.0, factor=1.0, jitter=0.0, steps=3))


def route(target: Target, **more) -> Route:
    return Route(target, stored=True, ordered=True, **more)


def keyed(number: int, key: str) -> Action:
    return action(number, order=key)


class Log(Target):
    """A target that notes keys and numbers as it does them."""

    def __init__(self, answer=None, seconds: float = 0.0):
        super().__init__(answer, seconds)
        self.effects: dict[str, list[int]] = defaultdict(list)
        self.busy_keys: set[str] = set()

    async def send(self, action: Action, attempt: int):
        assert action.order not in self.busy_keys, "two of a key at once"
        self.busy_keys.add(action.order)
        try:
            outcome = await super().send(action, attempt)
        finally:
            self.busy_keys.discard(action.order)
        self.effects[action.order].append(int(action.events["dep"].removeprefix("id-")))
        return outcome


async def test_one_after_another_within_a_key_and_at_once_across(bus) -> None:
    target = Log(seconds=1)
    async with dispatching(bus, t=route(target)) as dispatcher:
        await asyncio.gather(*(dispatcher.deliver(keyed(n, "abcd"[n % 4])) for n in range(20)))
        await until(lambda: len(target.done) == 20)

    assert dict(target.effects) == {k: list(range(n, 20, 4)) for n, k in enumerate("abcd")}
    assert target.most == 4
    assert target.times[-1] < 5


async def test_a_retry_holds_its_key_and_only_its_key(bus) -> None:
    target = Log(lambda a, n: fails_until(3)(a, n) if a.events["dep"] == "id-0" else None)
    async with dispatching(bus, t=route(target, retry=THREE)) as dispatcher:
        for n in range(200):
            await dispatcher.deliver(keyed(n, "ab"[n % 2]))
        await until(lambda: len(target.effects["b"]) == 100)
        assert asyncio.get_running_loop().time() < 1
        assert target.effects["a"] == []
        await until(lambda: len(target.effects["a"]) == 100)

    assert target.effects == {k: list(range(n, 200, 2)) for n, k in enumerate("ab")}
    assert 2 < target.times[-1] < 2.5
    assert [a for key, a, _ in target.attempts if key == keyed(0, "a").key] == [1, 2, 3]


async def test_a_dead_letter_lets_the_next_begin(bus) -> None:
    target = Log(lambda a, n: refuses(a, n) if a.events["dep"] == "id-0" else None)
    async with dispatching(bus, t=route(target)) as dispatcher:
        for n in range(3):
            await dispatcher.deliver(keyed(n, "a"))
        await until(lambda: len(target.done) == 2)
        [entry] = await dead(bus)
        assert entry.letter.action.order == "a"
        target.answer = None
        await dispatcher.revive(entry.letter.lane, entry.letter.action, 1)
        await until(lambda: len(target.done) == 3)

    assert target.effects["a"] == [1, 2, 0]


async def test_fallback_lets_the_next_begin(bus) -> None:
    target, other = Log(down), Target()
    done = action(0, order="a", fallback=action(0))
    way = route(target, retry=THREE, fallback=Route(other))
    async with dispatching(bus, t=way) as dispatcher:
        await dispatcher.deliver(done)
        target.answer = lambda a, n: down(a, n) if a.key == done.key else None
        await dispatcher.deliver(keyed(1, "a"))
        await until(lambda: target.done and other.done)

    assert [n for _, n, _ in target.attempts] == [1, 2, 3, 1]


async def test_who_takes_over_goes_on_counting(bus) -> None:
    """Attempts and waits are noted, and the notes go when it is done."""
    target = Log(down)
    slow = Retry.of(Backoff(duration=60.0, factor=1.0, jitter=0.0, steps=4))
    for _ in range(3):
        async with dispatching(bus, grace=1, t=route(target, retry=slow)) as dispatcher:
            if not target.attempts:
                for n in range(3):
                    await dispatcher.deliver(keyed(n, "a"))
            await asyncio.sleep(50)
    target.answer = None
    assert len(await bus.store(STATE).keys("tries/")) == 1
    async with dispatching(bus, t=route(target, retry=slow)):
        await until(lambda: len(target.done) == 3)
        await asyncio.sleep(1)

    assert [n for _, n, _ in target.attempts] == [1, 2, 3, 4, 1, 1][-len(target.attempts) :]
    assert target.effects["a"] == [0, 1, 2]
    assert await bus.store(STATE).keys("tries/") == []
    assert await dead(bus) == []


async def test_who_takes_over_goes_on_with_what_is_left(bus) -> None:
    seen: list[str] = []

    def told(action: Action, attempt: int) -> None:
        seen.append(action.content["to"])
        if attempt == 1:
            raise PartlyDone("left: bc", {"to": "bc"})
        if attempt < 4:
            down(action, attempt)

    one = msgspec.structs.replace(keyed(1, "a"), content={"to": "abc"})
    slow = Retry.of(Backoff(duration=100.0, factor=1.0, jitter=0.0, steps=5))
    async with dispatching(bus, t=route(Target(told), retry=slow)) as dispatcher:
        await dispatcher.deliver(one)
        await until(lambda: len(seen) == 2)
        await asyncio.sleep(1)
    async with dispatching(bus, t=route(target := Target(told), retry=slow)):
        await until(lambda: target.done)

    assert seen == ["abc", "bc", "bc", "bc"]


async def test_restarts_kill_nothing_that_waits(bus) -> None:
    """What waits behind its key is handed out at each start, and never counts as poison."""
    target = Log(down)
    slow = Retry.of(Backoff(duration=3600.0, factor=1.0, jitter=0.0, steps=9))
    for _ in range(7):
        async with dispatching(bus, grace=1, t=route(target, retry=slow)) as dispatcher:
            if not target.attempts:
                for n in range(5):
                    await dispatcher.deliver(keyed(n, "a"))
            await asyncio.sleep(20)
    target.answer = None
    async with dispatching(bus, t=route(target, retry=slow)):
        await until(lambda: len(target.done) == 5)

    assert target.effects["a"] == list(range(5))
    assert await dead(bus) == []


class Killer(Target):
    """A target at whose first action the process hangs until it is killed."""

    async def send(self, action: Action, attempt: int):
        if action.events["dep"] == "id-0":
            await asyncio.Event().wait()
        return await super().send(action, attempt)


async def test_poison_is_set_aside_in_the_end(bus) -> None:
    target = Killer()
    for start in range(12):
        async with dispatching(bus, t=route(target)) as dispatcher:
            if not start:
                for n in range(2):
                    await dispatcher.deliver(keyed(n, "a"))
            await asyncio.sleep(20)

    [entry] = await dead(bus)
    assert entry.letter.code == "NoOutcome"
    assert len(target.done) == 1


async def test_rate_limit_in_order(bus) -> None:
    target = Log()
    async with dispatching(bus, t=route(target, rate=RateLimit(2))) as dispatcher:
        await asyncio.sleep(0.1)
        for n in range(30):
            await dispatcher.deliver(keyed(n, "ab"[n % 2]))
        await until(lambda: len(target.done) == 30)

    assert target.effects == {k: list(range(n, 30, 2)) for n, k in enumerate("ab")}
    assert target.times[-1] > 9


async def test_what_was_stored_without_a_key_waits_for_nobody(bus) -> None:
    target = Log(seconds=1)
    async with dispatching(bus, t=Route(Target(), stored=True)) as dispatcher:
        dispatcher._gate.close()
        for n in range(10):
            await dispatcher.deliver(action(n))
    target.busy_keys = _Ignored()
    async with dispatching(bus, t=route(target)):
        await until(lambda: len(target.done) == 10)

    assert target.most == 10


class _Ignored(set):
    def __contains__(self, _: object) -> bool:
        return False


async def test_bus_that_fails_now_and_then_changes_no_order(bus) -> None:
    class Shaky:
        def __init__(self) -> None:
            self.calls = 0

        def __getattr__(self, name):
            return getattr(bus, name)

        async def append(self, *args, **more) -> int:
            self.calls += 1
            if self.calls % 3 == 0:
                raise BusError("not now")
            if self.calls % 5 == 0:
                await bus.append(*args, **more)
                raise BusError("stored, but nobody heard")
            return await bus.append(*args, **more)

    target = Log(lambda a, n: down(a, n) if n == 1 and a.events["dep"].endswith("7") else None)
    async with dispatching(Shaky(), t=route(target, retry=THREE)) as dispatcher:
        await asyncio.gather(*(dispatcher.deliver(keyed(n, "ab"[n % 2])) for n in range(60)))
        await until(lambda: len(target.done) == 60)
        await asyncio.sleep(1)

    assert target.effects == {k: list(range(n, 60, 2)) for n, k in enumerate("ab")}
    assert await pending(bus) == 0


@pytest.mark.parametrize("seed", range(12))
async def test_two_replicas_that_come_and_go(seed: int) -> None:
    """Failures, dead letters, slow targets, stops at any moment: effects stay in order."""
    bus, chance = MemoryBus(), random.Random(seed)
    failing = {n for n in range(150) if chance.random() < 0.2}
    dying = {n for n in range(150) if chance.random() < 0.05}

    def answer(one: Action, attempt: int) -> None:
        number = int(one.events["dep"].removeprefix("id-"))
        if number in dying:
            refuses(one, attempt)
        if number in failing and attempt < 3:
            down(one, attempt)

    target = Log(answer, seconds=0.2)
    target.busy_keys = _Ignored()  # a stop cuts an attempt off, and the next holder begins it anew
    steps = Retry.of(Backoff(duration=0.5, factor=2.0, jitter=0.5, steps=3))
    keys = {n: chance.choice("abc") for n in range(150)}

    async def replica() -> None:
        while True:
            async with dispatching(bus, t=route(target, retry=steps)):
                await asyncio.sleep(chance.uniform(1, 60))
            await asyncio.sleep(chance.uniform(0, 10))

    async with dispatching(bus, t=route(target, retry=steps)) as dispatcher:
        replicas = [asyncio.create_task(replica()) for _ in range(2)]
        for n in range(150):
            await dispatcher.deliver(keyed(n, keys[n]))
            await asyncio.sleep(chance.uniform(0, 0.5))
        async with asyncio.timeout(10_000):
            while await pending(bus):
                await asyncio.sleep(1)
        for task in replicas:
            task.cancel()
        await asyncio.gather(*replicas, return_exceptions=True)

    letters = {int(e.letter.action.events["dep"].removeprefix("id-")) for e in await dead(bus)}
    for key, numbers in target.effects.items():
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first), f"{key}: {numbers}"
        assert numbers == sorted(numbers), "repeated ones come before later ones"
    done = {n for numbers in target.effects.values() for n in numbers}
    assert done | letters == set(range(150))
    assert letters == dying


async def test_only_the_holder_of_the_lease_acts(bus) -> None:
    target = Log(seconds=0.1)
    async with (
        dispatching(bus, t=route(target)) as one,
        dispatching(bus, t=route(target)) as two,
    ):
        for n in range(200):
            await (one, two)[n % 2].deliver(keyed(n, "abc"[n % 3]))
        await until(lambda: len(target.done) == 200)
        keys = await bus.store(LEASES).keys()

    assert target.effects == {k: list(range(n, 200, 3)) for n, k in enumerate("abc")}
    assert keys == ["actions/s/t"]


async def test_a_key_that_waits_takes_no_more_than_the_window(bus) -> None:
    target = Log(lambda a, _: down(a, 1) if a.order == "ill" else None)
    async with dispatching(bus, t=route(target)) as dispatcher:
        for n in range(WINDOW + 50):
            await dispatcher.deliver(keyed(n, "ill"))
        await asyncio.sleep(5)
        [info] = [r for r in await bus.readers("tocsin-actions") if r.durable.endswith("@t")]

    assert info.in_flight == WINDOW
    assert info.pending == 50
