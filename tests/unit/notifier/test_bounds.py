"""What a Notifier keeps in memory, driven to its bounds."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
from notifier_kit import CONFIG, SUBSCRIBED, Book, Story, at_work, item, plan_of, recording, shown

from delivery.action import Action
from eventbus.bus import ACTIONS
from eventbus.memory import MemoryBus
from notifier import desk as desk_of
from notifier import handling, keeping, runner, sending, state
from notifier.digests import LARGEST, LATE, MOST, Gathered
from notifier.plan import SHARED
from notifier.runner import Runner
from notifier.sending import Limiter
from notifier.state import Phase, Told


async def test_objects_that_are_gone_or_were_looked_at(monkeypatch) -> None:
    monkeypatch.setattr(keeping, "GONE", 3)
    monkeypatch.setattr(handling, "LOOKED", 3)
    plan = recording(plan_of(CONFIG), hook=Book())
    async with at_work(MemoryBus(), plan, lambda: 0.0) as desk:
        for number in range(8):
            one = item("Running", name=f"p{number}", annotations=SUBSCRIBED)
            await shown(desk, plan, one)
            await shown(desk, plan, one, "DELETED")
        assert len(desk.handler._looked) == 3
        assert len(desk.records._gone) == 3
        assert desk.records.is_gone(desk.records.key("Pod", "uid-p7"))


async def test_objects_that_are_being_stored(monkeypatch) -> None:
    monkeypatch.setattr(handling, "IN_FLIGHT", 3)
    plan, bus, gate = recording(plan_of(CONFIG), hook=Book()), MemoryBus(), asyncio.Event()
    async with at_work(bus, plan, lambda: 0.0) as desk:
        again = desk.records.again

        async def waits(key: str) -> Any:
            await gate.wait()
            return await again(key)

        monkeypatch.setattr(desk.records, "again", waits)
        taking = [
            asyncio.create_task(
                desk.handler.take(
                    plan,
                    desk.records.key("Pod", f"uid-p{number}"),
                    "MODIFIED",
                    item("Failed", name=f"p{number}", annotations=SUBSCRIBED),
                )
            )
            for number in range(5)
        ]
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(desk.handler._busy) == 3
        assert [one.done() for one in taking] == [True, True, True, False, False]
        gate.set()
        await asyncio.gather(*taking)
        assert await desk.handler.idle(30)


def test_problems_that_were_told(monkeypatch) -> None:
    monkeypatch.setattr(runner, "TOLD", 3)
    one: Any = SimpleNamespace(_said={}, spec=SimpleNamespace(self_service=True))
    plan = plan_of(CONFIG)
    seen: Any = SimpleNamespace(meta=item().meta)
    Runner._journal(one, plan, seen, [f"problem {number}" for number in range(8)])
    assert list(one._said) == ["problem 5", "problem 6", "problem 7"]


def test_recipients_with_a_rate(monkeypatch) -> None:
    monkeypatch.setattr(sending, "BUCKETS", 3)
    limiter, bucket = Limiter(lambda: 0.0), sending.RateLimit(1.0)
    for number in range(8):
        limiter._bucket(("", "hook", str(number)), bucket)
    assert [key[2] for key in limiter._buckets] == ["5", "6", "7"]


def test_subscriptions_of_equal_annotations() -> None:
    plan = plan_of(CONFIG)
    for number in range(SHARED + 3):
        annotations = SUBSCRIBED | {"notifications.argoproj.io/x": f"{number}"}
        plan.subscribed(item(annotations=annotations).meta)
    assert plan._subscribed.cache_info().currsize == SHARED


def test_messages_of_one_digest() -> None:
    one = Action(key="k", sensor="n", trigger="t", kind="notify", content={})
    assert not Gathered(actions=[one] * (MOST - 1)).full
    assert Gathered(actions=[one] * MOST).full
    long = msgspec.structs.replace(one, content={"text": "x" * (LARGEST // 2)})
    assert not Gathered(actions=[long]).full
    assert Gathered(actions=[long, long]).full


def test_messages_of_earlier_digests() -> None:
    one = Action(key="k", sensor="n", trigger="t", kind="notify", content={}, event_time=1.0)
    many = [
        msgspec.structs.replace(one, key=str(n), event_time=1.0 + n / MOST) for n in range(MOST)
    ]
    after = Gathered(actions=[one, *many]).after(2.0)
    assert "k" not in after.earlier
    assert (len(after.earlier), after.actions) == (MOST, [])
    assert len(after.after(1.5 + LATE).earlier) == MOST // 2 - 1
    assert after.after(2.0 + LATE) == Gathered()


async def test_records_that_are_removed_together(monkeypatch) -> None:
    records, busy, most = keeping.Records(MemoryBus(), "n"), 0, 0

    async def forget(_: str) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1

    monkeypatch.setattr(records, "forget", forget)
    await records.forget_all([str(number) for number in range(3 * keeping.AT_ONCE)])
    assert most == keeping.AT_ONCE


ONCE = CONFIG.replace("send: [failed]\n", "send: [failed]\n    oncePer: pod.status.run\n")
"""A condition that tells once for each run."""


def test_values_of_once_per() -> None:
    told = [Told("hook", "", "sent", float(n), n, once=str(n)) for n in range(40)]
    one = Phase(number=99, told=told)
    one.prune(50.0)
    assert [each.once for each in one.told] == [str(n) for n in range(40 - state.KEPT, 40)]


def test_values_of_once_per_while_a_condition_holds_for_ever() -> None:
    pod = Story(plan_of(ONCE))
    for run in range(10 * state.KEPT):
        assert len(pod.look("Failed", run=run)) == 1
        assert pod.look("Failed", run=run) == []
    [phase] = pod.state.phases.values()
    assert phase.number == 1
    oldest = 9 * state.KEPT
    assert [one.once for one in phase.told] == [str(n) for n in range(oldest, oldest + state.KEPT)]
    assert pod.look("Failed", run=oldest) == []  # it is still remembered
    assert len(pod.look("Failed", run=oldest - 1)) == 1  # it is not


def test_the_value_of_now_is_never_forgotten() -> None:
    """Neither where it is an old one that came back, nor where messages are confirmed late."""
    subscribe = "notifications.argoproj.io/subscribe.on-failed.hook"
    pod = Story(plan_of(ONCE), {subscribe: "a"})
    for run in range(state.KEPT):
        pod.look("Failed", run=run)
    assert pod.look("Failed", run=0) == []
    [phase] = pod.state.phases.values()
    late = [Told("hook", "a", "sent", pod.now, 1, once=f"late {n}") for n in range(state.KEPT)]
    phase.told += late
    pod.annotations[subscribe] = "a;b"
    assert len(pod.look("Failed", run=0)) == 1  # another destination: what is remembered changes
    assert pod.look("Failed", run=0) == []
    [phase] = pod.state.phases.values()
    assert [one.once for one in phase.told if one.recipient == "a"] == [
        "0",
        *(t.once for t in late),
    ]


def test_recipients_that_change_while_a_condition_holds_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(state, "WHOLE", 5)
    kept = [Told("hook", str(n), "sent", float(n), 1) for n in range(9)]
    one = Phase(number=1, since=1.0, told=list(kept))
    one.prune(9.0, {("hook", "0", "")})
    assert one.told == [kept[0], *kept[4:]]


async def test_messages_on_their_way_are_so_many() -> None:
    gate, bus = asyncio.Event(), MemoryBus()
    book = Book(answer=lambda *_: gate.wait())
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, lambda: 0.0) as desk:
        for number in range(desk_of.IN_FLIGHT + 5):
            await shown(desk, plan, item("Failed", name=f"p{number}", annotations=SUBSCRIBED))
        for _ in range(200):
            await asyncio.sleep(0)
        infos = {one.durable: one for one in await bus.readers(ACTIONS)}
        [lane] = [one for name, one in infos.items() if "hook" in name]
        assert (lane.in_flight, lane.pending) == (desk_of.IN_FLIGHT, 5)
        gate.set()
