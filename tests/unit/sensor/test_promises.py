"""What a trigger's fields promise, from the manifest to the attempts."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from delivery_kit import Target, dead, down, fails_until, pending, refuses, until
from sensor_kit import dependency, event, running, trigger, use_targets

from delivery.action import Action
from eventbus.memory import MemoryBus
from sensor.plan import Plan, compile_plan
from sensor.spec import SensorSpec
from sensor.triggers.http import Http
from spine.compat import modernise
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.looptime

STEPS = {"steps": 3, "duration": "1s", "factor": 1.0, "jitter": 0}


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Target]:
    found = {name: Target() for name in ("t", "u", "sorry", "help")}
    use_targets(monkeypatch, found)
    return found


def plan(*triggers: dict[str, Any], dependencies: tuple[str, ...] = ("a",)) -> Plan:
    """Compile a Sensor as a user writes it, with whatever stands in the wrong place."""
    spec = {"dependencies": [dependency(d) for d in dependencies], "triggers": list(triggers)}
    modern = modernise("Sensor", {"spec": spec})
    return compile_plan("s", "ns", load(SensorSpec, modern.raw["spec"]))


async def fire(bus: MemoryBus, made: Plan, count: int = 1, seconds: float = 60.0) -> None:
    async with running(bus, made):
        for n in range(count):
            await bus.publish(event(n))
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("at_least_once", [None, True, False])
async def test_retry_strategy_is_honoured_always(bus, targets, at_least_once) -> None:
    """Argo Events makes one attempt unless atLeastOnce is true."""
    targets["t"].answer = down
    more = {} if at_least_once is None else {"atLeastOnce": at_least_once}
    await fire(bus, plan(trigger("t", "a", retryStrategy=STEPS, **more)))

    assert [n for _, n, _ in targets["t"].attempts] == [1, 2, 3]
    assert targets["t"].times == pytest.approx([0, 1, 2], abs=0.3)
    assert len(await dead(bus)) == 1


async def test_fire_and_forget_keeps_the_rest_of_the_fields(bus, targets) -> None:
    """Retries happen in memory; a rate limit still holds it back on the bus."""
    targets["t"].answer = fails_until(2)
    limit = {"unit": "Second", "requestsPerUnit": 1}
    made = plan(
        trigger("t", "a", retryStrategy=STEPS, atLeastOnce=False),
        trigger("u", "a", rateLimit=limit, atLeastOnce=False),
    )
    async with running(bus, made):
        for n in range(30):
            await bus.publish(event(n))
        await asyncio.sleep(0.5)
        assert len(targets["t"].attempts) == 30
        assert await pending(bus) >= 15
        await until(lambda: len(targets["u"].done) == 30)

    assert len(targets["t"].done) == 30
    assert targets["u"].times[-1] > 15


async def test_dead_letter_trigger_has_a_strategy_and_parameters_of_its_own(bus, targets) -> None:
    targets["t"].answer, targets["sorry"].answer = down, fails_until(2)
    sorry = trigger("sorry", payload=["a"], retryStrategy=STEPS)
    sorry["parameters"] = [{"src": {"dependencyName": "a", "dataKey": "n"}, "dest": "http.url",
                            "operation": "append"}]  # fmt: skip
    await fire(bus, plan(trigger("t", "a", retryStrategy={"steps": 1}, dlqTrigger=sorry)), count=3)

    assert [n for _, n, _ in targets["t"].attempts] == [1, 1, 1]
    assert sorted(n for _, n, _ in targets["sorry"].attempts) == [1, 1, 1, 2, 2, 2]
    assert sorted(int(body["id"]["a"]) for body in targets["sorry"].bodies) == [0, 1, 2]
    assert await dead(bus) == []


async def test_dead_letter_trigger_of_a_dead_letter_trigger(bus, targets) -> None:
    """Argo Events ignores it."""
    for name in ("t", "sorry"):
        targets[name].answer = refuses
    targets["help"].answer = fails_until(2)
    helping = trigger("help", payload=["a"], retryStrategy=STEPS)
    sorry = trigger("sorry", retryStrategy={"steps": 2, "duration": "1s"}, dlqTrigger=helping)
    made = plan(trigger("t", "a", dlqTrigger=sorry))
    await fire(bus, made, count=2)

    tries = {name: sorted(n for _, n, _ in found.attempts) for name, found in targets.items()}
    assert tries == {"t": [1, 1], "sorry": [1, 1, 2, 2], "help": [1, 1, 2, 2], "u": []}
    assert sorted(int(body["id"]["a"]) for body in targets["help"].bodies) == [0, 1]
    assert await dead(bus) == []


async def test_last_dead_letter_trigger_that_fails_is_a_dead_letter(bus, targets) -> None:
    for target in targets.values():
        target.answer = refuses
    sorry = trigger("sorry", dlqTrigger=trigger("help"))
    made = plan(trigger("t", "a", dlqTrigger=sorry))
    await fire(bus, made)
    [entry] = await dead(bus)
    targets["help"].answer = None
    from delivery.dead import retry

    async with running(bus, made):
        await retry(bus, entry.sequence)
        await until(lambda: targets["help"].done)

    assert entry.letter.place == "help"
    assert await dead(bus) == []


async def test_everything_in_the_wrong_place_works(bus, targets) -> None:
    """As in Argo Events' own examples, where it is ignored."""
    targets["t"].answer = down
    made = trigger("t", "a")
    limit = {"unit": "Second", "requestsPerUnit": 50}
    made["template"] |= {"retryStrategy": STEPS, "atLeastOnce": True, "rateLimit": limit}
    made["template"]["http"] |= {
        "policy": {"status": {"allow": [201]}},
        "dlqTrigger": {"template": trigger("sorry")["template"]},
    }
    found = plan(made)
    await fire(bus, found)

    planned = found.triggers["t"]
    assert (planned.at_least_once, planned.rate_limit is not None) == (True, True)
    assert [n for _, n, _ in targets["t"].attempts] == [1, 2, 3]
    assert len(targets["sorry"].done) == 1
    action = planned.render({"a": event(1)}, "k")
    assert action.content["allow"] == [201]


