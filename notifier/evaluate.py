"""What follows from an object as it is now: whom to tell, and what to remember.

One evaluator for the running notifier, for `tocsin notify explain` and for tests. No I/O and no
clock of its own. A condition has three outcomes: what cannot be evaluated is neither true nor
false, and changes nothing. The state is changed in place; `Decision.changed` says whether it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from notifier.looks import Look, Outcome
from notifier.plan import Plan
from notifier.state import ObjectState, Phase, Told, message_key, short
from notifier.subscriptions import Destination, Subscribed
from notifier.triggers import Condition, Trigger
from services.service import Message
from spine.errors import Fault
from spine.kube.watch import Meta
from spine.lang import EvaluationError

CLOCK = 15.0
"""Seconds after which a condition that reads the clock is evaluated again."""
_TOLD_BEFORE = frozenset({"claimed", "sent", "imported"})
"""Stages of which a recovery is told."""


class Seen(NamedTuple):
    """An object as it was told by the API server."""

    type: str
    """ADDED, MODIFIED or DELETED."""
    meta: Meta
    body: Mapping[str, Any]
    """The whole of it, decoded."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A message that has to be sent."""

    key: str
    trigger: str
    condition: str
    service: str
    recipient: str
    message: Message
    number: int
    """Activation of the condition."""
    once: str = ""
    resolved: bool = False
    repeats: int = 0


