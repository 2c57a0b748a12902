"""What a Sensor makes of an event: pure, and the only place where that is decided.

The running sensor, `explain`, `test`, dry runs and replays all call `evaluate`. It looks at an
event once for each dependency that names it, advances the conditions of the triggers that wait
for it, and returns the tree of what it saw, the actions to take and the new state. `tick` decides
in the same way what follows from time alone. Neither has a clock or does I/O; what fails on an
event is a fault in the decision, and the rest goes on.
"""

from collections.abc import Mapping, Sequence

import msgspec

from delivery.action import Action, action_key
from sensor.decision import (
    PASSED,
    Decision,
    DependencyVerdict,
    EventFault,
    Skip,
    TriggerCode,
    TriggerVerdict,
)
from sensor.dependencies import PlannedDependency, Seen, look
from sensor.firing import Firing
from sensor.gather import NEVER
from sensor.plan import Plan, PlannedTrigger
from sensor.refusing import known_of
from sensor.state import Mark, State
from sensor.trace import mismatches, trace_dependency, trace_trigger
from sensor.triggering import Triggering, action_of, fault_of, owed, places
from spine.errors import EventError, ParameterError
from spine.event import Event, message_id
from spine.lang.gjson import Document

__all__ = [
    "PASSED",
    "Decision",
    "DependencyVerdict",
    "EventFault",
    "TriggerCode",
    "TriggerVerdict",
    "due",
    "evaluate",
    "refire",
    "tick",
    "unfinished",
]


def evaluate(  # noqa: PLR0913 -- an event, where it stands, and what it is held against
    plan: Plan,
    state: State,
    event: Event,
    now: float,
    *,
    sequence: int = 0,
    stored: float = 0.0,
    skip: Skip = (),
    trace: bool = False,
) -> Decision:
    """Decide what follows from an event.

    `now` is in unix seconds. `sequence` and `stored` say where in the stream the event stands;
    without them (0) it counts as new. `skip` says for which dependencies it is not. With
    `trace` the decision tells each thing that was looked at, also where one was enough to decide.
    """
    known = known_of(plan, event, skip)
    if not known.verdicts and not plan.dependencies_of(event.source, event.subject):
        others = mismatches(plan, event) if trace else []
        return Decision(state, plan.expects(event.source, event.subject), others=others)
    triggering = Triggering(plan, state, now, Mark(stored or now, sequence))
    decision, document = triggering.decision, Document(event.data or b"")
    decision.dependencies = [*known.verdicts]
    seen: dict[str, Seen] = {}
    waiting: dict[str, None] = {}
    for at, dependency in known.looking:
        one = _look(at, dependency, event, document, decision)
        if one is not None:
            seen[dependency.name] = one
            waiting.update(dict.fromkeys(dependency.triggers))
    if trace:
        triggering.fired = {}
    if waiting:
        triggers = [plan.triggers[name] for name in waiting]
        _advance(triggers, seen, triggering, message_id(event), skip)
    if trace:
        _trace(plan, event, document, triggering)
    return decision


def _look(
    at: int, dependency: PlannedDependency, event: Event, document: Document, decision: Decision
) -> Seen | None:
    """Look at an event as one dependency does, at its place; return it if it counts."""
    name, verdicts = dependency.name, decision.dependencies
    try:
        seen = look(dependency, event, document)
    except EventError as exc:
        place = f"dependencies.{name}"
        decision.faults.append(EventFault(place, exc.code, str(exc), dependency=name))
        verdicts[at] = DependencyVerdict(name, False, exc.code, None, str(exc))
        return None
    if isinstance(seen, Seen):
        return seen
    verdicts[at] = DependencyVerdict(name, False, seen.code, seen)
    return None


def _advance(
    waiting: Sequence[PlannedTrigger],
    seen: Mapping[str, Seen],
    triggering: Triggering,
    identity: str,
    skip: Skip,
) -> None:
    """Advance the triggers that wait for a dependency which passed."""
    for planned in waiting:
        for name in planned.conditions.names:
            one = seen.get(name)
            if one is None or (planned.name, name) in skip:
                continue
            if planned.stateful:
                triggering.count(planned, name, one)
            else:
                triggering.at_once(planned, name, one, identity)


def _trace(plan: Plan, event: Event, document: Document, triggering: Triggering) -> None:
    """Put what was looked at into the verdicts."""
    decision, fired = triggering.decision, triggering.fired or {}
    decision.others = mismatches(plan, event)
    decision.dependencies = [
        msgspec.structs.replace(
            one, trace=trace_dependency(plan, plan.dependencies[one.name], event, document)
        )
        for one in decision.dependencies
    ]
    decision.triggers = [
        msgspec.structs.replace(
            one,
            trace=trace_trigger(
                plan,
                plan.triggers[one.name],
                decision.state.of(one.name),
                fired.get((one.name, one.dependency)),
            ),
        )
        for one in decision.triggers
    ]


def tick(plan: Plan, state: State, now: float) -> Decision:
    """Decide what follows from time having passed; `now` is in unix seconds.

    What `debounce` and `batch` hold fires once it is due, and so does what a trigger holds that
    has neither any more. Resets need no tick: they are read off the events that come after them.
    """
    triggering = Triggering(plan, state, now, Mark(now, 0))
    triggering.tick()
    return triggering.decision


def due(plan: Plan, state: State) -> float:
    """Return when `tick` has something to do, in unix seconds; infinity where nothing waits."""
    moments = [
        0.0 if planned.gather is None else planned.gather.due(held)
        for planned in plan.triggers.values()
        for held in state.of(planned.name).gathered.values()
    ]
    return min(moments, default=NEVER)


def unfinished(plan: Plan, state: State) -> tuple[list[Action], list[EventFault]]:
    """Return the actions of firings that are not known to be on the bus; for a start."""
    actions, faults = [], []
    for planned in plan.triggers.values():
        for key, events in owed(state.of(planned.name)).items():
            try:
                saved = state.of(planned.name).firings.get(key)
                at = places(saved) if saved else None
                actions.append(action_of(planned, events, key, at)[0])
            except Exception as exc:  # noqa: BLE001 -- a bug met in one firing ends that one only
                faults.append(fault_of(planned, exc, key, events))
    return actions, faults


def refire(plan: Plan, trigger: str, events: Mapping[str, Event]) -> Action:
    """Return the action of a firing whose action could not be made before.

    Raises ParameterError if it still cannot, and KeyError where the trigger is gone.
    """
    ids = {name: message_id(event) for name, event in events.items()}
    planned = plan.triggers[trigger]
    newest = max(events, key=lambda name: _moment(events[name]))
    if planned.declines is not None and (why := planned.declines(events, newest)):
        raise ParameterError(f"firing {trigger} again: {why}")
    return action_of(planned, Firing(events), action_key(plan.name, trigger, ids))[0]


def _moment(event: Event) -> float:
    return 0.0 if event.time is None else event.time.timestamp()
