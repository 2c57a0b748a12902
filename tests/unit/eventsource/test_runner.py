"""The runner: what it gives to every source."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import pytest
from pydantic import Field

from delivery.dead import list_dead
from eventbus.bus import EVENTS, STATE
from eventbus.memory import MemoryBus
from eventsource import runner
from eventsource.runner import Runner
from eventsource.source import Origin, Source
from spine.errors import BusError, ConfigError, EventError, SourceError
from spine.event import Event, decode
from spine.secrets import GivenSecrets
from spine.telemetry import SourceMetrics

pytestmark = pytest.mark.looptime(start=0)


class Text:
    def __init__(self, text: str = "{}") -> None:
        self.text = text

    def encode(self) -> bytes:
        return self.text.encode()


class Scripted(Source):
    """Does what a test gives it."""

    type: ClassVar[str] = "scripted"
    example: ClassVar[Any] = Text()
    act: Any = Field(default=None)

    async def run(self, env, emit):
        await self.act(env, emit)


class Answering(Scripted):
    answers: ClassVar[bool] = True


class Sources:
    """Stands for a spec."""

    def __init__(self, **sources: Source) -> None:
        self._sources = sources

    def sources(self) -> dict[str, Source]:
        return self._sources


class Flaky(MemoryBus):
    """Refuses as long as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: list[Exception] = []
        self.tries = 0

    async def publish(self, event: Event) -> None:
        self.tries += 1
        if self.refusals:
            raise self.refusals.pop(0)
        await super().publish(event)


@pytest.fixture
def bus():
    return Flaky()


def runner_of(bus: MemoryBus, **sources: Source) -> Runner:
    return Runner(
        name="uploads",
        namespace="ns",
        spec=Sources(**sources),  # type: ignore[arg-type]  # all that is asked of it
        bus=bus,
        secrets=GivenSecrets(),
        metrics=SourceMetrics("ns", "uploads", sources),
        host="127.0.0.1",
    )


async def run_for(seconds: float, running: Runner) -> None:
    try:
        async with asyncio.timeout(seconds):
            await running.run()
    except TimeoutError:
        pass


async def stored(bus: MemoryBus) -> list[Event]:
    return [decode(m.data) async for m in bus.read(EVENTS)]


def counted(running: Runner, name: str, event: str | None = "beep") -> float | None:
    labels = {"namespace": "ns", "eventsource_name": "uploads"}
    if event:
        labels["event_name"] = event
    return running.metrics.registry.get_sample_value(name, labels)


def once(emitting: Any) -> Any:
    """Return a source's act: emit, then listen for ever."""

    async def act(env: Any, emit: Any) -> None:
        env.listening()
        await emitting(emit)
        await asyncio.Event().wait()

    return act


# ---------------------------------------------------------------------------- the envelope


async def test_payload_becomes_a_cloudevent(bus, caplog):
    caplog.set_level(logging.DEBUG, "eventsource.runner")
    running = runner_of(bus, beep=Scripted(act=once(lambda emit: emit(Text('{"n":1}')))))
    await run_for(1, running)

    (event,) = await stored(bus)
    assert (event.source, event.subject, event.type) == ("uploads", "beep", "scripted")
    assert (event.data, event.datacontenttype) == (b'{"n":1}', "application/json")
    assert len(event.id) == 32
    assert event.time is not None
    assert event.extensions == {}
    assert counted(running, "argo_events_events_sent_total") == 1
    (line,) = [r for r in caplog.records if r.message == "Succeeded to publish an event"]
    assert (line.eventName, line.eventID) == ("beep", event.id)


async def test_origin_goes_into_extension_attributes(bus):
    origin = Origin("/shop", "order.made", "order 7", {"traceparent": "00-ab"})
    act = once(lambda emit: emit(Text(), id="a1", origin=origin))
    await run_for(1, runner_of(bus, beep=Scripted(act=act)))

    (event,) = await stored(bus)
    assert event.id == "a1"
    assert (event.source, event.subject, event.type) == ("uploads", "beep", "scripted")
    assert event.extensions == {
        "originsource": "/shop",
        "origintype": "order.made",
        "originsubject": "order 7",
        "traceparent": "00-ab",
    }


async def test_one_id_under_two_names_is_two_events_and_twice_under_one_is_one(bus):
    async def twice(emit: Any) -> None:
        await emit(Text(), id="a1")
        await emit(Text(), id="a1")

    await run_for(1, runner_of(bus, a=Scripted(act=once(twice)), b=Scripted(act=once(twice))))
    assert sorted(e.subject for e in await stored(bus)) == ["a", "b"]


# ---------------------------------------------------------------------------- the bus refuses


