"""Taking the place of Argo Events: what it did is not done again, what it owed is done."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from argo_kit import Argo, argo, group
from sensor_kit import dependency, trigger
from sensor_process import sensor_process
from sink import Sink
from tocsin_run import tocsin

from controller.adoption import forget, take_over, taking
from controller.adoption.looking import look
from eventbus.bus import EVENTS
from eventbus.jetstream import JetStreamBus, Options, connect
from sensor.adopted import adopted_of
from sensor.plan import Plan, compile_plan
from sensor.spec import SensorSpec
from spine.errors import BusError, ConfigError
from spine.model import load

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def old(server):
    async with argo(server.url) as found:
        yield found


def posts(name: str, conditions: str, target: Sink, *names: str) -> dict[str, Any]:
    """A trigger that posts the numbers of its events, as `a` or as `a+b`."""
    made = trigger(name, conditions, f"{target.url}/{name}")
    made["template"]["http"]["payload"] = [
        {"src": {"dependencyName": one, "dataKey": "n", "value": "-"}, "dest": f"id.{one}"}
        for one in names
    ]
    return made


def spec_of(target: Sink) -> dict[str, Any]:
    return {
        "dependencies": [dependency("a"), dependency("b"), dependency("also", "a")],
        "triggers": [
            posts("one", "a", target, "a"),
            posts("two", "a", target, "a"),
            posts("either", "a || b", target, "a", "b"),
            posts("join", "a && b", target, "a", "b"),
            posts("same", "a || also", target, "a", "also"),
        ],
    }


def plan_of(spec: dict[str, Any]) -> Plan:
    return compile_plan("s", "ns", load(SensorSpec, spec))


def of(name: str, *numbers: int) -> set[str]:
    return {str({name: number}) for number in numbers}


async def left_behind(old: Argo) -> None:
    """Five triggers that have come differently far.

    | place       | acknowledged      | to be done      |
    |-------------|-------------------|-----------------|
    | one/a       | 1-10 but 4 and 7  | 4, 7, 11, 12    |
    | two/a       | 1-3               | 4-12            |
    | either/a    | all               |                 |
    | either/b    | 1-2 but 1         | 1, 3, 4         |
    | join/a      | all; 12 is kept   |                 |
    | join/b      | 1-3               | 4: with a 12    |
    | same/a+also | 1-11 but 9        | 9, 12, twice    |
    """
    places = [("one", "a"), ("two", "a"), ("either", "a"), ("either", "b"), ("join", "a")]
    for place in [*places, ("join", "b")]:
        await old.durable(*place)
    await old.durable("same", "also", "a")
    await old.publish("a", *range(1, 7))
    await old.publish("b", 1, 2, 3)
    await old.publish("other", 1)
    await old.publish("a", *range(7, 13))
    await old.publish("b", 4)
    await old.handle("one", "a", 10, but=(4, 7))
    await old.handle("two", "a", 3)
    await old.handle("either", "a", 12)
    await old.handle("either", "b", 2, but=(1,))
    await old.handle("join", "a", 12)
    await old.handle("join", "b", 3)
    await old.handle("same", "also", 11, but=(9,))
    conditions = {"one": "a", "two": "a", "either": "a || b", "join": "a && b"}
    kv = await old.bucket({**conditions, "same": "a || also"}, ["a", "b", "also"])
    await old.save(kv, "join", "a", 12)
    await kv.put("one/a", b"{}")
    await kv.delete("one/a")


OWED = {
    "/one": of("a", 4, 7, 11, 12),
    "/two": of("a", *range(4, 13)),
    "/either": of("b", 1, 3, 4),
    "/join": {str({"a": 12, "b": 4})},
    "/same": of("a", 9, 12) | of("also", 9, 12),
}


def seen(target: Sink) -> dict[str, set[str]]:
    """What came, without the placeholders of dependencies that had no event."""
    found: dict[str, set[str]] = {}
    for _, path, body in target.requests:
        shown = {name: int(n) for name, n in body["id"].items() if n != "-"}
        found.setdefault(path, set()).add(str(shown))
    return found


async def reached(target: Sink, owed: dict[str, set[str]], seconds: float = 60.0) -> None:
    try:
        await until(lambda: seen(target) == owed, seconds)
    except TimeoutError:
        assert seen(target) == owed


async def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[JetStreamBus]:
    async with connect(lambda: Options(servers=(url,))) as bus:
        yield bus


def manifest(folder: Path, spec: dict[str, Any], name: str = "s") -> Path:
    raw = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": spec,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(raw))
    return path


async def adopt(folder: Path, url: str, *words: str) -> tuple[int, str, str]:
    return await tocsin("adopt", "-f", "s.json", "--bus", url, *words, cwd=folder)


async def test_what_was_not_acknowledged_is_done_and_nothing_else(tmp_path, server, old, target):
    await left_behind(old)
    spec = spec_of(target)
    manifest(tmp_path, spec)
    before = await old.places()

    async with connected(server.url) as bus:
        tried = await take_over(bus, plan_of(spec), dry_run=True)
        assert await adopted_of("s", bus) is None
    assert tried.takeover is not None
    assert (tried.takeover.after, await old.places()) == (3, before)

    code, out, err = await adopt(tmp_path, server.url)
    assert code == 0, err
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in out.splitlines()[2:]}
    assert rows["one", "a"] == [group("s", "one", "a"), "3", "4", "5"]
    assert rows["two", "a"] == [group("s", "two", "a"), "3", "9", "0"]
    assert rows["either", "b"] == [group("s", "either", "b"), "0", "3", "1"]
    assert rows["same", "a"] == [group("s", "same", "also"), "12", "2", "7"]
    assert "half met: join has a" in out

    again = await adopt(tmp_path, server.url)
    assert again[0] == 0
    assert "taken over on" in again[1]

    await old.publish("a", 13)
    async with sensor_process(tmp_path, server.url, spec):
        await old.publish("b", 5)
        owed = {
            "/one": OWED["/one"] | of("a", 13),
            "/two": OWED["/two"] | of("a", 13),
            "/either": OWED["/either"] | of("a", 13) | of("b", 5),
            "/join": OWED["/join"] | {str({"a": 13, "b": 5})},
            "/same": OWED["/same"] | of("a", 13) | of("also", 13),
        }
        await reached(target, owed)
        async with connected(server.url) as bus:
            async with asyncio.timeout(60):
                while (kept := await adopted_of("s", bus)) is None or kept.positions:
                    await asyncio.sleep(0.1)
    assert seen(target) == owed
    assert len(target.requests) == sum(map(len, owed.values()))
    assert {name: place[0] for name, place in (await old.places()).items()} == {
        name: place[0] for name, place in before.items()
    }


async def test_a_process_that_is_killed_does_all_that_is_owed(tmp_path, server, old, target):
    await left_behind(old)
    spec = spec_of(target)
    async with connected(server.url) as bus:
        await take_over(bus, plan_of(spec))
    target.seconds = 0.3
    for some in (2, 8):
        async with sensor_process(tmp_path, server.url, spec) as process:
            await until(lambda some=some: len(target.requests) >= some)
            await process.kill()
    target.seconds = 0.0

    async with sensor_process(tmp_path, server.url, spec):
        await reached(target, OWED)
        await old.publish("b", 6)
        await until(lambda: of("b", 6) <= seen(target)["/either"])
    assert seen(target) == {**OWED, "/either": OWED["/either"] | of("b", 6)}


@pytest.mark.parametrize("step", ["split", "write_adopted", "prepare"])
async def test_a_takeover_that_is_cut_short_is_done_again(
    tmp_path, server, old, target, step, monkeypatch
):
    await left_behind(old)
    spec = spec_of(target)

    def cut(*_: Any, **__: Any) -> Any:
        raise BusError("cut")

    async with connected(server.url) as bus:
        with monkeypatch.context() as patch:
            patch.setattr(taking, step, cut)
            with pytest.raises(BusError, match="cut"):
                await take_over(bus, plan_of(spec))
        if step != "prepare":  # from there on the Sensor's process goes on by itself
            await take_over(bus, plan_of(spec))

    async with sensor_process(tmp_path, server.url, spec):
        await reached(target, OWED)
    assert len(target.requests) == sum(map(len, OWED.values()))


async def test_two_at_once_take_over_once(server, old, target):
    await left_behind(old)
    plan = plan_of(spec_of(target))

    async with connected(server.url) as one, connected(server.url) as two:
        outcomes = await asyncio.gather(take_over(one, plan), take_over(two, plan))

    assert sorted(outcome.before is None for outcome in outcomes) == [False, True]


async def test_an_event_in_somebodys_hands_is_waited_for(server, old, target):
    await old.durable("one", "a", ack_wait=2)
    await old.publish("a", 1, 2, 3, 4)
    await old.handle("one", "a", 3, but=(2,), due=False)
    spec = {**spec_of(target), "triggers": [posts("one", "a", target, "a")]}

    async with connected(server.url) as bus:
        found = await look(bus.api, plan_of(spec))

    standing = found.durables[group("s", "one", "a")]
    assert (standing.left, standing.following, standing.pending) == (frozenset({2}), 4, 2)


async def test_while_a_pod_there_reads_nothing_is_taken(server, old, target):
    name = await old.durable("one", "a")
    spec = {**spec_of(target), "triggers": [posts("one", "a", target, "a")]}
    bound = await old.js.pull_subscribe_bind(durable=name, stream="default")

    async def read() -> None:
        while True:
            try:
                await bound.fetch(1, timeout=1)
            except TimeoutError:
                continue

    reading = asyncio.create_task(read())
    try:
        async with connected(server.url) as bus:
            with pytest.raises(BusError, match=f"{name}: a pod of Argo Events still reads it"):
                await take_over(bus, plan_of(spec))
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_sensor_that_has_worked_here_is_left_alone(tmp_path, server, old, target):
    await old.durable("one", "a")
    spec = {**spec_of(target), "triggers": [posts("one", "a", target, "a")]}
    plan = plan_of(spec)
    await old.publish("a", 1)
    async with connected(server.url) as bus:
        async with sensor_process(tmp_path, server.url, spec) as process:
            await old.publish("a", 2)
            await reached(target, {"/one": of("a", 2)})
            with pytest.raises(BusError, match="its own durable sensor-s is being read"):
                await take_over(bus, plan)
            await process.stop()

        manifest(tmp_path, spec)
        code, _, err = await adopt(tmp_path, server.url)
        assert code == 2
        assert "sensor-s has handed out 1 events already" in err
        assert "--discard-ours" in err

        await take_over(bus, plan, discard_ours=True)
        async with sensor_process(tmp_path, server.url, spec) as process:
            await reached(target, {"/one": of("a", 1, 2)})
            await process.stop()

        await old.publish("a", 3, 4)  # back there for a while, and here again
        await old.handle("one", "a", 3)
        assert (await take_over(bus, plan)).before is not None
        await take_over(bus, plan, discard_ours=True)
        async with sensor_process(tmp_path, server.url, spec):
            await reached(target, {"/one": of("a", 1, 2, 4)})


async def test_forgetting_removes_what_is_old_and_only_that(tmp_path, server, old, target):
    await left_behind(old)
    await old.durable("gone", "a")
    await Argo(old.client, "else").durable("one", "a")
    plan = plan_of(spec_of(target))
    async with connected(server.url) as bus:
        with pytest.raises(ConfigError, match="nothing was taken over yet, so its backlog would"):
            await forget(bus, plan)
        await take_over(bus, plan)
        before = await old.places()
        assert len(await forget(bus, plan, dry_run=True)) == 8
        assert await old.places() == before

        manifest(tmp_path, spec_of(target))
        code, out, err = await adopt(tmp_path, server.url, "--forget")
        assert code == 0, err
        assert out.count(": removed") == 8
        assert "bucket s (stream KV_s, 1 events that wait for others): removed" in out

        assert await forget(bus, plan) == []
    assert set(await old.places()) == {group("s", "gone", "a"), group("else", "one", "a")}
    streams = {info.config.name for info in await old.js.streams_info()}
    assert "KV_s" not in streams
    assert {"default", "KV_tocsin-state"} <= streams


async def test_conditions_that_were_edited_take_nothing_half_met(server, old, target):
    await left_behind(old)
    spec = spec_of(target)
    spec["triggers"][3]["template"]["conditions"] = "b && a && also"

    async with connected(server.url) as bus:
        outcome = await take_over(bus, plan_of(spec))

    assert outcome.takeover is not None
    assert not outcome.takeover.states
    assert "trigger join: its conditions are others now" in outcome.takeover.notes[0]


async def test_a_sensor_that_argo_events_never_ran_begins_as_ever(server, old, target):
    async with connected(server.url) as bus:
        outcome = await take_over(bus, plan_of(spec_of(target)))

        assert (outcome.before, outcome.takeover) == (None, None)
        assert not await bus.readers(EVENTS)
