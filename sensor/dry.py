"""Dry runs: everything but the effect.

A dry plan decides, renders, retries and reports as the real one does, but its senders only say
what they would do; no client is opened. On a bus that others use too it goes by another name, so
that it takes no event, state or key away from the Sensor that is real.
"""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from delivery.subjects import lane_of, sensor_durable, token
from eventbus.bus import ACTIONS, EVENTS, STATE, Bus
from sensor.plan import Plan, PlannedTrigger
from sensor.wording import deed, masked
from spine.runtime import Env

if TYPE_CHECKING:
    from sensor.trigger import Trigger

log = logging.getLogger(__name__)

SUFFIX = ".dry-run"
"""What follows the name of a Sensor on a bus that is not its own."""
SHOWN = 2_000
"""Characters of an action's content in a line of the log."""


def dry_plan(plan: Plan) -> Plan:
    """Return a plan whose actions have no effect."""
    return replace(plan, triggers={name: _dry(one) for name, one in plan.triggers.items()})


def _dry(planned: PlannedTrigger) -> PlannedTrigger:
    fallback = None if planned.fallback is None else _dry(planned.fallback)
    trigger = cast("Trigger", _DryTrigger(planned.trigger.kind))
    return replace(planned, trigger=trigger, fallback=fallback)


class _DryTrigger:
    """Stands in for the configuration of a trigger, which has been compiled by now."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        return _open(env)


@asynccontextmanager
async def _open(_: Env) -> AsyncIterator[Sender]:
    yield DrySender()


class DrySender(Sender):
    """Says what would be done."""

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        would = f"would {deed(action)}"
        content = json.dumps(masked(action.content), ensure_ascii=False, default=str)
        log.info(
            "Trigger '%s' %s: %s",
            action.trigger,
            would,
            content if len(content) <= SHOWN else content[: SHOWN - 1] + "…",
            extra={
                "triggerName": action.trigger,
                "triggeredByEvents": list(action.events.values()),
            },
        )
        return Outcome(would, effect=False)


async def forget(bus: Bus, sensor: str) -> None:
    """Remove what a Sensor left on a bus: its durables and its state. Raises BusError."""
    await bus.remove_reader(EVENTS, sensor_durable(sensor))
    for info in await bus.readers(ACTIONS):
        if lane_of(info.durable, sensor) is not None:
            await bus.remove_reader(ACTIONS, info.durable)
    store = bus.store(STATE)
    for key in await store.keys(f"{token(sensor)}."):
        await store.delete(key)
