"""What a crash, a second replica, a late service or an edit must not lose and not repeat."""

import asyncio
from dataclasses import replace

import pytest
from delivery_kit import clock, dead, until
from notifier_kit import (
    CONFIG,
    SUBSCRIBED,
    Book,
    Story,
    at_work,
    item,
    plan_of,
    recording,
    shown,
)

from delivery.dead import retry
from eventbus.bus import ACTIONS, STATE
from eventbus.memory import MemoryBus
from notifier.keeping import Record, Records
from notifier.state import ObjectState
from spine.errors import TriggerError

HOOK = "notifications.argoproj.io/subscribe.on-failed.hook"
RESOLVED = CONFIG.replace("    send: [failed]\n", "    send: [failed]\n    sendResolved: true\n")
REPEATED = CONFIG.replace("    send: [failed]\n", "    send: [failed]\n    repeatEvery: 1h\n")
PER_RUN = CONFIG.replace(
    "    send: [failed]\n", "    send: [failed]\n    oncePer: pod.status.run\n"
)


def failed(version: int = 1, **more):
    more.setdefault("annotations", SUBSCRIBED)
    return item("Failed", version=version, **more)


def running(version: int, **more):
    return item("Running", version=version, annotations=SUBSCRIBED, **more)


# ---------------------------------------------------------------------------- what is remembered


def test_what_ended_while_nobody_was_subscribed_is_told_when_it_comes_again():
    pod = Story(plan_of(CONFIG))
    assert pod.look("Failed")
    pod.annotations = {}
    assert not pod.look("Running")
    pod.annotations = dict(SUBSCRIBED)
    assert pod.look("Failed") == ["hook: web failed"]


def test_who_leaves_and_comes_back_within_one_time_is_told_once():
    pod = Story(plan_of(CONFIG))
    assert pod.look("Failed")
    pod.annotations = {}
    assert not pod.look("Failed")
    pod.annotations = dict(SUBSCRIBED)
    assert not pod.look("Failed")


def test_a_condition_that_was_removed_long_ago_lends_a_new_one_nothing():
    pod = Story(plan_of(CONFIG))
    assert pod.look("Failed")
    other = "pod.status.phase != 'Running'"
    two = CONFIG.replace(
        "trigger.on-failed: |\n", f"trigger.on-failed: |\n  - when: {other}\n    send: [failed]\n"
    )
    pod.plan = plan_of(two)
    assert pod.look("Failed") == ["hook: web failed"]
    one = CONFIG.replace("pod.status.phase == 'Failed'", other)
    pod.plan = plan_of(one)
    assert not pod.look("Failed", later=10)
    assert not pod.look("Failed", later=400)
    pod.plan = plan_of(two)
    assert pod.look("Failed") == ["hook: web failed"]


def test_a_clock_that_is_put_back_holds_nothing_back():
    pod = Story(plan_of(PER_RUN))
    assert pod.look("Failed", run=1)
    assert pod.look("Failed", later=-3600, run=2) == ["hook: web failed"]


def test_the_key_of_a_message_outlives_an_edit():
    pod, twin = Story(plan_of(CONFIG)), Story(plan_of(CONFIG))
    for one in (pod, twin):
        one.look("Failed")
        one.look("Running")
    pod.plan = plan_of(CONFIG.replace("== 'Failed'", "in ['Failed']"))
    pod.look("Failed")
    twin.look("Failed")
    assert pod.decision.notifications[0].key == twin.decision.notifications[0].key


# ---------------------------------------------------------------------------- what is sent


@pytest.fixture
def bus():
    return MemoryBus()


