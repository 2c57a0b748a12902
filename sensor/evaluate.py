"""What a Sensor makes of an event: pure, and the only place where that is decided.

The running sensor, `explain`, `test`, dry runs and replays all call `evaluate`. It looks at an
event once for each dependency that names it, advances the conditions of the triggers that wait
for it, and returns the tree of what it saw, the actions to take and the new state. It has no
clock and no I/O; what fails on an event is a fault in the decision, and the rest goes on.
"""

from collections.abc import Container, Mapping
from typing import Literal

import msgspec

from delivery.action import Action, action_key
from sensor.dependencies import PlannedDependency, Seen, is_json, look
from sensor.firing import Firing
from sensor.plan import Plan, PlannedTrigger
from sensor.reason import Reason
from sensor.state import Mark, Saved, State, TriggerState
from sensor.trace import (
    DependencyTrace,
    Mismatch,
    TriggerTrace,
    mismatches,
    trace_dependency,
    trace_trigger,
)
from spine.errors import EventError, ParameterError
from spine.event import Event, message_id
from spine.lang.gjson import Document

PASSED = "Passed"


class DependencyVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a dependency made of the event."""

    name: str
    passed: bool
    code: str
    """Passed, a code of `filters.Reason`, or the code of a fault."""
    reason: Reason | None = None
    message: str = ""
    """What the fault was."""
    trace: DependencyTrace | None = None

    @property
    def detail(self) -> str:
        """One line for people; empty where the event passed."""
        return self.message or (self.reason.text if self.reason is not None else "")


TriggerCode = Literal["Fired", "Skipped", "Waiting", "Repeated", "Superseded", "Faulted"]


class TriggerVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a trigger made of the event."""

    name: str
    code: TriggerCode
    """Fired; Skipped: its `if` is false; Waiting for others; Repeated: a firing that was not known
    to be on the bus; Superseded: counted before, or a newer event was; Faulted: the action could
    not be made."""
    dependency: str
    key: str = ""
    """Key of its action."""
    missing: tuple[str, ...] = ()
    """Dependencies of its conditions that have not come."""
    message: str = ""
    """What the fault was."""
    trace: TriggerTrace | None = None

    @property
    def detail(self) -> str:
        """One line for people."""
        return self.message or (f"waits for {', '.join(self.missing)}" if self.missing else "")


class EventFault(msgspec.Struct, frozen=True):
    """Something that can never be done with this event: a dead letter."""

    place: str
    """Such as `dependencies.orders` or `triggers.notify`."""
    code: str
    message: str
    dependency: str = ""
    trigger: str = ""
    events: dict[str, Event] = {}
    """Events of the firing whose action could not be made; `refire` makes it of them."""
    key: str = ""
    """Key of that action."""


class Decision(msgspec.Struct):
    """Everything that follows from one event."""

    state: State
    known: bool = True
    """False: the event is not one that this Sensor reads; another generation of it may."""
    dependencies: list[DependencyVerdict] = []
    triggers: list[TriggerVerdict] = []
    actions: list[Action] = []
    faults: list[EventFault] = []
    changed: frozenset[str] = frozenset()
    """Triggers whose state is another one now."""
    others: list[Mismatch] = []
    """Dependencies that do not mean the event; of a trace only."""


def evaluate(  # noqa: PLR0913 -- an event, where it stands, and what it is held against
    plan: Plan,
    state: State,
    event: Event,
    now: float,
    *,
    sequence: int = 0,
    stored: float = 0.0,
    skip: Container[str] = (),
    trace: bool = False,
) -> Decision:
    """Decide what follows from an event.

    `now` is in unix seconds. `sequence` and `stored` say where in the stream the event stands;
    without them (0) it counts as new. Dependencies in `skip` do not look at it. With `trace` the
    decision tells each thing that was looked at, also where one was enough to decide.
    """
    dependencies = plan.dependencies_of(event.source, event.subject)
    if not dependencies:
        others = mismatches(plan, event) if trace else []
        return Decision(state, plan.expects(event.source, event.subject), others=others)
    run = _Run(plan, state, event, Mark(stored or now, sequence), trace=trace)
    for dependency in dependencies:
        if dependency.name not in skip:
            run.look(dependency)
    run.advance()
    if trace:
        run.trace()
    return run.decision


