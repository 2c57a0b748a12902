"""Actions at once, later, and never."""

import asyncio

import msgspec
import pytest
from delivery_kit import (
    Target,
    action,
    clock,
    dead,
    dispatching,
    down,
    fails_until,
    pending,
    refuses,
    until,
)

from delivery.action import Action, Failure, PartlyDone, Postponed
from delivery.policy import RateLimit, Retry
from delivery.queue import Route
from delivery.subjects import pending_subject
from eventbus.bus import ACTIONS
from spine.errors import EventError, TriggerError
from spine.runtime import Backoff

pytestmark = pytest.mark.looptime

THREE = Retry.of(Backoff(duration=1.0, factor=1.0, jitter=0.0, steps=3))


async def test_success_costs_no_write(bus) -> None:
    target = Target()
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(action())

    assert target.done == [action().key]
    assert await pending(bus) == 0


async def test_failed_action_is_stored_and_tried_again(bus) -> None:
    target = Target(fails_until(3))
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(action())
        assert await pending(bus) == 1, "deliver returned, so the action must be on the bus"
        await until(lambda: target.done)
        await asyncio.sleep(0.1)

    assert [attempt for _, attempt, _ in target.attempts] == [1, 2, 3]
    first, second, third = target.times
    assert 1.0 <= second - first <= 1.3
    assert 2.0 <= third - second <= 2.5
    assert await pending(bus) == 0
    assert await dead(bus) == []


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
async def test_clock_that_jumps_holds_no_action_up(bus, ahead: float) -> None:
    """It failed by a clock that was wrong by an hour, or is looked at by one."""
    failure = Failure(at=clock() + ahead, message="connection refused")
    waits = action(attempt=2, due=failure.at + 2, first=failure.at, failures=(failure,))
    target = Target()
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.store(waits)
        await asyncio.sleep(5)

    assert target.done == [waits.key]
    assert ahead < 0 or target.times == pytest.approx([2.0], abs=0.1)


async def test_what_the_target_refuses_is_a_dead_letter_at_once(bus) -> None:
    target = Target(refuses)
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(action())

        [entry] = await dead(bus)
    assert entry.letter.kind == "action"
    assert entry.letter.place == "t"
    assert "400 Bad Request" in entry.letter.message
    assert entry.letter.action is not None
    assert entry.letter.action.failures[0].message == entry.letter.message
    assert len(target.attempts) == 1
    assert await pending(bus) == 0


async def test_written_strategy_is_honoured_to_the_letter(bus) -> None:
    target = Target(refuses)
    async with dispatching(bus, t=Route(target, retry=THREE)) as dispatcher:
        await dispatcher.deliver(action())
        await asyncio.sleep(10)

        [entry] = await dead(bus)
    assert target.times == pytest.approx([0, 1, 2], abs=0.2)
    assert [f.message for f in entry.letter.action.failures] == [entry.letter.message] * 3


async def test_target_away_for_more_than_a_day(bus) -> None:
    target = Target(down)
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(action())
        await asyncio.sleep(23 * 3600)
        assert await dead(bus) == []
        await asyncio.sleep(2 * 3600)

        [entry] = await dead(bus)
    assert entry.letter.action.attempt == len(target.attempts) > 250
    assert len(entry.letter.action.failures) == 5
    assert await pending(bus) == 0


async def test_bug_of_a_sender_is_a_dead_letter_with_its_traceback(bus) -> None:
    def stumble(action: Action, attempt: int) -> None:
        raise ZeroDivisionError("oops")

    async with dispatching(bus, t=Route(Target(stumble))) as dispatcher:
        await dispatcher.deliver(action())

        [entry] = await dead(bus)
    assert entry.letter.code == "Bug"
    assert "in stumble" in entry.letter.traceback


async def test_siblings_do_not_notice_an_outage(bus) -> None:
    ill, well = Target(down, seconds=60), Target()
    async with dispatching(bus, ill=Route(ill, in_flight=4), well=Route(well)) as dispatcher:
        async with asyncio.TaskGroup() as group:
            for n in range(100):
                group.create_task(dispatcher.deliver(action(n, "ill")))
                group.create_task(dispatcher.deliver(action(n, "well")))
        assert asyncio.get_running_loop().time() < 65
        assert len(well.done) == 100
        assert max(well.times) < 0.5
        assert await pending(bus) == 100
        assert ill.most <= 4


