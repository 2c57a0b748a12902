"""What follows from an object as it is now: whom to tell, and what to remember.

One evaluator for the running notifier, for `tocsin notify explain` and for tests. No I/O and no
clock of its own. A condition has three outcomes: what cannot be evaluated is neither true nor
false, and changes nothing. The state is changed in place; `Decision.changed` says whether it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from notifier.looks import Look, Outcome
from notifier.plan import Plan
from notifier.state import LEFT_FOR, ObjectState, Phase, Stage, Told, message_key, name_of, short
from notifier.subscriptions import Destination, Subscribed
from notifier.triggers import Condition, Trigger
from services.service import Message
from spine.errors import ConfigError
from spine.kube.versions import older
from spine.kube.watch import Meta
from spine.lang import EvaluationError

CLOCK = 15.0
"""Seconds after which a condition that reads the clock is evaluated again."""
MENDED = 300.0
"""Seconds after which a template that failed is tried again, as what it asks may be back."""
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
    """What messages call it, whatever it was edited to."""
    service: str
    recipient: str
    message: Message
    number: int
    """Activation of the condition."""
    once: str = ""
    resolved: bool = False


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
    decision.problems += map(str, subscribed.problems)
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
        self._places: dict[int, set[_Place]] = {}
        """Of whom each condition holds now, by the identity of what is known of it."""
        self._variables = plan.variables(seen, self._health())

    def run(self, subscribed: Subscribed) -> Decision:
        state, seen = self._state, self._seen
        triggers = self._plan.configuration.triggers
        for name, destinations in subscribed.by_trigger.items():
            if name not in triggers:
                self._decision.problems.append(f"subscribing to trigger {name!r}: there is none")
                continue
            self._trigger(triggers[name], destinations)
        for name in self._unsubscribed(subscribed):  # so that what ends is known to have ended
            self._trigger(triggers[name], ())
        if self._decision.changed:
            state.version = seen.meta.resource_version
            state.namespace, state.name = seen.meta.namespace, seen.meta.name
            for phase in state.phases.values():
                phase.prune(self._now, self._places.get(id(phase), ()))
        return self._decision

    def _unsubscribed(self, subscribed: Subscribed) -> list[str]:
        """Return the triggers that nobody hears of any more, and of which something holds."""
        holding = {key.partition("/")[0] for key, one in self._state.phases.items() if one.since}
        known = self._plan.configuration.triggers
        return sorted(one for one in holding - subscribed.by_trigger.keys() if one in known)

    def _trigger(self, trigger: Trigger, destinations: tuple[Destination, ...]) -> None:
        for index, condition in enumerate(trigger.conditions):
            self._inherit(trigger, index, condition)
            self._condition(trigger, index, condition, destinations)
        self._expire(trigger)

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
        phase = self._state.phases.get(f"{trigger.name}/{condition.id}")
        if phase is not None and phase.met:
            if older(self._seen.meta.resource_version, phase.met):
                return
            phase.met = ""
        verdict = condition.look(self._variables)
        look = Look(trigger.name, index, condition, verdict, phase.since if phase else 0.0)
        self._decision.looks.append(look)
        if condition.reads_clock:
            self._decision.wake_at(self._now + CLOCK)
        if isinstance(verdict, str):
            self._unknown(trigger, condition, phase, verdict)
        elif verdict:
            phase = phase or self._state.phase(trigger.name, condition.id)
            phase.error, phase.index = "", index
            self._holds(_At(trigger.name, condition, phase), destinations, look)
        elif phase is not None and phase.since:
            self._over(_At(trigger.name, condition, phase), look)

    def _inherit(self, trigger: Trigger, index: int, condition: Condition) -> None:
        """Let a condition that was edited go on with what is known of the one it was."""
        phases = self._state.phases
        key = f"{trigger.name}/{condition.id}"
        if not phases or key in phases:
            return
        orphans = [one for one in self._orphans(trigger) if not self._long_gone(phases[one])]
        if orphans:
            orphans.sort(key=lambda one: (phases[one].index != index, not phases[one].since))
            phase = phases.pop(orphans[0])
            phase.name, phase.left = name_of(orphans[0], phase), 0.0
            phases[key] = phase
            self._decision.changed = True

    def _orphans(self, trigger: Trigger) -> list[str]:
        """Return what is known of conditions that a trigger has no more."""
        current = {f"{trigger.name}/{one.id}" for one in trigger.conditions}
        found = [one for one in self._state.phases if one.startswith(f"{trigger.name}/")]
        return [one for one in found if one not in current]

    def _long_gone(self, phase: Phase) -> bool:
        return bool(phase.left) and self._now - phase.left >= LEFT_FOR

    def _expire(self, trigger: Trigger) -> None:
        """Forget what was edited away for good, so that no later condition takes it over."""
        phases = self._state.phases
        for key in self._orphans(trigger):
            if not phases[key].left:
                phases[key].left = self._now
            elif self._long_gone(phases[key]):
                del phases[key]
            else:
                continue
            self._decision.changed = True

    def _unknown(
        self, trigger: Trigger, condition: Condition, phase: Phase | None, why: str
    ) -> None:
        """Note that a condition cannot be evaluated; what was told stays told."""
        self._decision.problems.append(f"evaluating {condition.when!r} of {trigger.name}: {why}")
        if phase is not None and phase.error != why:
            phase.error = why
            self._decision.changed = True

    def _holds(self, at: "_At", destinations: tuple[Destination, ...], look: Look) -> None:
        phase, condition = at.phase, at.condition
        version = self._seen.meta.resource_version
        if not phase.since or (phase.doubt and older(phase.doubt, version)):
            phase.doubt = ""
            phase.since, phase.number = self._now, phase.number + 1
            self._decision.changed = True
        until = min(phase.since, self._now) + condition.hold  # a clock may be put back
        if self._now < until:
            look.held_until = until
            self._decision.wake_at(look.held_until)
            return
        try:
            once = short(condition.once(self._variables))
        except EvaluationError as exc:
            look.problem = f"evaluating oncePer of {at.trigger}: {exc}"
            self._decision.problems.append(look.problem)
            return
        look.once = once
        for service, recipient in self._rendered(destinations, look):
            place = _Place(service, recipient, once)
            self._places.setdefault(id(phase), set()).add(place)
            what = self._tell(at, place)
            look.outcomes.append(Outcome(service, recipient, what, phase.found(*place)))

    def _over(self, at: "_At", look: Look) -> None:
        """Let a condition end that holds no more, so that the next time is a new one."""
        phase, condition = at.phase, at.condition
        phase.since, phase.error, phase.doubt = 0.0, "", ""
        self._decision.changed = True
        if condition.resolved is None:
            return
        for told in phase.told:
            if told.number == phase.number and not told.over and _was_told(told):
                told.over = True
                place = _Place(told.service, told.recipient, told.once)
                names = condition.resolved or condition.send
                why = self._send(at, place, names, "resolved")
                what = f"template failed: {why}" if why else "tell that it is over"
                look.outcomes.append(Outcome(told.service, told.recipient, what, told))

    # ------------------------------------------------------------------------ one destination

    def _rendered(
        self, destinations: tuple[Destination, ...], look: Look
    ) -> dict[tuple[str, str], None]:
        """Return services and recipients, each once."""
        places: dict[tuple[str, str], None] = {}
        for destination in destinations:
            found, problems = self._plan.recipients(destination, self._variables)
            places |= dict.fromkeys(found)
            self._decision.problems += problems
            look.outcomes += [Outcome(*destination, problem) for problem in problems]
        return places

    def _tell(self, at: "_At", place: "_Place") -> str:
        """Tell a destination unless it was told; return what is done in a few words."""
        phase, told = at.phase, at.phase.found(*place)
        before, broken = self._decision.changed, told.why if told is not None else ""
        if told is None:
            stage = self._taken_as_told(at, place)
            told = Told(place.service, place.recipient, stage, self._now, phase.number, place.once)
            phase.told.append(told)
            self._decision.changed = True
            if stage != "claimed":
                return WORDS[stage]
        elif not self._again(at.condition, phase, told):
            return WORDS[told.stage]
        else:
            self._begin_anew(phase, told)
        told.at, told.why = self._now, ""
        self._decision.changed = True
        if at.condition.repeat_every:
            self._decision.wake_at(self._now + at.condition.repeat_every)
        if told.confirmed == self._keys(at, place, _occasion(told))[1]:
            told.stage = "sent"  # its service was faster than what stores the claim
            return WORDS["sent"]
        why = self._send(at, place, at.condition.send, _occasion(told))
        if why:
            told.stage, told.why, told.config = "broken", why, self._plan.version
            self._decision.wake_at(self._now + MENDED)
            if why == broken:  # nothing new to store
                self._decision.changed = before
            return f"template failed: {why}"
        return "tell"

    def _again(self, condition: Condition, phase: Phase, told: Told) -> bool:
        """Return whether a destination that was told is to be told again."""
        if told.stage == "broken":
            self._decision.wake_at(told.at + MENDED)
            return told.config != self._plan.version or self._now >= told.at + MENDED
        if told.stage == "dead" and told.number != phase.number:
            return True
        if condition.repeat_every:
            due = told.at + condition.repeat_every
            if self._now >= due and told.stage != "claimed":
                return True
            self._decision.wake_at(due if self._now < due else self._now + CLOCK)
        return False

    @staticmethod
    def _begin_anew(phase: Phase, told: Told) -> None:
        """Make what is remembered of a destination ready for another message."""
        if told.stage == "dead" and told.number != phase.number:
            told.anew = phase.number  # the bus may still take its key for the one that died
        elif told.stage in {"sent", "imported", "muted", "dead"}:
            told.repeats += 1
        told.stage = "claimed"
        if told.number != phase.number:
            told.number, told.over = phase.number, False

    def _taken_as_told(self, at: "_At", place: "_Place") -> Stage:
        """Return the stage with which a destination begins: some counts as told at first sight."""
        if not self._first:
            return "claimed"
        if self._plan.imported(self._seen.meta, at.trigger, at.condition, place):
            return "imported"
        return "adopted" if self._plan.adopting else "claimed"

    def _keys(self, at: "_At", place: "_Place", occasion: str) -> tuple[str, str]:
        """Return what all messages of an activation to a destination share, and a message's key."""
        trigger = f"{self._plan.place}/{at.trigger}" if self._plan.place else at.trigger
        name = name_of(f"{at.trigger}/{at.condition.id}", at.phase)
        activation = place.once or str(at.phase.number)
        uid = self._seen.meta.uid
        parts = uid, trigger, name, place.service, place.recipient, activation
        return message_key(*parts), message_key(*parts, *([occasion] if occasion else []))

    def _send(self, at: "_At", place: "_Place", templates: tuple[str, ...], occasion: str) -> str:
        """Add a message; return why its template failed, empty where it did not.

        `occasion` is empty for the first message, `resolved`, or tells it from earlier ones.
        """
        resolved = occasion == "resolved"
        values = {**self._variables, "resolved": resolved}
        try:
            message = self._plan.message(templates, place.service, values, place.recipient)
        except (ConfigError, EvaluationError) as exc:
            self._decision.problems.append(f"rendering {', '.join(templates)}: {exc}")
            return str(exc)
        phase, name = at.phase, name_of(f"{at.trigger}/{at.condition.id}", at.phase)
        incident, key = self._keys(at, place, occasion)
        message = msgspec.structs.replace(message, resolved=resolved, incident=incident)
        self._decision.notifications.append(
            Notification(
                key=key,
                trigger=at.trigger,
                condition=name,
                service=place.service,
                recipient=place.recipient,
                message=message,
                number=phase.number,
                once=place.once,
                resolved=resolved,
            )
        )
        return ""


def _occasion(told: Told) -> str:
    """Return what tells this message to a destination from others of the same activation."""
    return f"{told.repeats or ''}" + (f" anew {told.anew}" if told.anew else "")


def _was_told(told: Told) -> bool:
    """Return whether somebody knows of it, or soon will, so that its end is told as well."""
    return told.stage in _TOLD_BEFORE or bool(told.confirmed)


class _At(NamedTuple):
    """A condition that is being dealt with."""

    trigger: str
    condition: Condition
    phase: Phase


class _Place(NamedTuple):
    """A destination, and the value of `oncePer` for which it is told."""

    service: str
    recipient: str
    once: str


WORDS: dict[Stage, str] = {
    "claimed": "on its way",
    "sent": "told already",
    "dead": "given up: see tocsin dlq",
    "adopted": "taken as told, as onStart says",
    "imported": "told before, as its annotation says",
    "broken": "template failed",
    "muted": "dropped by quiet hours",
}
"""What a stage is for people."""
