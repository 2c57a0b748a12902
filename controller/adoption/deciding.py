"""Where a Sensor begins that takes the place of Argo Events, and what it skips: pure.

Its durable begins before the first event that any trigger there had not acknowledged. What lies
behind that for another trigger or dependency is skipped for that one alone, gaps and all. A place
without a durable there begins at new events, as it would have there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.adoption.found import Bucket, Found, Standing
from controller.adoption.names import candidates, places
from sensor.adopted import Adopted, Position
from sensor.conditions import compile_conditions
from sensor.plan import Plan, PlannedTrigger
from sensor.state import Counted, TriggerState
from spine.errors import ConfigError

NO_DURABLE = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A trigger that waits for a dependency."""

    trigger: str
    dependency: str
    subject: str
    standing: Standing | None
    """Where its old durable stands; None where it has none."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """What is to be written."""

    adopted: Adopted
    places: tuple[Place, ...]
    states: Mapping[str, TriggerState] = field(default_factory=dict)
    """Half-met conditions by trigger."""
    notes: tuple[str, ...] = ()

    @property
    def after(self) -> int:
        """Sequence after which the Sensor's durable begins."""
        return self.adopted.after or 0


def decide(plan: Plan, found: Found, now: float) -> Takeover | None:
    """Return what is to be done; None where there is nothing to take over."""
    there = tuple(_place(plan, found, *place) for place in places(plan))
    if all(place.standing is None for place in there):
        return None
    states, notes = _conditions(plan, found.bucket)
    first = min(_first(place, found.last) for place in there)
    positions = {_durable(place): _position(place, found.last) for place in there}
    durables = {place.standing.durable for place in there if place.standing is not None}
    adopted = Adopted(
        taken=now,
        after=min(first, found.last + 1) - 1,
        at=found.at,
        positions=positions,
        places={
            name: {p.dependency: _durable(p) for p in there if p.trigger == name}
            for name in plan.triggers
        },
        durables=tuple(sorted(durables)),
        buckets=() if found.bucket is None else (found.bucket.stream,),
    )
    return Takeover(adopted, there, states, tuple(notes))


def _place(plan: Plan, found: Found, trigger: str, dependency: str) -> Place:
    subject = plan.dependencies[dependency].topic.subject
    standings = (found.durables.get(name) for name in candidates(plan, trigger, dependency))
    fitting = (one for one in standings if one is not None and one.subject == subject)
    return Place(trigger, dependency, subject, next(fitting, None))


def _durable(place: Place) -> str:
    return NO_DURABLE if place.standing is None else place.standing.durable


def _first(place: Place, last: int) -> int:
    return last + 1 if place.standing is None else place.standing.first(last)


def _position(place: Place, last: int) -> Position:
    one = place.standing
    return Position(last) if one is None else Position(one.through(last), one.left)


# ---------------------------------------------------------------------------- half-met conditions


def _conditions(plan: Plan, bucket: Bucket | None) -> tuple[dict[str, TriggerState], list[str]]:
    """Return the states of triggers that wait for more, and what is to be said of the others."""
    states: dict[str, TriggerState] = {}
    notes = []
    for trigger in plan.triggers.values():
        if bucket is None or not trigger.conditions.stateful:
            continue
        saved = {
            name: bucket.saved[trigger.name, name]
            for name in trigger.conditions.names
            if (trigger.name, name) in bucket.saved
        }
        if not saved:
            continue
        if not _same(plan, trigger, bucket):
            notes.append(
                f"trigger {trigger.name}: its conditions are others now, so what was half met is "
                "not taken over"
            )
            continue
        counted = {name: Counted().add(one.mark) for name, one in saved.items()}
        states[trigger.name] = TriggerState(saved=saved, counted=counted)
    return states, notes


def _same(plan: Plan, trigger: PlannedTrigger, bucket: Bucket) -> bool:
    """Return whether conditions are those under which events were kept."""
    text = bucket.expressions.get(trigger.name)
    if text is None:
        return True
    names = [dependency.name for dependency in plan.spec.dependencies]
    try:
        return compile_conditions(text, names).text == trigger.conditions.text
    except ConfigError:
        return False
