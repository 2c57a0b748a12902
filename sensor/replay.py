"""Replays events against a Sensor without a bus: what `explain`, `test` and `why` look at.

The plan and its evaluator are those that run; only what surrounds them is missing. Every firing
counts as done at once. Programs that are not known to end run in a process that can be killed.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from delivery.subjects import token
from eventbus.bus import Store
from sensor import guarded
from sensor.evaluate import Decision, EventFault, evaluate, tick
from sensor.plan import Plan
from sensor.state import EMPTY, State, TriggerState, body_keys, join
from spine.errors import EventError
from spine.event import Event
from spine.lang import EvaluationError
from spine.lang.limits import Limits

TRIES = 3
"""Times that a process for programs is started in vain before that is an error."""

TIME = Event(id="", source="", type="")
"""Stands for the passing of time where there is no event."""

Ask = Callable[[bytes], Awaitable[bytes]]


class Told(NamedTuple):
    """An event and what came of it."""

    event: Event
    now: float
    """Unix seconds at which it was looked at."""
    decision: Decision


class Replay:
    """Takes events one after another."""

    def __init__(self, plan: Plan, ask: Ask | None, state: State = EMPTY) -> None:
        self.plan, self.state = plan, state
        self._ask = ask

    async def take(self, event: Event, now: float, *, trace: bool = True) -> Told:
        """Return what follows from an event that the bus took at `now`, in unix seconds."""
        decision = await self._decide(self.state, event, now, trace)
        self.state = decision.state
        for action in decision.actions:
            self.state = self.state.finish(action.trigger, [action.key])
        return Told(event, now, decision)

    async def look(self, event: Event, now: float) -> Told:
        """Return what follows from an event alone, with all that is looked at; forget it again."""
        return Told(event, now, await self._decide(EMPTY, event, now, True))

    async def tick(self, now: float) -> Told:
        """Return what follows from time alone at a moment, in unix seconds."""
        decision = tick(self.plan, self.state, now)
        self.state = decision.state
        for action in decision.actions:
            self.state = self.state.finish(action.trigger, [action.key])
        return Told(TIME, now, decision)

    async def _decide(self, state: State, event: Event, now: float, trace: bool) -> Decision:
        if self._ask is None:
            return evaluate(self.plan, state, event, now, stored=now, trace=trace)
        request = guarded.request(state, event, now, stored=now, trace=trace)
        try:
            return guarded.decision(await self._ask(request))
        except EvaluationError as exc:
            message = f"evaluating event {event.id!r}: {exc}"
            return Decision(state, faults=[EventFault("", EventError.code, message)])


@asynccontextmanager
async def replaying(plan: Plan, state: State = EMPTY) -> AsyncIterator[Replay]:
    """Yield a replay, with a process for programs that are not known to end.

    Raises ConfigError for limits in the environment that mean nothing; replaying raises
    RemoteError if no such process starts.
    """
    if plan.safe:
        yield Replay(plan, None, state)
        return
    from spine.lang.guard import Guard

    limits = replace(Limits.of_environment(), workers=1)
    async with Guard(guarded.FACTORY, guarded.init(plan), limits, tries=TRIES) as guard:
        yield Replay(plan, guard.call, state)


def moment(event: Event) -> float:
    """Return when an event came to be, in unix seconds; now where it does not say."""
    return time.time() if event.time is None else event.time.timestamp()


async def stored_state(plan: Plan, store: Store) -> State:
    """Return what the conditions of a Sensor remember on a bus. Raises BusError."""
    triggers: dict[str, TriggerState] = {}
    for name, planned in plan.triggers.items():
        head = f"{token(plan.name)}.{token(name)}"
        found = await store.get(head) if planned.stateful else None
        if found is None:
            continue
        bodies = {key: await store.get(f"{head}.{key}") for key in body_keys(found[0])}
        known = {key: body[0] for key, body in bodies.items() if body is not None}
        triggers[name] = join(found[0], known)
    return State(triggers)