async def test_publishing_is_tried_again_for_a_source_that_cannot_say_no(bus):
    bus.refusals = [BusError("no answer")] * 3
    running = runner_of(bus, beep=Scripted(act=once(lambda emit: emit(Text()))))
    await run_for(30, running)

    assert (bus.tries, len(await stored(bus))) == (4, 1)
    assert counted(running, "argo_events_events_sent_failed_total") == 0


async def test_and_given_up_after_a_while_so_that_it_starts_again(bus, caplog):
    bus.refusals = [BusError("no answer")] * 5
    running = runner_of(bus, beep=Scripted(act=once(lambda emit: emit(Text()))))
    await run_for(60, running)

    assert (bus.tries, len(await stored(bus))) == (6, 1)
    assert counted(running, "argo_events_events_sent_failed_total") == 1
    assert "Failed to publish an event" in caplog.text


async def test_who_answers_a_caller_is_told_at_once(bus):
    bus.refusals = [BusError("no answer")]
    told: list[Exception] = []

    async def emitting(emit: Any) -> None:
        try:
            await emit(Text())
        except BusError as exc:
            told.append(exc)

    await run_for(1, runner_of(bus, beep=Answering(act=once(emitting))))
    assert (bus.tries, len(told)) == (1, 1)


async def test_of_many_failures_a_few_are_told_and_that_the_bus_is_back(bus, caplog):
    """What a slow bus takes between two that it refuses is no news."""
    caplog.set_level(logging.INFO)
    bus.refusals = [BusError("no answer")] * 100

    async def emitting(emit: Any) -> None:
        for pause in [0.0] * 99 + [1.5, 0.0, 0.5, 1.0, 1.0, 1.0]:
            with suppress(BusError):
                await emit(Text())
            if pause == 1.5:
                bus.refusals = [BusError("no answer")]
            await asyncio.sleep(pause)

    running = runner_of(bus, beep=Answering(act=once(emitting)))
    await run_for(30, running)

    told = [
        (one.message, one.refused)
        for one in caplog.records
        if hasattr(one, "refused") and one.eventName == "beep"
    ]
    failures = [("Failed to publish an event", number) for number in (1, 2, 3, 101)]
    assert told == [*failures, ("the bus takes events again", 101)]
    assert counted(running, "argo_events_events_sent_failed_total") == 101


async def test_event_that_can_never_pass_is_set_aside(bus):
    bus.refusals = [EventError("publishing 9 bytes: the bus takes 8")]
    done: list[bool] = []

    async def emitting(emit: Any) -> None:
        await emit(Text('{"n":1}'), id="a1")
        done.append(True)

    running = runner_of(bus, beep=Scripted(act=once(emitting)))
    await run_for(1, running)

    assert done == [True]
    (entry,) = [e async for e in list_dead(bus, component="eventsource", object="uploads")]
    assert (entry.letter.place, entry.letter.code) == ("beep", "UnusableEvent")
    assert decode(entry.letter.data).data == b'{"n":1}'
    assert counted(running, "argo_events_events_processing_failed_total") == 1


async def test_unless_a_caller_can_be_told(bus):
    bus.refusals = [EventError("too large")]

    async def emitting(emit: Any) -> None:
        with pytest.raises(EventError):
            await emit(Text())

    await run_for(1, runner_of(bus, beep=Answering(act=once(emitting))))
    assert [e async for e in list_dead(bus)] == []


# ---------------------------------------------------------------------------- supervision


class Failing:
    """Fails until its failures are used up."""

    def __init__(self, failures: int, *, after: float = 0.0, error: Any = None) -> None:
        self.failures, self.after = failures, after
        self.error = error or SourceError("no route to host")
        self.starts: list[float] = []

    async def __call__(self, env: Any, emit: Any) -> None:
        self.starts.append(asyncio.get_running_loop().time())
        env.listening()
        if len(self.starts) <= self.failures:
            await asyncio.sleep(self.after)
            raise self.error
        await asyncio.Event().wait()


@contextmanager
def _without_jitter() -> Iterator[None]:
    saved = runner.RESTART
    runner.RESTART = type(saved)(saved.duration, saved.factor, 0.0, saved.steps, saved.cap)
    try:
        yield
    finally:
        runner.RESTART = saved


async def test_failed_source_is_started_again_with_growing_waits(bus, caplog):
    act = Failing(9)
    with _without_jitter():
        await run_for(400, runner_of(bus, beep=Scripted(act=act)))
    assert act.starts == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert "no route to host" in caplog.records[0].error


async def test_waits_begin_again_after_a_healthy_run(bus):
    act = Failing(3, after=1000)
    with _without_jitter():
        await run_for(4000, runner_of(bus, beep=Scripted(act=act)))
    assert act.starts == [0, 1001, 2002, 3003]


