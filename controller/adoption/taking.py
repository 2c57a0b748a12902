"""Takes the place of Argo Events for one Sensor, once.

What is written last decides: half-met conditions first, then where the Sensor begins and what it
skips, then its durable. Until the second nothing has happened, and from then on the third follows
by itself, from here or from the Sensor's own process. A second run finds that and changes nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.adoption.deciding import Takeover, decide
from controller.adoption.looking import look
from controller.reconciler import Manifest
from delivery.subjects import sensor_durable, token
from eventbus.bus import EVENTS, STATE, Store
from eventbus.jetstream import JetStreamBus
from sensor.adopted import Adopted, adopted_key, adopted_of, write_adopted
from sensor.keeping import INLINE
from sensor.plan import Plan
from sensor.start import prepare
from sensor.state import TriggerState, split
from spine.errors import BusError, ConfigError, ConflictError

ADOPT = "tocsin.dev/adopt"
"""Annotation of a Sensor or its EventBus that asks for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    before: Adopted | None = None
    """Written by an earlier run; then nothing was done."""
    takeover: Takeover | None = None
    """What was written, or would be; None where there is nothing to take over."""


def asked(*objects: Manifest | None) -> bool:
    """Return whether an annotation of a Sensor or its EventBus asks to take over."""
    for one in objects:
        annotations = ((one or {}).get("metadata") or {}).get("annotations") or {}
        if str(annotations.get(ADOPT, "")).lower() == "true":
            return True
    return False


async def take_over(
    bus: JetStreamBus,
    plan: Plan,
    generation: int = 0,
    *,
    dry_run: bool = False,
    discard_ours: bool = False,
    first_only: bool = False,
) -> Outcome:
    """Begin where Argo Events stopped.

    Raises ConfigError where the Sensor has a place of its own and has used it, unless that is to
    be discarded (`discard_ours`), and BusError, also while somebody still reads. With `first_only`
    nothing is done where the Sensor has a place of its own.
    """
    while True:
        before = await adopted_of(plan.name, bus)
        ours = await bus.api.consumer(EVENTS, sensor_durable(plan.name))
        if before is not None and not discard_ours:
            if ours is None and not dry_run:  # an earlier run ended just before
                await prepare(plan, bus, generation)
            return Outcome(before)
        if ours is not None and first_only:
            return Outcome()
        used = None if ours is None else _used(plan, ours)
        if used and not discard_ours:
            raise used
        takeover = decide(plan, await look(bus.api, plan), time.time())
        if takeover is None or dry_run:
            return Outcome(takeover=takeover)
        if discard_ours:  # first of all: without a durable it would say where one begins
            await bus.store(STATE).delete(adopted_key(plan.name))
            discard_ours = False  # what is written from now on is somebody else's
        try:
            await _write(bus, plan, takeover, keep=bool(used), ours=ours is not None)
        except ConflictError:  # somebody else takes over too
            continue
        await prepare(plan, bus, generation)
        return Outcome(takeover=takeover)


def _used(plan: Plan, ours: Mapping[str, Any]) -> ConfigError | None:
    """Return why the Sensor's own durable is not to be touched, None where it may be.

    Raises BusError while a process of ours reads it.
    """
    name = ours["name"]
    if ours["num_waiting"]:
        raise BusError(
            f"taking over Sensor {plan.name}: its own durable {name} is being read",
            hint="stop the Sensor first: scale it to zero or suspend it",
        )
    if not ours["delivered"]["consumer_seq"]:
        return None
    return ConfigError(
        f"taking over Sensor {plan.name}: its own durable {name} has handed out "
        f"{ours['delivered']['consumer_seq']} events already",
        hint="if nothing of Argo Events is wanted any more, tocsin adopt --forget; to begin where "
        "it stopped all the same, and do again what was done since, tocsin adopt --discard-ours",
    )


async def _write(
    bus: JetStreamBus, plan: Plan, takeover: Takeover, *, keep: bool, ours: bool
) -> None:
    """Write all of it; `keep` what conditions remember already. Raises ConflictError."""
    await _still_first(bus, plan)
    if ours:
        await bus.remove_reader(EVENTS, sensor_durable(plan.name))
    store = bus.store(STATE)
    for trigger, state in takeover.states.items():
        head = f"{token(plan.name)}.{token(trigger)}"
        found = await store.get(head)
        await _still_first(bus, plan)
        if found is None or not keep:
            await _keep(store, head, state, None if found is None else found[1])
    await write_adopted(plan.name, bus, takeover.adopted)


async def _still_first(bus: JetStreamBus, plan: Plan) -> None:
    """Raise ConflictError where somebody else has taken over: his process may be at work by now."""
    if await adopted_of(plan.name, bus) is not None:
        raise ConflictError(f"taking over Sensor {plan.name}: somebody was faster")


async def _keep(store: Store, head: str, state: TriggerState, revision: int | None) -> None:
    value, bodies = split(state, INLINE)
    for key, body in bodies.items():
        there = await store.get(f"{head}.{key}")
        if there is None:
            await store.put(f"{head}.{key}", body, revision=None)
    await store.put(head, value, revision=revision)