async def test_target_that_is_down_holds_up_no_event(bus) -> None:
    ill = Target(down, seconds=30)
    async with dispatching(bus, ill=Route(ill, in_flight=8), well=Route(Target())) as dispatcher:
        async with asyncio.TaskGroup() as group:
            for n in range(8):
                group.create_task(dispatcher.deliver(action(n, "ill")))
        before = asyncio.get_running_loop().time()
        await dispatcher.deliver(action(99, "ill"))

        assert asyncio.get_running_loop().time() - before < 0.1


async def test_waiting_actions_begin_when_the_target_is_back(bus) -> None:
    target = Target(down)
    async with dispatching(bus, t=Route(target)) as dispatcher:
        async with asyncio.TaskGroup() as group:
            for n in range(20):
                group.create_task(dispatcher.deliver(action(n)))
        await asyncio.sleep(1_000)  # waits are 250 s and more by now
        target.answer = None
        back = asyncio.get_running_loop().time()
        await until(lambda: target.done)
        first = asyncio.get_running_loop().time()
        await until(lambda: len(target.done) == 20)

        assert asyncio.get_running_loop().time() - first < 1
        assert asyncio.get_running_loop().time() - back < 300


async def test_actions_that_are_not_due_do_not_block_those_that_are(bus) -> None:
    target = Target()
    route = Route(target, in_flight=4)
    far = clock() + 300
    async with dispatching(bus, t=route) as dispatcher:
        for n in range(12):
            await dispatcher.store(action(n, attempt=2, due=far))
        await dispatcher.store(action(99))
        await until(lambda: target.done)

        assert target.done == [action(99).key]
        assert asyncio.get_running_loop().time() < 60
        await until(lambda: len(target.done) == 13)
        assert asyncio.get_running_loop().time() >= 300
        await asyncio.sleep(60)
        assert len(target.done) == 13
        assert await pending(bus) == 0


async def test_rate_limit_holds_and_nothing_is_kept_in_memory(bus) -> None:
    target = Target()
    route = Route(target, rate=RateLimit(requests=2))
    async with dispatching(bus, t=route) as dispatcher:
        for n in range(40):
            await dispatcher.deliver(action(n))
        assert asyncio.get_running_loop().time() < 1
        assert await pending(bus) >= 37
        await until(lambda: len(target.done) == 40)

    gaps = [b - a for a, b in zip(target.times, target.times[1:], strict=False)]
    assert min(gaps[1:]) == pytest.approx(0.5, abs=0.02)
    assert target.times[-1] == pytest.approx(19.5, abs=0.6)


async def test_rate_limit_counts_every_attempt(bus) -> None:
    target = Target(fails_until(2))
    route = Route(target, rate=RateLimit(requests=1), retry=THREE)
    async with dispatching(bus, t=route) as dispatcher:
        for n in range(5):
            await dispatcher.deliver(action(n))
        await until(lambda: len(target.done) == 5)

    gaps = [b - a for a, b in zip(target.times, target.times[1:], strict=False)]
    assert len(gaps) == 9
    assert min(gaps) >= 0.99


async def test_bound_of_attempts_at_a_time(bus) -> None:
    target = Target(seconds=0.1)
    async with dispatching(bus, t=Route(target, in_flight=8)) as dispatcher:
        await asyncio.gather(*(dispatcher.deliver(action(n)) for n in range(40)))

    assert target.most == 8
    assert await pending(bus) == 0, "with nobody to hold up there is no need to write"


async def test_five_hundred_actions_a_second_at_100_ms(bus) -> None:
    target = Target(seconds=0.1)
    async with dispatching(bus, t=Route(target)) as dispatcher:
        async with asyncio.TaskGroup() as group:
            for n in range(1_000):
                group.create_task(dispatcher.deliver(action(n)))
        assert asyncio.get_running_loop().time() < 2


async def test_fallback_follows_the_last_attempt_under_its_own_strategy(bus) -> None:
    target, rescue = Target(down), Target(fails_until(2))
    route = Route(target, retry=THREE, fallback=Route(rescue, retry=THREE))
    fired = action(fallback=action(trigger="rescue"))
    async with dispatching(bus, t=route) as dispatcher:
        await dispatcher.deliver(fired)
        await until(lambda: rescue.done)

    assert len(target.attempts) == 3
    assert [attempt for _, attempt, _ in rescue.attempts] == [1, 2]
    assert await dead(bus) == []


async def test_fallback_that_fails_too_is_a_dead_letter_that_can_be_retried(bus) -> None:
    rescue = Target(refuses)
    route = Route(Target(refuses), fallback=Route(rescue))
    async with dispatching(bus, t=route) as dispatcher:
        await dispatcher.deliver(action(fallback=action(trigger="rescue")))
        await asyncio.sleep(1)
        [entry] = await dead(bus)
        rescue.answer = None
        letter = entry.letter
        await dispatcher.revive(letter.lane, letter.action, 7)
        await until(lambda: rescue.done)

    assert entry.letter.place == "rescue"