async def test_the_other_side_may_say_when(bus):
    act = Failing(1, error=SourceError("slow down", retry_after=42))
    await run_for(60, runner_of(bus, beep=Scripted(act=act)))
    assert act.starts == [0, 42]


async def test_source_that_just_ends_is_started_again(bus):
    starts: list[float] = []

    async def act(env: Any, emit: Any) -> None:
        starts.append(asyncio.get_running_loop().time())

    await run_for(10, runner_of(bus, beep=Scripted(act=act)))
    assert len(starts) > 2


async def test_one_that_fails_does_not_disturb_the_others(bus):
    await run_for(
        10,
        runner_of(
            bus,
            a=Scripted(act=Failing(99)),
            b=Scripted(act=once(lambda emit: emit(Text()))),
        ),
    )
    assert len(await stored(bus)) == 1


async def test_bug_stops_the_process(bus):
    running = runner_of(
        bus,
        a=Scripted(act=Failing(1, error=ZeroDivisionError())),
        b=Scripted(act=Failing(0)),
    )
    with pytest.raises(ExceptionGroup) as caught:
        await running.run()
    assert caught.group_contains(ZeroDivisionError)


async def test_configuration_that_cannot_work_is_told_plainly(bus):
    running = runner_of(bus, a=Scripted(act=Failing(1, error=ConfigError("no such Secret"))))
    with pytest.raises(ConfigError, match="no such Secret"):
        await running.run()


# ---------------------------------------------------------------------------- readiness


async def test_ready_when_every_source_listens(bus):
    gate, seen = asyncio.Event(), []

    async def slow(env: Any, emit: Any) -> None:
        await gate.wait()
        env.listening()
        env.listening()
        await asyncio.Event().wait()

    running = runner_of(bus, a=Scripted(act=slow), b=Scripted(act=Failing(0)))
    running.ready = lambda: seen.append(running.problem)
    assert running.problem == "event a is starting; event b is starting"

    task = asyncio.create_task(running.run())
    await asyncio.sleep(1)
    assert (running.problem, seen) == ("event a is starting", [])
    gate.set()
    await asyncio.sleep(1)
    assert (running.problem, seen) == ("", [""])
    assert counted(running, "argo_events_event_service_running_total", None) == 2

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert counted(running, "argo_events_event_service_running_total", None) == 0


async def test_not_ready_while_a_source_is_down(bus):
    running = runner_of(bus, a=Scripted(act=Failing(1, error=SourceError("x", retry_after=50))))
    task = asyncio.create_task(running.run())
    await asyncio.sleep(10)
    assert running.problem == "event a failed: x"
    await asyncio.sleep(50)
    assert running.problem == ""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# ---------------------------------------------------------------------------- what Env lends


async def test_memory_is_kept_under_a_key_of_its_own(bus):
    async def act(env: Any, emit: Any) -> None:
        found = await env.memory.get()
        await env.memory.put((found or b"") + env.name.encode())
        await asyncio.Event().wait()

    sources = {"a": Scripted(act=act), "b ü": Scripted(act=act)}
    for _ in range(2):
        await run_for(1, runner_of(bus, **sources))

    store = bus.store(STATE)
    assert sorted(await store.keys()) == ["scripted.uploads.a", "scripted.uploads.b=20=C3=BC"]
    found = await store.get("scripted.uploads.a")
    assert found is not None
    assert found[0] == b"aa"


async def test_refused_requests_are_counted(bus):
    async def act(env: Any, emit: Any) -> None:
        env.rejected(413)
        await asyncio.Event().wait()

    running = runner_of(bus, beep=Scripted(act=act))
    await run_for(1, running)
    labels = {"namespace": "ns", "eventsource_name": "uploads", "event_name": "beep"}
    found = running.metrics.registry.get_sample_value(
        "tocsin_events_rejected_total", {**labels, "status": "413"}
    )
    assert found == 1


class Single(Scripted):
    single: ClassVar[bool] = True


async def test_one_replica_runs_a_single_source_and_another_stands_by_ready(bus):
    running: list[str] = []

    def replica(name: str) -> Runner:
        async def act(env, _emit):
            env.listening()
            running.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                running.remove(name)

        return runner_of(bus, event=Single(act=act))

    first, second = replica("first"), replica("second")
    one = asyncio.create_task(first.run())
    await asyncio.sleep(1)
    two = asyncio.create_task(second.run())
    await asyncio.sleep(5)
    assert (running, first.problem, second.problem) == (["first"], "", "")

    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    await asyncio.sleep(15)
    assert running == ["second"]
    two.cancel()
    await asyncio.gather(two, return_exceptions=True)
