"""From a change to the service, on a bus: nothing is lost, nothing is told twice."""

import asyncio

import msgspec
import pytest
from delivery_kit import clock, dead, until
from notifier_kit import CONFIG, SUBSCRIBED, Book, at_work, item, plan_of, recording, shown

from delivery.dead import retry
from eventbus.bus import STATE
from eventbus.memory import MemoryBus
from notifier.keeping import Record
from notifier.sending import Sent
from spine.errors import BusError, ConflictError, TriggerError

pytestmark = pytest.mark.looptime

HOOK = "notifications.argoproj.io/subscribe.on-failed.hook"
OTHER = "notifications.argoproj.io/subscribe.on-failed.other"


@pytest.fixture
def bus():
    return MemoryBus()


def failed(version: int = 1, **more):
    more.setdefault("annotations", SUBSCRIBED)
    return item("Failed", version=version, **more)


def down(_recipient: str, _attempt: int) -> None:
    raise TriggerError("posting: connection refused")


async def test_one_message_however_often_it_is_looked_at(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        for version in range(1, 6):
            await shown(desk, plan, failed(version))
        await until(lambda: book.taken)
        await shown(desk, plan, failed(9))
        await asyncio.sleep(60)

    assert [text for _, text, _ in book.taken] == ["web failed"]


async def test_a_hundred_and_twenty_recipients_and_five_passes(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    everybody = {HOOK: ";".join(f"r{n}" for n in range(120))}
    async with at_work(bus, plan, clock) as desk:
        for version in range(1, 6):
            await shown(desk, plan, failed(version, annotations=everybody))
        await until(lambda: len(book.taken) >= 120)
        await asyncio.sleep(60)

    assert len(book.taken) == 120
    assert len({recipient for recipient, _, _ in book.taken}) == 120


async def test_a_service_that_fails_is_tried_again_and_the_others_are_not(bus):
    def twice(_recipient: str, attempt: int) -> None:
        if attempt < 3:
            down("", 0)

    ill, well = Book(answer=twice), Book()
    once = CONFIG.replace("send: [failed]", "send: [failed]\n    oncePer: pod.metadata.uid")
    plan = recording(plan_of(once), hook=ill, other=well)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed(annotations={HOOK: "", OTHER: ""}))
        await until(lambda: ill.taken)
        await shown(desk, plan, failed(2, annotations={HOOK: "", OTHER: ""}))
        await asyncio.sleep(600)

    assert ill.tries == 3
    assert len(ill.taken) == 1
    assert well.tries == 1


async def test_a_bug_in_a_service_is_a_dead_letter_and_nobody_else_notices(bus):
    def stumbles(_recipient: str, _attempt: int) -> None:
        raise ZeroDivisionError("oops")

    ill, well = Book(answer=stumbles), Book()
    plan = recording(plan_of(CONFIG), hook=ill, other=well)
    async with at_work(bus, plan, clock) as desk:
        for version in (1, 2, 3):
            await shown(desk, plan, failed(version, annotations={HOOK: "", OTHER: ""}))
        await until(lambda: well.taken)
        await asyncio.sleep(600)
        [entry] = await dead(bus)

    assert (ill.tries, len(well.taken)) == (1, 1)
    assert entry.letter.component == "notifier"
    assert (entry.letter.object, entry.letter.place, entry.letter.code) == ("n", "hook", "Bug")


async def test_a_slow_service_holds_up_nobody_else(bus):
    stuck, well = Book(answer=lambda *_: asyncio.sleep(3600)), Book()
    plan = recording(plan_of(CONFIG), hook=stuck, other=well)
    loop = asyncio.get_running_loop()
    async with at_work(bus, plan, clock) as desk:
        for number in range(40):
            one = failed(annotations={HOOK: "", OTHER: ""}, name=f"web-{number}")
            await shown(desk, plan, one)
        began = loop.time()
        await until(lambda: len(well.taken) == 40)
        assert loop.time() - began < 5

    assert not stuck.taken


async def test_a_recipient_who_cannot_be_reached_holds_up_nobody_else(bus):
    def answer(recipient: str, _attempt: int) -> None:
        if recipient == "away":
            down("", 0)

    book = Book(answer=answer)
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        for number in range(20):
            await shown(desk, plan, failed(annotations={HOOK: "away;there"}, name=f"w{number}"))
        await until(lambda: len(book.taken) == 20)

    assert {recipient for recipient, _, _ in book.taken} == {"there"}


async def test_a_message_that_is_refused_for_good_can_be_retried(bus):
    answers = [TriggerError("posting: 400", permanent=True)]

    def once(_recipient: str, _attempt: int) -> None:
        if answers:
            raise answers.pop()

    book = Book(answer=once)
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        while not (letters := await dead(bus)):
            await asyncio.sleep(0.1)
        record = await desk.records.get(desk.records.key("Pod", "uid-web"))
        assert next(iter(record.state.phases.values())).told[0].stage == "dead"
        await shown(desk, plan, failed(2))
        await asyncio.sleep(60)
        assert not book.taken, "what was given up is not tried again by itself"
        assert await retry(bus, letters[0].sequence) == "service hook of notifier n"
        await until(lambda: book.taken)
        await asyncio.sleep(1)
        record = await desk.records.get(desk.records.key("Pod", "uid-web"))
        assert next(iter(record.state.phases.values())).told[0].stage == "sent"

    assert book.tries == 2


async def test_a_crash_between_sending_and_confirming_sends_once_more_with_the_same_key(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        store = desk.records._store
        put, armed = store.put, True

        async def dies(key: str, value: bytes, *, revision: int | None) -> int:
            if armed and book.taken:
                await asyncio.Event().wait()
            return await put(key, value, revision=revision)

        store.put = dies
        await shown(desk, plan, failed())
        await until(lambda: book.taken)
    store.put = put
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await until(lambda: len(book.taken) == 2)
        await shown(desk, plan, failed(2))
        await asyncio.sleep(600)

    assert len(book.taken) == 2
    assert len({key for _, _, key in book.taken}) == 1


async def test_a_crash_before_it_is_remembered_sends_nothing_twice(bus):
    """The message is on the bus, and the process dies before it says that it is."""
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:

        async def dies(*_: object, **__: object) -> bool:
            return await asyncio.Event().wait()

        desk.records.put = dies
        desk.records.edit = dies
        key = desk.records.key("Pod", "uid-web")
        await desk.handler.take(plan, key, "ADDED", failed())
        await until(lambda: book.taken)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await shown(desk, plan, failed(2))
        await asyncio.sleep(600)
        assert {key for _, _, key in book.taken} == {book.taken[0][2]}
        assert len(book.taken) == 2, "what was sent and not confirmed is sent once more"
        await shown(desk, plan, item("Running", version=3, annotations=SUBSCRIBED))
        await shown(desk, plan, failed(4))
        await until(lambda: len(book.taken) == 3)


async def test_two_replicas_tell_once(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as first, at_work(bus, plan, clock) as second:
        for version in range(1, 41):
            one = (failed if version % 2 else running)(version)
            await asyncio.gather(shown(first, plan, one), shown(second, plan, one))
        await until(lambda: len(book.taken) >= 20)
        await asyncio.sleep(600)

    assert len(book.taken) == 20
    assert len({key for _, _, key in book.taken}) == 20


async def test_a_replica_that_lags_behind_tells_nothing_twice(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as first, at_work(bus, plan, clock) as second:
        history = [(failed if version % 2 else running)(version) for version in range(1, 10)]
        for one in history:
            await shown(first, plan, one)
        await until(lambda: len(book.taken) == 5)
        await asyncio.sleep(1000)  # longer than the bus remembers what it was sent
        for one in history:
            await shown(second, plan, one)
        await asyncio.sleep(600)

    assert len(book.taken) == 5


def running(version: int):
    return item("Running", version=version, annotations=SUBSCRIBED)


async def test_a_store_that_is_refused_ten_times_sends_one_message(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        store = desk.records._store
        put, refusals = store.put, iter(range(10))

        async def refuses(key: str, value: bytes, *, revision: int | None) -> int:
            if next(refusals, None) is not None:
                raise BusError("storing: not now")
            return await put(key, value, revision=revision)

        store.put = refuses
        await shown(desk, plan, failed())
        await asyncio.sleep(600)
        await shown(desk, plan, failed(2))
        await asyncio.sleep(600)
        store.put = put

    assert len(book.taken) == 1


async def test_a_conflict_is_looked_at_again(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        store = desk.records._store
        put, conflicts = store.put, iter(range(3))

        async def conflicting(key: str, value: bytes, *, revision: int | None) -> int:
            if next(conflicts, None) is not None:
                raise ConflictError("storing: somebody was faster")
            return await put(key, value, revision=revision)

        store.put = conflicting
        await shown(desk, plan, failed())
        await asyncio.sleep(600)
        store.put = put

    assert len(book.taken) == 1


# ---------------------------------------------------------------------------- when


async def test_quiet_hours_hold_messages_back(bus):
    """The loop begins at 22:13:20 UTC."""
    quiet = CONFIG + "quietHours: |\n  - {from: '22:00', to: '23:00'}\n"
    book = Book()
    plan = recording(plan_of(quiet), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await asyncio.sleep(46 * 60)
        assert not book.taken
        await asyncio.sleep(60)
        assert len(book.taken) == 1


async def test_quiet_hours_that_drop(bus):
    quiet = CONFIG + "quietHours: |\n  - {from: '22:00', to: '23:00', then: drop}\n"
    book = Book()
    plan = recording(plan_of(quiet), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await asyncio.sleep(3600)
        await shown(desk, plan, failed(2))
        await shown(desk, plan, running(3))
        await shown(desk, plan, failed(4))
        await until(lambda: book.taken)

    assert len(book.taken) == 1


async def test_a_digest_tells_many_as_one(bus):
    digests = CONFIG + "digests: |\n  - {services: [hook], window: 10m}\n"
    book, other = Book(), Book()
    plan = recording(plan_of(digests), hook=book, other=other)
    async with at_work(bus, plan, clock) as desk:
        for number in range(5):
            one = failed(name=f"web-{number}", annotations={HOOK: "", OTHER: ""})
            await shown(desk, plan, one)
            await asyncio.sleep(60)
        assert len(other.taken) == 5
        assert not book.taken
        await asyncio.sleep(600)
        assert [text for _, text, _ in book.taken] == [
            "\n".join(f"web-{number} failed" for number in range(5))
        ]
        await shown(desk, plan, failed(name="late"))
        await asyncio.sleep(700)

    assert [text for _, text, _ in book.taken][1:] == ["late failed"]


async def test_a_replica_that_is_late_opens_no_other_digest(bus):
    """It has looked up that nobody was told, and gathers when the window is over."""
    book = Book()
    plan = recording(
        plan_of(CONFIG + "digests: |\n  - {services: [hook], window: 10s}\n"), hook=book
    )
    async with at_work(bus, plan, clock) as first, at_work(bus, plan, clock) as second:
        put, again = first.records.put, second.records.again

        async def slow(*given) -> bool:
            await asyncio.sleep(100)
            return await put(*given)

        async def late(key: str) -> Record:
            found = await again(key)
            second.records.again = again
            await asyncio.sleep(50)
            return found

        first.records.put, second.records.again = slow, late
        await asyncio.gather(shown(first, plan, failed()), shown(second, plan, failed()))
        await asyncio.sleep(600)

    assert [text for _, text, _ in book.taken] == ["web failed"]


async def test_who_seals_a_digest_late_takes_nothing_out_of_it(bus):
    """It had read the window before another message came into it, which the other one sealed."""
    book = Book()
    plan = recording(
        plan_of(CONFIG + "digests: |\n  - {services: [hook], window: 10m}\n"), hook=book
    )
    async with at_work(bus, plan, clock) as desk:
        digests = desk.outlet.digests
        await shown(desk, plan, failed(name="a"))
        [key] = await bus.store(STATE).keys("digest/")
        early, _ = await digests._read(key)
        await shown(desk, plan, failed(name="b"))
        sent = msgspec.convert(early.actions[0].content, Sent)
        sent = msgspec.structs.replace(sent, digest=key, opened=early.opened)
        assert len(await digests.seal(sent)) == 2
        await digests._keep_sealed(key, early)
        await asyncio.sleep(700)

    assert [text for _, text, _ in book.taken] == ["a failed\nb failed"]


async def test_a_digest_outlives_the_process(bus):
    digests = CONFIG + "digests: |\n  - {services: [hook], window: 10m, template: many}\n"
    digests += (
        "template.many: |\n"
        "  message: '{{ len .messages }}: {{ range .messages }}{{ .object }}, {{ end }}'\n"
    )
    book = Book()
    plan = recording(plan_of(digests), hook=book)
    for name in ("a", "b"):
        async with at_work(bus, plan, clock) as desk:
            await shown(desk, plan, failed(name=name))
            await asyncio.sleep(60)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed(name="a"))
        await asyncio.sleep(700)

    assert [text for _, text, _ in book.taken] == ["2: Pod default/a, Pod default/b, "]


async def test_limits_put_messages_off_and_lose_none(bus):
    limited = CONFIG + "limits: |\n  hook: {rate: 6/m, burst: 2}\n"
    book = Book()
    plan = recording(plan_of(limited), hook=book)
    loop = asyncio.get_running_loop()
    async with at_work(bus, plan, clock) as desk:
        began = loop.time()
        for number in range(8):
            await shown(desk, plan, failed(name=f"web-{number}"))
        await until(lambda: len(book.taken) == 8)
        took = loop.time() - began

    assert book.tries == 8
    assert 40 <= took <= 90


async def test_an_object_that_is_gone_is_forgotten(bus):
    book = Book()
    plan = recording(plan_of(CONFIG), hook=book)
    async with at_work(bus, plan, clock) as desk:
        await shown(desk, plan, failed())
        await until(lambda: book.taken)
        await asyncio.sleep(1)
        await shown(desk, plan, failed(2), "DELETED")
        assert not desk.records.has(desk.records.key("Pod", "uid-web"))

    async with at_work(bus, plan, clock) as desk:
        assert desk.records.fresh