async def test_revived_action_starts_anew(bus) -> None:
    """All of it within the bus's window for duplicates."""
    target = Target(down)
    async with dispatching(bus, t=Route(target, retry=THREE)) as dispatcher:
        await dispatcher.deliver(action())
        await asyncio.sleep(5)
        [entry] = await dead(bus)
        await dispatcher.revive(entry.letter.lane, entry.letter.action, 7)
        await asyncio.sleep(5)
        [_, again] = await dead(bus)
        target.answer = None
        await dispatcher.revive(again.letter.lane, again.letter.action, 8)
        await until(lambda: target.done)
        with pytest.raises(EventError, match="no longer has it"):
            await dispatcher.revive("gone", again.letter.action, 9)

    assert [attempt for _, attempt, _ in target.attempts] == [1, 2, 3, 1, 2, 3, 1]


async def test_fire_and_forget_does_not_wait(bus) -> None:
    target = Target(fails_until(2), seconds=5)
    route = Route(target, at_least_once=False, retry=THREE)
    async with dispatching(bus, t=route) as dispatcher:
        await dispatcher.deliver(action())
        assert asyncio.get_running_loop().time() < 0.1
        await until(lambda: target.done)

    assert [attempt for _, attempt, _ in target.attempts] == [1, 2]
    assert await pending(bus) == 0


async def test_fire_and_forget_is_bounded(bus) -> None:
    target = Target(seconds=5)
    route = Route(target, at_least_once=False, in_flight=4)
    async with dispatching(bus, t=route) as dispatcher:
        for n in range(6):
            await dispatcher.deliver(action(n))
        assert target.busy == 4
        assert await pending(bus) == 2, "what finds no place is stored, not kept"
        await until(lambda: len(target.done) == 6)


async def test_fire_and_forget_that_is_used_up_is_a_dead_letter(bus) -> None:
    route = Route(Target(down), at_least_once=False, retry=THREE)
    async with dispatching(bus, t=route) as dispatcher:
        await dispatcher.deliver(action())
        await asyncio.sleep(10)

    assert len(await dead(bus)) == 1


async def test_stored_route_survives_a_crash_before_the_first_attempt(bus) -> None:
    target = Target(seconds=5)
    async with dispatching(bus, t=Route(target, stored=True)) as dispatcher:
        await dispatcher.deliver(action())
        await asyncio.sleep(1)
    assert target.done == []  # it was cut off

    other = Target()
    async with dispatching(bus, t=Route(other, stored=True)):
        await until(lambda: other.done)

    assert [attempt for _, attempt, _ in other.attempts] == [1], "a redelivery is no attempt"
    assert await pending(bus) == 0


async def test_another_replica_takes_over(bus) -> None:
    """The one that stored the action is gone; the other never stored any."""
    target = Target()
    async with dispatching(bus, t=Route(target)):
        async with dispatching(bus, t=Route(Target(down))) as second:
            await second.deliver(action())
        await until(lambda: target.done)

    assert asyncio.get_running_loop().time() < 60


async def test_drain_lets_what_runs_finish_and_keeps_the_rest(bus) -> None:
    target = Target(seconds=3)
    async with dispatching(bus, grace=20, t=Route(target, stored=True, in_flight=2)) as dispatcher:
        for n in range(6):
            await dispatcher.deliver(action(n))
        await asyncio.sleep(1)

    assert len(target.done) == 2
    assert asyncio.get_running_loop().time() == pytest.approx(3, abs=0.2)
    assert await pending(bus) == 4


async def test_drain_stores_retries_that_were_in_memory(bus) -> None:
    route = Route(Target(down), at_least_once=False)
    async with dispatching(bus, grace=20, t=route) as dispatcher:
        await dispatcher.deliver(action())
        await asyncio.sleep(0.5)
        await dispatcher.drain(20)
        await asyncio.sleep(0.1)

    assert await pending(bus) == 1


async def test_actions_of_a_trigger_that_is_gone_become_dead_letters(bus) -> None:
    async with dispatching(bus, old=Route(Target(down))) as dispatcher:
        await dispatcher.deliver(action(trigger="old"))
    async with dispatching(bus, new=Route(Target())):
        await asyncio.sleep(5)

    [entry] = await dead(bus)
    assert "the Sensor no longer has it" in entry.letter.message
    assert await pending(bus) == 0
    async with dispatching(bus, new=Route(Target())):
        await asyncio.sleep(1)
    assert [r.durable for r in await bus.readers(ACTIONS)] == []


