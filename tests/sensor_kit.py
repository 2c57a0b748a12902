"""Sensors for tests: a spec in a few words, targets in place of HTTP, events by number."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from delivery_kit import Target, clock

from eventbus.bus import Bus
from sensor.plan import Plan, compile_plan
from sensor.runner import Runner
from sensor.spec import SensorSpec
from spine.event import Event
from spine.model import load
from spine.secrets import GivenSecrets
from spine.telemetry import SensorMetrics


def dependency(name: str, event: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "eventSourceName": "src", "eventName": event or name, **more}


def trigger(name: str, conditions: str = "", url: str = "http://x/", **more: Any) -> dict[str, Any]:
    """A trigger whose body is `{"id": data.n of each dependency}`."""
    payload = [
        {"src": {"dependencyName": dep, "dataKey": "n"}, "dest": f"id.{dep}"}
        for dep in more.pop("payload", ())
    ]
    template = {"name": name, "conditions": conditions, "http": {"url": url, "payload": payload}}
    if not payload:
        del template["http"]["payload"]
    return {"template": template, **more}


def plan(dependencies: list[dict], triggers: list[dict], name: str = "s", **more: Any) -> Plan:
    spec = {"dependencies": dependencies, "triggers": triggers, **more}
    return compile_plan(name, "ns", load(SensorSpec, spec))


def event(number: int, name: str = "a", data: bytes | None = None) -> Event:
    return Event(
        id=f"{name}{number}",
        source="src",
        subject=name,
        type="webhook",
        data=data if data is not None else b'{"n":%d}' % number,
    )


def use_targets(monkeypatch: Any, targets: dict[str, Target]) -> None:
    """Let HTTP triggers of these names act on targets."""

    @asynccontextmanager
    async def opened(_self: Any, env: Any) -> AsyncIterator[Target]:
        yield targets[env.name]

    monkeypatch.setattr("sensor.triggers.http.Http.open", opened)


@asynccontextmanager
async def running(bus: Bus, plan: Plan, **more: Any) -> AsyncIterator[Runner]:
    """A replica that takes events."""
    up = asyncio.Event()
    metrics = SensorMetrics("ns", plan.name, plan.triggers)
    more = {"clock": clock} | more
    runner = Runner(plan, bus, GivenSecrets(), metrics, ready=up.set, **more)
    task = asyncio.create_task(runner.run())
    try:
        waiting = asyncio.create_task(up.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        await asyncio.sleep(0)
        yield runner
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