@dataclass(slots=True)
class Decision:
    """What follows."""

    looks: list[Look] = field(default_factory=list)
    """Each condition that was looked at, for those who ask why."""
    notifications: list[Notification] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is wrong with subscriptions, recipients and templates here."""
    changed: bool = False
    """Whether the state has to be stored."""
    wake: float | None = None
    """Unix seconds at which the same object is to be evaluated again; None: when it changes."""

    def wake_at(self, moment: float) -> None:
        """Ask for another evaluation at a moment, if none is asked for before it."""
        if self.wake is None or moment < self.wake:
            self.wake = moment


def evaluate(plan: Plan, seen: Seen, state: ObjectState, now: float) -> Decision:
    """Evaluate the triggers to which an object is subscribed."""
    decision = Decision()
    subscribed = plan.subscribed(seen.meta)
    decision.problems += subscribed.problems
    if not subscribed.by_trigger and not state.phases:
        return decision
    return _Evaluation(plan, seen, state, now, decision).run(subscribed)


class _Evaluation:
    """One evaluation of one object."""

    def __init__(
        self, plan: Plan, seen: Seen, state: ObjectState, now: float, decision: Decision
    ) -> None:
        self._plan, self._seen, self._state = plan, seen, state
        self._now, self._decision = now, decision
        self._first = not state.version
        self._variables = plan.variables(seen, self._health())

    def run(self, subscribed: Subscribed) -> Decision:
        state, seen = self._state, self._seen
        for name, destinations in subscribed.by_trigger.items():
            trigger = self._plan.configuration.triggers.get(name)
            if trigger is None:
                self._decision.problems.append(f"subscribing to trigger {name!r}: there is none")
                continue
            for index, condition in enumerate(trigger.conditions):
                self._condition(trigger, index, condition, destinations)
        if self._decision.changed:
            state.version = seen.meta.resource_version
            state.namespace, state.name = seen.meta.namespace, seen.meta.name
            for phase in state.phases.values():
                phase.prune(self._now)
        return self._decision

    # ------------------------------------------------------------------------ health

    def _health(self) -> dict[str, Any] | None:
        """Return health as conditions see it, and remember what it was."""
        found = self._plan.health(self._seen.body)
        if found is None:
            return None
        known = self._state.health
        if known.status != found.status:
            known.previous, known.status, known.since = known.status, found.status, self._now
            self._decision.changed = True
        return {
            "status": found.status,
            "message": found.message,
            "previous": known.previous,
            "since": known.since,
        }

    # ------------------------------------------------------------------------ one condition

    def _condition(
        self,
        trigger: Trigger,
        index: int,
        condition: Condition,
        destinations: tuple[Destination, ...],
    ) -> None:
        self._inherit(trigger, index, condition)
        phase = self._state.phases.get(f"{trigger.name}/{condition.id}")
        verdict = condition.look(self._variables)
        look = Look(trigger.name, index, condition, verdict, phase.since if phase else 0.0)
        self._decision.looks.append(look)
        if condition.reads_clock:
            self._decision.wake_at(self._now + CLOCK)
        if isinstance(verdict, str):
            self._broken(trigger, condition, phase, verdict)
        elif verdict:
            phase = phase or self._state.phase(trigger.name, condition.id)
            phase.error, phase.index = "", index
            self._holds(trigger, condition, phase, destinations, look)
        elif phase is not None:
            self._over(trigger, condition, phase, look)

    def _inherit(self, trigger: Trigger, index: int, condition: Condition) -> None:
        """Let a condition that was edited go on with what is known of the one it was."""
        phases = self._state.phases
        if not phases or f"{trigger.name}/{condition.id}" in phases:
            return
        current = {f"{trigger.name}/{one.id}" for one in trigger.conditions}
        orphans = [
            key for key in phases if key.startswith(f"{trigger.name}/") and key not in current
        ]
        if orphans:
            orphans.sort(key=lambda key: (phases[key].index != index, not phases[key].since))
            phases[f"{trigger.name}/{condition.id}"] = phases.pop(orphans[0])
            self._decision.changed = True

    def _broken(
        self, trigger: Trigger, condition: Condition, phase: Phase | None, why: str
    ) -> None:
        """Note that a condition cannot be evaluated; what was told stays told."""
        self._decision.problems.append(f"evaluating {condition.when!r} of {trigger.name}: {why}")
        if phase is not None and phase.error != why:
            phase.error = why
            self._decision.changed = True

    def _holds(
        self,
        trigger: Trigger,
        condition: Condition,
        phase: Phase,
        destinations: tuple[Destination, ...],
        look: Look,
    ) -> None:
        if not phase.since:
            phase.since, phase.number = self._now, phase.number + 1
            self._decision.changed = True
        if self._now < phase.since + condition.hold:
            look.held_until = phase.since + condition.hold
            self._decision.wake_at(look.held_until)
            return
        try:
            once = short(condition.once(self._variables))
        except EvaluationError as exc:
            self._decision.problems.append(f"evaluating oncePer of {trigger.name}: {exc}")
            look.problem = f"oncePer: {exc}"
            return
        look.once = once
        for service, recipient in self._rendered(destinations, look):
            told = phase.found(service, recipient, once)
            what = self._tell(trigger, condition, phase, (service, recipient, once), told)
            look.outcomes.append(Outcome(service, recipient, what, told))

    def _over(self, trigger: Trigger, condition: Condition, phase: Phase, look: Look) -> None:
        """A condition holds no more: the next time it does is a new one."""
        if not phase.since:
            return
        phase.since, phase.error = 0.0, ""
        self._decision.changed = True
        if condition.resolved is None:
            return
        for told in phase.told:
            if told.number == phase.number and not told.over and told.stage in _TOLD_BEFORE:
                told.over = True
                place = told.service, told.recipient, told.once
                names = condition.resolved or condition.send
                sent = self._send(trigger, condition, phase, place, names, resolved=True)
                what = "tell that it is over" if sent else "template failed"
                look.outcomes.append(Outcome(told.service, told.recipient, what, told))

    # ------------------------------------------------------------------------ one destination

    def _rendered(
        self, destinations: tuple[Destination, ...], look: Look
    ) -> dict[tuple[str, str], None]:
        """Return services and recipients, each once."""
        places: dict[tuple[str, str], None] = {}
        for destination in destinations:
            try:
                found = self._plan.recipients(destination, self._variables)
            except Fault as exc:
                text = f"finding the recipient {destination.recipient!r}: {exc}"
                self._decision.problems.append(text)
                look.outcomes.append(Outcome(destination.service, destination.recipient, text))
                continue
            places |= dict.fromkeys(found)
        return places

    def _tell(
        self,
        trigger: Trigger,
        condition: Condition,
        phase: Phase,
        place: tuple[str, str, str],
        told: Told | None,
    ) -> str:
        """Tell a destination unless it was told; return what is done in a few words."""
        service, recipient, once = place
        if told is not None and not self._again(condition, phase, told):
            return _WORDS[told.stage]
        stage = self._taken_as_told(trigger, condition, place) if told is None else None
        if told is None:
            told = Told(service, recipient, stage or "claimed", self._now, phase.number, once)
            phase.told.append(told)
        self._decision.changed = True
        if stage is not None:
            return _WORDS[stage]
        if told.stage == "sent":
            told.repeats += 1
        elif told.stage != "claimed":
            told.number, told.stage = phase.number, "claimed"
        told.at = self._now
        if condition.repeat_every:
            self._decision.wake_at(self._now + condition.repeat_every)
        sent = self._send(trigger, condition, phase, place, condition.send, repeats=told.repeats)
        return "tell" if sent else f"template failed: {told.why}"

    def _again(self, condition: Condition, phase: Phase, told: Told) -> bool:
        """Return whether a destination that was told is to be told again."""
        if told.stage == "broken":
            return told.config != self._plan.configuration.version
        if told.stage == "dead":
            return told.number != phase.number
        if condition.repeat_every and told.stage != "claimed":
            due = told.at + condition.repeat_every
            if self._now >= due:
                return True
            self._decision.wake_at(due)
        return False

    def _taken_as_told(
        self, trigger: Trigger, condition: Condition, place: tuple[str, str, str]
    ) -> Any:
        """Return the stage of what counts as told before this notifier came; None: it does not."""
        if not self._first:
            return None
        if self._plan.imported(self._seen.meta, trigger.name, condition, place):
            return "imported"
        return "adopted" if self._plan.adopting else None

    def _send(
        self,
        trigger: Trigger,
        condition: Condition,
        phase: Phase,
        place: tuple[str, str, str],
        templates: tuple[str, ...],
        *,
        resolved: bool = False,
        repeats: int = 0,
    ) -> bool:
        service, recipient, once = place
        told = phase.found(*place)
        assert told is not None
        try:
            message = self._plan.message(
                templates, service, {**self._variables, "resolved": resolved}, recipient
            )
        except Fault as exc:
            if not resolved:
                told.stage, told.why = "broken", str(exc)
                told.config = self._plan.configuration.version
            self._decision.problems.append(f"rendering {', '.join(templates)}: {exc}")
            return False
        activation = once or str(phase.number)
        extra = ["resolved"] if resolved else [f"repeat {repeats}"] if repeats else []
        key = message_key(
            *(self._seen.meta.uid, trigger.name, condition.id, service, recipient, activation),
            *extra,
        )
        self._decision.notifications.append(
            Notification(
                key=key,
                trigger=trigger.name,
                condition=condition.id,
                service=service,
                recipient=recipient,
                message=message,
                number=phase.number,
                once=once,
                resolved=resolved,
                repeats=repeats,
            )
        )
        return True


_WORDS = {
    "claimed": "on its way",
    "sent": "told already",
    "dead": "given up: see tocsin dlq",
    "adopted": "taken as told, as onStart says",
    "imported": "told before, as its annotation says",
    "broken": "template failed",
    "muted": "dropped by quiet hours",
}