async def test_what_is_no_action_becomes_a_dead_letter(bus) -> None:
    target = Target()
    async with dispatching(bus, t=Route(target, stored=True)) as dispatcher:
        await bus.append(ACTIONS, pending_subject("s", "t"), b"{nonsense")
        await dispatcher.deliver(action())
        await until(lambda: target.done)

    [entry] = await dead(bus)
    assert "reading pending action" in entry.letter.message
    assert entry.letter.data == b"{nonsense"


async def test_odd_names_of_triggers(bus) -> None:
    name = "größe: a.b > *"
    target = Target(fails_until(2))
    async with dispatching(bus, **{name: Route(target)}) as dispatcher:
        await dispatcher.deliver(action(trigger=name))
        await until(lambda: target.done)

    assert await pending(bus) == 0


async def test_equal_actions_are_stored_once(bus) -> None:
    """As when an event is redelivered after a crash between storing and acknowledging."""
    target = Target()
    async with dispatching(bus, t=Route(target, stored=True)) as dispatcher:
        await dispatcher.deliver(action())
        await dispatcher.deliver(action())
        await asyncio.sleep(5)

    assert len(target.done) == 1


async def test_target_that_asks_to_be_left_alone(bus) -> None:
    def busy(_: Action, attempt: int) -> None:
        if attempt == 1:
            raise TriggerError("posting: 429 Too Many Requests", retry_after=40)

    target = Target(busy)
    async with dispatching(bus, t=Route(target)) as dispatcher:
        await dispatcher.deliver(action())
        await until(lambda: target.done)

    assert target.times[1] - target.times[0] == pytest.approx(40, abs=0.5)


async def test_an_action_that_is_put_off_comes_again_and_counts_no_attempt(bus) -> None:
    """A sender above its limit says when; nothing is lost, and nothing has failed."""

    def limited(action: Action, attempt: int) -> None:
        if len(target.attempts) < 3:
            raise Postponed(20)

    target = Target(limited)
    async with dispatching(bus, t=Route(target, retry=THREE, stored=True)) as dispatcher:
        await dispatcher.deliver(action())
        await until(lambda: target.done)

    assert [attempt for _, attempt, _ in target.attempts] == [1, 1, 1]
    assert target.times == pytest.approx([0, 20, 40], abs=0.5)
    assert await dead(bus) == []


async def test_a_way_that_is_added_while_it_runs(bus) -> None:
    target = Target()
    async with dispatching(bus) as dispatcher:
        dispatcher.add("new", Route(target, stored=True))
        await dispatcher.deliver(action(trigger="new"))
        await until(lambda: target.done)

    assert await pending(bus) == 0


async def test_who_is_told_of_a_dead_letter(bus) -> None:
    buried: list[str] = []

    async def tell(action: Action) -> None:
        buried.append(action.key)

    async with dispatching(bus, t=Route(Target(refuses))) as dispatcher:
        dispatcher.on_buried(tell)
        await dispatcher.deliver(action())

    assert buried == [action().key]


@pytest.mark.parametrize("ordered", [False, True], ids=["in any order", "in order"])
async def test_what_is_left_of_an_action_is_tried_again_and_buried(bus, ordered) -> None:
    """Nobody is told twice because somebody else could not be reached."""
    seen: list[str] = []

    def told(action: Action, attempt: int) -> None:
        seen.append(action.content["to"])
        left = {**action.content, "to": action.content["to"][1:]}
        if left["to"]:
            raise PartlyDone(f"left: {left['to']}", left, permanent=len(left["to"]) == 1)

    order = {"order": "a"} if ordered else {}
    one = msgspec.structs.replace(action(**order), content={"to": "abc"})
    target = Target(told)
    async with dispatching(bus, t=Route(target, ordered=ordered)) as dispatcher:
        await dispatcher.deliver(one)
        await until(lambda: len(seen) == 2)
        await asyncio.sleep(0.1)

        [entry] = await dead(bus)
    assert seen == ["abc", "bc"]
    assert entry.letter.action.content == {"to": "c"}
    assert entry.letter.action.key == one.key


# ---------------------------------------------------------------------------- bounds


async def test_bound_holds_for_all_replicas_together(bus) -> None:
    target = Target(seconds=1.0)
    route = Route(target, in_flight=2, bounded=True)
    async with dispatching(bus, t=route) as one, dispatching(bus, t=route) as other:
        for number in range(10):
            await (one, other)[number % 2].deliver(action(number))
        await until(lambda: len(target.done) == 10)
    assert target.most == 2
    assert await pending(bus) == 0