def unfinished(plan: Plan, state: State) -> tuple[list[Action], list[EventFault]]:
    """Return the actions of firings that are not known to be on the bus; for a start."""
    actions, faults = [], []
    for planned in plan.triggers.values():
        for key, events in state.of(planned.name).firings.items():
            try:
                actions.append(_action(planned, _firing(events), key)[0])
            except ParameterError as exc:
                faults.append(_trigger_fault(planned, exc, key, _events(events)))
    return actions, faults


def refire(plan: Plan, trigger: str, events: Mapping[str, Event]) -> Action:
    """Return the action of a firing whose action could not be made before.

    Raises ParameterError if it still cannot, and KeyError where the trigger is gone.
    """
    ids = {name: message_id(event) for name, event in events.items()}
    planned = plan.triggers[trigger]
    return _action(planned, Firing(events), action_key(plan.name, trigger, ids))[0]


class _Run:
    """One call of `evaluate`."""

    def __init__(self, plan: Plan, state: State, event: Event, mark: Mark, *, trace: bool) -> None:
        self.decision = Decision(state)
        self._trace = trace
        self._plan, self._event, self._mark = plan, event, mark
        self._document = Document(event.data or b"")
        self._seen: dict[str, Seen] = {}
        self._waiting: dict[str, None] = {}
        self._id = message_id(event)
        self._fired: dict[tuple[str, str], Firing] = {}
        """Events of firings by trigger and dependency; of a trace only."""

    # ------------------------------------------------------------------------ dependencies

    def look(self, dependency: PlannedDependency) -> None:
        """Look at the event as one dependency does."""
        decision, name = self.decision, dependency.name
        try:
            seen = look(dependency, self._event, self._document)
        except EventError as exc:
            decision.faults.append(
                EventFault(f"dependencies.{name}", exc.code, str(exc), dependency=name)
            )
            decision.dependencies.append(DependencyVerdict(name, False, exc.code, None, str(exc)))
            return
        reason = seen.reason
        if reason is not None:
            decision.dependencies.append(DependencyVerdict(name, False, reason.code, reason))
            return
        decision.dependencies.append(DependencyVerdict(name, True, PASSED))
        self._seen[name] = seen
        self._waiting.update(dict.fromkeys(dependency.triggers))

    def trace(self) -> None:
        """Put what was looked at into the verdicts."""
        plan, decision = self._plan, self.decision
        decision.others = mismatches(plan, self._event)
        decision.dependencies = [
            msgspec.structs.replace(
                one,
                trace=trace_dependency(
                    plan, plan.dependencies[one.name], self._event, self._document
                ),
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
                    self._fired.get((one.name, one.dependency)),
                ),
            )
            for one in decision.triggers
        ]

    # ------------------------------------------------------------------------ triggers

    def advance(self) -> None:
        """Advance the triggers that wait for a dependency which passed."""
        for trigger in self._waiting:
            planned = self._plan.triggers[trigger]
            for name in planned.conditions.names:
                seen = self._seen.get(name)
                if seen is None:
                    continue
                if planned.stateful:
                    self._join(planned, name, seen)
                else:
                    key = action_key(self._plan.name, trigger, {name: self._id})
                    events = Firing({name: seen.event})
                    if is_json(seen.event):
                        events.documents[name] = seen.document
                    self._fire(planned, name, events, key)

    def _join(self, planned: PlannedTrigger, name: str, seen: Seen) -> None:
        """Count an event towards conditions with an `&&`."""
        state = self.decision.state.of(planned.name)
        known, mark = state.counted_of(name), self._mark
        if mark.sequence and known.covers(mark):
            self._repeat(planned, name, state)
            return
        names = planned.conditions.names
        saved = {d: s for d, s in state.saved.items() if d in names}
        counted = {d: c for d, c in state.counted.items() if d in names}
        if mark.sequence:
            counted[name] = known.add(mark)
        if mark.sequence and name in saved and saved[name].mark > mark:
            self._verdict(planned, "Superseded", name)  # another replica was faster with a newer
            self._keep(planned, TriggerState(saved, counted, state.firings))
            return
        saved[name] = Saved(mark, seen.event)
        if not planned.conditions.met(saved):
            missing = tuple(d for d in names if d not in saved)
            self._verdict(planned, "Waiting", name, missing=missing)
            self._keep(planned, TriggerState(saved, counted, state.firings))
            return
        ids = {d: message_id(s.event) for d, s in saved.items()}
        key = action_key(self._plan.name, planned.name, ids)
        fired = self._fire(planned, name, _firing(saved), key)
        firings = {**state.firings, key: saved} if fired else state.firings
        self._keep(planned, TriggerState({}, counted, firings))

    def _repeat(self, planned: PlannedTrigger, name: str, state: TriggerState) -> None:
        """Give the action of an unfinished firing again, if the event belongs to one."""
        for key, events in state.firings.items():
            saved = events.get(name)
            if saved is not None and saved.mark == self._mark:
                self._fire(planned, name, _firing(events), key, "Repeated")
                return
        self._verdict(planned, "Superseded", name)

    def _fire(
        self,
        planned: PlannedTrigger,
        name: str,
        events: Firing,
        key: str,
        code: TriggerCode = "Fired",
    ) -> bool:
        """Take the action of a firing; return False where its `if` says that there is none."""
        if self._trace:
            self._fired[planned.name, name] = events
        try:
            if planned.applies is not None and not planned.applies(events, name):
                self._verdict(planned, "Skipped", name, message="its if is false")
                return False
            action, message = _action(planned, events, key)
        except ParameterError as exc:
            self.decision.faults.append(_trigger_fault(planned, exc, key, dict(events)))
            self._verdict(planned, "Faulted", name, message=str(exc))
            return True
        self.decision.actions.append(action)
        self.decision.triggers.append(
            TriggerVerdict(planned.name, code, name, key, message=message)
        )
        return True

    def _verdict(
        self,
        planned: PlannedTrigger,
        code: TriggerCode,
        name: str,
        *,
        missing: tuple[str, ...] = (),
        message: str = "",
    ) -> None:
        verdict = TriggerVerdict(planned.name, code, name, missing=missing, message=message)
        self.decision.triggers.append(verdict)

    def _keep(self, planned: PlannedTrigger, state: TriggerState) -> None:
        self.decision.state = self.decision.state.replace(planned.name, state)
        self.decision.changed |= {planned.name}


def _firing(saved: Mapping[str, Saved]) -> Firing:
    return Firing(_events(saved))


def _action(planned: PlannedTrigger, events: Firing, key: str) -> tuple[Action, str]:
    """Return an action with what to do when it fails for good, and what is wrong with that."""
    action = planned.render(events, key)
    if planned.fallback is None:
        return action, ""
    try:
        fallback = _action(planned.fallback, events, f"{key}-dlq")[0]
    except ParameterError as exc:
        return action, f"without its dlqTrigger: {exc}"
    return msgspec.structs.replace(action, fallback=fallback), ""


def _events(saved: Mapping[str, Saved]) -> dict[str, Event]:
    return {name: one.event for name, one in saved.items()}


def _trigger_fault(
    planned: PlannedTrigger, exc: ParameterError, key: str, events: dict[str, Event]
) -> EventFault:
    place = f"triggers.{planned.name}"
    return EventFault(place, exc.code, str(exc), "", planned.name, events, key)