async def test_log_interval_means_what_it_says(bus, caplog) -> None:
    """Argo Events takes it and writes every event."""
    caplog.set_level(logging.INFO, "sensor.triggers.log")
    made = plan({"template": {"name": "l", "log": {"intervalSeconds": 3600}}})
    await fire(bus, made, count=5, seconds=1)

    lines = [r for r in caplog.records if r.name == "sensor.triggers.log"]
    assert [line.getMessage() for line in lines] == ['{"n":0}']


# ---------------------------------------------------------------------------- HTTP


@pytest.fixture
async def slow() -> AsyncIterator[str]:
    """A server that takes a second."""

    async def handle(_: web.BaseRequest) -> web.Response:
        await asyncio.sleep(1.5)
        return web.Response()

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest.mark.looptime(False)
async def test_settings_that_events_change_are_those_of_each_request(slow: str) -> None:
    """Argo Events makes a client at the first firing, and its timeout stays."""
    parameters = [
        {"src": {"dependencyName": "a", "dataKey": "n", "useRawData": True}, "dest": "timeout"}
    ]
    http = load(Http, {"url": slow, "timeout": 60, "parameters": parameters})
    render = http.compile()
    results = []
    async with Shared() as shared:
        env = Env("s", "t", "ns", GivenSecrets(), shared, host="127.0.0.1")
        async with http.open(env) as sender:
            for seconds in (1, 5, 1, 5):
                content = render({"a": event(seconds)})
                action = Action(key="k", sensor="s", trigger="t", kind="http", content=content)
                try:
                    await sender.send(action, 1)
                except Exception as exc:
                    results.append(str(exc))
                else:
                    results.append("done")

    assert ["within 1 s" in results[0], results[1]] == [True, "done"]
    assert ["within 1 s" in results[2], results[3]] == [True, "done"]