@pytest.mark.looptime
async def test_that_it_is_over_is_told_after_that_it_began(bus):
    ill = True

    def answer(_recipient: str, _attempt: int) -> None:
        if ill:
            raise TriggerError("posting: 500")

    book = Book(answer=answer)
    plan = recording(plan_of(RESOLVED), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await until(lambda: book.tries > 3)
        ill = False
        await shown(desk, plan, running(2))
        await until(lambda: len(book.taken) == 2)
    assert [text for _, text, _ in book.taken] == ["web failed", "web failed no more"]


@pytest.mark.looptime
async def test_the_end_of_what_nobody_heard_of_is_not_told(bus):
    def answer(_recipient: str, attempt: int) -> None:
        if attempt == 1:
            raise TriggerError("posting: 400", permanent=True)

    book = Book(answer=answer)
    plan = recording(plan_of(RESOLVED), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await until(lambda: book.tries)
        await shown(desk, plan, running(2))
        await asyncio.sleep(600)
    assert not book.taken


@pytest.mark.looptime
async def test_reminders_do_not_pile_up_while_a_service_is_away(bus):
    ill = True

    def answer(_recipient: str, _attempt: int) -> None:
        if ill:
            raise TriggerError("posting: 500")

    book = Book(answer=answer)
    plan = recording(plan_of(REPEATED), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await asyncio.sleep(5 * 3600)
        ill = False
        await asyncio.sleep(600)
        assert len(book.taken) <= 2
        await asyncio.sleep(3 * 3600)
    assert 4 <= len(book.taken) <= 5


@pytest.mark.looptime
async def test_a_value_that_died_is_told_anew_at_once(bus):
    """Not after the minutes in which the bus takes its message for the one that died."""
    answers = [TriggerError("posting: 400", permanent=True)]

    def answer(_recipient: str, _attempt: int) -> None:
        if answers:
            raise answers.pop()

    book = Book(answer=answer)
    plan = recording(plan_of(PER_RUN), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed(1, run=1))
        while not await dead(bus):
            await asyncio.sleep(0.1)
        await shown(desk, plan, running(2, run=1))
        await shown(desk, plan, failed(3, run=1))
        await until(lambda: book.taken)
    assert len(book.taken) == 1


@pytest.mark.looptime
async def test_a_message_that_the_bus_does_not_take_is_a_dead_letter():
    bus = MemoryBus(max_payload=4096)
    book = Book()
    plan = recording(plan_of(CONFIG.replace("{{ .pod.metadata.name }}", "x" * 5000)), hook=book)
    async with at_work(bus, plan, clock) as desk:
        for version in range(1, 4):
            await shown(desk, plan, failed(version))
        await asyncio.sleep(600)
        [entry] = await dead(bus)
        record = await desk.records.again(desk.records.key("Pod", "uid-web"))
    assert "the bus takes" in entry.letter.message
    assert next(iter(record.state.phases.values())).told[0].stage == "dead"


@pytest.mark.looptime
async def test_what_cannot_be_remembered_is_not_sent(bus):
    bus = MemoryBus(max_payload=4096)
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    said: list[str] = []
    everybody = {HOOK: ";".join(f"r{n}" for n in range(200))}
    async with at_work(bus, plan, clock) as desk:
        desk.handler.journal = lambda _plan, _seen, problems: said.extend(problems)
        for version in range(1, 4):
            await shown(desk, plan, failed(version, annotations=everybody))
        await asyncio.sleep(600)
    assert not book.taken
    assert "remembering who was told takes" in said[0]


@pytest.mark.looptime
async def test_a_bug_that_one_object_meets_stops_no_other(bus, monkeypatch):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    evaluated = plan.variables

    def stumbles(seen, health):
        if seen.meta.name == "ill":
            raise ZeroDivisionError
        return evaluated(seen, health)

    monkeypatch.setattr(plan, "variables", stumbles)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed(name="ill"))
        await shown(desk, plan, failed(name="well"))
        await until(lambda: book.taken)
    assert [text for _, text, _ in book.taken] == ["well failed"]


@pytest.mark.looptime
async def test_a_bug_that_passes_keeps_nobody_from_being_told(bus, monkeypatch):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        again, bugs = desk.records.again, iter([RuntimeError, RuntimeError])

        async def stumbles(key):
            if bug := next(bugs, None):
                raise bug
            return await again(key)

        monkeypatch.setattr(desk.records, "again", stumbles)
        await shown(desk, plan, failed(1))
        await shown(desk, plan, running(2))
        await shown(desk, plan, failed(3))
        await until(lambda: len(book.taken) == 2)
    assert [text for _, text, _ in book.taken] == ["web failed", "web failed"]


@pytest.mark.looptime
async def test_a_long_digest_lies_on_the_bus_once(bus):
    digests = CONFIG + "digests: |\n  - {services: [hook], window: 1h}\n"
    book = Book()
    plan = recording(plan_of(digests), hook=book)
    async with at_work(bus, plan, clock) as first, at_work(bus, plan, clock) as second:
        for number in range(6):
            desk = (first, second)[number % 2]
            await shown(desk, plan, failed(name=f"web-{number}"))
            await asyncio.sleep(590)  # longer than the bus remembers what it was sent
        waiting = [message async for message in bus.read(ACTIONS)]
        assert len(waiting) == 1
        await asyncio.sleep(3600)
    assert len(book.taken) == 1
    assert book.taken[0][1].count("failed") == 6


@pytest.mark.looptime
async def test_a_late_confirmation_brings_no_gone_object_back(bus):
    going = asyncio.Event()
    book = Book(answer=lambda *_: going.wait())
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await until(lambda: book.tries)
        await shown(desk, plan, failed(2), "DELETED")
        going.set()
        await until(lambda: book.taken)
        await asyncio.sleep(60)
    assert not await bus.store(STATE).keys("notified/")


@pytest.mark.looptime
async def test_an_object_that_comes_back_goes_on_counting(bus):
    """As one that left the selection of a watch does: the bus forgets a key after minutes only."""
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await until(lambda: book.taken)
        await shown(desk, plan, failed(2), "DELETED")
        await shown(desk, plan, failed(3), "ADDED")
        await until(lambda: len(book.taken) == 2)
    assert len({key for _, _, key in book.taken}) == 2


@pytest.mark.looptime
async def test_a_message_whose_object_was_not_stored_does_not_stand_for_the_next_time(bus):
    """Its process died between the message and the record, and it ended before the next came."""
    book = Book(answer=lambda *_: asyncio.sleep(5))
    plan = recording(plan_of(RESOLVED), hook=book)
    async with at_work(bus, plan, clock) as desk:

        async def dies(*_: object) -> bool:
            return await asyncio.Event().wait()

        desk.records.put = dies
        key = desk.records.key("Pod", "uid-web")
        await desk.handler.take(plan, key, "ADDED", failed())
        await until(lambda: book.tries)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, running(2))
        await until(lambda: book.taken)
        await asyncio.sleep(30)
        await shown(desk, plan, failed(3))
        await until(lambda: len(book.taken) == 2)
        await shown(desk, plan, running(4))
        await until(lambda: len(book.taken) == 3)
    assert [text for _, text, _ in book.taken][1:] == ["web failed", "web failed no more"]
    assert len({key for _, _, key in book.taken}) == 3


@pytest.mark.looptime
async def test_what_a_replica_sees_too_late_does_not_end_what_was_told(bus):
    """One replica has put a message on its way and waits for the bus to remember that; the other
    looks at the time before, after the message was confirmed."""
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as ahead, at_work(bus, plan, clock) as behind:
        await shown(ahead, plan, failed(1))
        await until(lambda: book.taken)
        await shown(behind, plan, failed(1))
        await shown(ahead, plan, running(2))
        put, going = ahead.records.put, asyncio.Event()

        async def waits(key: str, record: Record) -> bool:
            if record.state.version == "3":
                await going.wait()
            return await put(key, record)

        ahead.records.put = waits
        key = ahead.records.key("Pod", "uid-web")
        await ahead.handler.take(plan, key, "MODIFIED", failed(3))
        await until(lambda: len(book.taken) == 2)
        await asyncio.sleep(10)  # its confirmation does not wait for what is not remembered
        ahead.records.put = put
        await shown(behind, plan, running(2))
        going.set()
        for version, phase in enumerate((failed, running, failed, running), 3):
            await asyncio.gather(*(shown(one, plan, phase(version)) for one in (behind, ahead)))
        await until(lambda: len(book.taken) >= 3)
        await asyncio.sleep(60)
    assert len(book.taken) == len({key for _, _, key in book.taken}) == 3


@pytest.mark.looptime
async def test_a_write_whose_answer_is_late_hides_no_later_one(bus):
    """What is at hand never goes back, or what ended since would be taken to go on."""
    records = Records(bus, "n")
    key, store, slow = records.key("Pod", "uid-web"), records._store, asyncio.Event()
    put = store.put

    async def answers_late(*given, **more) -> int:
        revision = await put(*given, **more)
        await slow.wait()
        return revision

    store.put = answers_late
    first = asyncio.create_task(records.put(key, Record(ObjectState(version="1"))))
    await asyncio.sleep(1)
    store.put = put
    later = await records.again(key)
    later.state.version = "2"
    assert await records.put(key, later)
    slow.set()
    assert await first
    assert records.at_hand(key) == later


@pytest.mark.looptime
async def test_a_bug_of_a_service_shows_no_secret(bus, caplog):
    def stumbles(_recipient: str, _attempt: int) -> None:
        raise ValueError("illegal header b'Bearer s3cr3t-word'")

    book = Book(answer=stumbles)
    plan = recording(plan_of(CONFIG, secret={"token": "s3cr3t-word"}), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        while not (letters := await dead(bus)):
            await asyncio.sleep(0.1)
    assert "illegal header" in letters[0].letter.message
    assert "s3cr3t" not in repr(letters) + caplog.text


@pytest.mark.looptime
async def test_a_retried_message_of_an_edited_condition_is_confirmed(bus):
    answers = [TriggerError("posting: 400", permanent=True)]

    def answer(_recipient: str, _attempt: int) -> None:
        if answers:
            raise answers.pop()

    book = Book(answer=answer)
    plan = recording(plan_of(CONFIG), hook=book)
    edited = plan_of(CONFIG.replace("== 'Failed'", "in ['Failed']"))
    services = plan.configuration.services
    edited = replace(edited, configuration=replace(edited.configuration, services=services))
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        while not (letters := await dead(bus)):
            await asyncio.sleep(0.1)
        await shown(desk, edited, failed(2))
        await retry(bus, letters[0].sequence)
        await until(lambda: book.taken)
        await asyncio.sleep(10)
        record = await desk.records.again(desk.records.key("Pod", "uid-web"))
    [phase] = record.state.phases.values()
    assert phase.told[0].stage == "sent"


@pytest.mark.looptime
async def test_two_notifiers_on_one_bus_both_tell(bus):
    """Though object, trigger and service bear the same names."""
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with (
        at_work(bus, plan, clock, "one/n") as first,
        at_work(bus, plan, clock, "two/n") as second,
    ):
        for desk in (first, second):
            await shown(desk, plan, failed())
        await asyncio.sleep(60)
    assert len(book.taken) == 2
