"""A bus in memory, senders that do as they are told, and a clock that follows the loop."""

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from delivery.action import Action, Outcome, action_key
from delivery.dead import list_dead
from delivery.queue import Dispatcher, Route
from eventbus.bus import ACTIONS
from spine.errors import TriggerError
from spine.telemetry import SensorMetrics

START = 1_700_000_000.0


def clock() -> float:
    """Unix seconds on the time of the loop."""
    return START + asyncio.get_running_loop().time()


class Target:
    """What a trigger acts on; notes the attempts and answers as told."""

    def __init__(self, answer: Callable[[Action, int], None] | None = None, seconds: float = 0.0):
        self.answer, self.seconds = answer, seconds
        self.attempts: list[tuple[str, int, float]] = []
        self.done: list[str] = []
        self.bodies: list[Any] = []
        """JSON bodies of the actions that were done."""
        self.busy = self.most = 0

    async def send(self, action: Action, attempt: int) -> Outcome:
        self.attempts.append((action.key, attempt, asyncio.get_running_loop().time()))
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.busy -= 1
        if self.answer is not None:
            self.answer(action, attempt)
        self.done.append(action.key)
        self.bodies.append(json.loads(action.content.get("body") or "null"))
        return Outcome("200 OK")

    @property
    def times(self) -> list[float]:
        return [at for _, _, at in self.attempts]


def down(_: Action, __: int) -> None:
    raise TriggerError("posting to http://x: connection refused")


def refuses(_: Action, __: int) -> None:
    raise TriggerError("posting to http://x: 400 Bad Request", permanent=True)


def fails_until(attempt: int) -> Callable[[Action, int], None]:
    def answer(action: Action, number: int) -> None:
        if number < attempt:
            down(action, number)

    return answer


def action(number: int = 1, trigger: str = "t", **more) -> Action:
    events = {"dep": f"id-{number}"}
    return Action(
        key=action_key("s", trigger, events),
        sensor="s",
        trigger=trigger,
        kind="http",
        content={"url": "http://x"},
        events=events,
        **more,
    )


@asynccontextmanager
async def dispatching(bus, grace: float = 0.0, **routes: Route):
    """A running dispatcher."""
    metrics = SensorMetrics("ns", "s", routes)
    dispatcher = Dispatcher(bus, "s", routes, metrics, clock=clock)
    running = asyncio.create_task(dispatcher.run())
    try:
        await asyncio.sleep(0)
        yield dispatcher
        if grace:
            await dispatcher.drain(grace)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def dead(bus) -> list:
    return [entry async for entry in list_dead(bus)]


async def pending(bus) -> int:
    return sum([1 async for _ in bus.read(ACTIONS)])


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(100_000):
        while not true():
            await asyncio.sleep(0.05)
