"""What becomes of a trigger when an event has passed one of its dependencies, or time has.

A trigger fires at once, counts the event towards its conditions, or gathers it. All of it is
written down in a Decision; here is no clock and no I/O.
"""

from collections.abc import Mapping

import msgspec

from delivery.action import Action, action_key
from delivery.dead import reason
from sensor.decision import Decision, EventFault, TriggerVerdict
from sensor.dependencies import Seen, is_json
from sensor.firing import Firing
from sensor.gather import NEVER, Gather, crowded, is_of, oldest
from sensor.gathering import Gathered, apart, element, firing_of
from sensor.mark import Mark
from sensor.plan import Plan, PlannedTrigger
from sensor.resets import forget, is_late
from sensor.state import Saved, State, TriggerState
from spine.errors import ParameterError
from spine.event import Event, message_id


class Triggering:
    """One decision on triggers. `mark` says where in the stream the event stands."""

    __slots__ = ("_mark", "_now", "_plan", "decision", "fired")

    def __init__(self, plan: Plan, state: State, now: float, mark: Mark) -> None:
        self.decision = Decision(state)
        self._plan, self._now, self._mark = plan, now, mark
        self.fired: dict[tuple[str, str], Firing] | None = None
        """Events of firings by trigger and dependency, if somebody asks for them."""

    # ------------------------------------------------------------------------ one event

    def at_once(self, planned: PlannedTrigger, name: str, seen: Seen, identity: str) -> None:
        """Fire with one event."""
        events = Firing({name: seen.event}, {name: seen.document} if is_json(seen.event) else None)
        key = action_key(self._plan.name, planned.name, {name: identity})
        self._fire(planned, name, events, key, at={name: self._mark.sequence})

    def count(self, planned: PlannedTrigger, name: str, seen: Seen) -> None:
        """Count an event for a trigger that waits, each event once."""
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
        rest = (state.firings, state.reset, state.gathered, state.released)
        state = TriggerState(saved, counted, *rest)
        if planned.gather is not None:
            self._gather(planned, planned.gather, name, seen, state)
        else:
            self._join(planned, name, seen.event, state)

    def _join(self, planned: PlannedTrigger, name: str, event: Event, state: TriggerState) -> None:
        """Count an event towards conditions with an `&&`."""
        mark = self._mark
        if planned.resets is not None:
            if is_late(state, mark):
                self._wait(planned, "Late", name, state)
                return
            last = planned.resets.last(mark.stored)
            if last > state.reset.stored:
                state = forget(state, Mark(last, mark.sequence))
        if mark.sequence and name in state.saved and state.saved[name].mark > mark:
            self._wait(planned, "Superseded", name, state)  # another replica was faster
            return
        saved, rest = state.saved, (state.reset, state.gathered, state.released)
        saved[name] = Saved(mark, event)  # `count` made it: it is nobody else's
        if not planned.conditions.met(saved):
            self._wait(planned, "Waiting", name, state)
            return
        ids = {d: message_id(s.event) for d, s in saved.items()}
        key = action_key(self._plan.name, planned.name, ids)
        fired = self._fire(planned, name, Firing(_events(saved)), key, at=places(saved))
        firings = {**state.firings, key: saved} if fired else state.firings
        self._keep(planned, TriggerState({}, state.counted, firings, *rest))

    def _wait(self, planned: PlannedTrigger, code: str, name: str, state: TriggerState) -> None:
        """Keep a state that is not enough to fire."""
        missing = tuple(d for d in planned.conditions.names if d not in state.saved)
        verdict = TriggerVerdict(
            planned.name,
            code,  # type: ignore[arg-type]  # one of the three above
            name,
            missing=missing if code == "Waiting" else (),
            since={d: s.mark.stored for d, s in state.saved.items()},
            reset=state.reset.stored,
        )
        self.decision.triggers.append(verdict)
        self._keep(planned, state)

    def _repeat(self, planned: PlannedTrigger, name: str, state: TriggerState) -> None:
        """Give the action of an unfinished firing again, if the event may belong to one."""
        for key, events in state.firings.items():
            saved = events.get(name)
            if saved is not None and saved.mark == self._mark:
                at, code = places(events), "Repeated"
                self._fire(planned, name, Firing(_events(events)), key, code=code, at=at)
                return
        for key, held in state.released.items():
            self._fire(planned, name, firing_of(held)[0], key, code="Repeated")
        if not state.released:
            self.decision.triggers.append(TriggerVerdict(planned.name, "Superseded", name))

    # ------------------------------------------------------------------------ gathered events

    def _gather(
        self,
        planned: PlannedTrigger,
        gather: Gather,
        name: str,
        seen: Seen,
        state: TriggerState,
    ) -> None:
        """Put an event to those of its key, and fire what is complete."""
        event = element(seen.event, seen.document) if gather.batch else seen.event
        one, room = Gathered(name, self._mark, event), self._plan.room
        try:
            key = "" if gather.key is None else gather.key(Firing({name: seen.event}))
        except ParameterError as exc:
            events, ids, _ = firing_of(gather.add(None, one, 0.0))
            self._fault(planned, name, events, action_key(self._plan.name, planned.name, ids), exc)
            self._keep(planned, state)
            return
        # by the clock of the bus, but never in the future of those who wait for it
        at = min(self._mark.stored, self._now)
        held = state.gathered.get(key)
        if held is not None and at >= gather.due(held):
            state, held = self._release(planned, state, key), None
        elif held is not None and not gather.fits(held, one, room):
            state = self._release(planned, state, key, f"more than {room} bytes are held")
            held = None
        held = gather.add(held, one, at)
        state = msgspec.structs.replace(state, gathered={**state.gathered, key: held})
        if gather.is_full(held, room):
            state = self._release(planned, state, key)
        else:
            due = gather.due(held)
            verdict = TriggerVerdict(
                planned.name,
                "Gathered",
                name,
                gathered=held.count,
                since={name: held.first},
                due=0.0 if due == NEVER else due,
            )
            self.decision.triggers.append(verdict)
        while why := crowded(state.gathered, room):
            state = self._release(planned, state, oldest(state.gathered), why)
        self._keep(planned, state)

    def tick(self) -> None:
        """Fire what is due, and what a trigger holds that gathers no more."""
        for planned in self._plan.triggers.values():
            state, gather = self.decision.state.of(planned.name), planned.gather
            due = [
                key
                for key, held in state.gathered.items()
                if gather is None or gather.due(held) <= self._now
            ]
            for key in due:
                state = self._release(planned, state, key)
            if due:
                self._keep(planned, state)

    def _release(
        self, planned: PlannedTrigger, state: TriggerState, name: str, early: str = ""
    ) -> TriggerState:
        """Fire what is held for a key."""
        held, released = state.gathered[name], dict(state.released)
        gathered = {key: other for key, other in state.gathered.items() if key != name}
        for one in [held] if is_of(planned.gather, held) else apart(held):
            events, ids, newest = firing_of(one)
            key = action_key(self._plan.name, planned.name, ids)
            try:
                fired = self._fire(planned, newest, events, key, gathered=one.count, early=early)
            except Exception as exc:  # noqa: BLE001 -- a bug met in one firing ends that one only
                self._fault(planned, newest, events, key, exc)
                fired = True
            if fired:
                released[key] = one
        return msgspec.structs.replace(state, gathered=gathered, released=released)

    # ------------------------------------------------------------------------ firing

    def _fire(  # noqa: PLR0913 -- what fires, and how it came to that
        self,
        planned: PlannedTrigger,
        name: str,
        events: Firing,
        key: str,
        *,
        code: str = "Fired",
        gathered: int = 0,
        early: str = "",
        at: dict[str, int] | None = None,
    ) -> bool:
        """Take the action of a firing; return False where its `if` says that there is none."""
        if self.fired is not None:
            self.fired[planned.name, name] = events
        try:
            if planned.declines is not None and (why := planned.declines(events, name)):
                self.decision.triggers.append(
                    TriggerVerdict(planned.name, "Skipped", name, message=why)
                )
                return False
            action, message = action_of(planned, events, key, at if self._mark.sequence else None)
        except ParameterError as exc:
            self._fault(planned, name, events, key, exc)
            return True
        self.decision.actions.append(action)
        verdict = TriggerVerdict(
            planned.name,
            code,  # type: ignore[arg-type]  # Fired or Repeated
            name,
            key,
            message=message,
            gathered=gathered,
            early=early,
        )
        self.decision.triggers.append(verdict)
        return True

    def _fault(
        self, planned: PlannedTrigger, name: str, events: Firing, key: str, exc: Exception
    ) -> None:
        fault = fault_of(planned, exc, key, events)
        self.decision.faults.append(fault)
        verdict = TriggerVerdict(planned.name, "Faulted", name, message=fault.message)
        self.decision.triggers.append(verdict)

    def _keep(self, planned: PlannedTrigger, state: TriggerState) -> None:
        self.decision.state = self.decision.state.replace(planned.name, state)
        self.decision.changed |= {planned.name}


def owed(state: TriggerState) -> dict[str, Firing]:
    """Return the events of firings by the key of their actions, which may not be on the bus."""
    firings = {key: Firing(_events(saved)) for key, saved in state.firings.items()}
    return firings | {key: firing_of(held)[0] for key, held in state.released.items()}


def action_of(
    planned: PlannedTrigger, events: Firing, key: str, at: dict[str, int] | None = None
) -> tuple[Action, str]:
    """Return an action with what to do when it fails for good, and what is wrong with that.

    `at` says where its events are in the stream.
    """
    action = planned.render(events, key, at)
    if planned.fallback is None:
        return action, ""
    try:
        fallback = action_of(planned.fallback, events, f"{key}-dlq")[0]
    except ParameterError as exc:
        return action, f"without its dlqTrigger: {exc}"
    return msgspec.structs.replace(action, fallback=fallback), ""


def fault_of(planned: PlannedTrigger, exc: Exception, key: str, events: Firing) -> EventFault:
    """Return what is said of a firing whose action cannot be made."""
    code, text, _ = reason(exc)
    place = f"triggers.{planned.name}"
    return EventFault(place, code, text, "", planned.name, dict(events), key)


def places(saved: Mapping[str, Saved]) -> dict[str, int]:
    """Return dependency -> position of its event in the stream."""
    return {name: one.mark.sequence for name, one in saved.items()}


def _events(saved: Mapping[str, Saved]) -> dict[str, Event]:
    return {name: one.event for name, one in saved.items()}
