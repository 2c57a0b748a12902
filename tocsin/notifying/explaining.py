"""`tocsin notify explain`: all that a notifier would say of one object, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from notifier.plan import Plan
from notifier.state import HealthSeen
from tocsin.notifying.finding import Inputs
from tocsin.notifying.found import Found, against
from tocsin.notifying.looking import Evaluated, Shown
from tocsin.notifying.records import Memory, Remembered
from tocsin.notifying.running import message_lines, messages_json
from tocsin.notifying.subject import Subject
from tocsin.notifying.subscribed import Origin, origins
from tocsin.notifying.words import moment, row, stamp, warned, whom


@dataclass(frozen=True, slots=True)
class Account:
    """What one Notifier makes of an object."""

    found: Found
    plan: Plan
    remembered: Remembered
    evaluated: Evaluated

    @property
    def subject(self) -> Subject:
        """Return the object."""
        return self.evaluated.subject

    @property
    def _origins(self) -> list[Origin]:
        return origins(self.plan, self.subject.seen.meta)

    @property
    def _problems(self) -> list[str]:
        redact = self.found.configuration.redact
        found = [*self.found.notes, *map(redact, self.evaluated.decision.problems)]
        found += [str(one) for one in self.found.problems if one.severity == "error"]
        return list(dict.fromkeys(found))

    def _notes(self) -> Iterator[str]:
        """Yield what is peculiar about the Notifier."""
        if self.found.guessed:
            yield "no Notifier names this configuration: it is shown as if one watched the object"
        if self.found.spec.on_start == "adopt" and not self.remembered.known:
            yield "onStart: adopt: a Notifier that starts anew takes conditions that hold as told"

    # ------------------------------------------------------------------------ JSON

    def json(self) -> dict[str, Any]:
        """Return it for a script."""
        health = self.plan.rules.check(dict(self.subject.seen.body))
        known = self.remembered.state.health
        return {
            "notifier": self.found.title,
            "watch": str(self.plan.watch),
            "health": None
            if health is None
            else {**health._asdict(), "previous": known.previous, "since": stamp(known.since)},
            "record": {"known": self.remembered.known, "where": self.remembered.where},
            "subscriptions": [
                {
                    "trigger": one.trigger,
                    "service": one.destination.service,
                    "recipient": one.destination.recipient,
                    "by": one.by,
                    "default": one.default,
                    "muted": one.muted,
                }
                for one in self._origins
            ],
            "conditions": [
                {"trigger": look.trigger, **Shown(self.evaluated, look).json()}
                for look in self.evaluated.decision.looks
            ],
            "messages": messages_json(self.evaluated),
            "again": stamp(self.evaluated.decision.wake or 0),
            "notes": list(self._notes()),
            "problems": self._problems,
        }

    # ------------------------------------------------------------------------ lines

    def lines(self, *, full: bool) -> Iterator[str]:
        """Yield it for a person."""
        yield row("notifier", f"{self.found.title}: watches {self.plan.watch}")
        yield row("health", self._health())
        yield row("record", self.remembered.where)
        yield from (warned("note", one) for one in self._notes())
        yield from self._subscriptions()
        trigger = ""
        for look in self.evaluated.decision.looks:
            if look.trigger != trigger:
                trigger = look.trigger
                yield ""
                yield row("trigger", trigger)
            yield from (f"  {line}" for one in Shown(self.evaluated, look).lines(full=full)
                        for line in one.split("\n"))  # fmt: skip
        yield ""
        yield from message_lines(self.evaluated, full=full)
        if not self.evaluated.decision.notifications:
            yield row("would tell", "nobody now")
        wake = self.evaluated.decision.wake
        if wake is not None:
            yield row("again", f"evaluated at {moment(wake)}, or when the object changes")
        yield from (warned("problem", one) for one in self._problems)

    def _health(self) -> str:
        found = self.plan.rules.check(dict(self.subject.seen.body))
        if found is None:
            return "none: there is no rule for its kind"
        why = f": {found.message}" if found.message else ""
        return f"{found.status or 'none'}{why}{_before(self.remembered.state.health)}"

    def _subscriptions(self) -> Iterator[str]:
        label = "subscribed"
        for one in self._origins:
            default = ", by defaultTriggers" if one.default else ""
            muted = "  muted: nobody is told by it" if one.muted else ""
            where = f"{one.trigger} -> {whom(*one.destination)}{muted}"
            yield row(label, f"{where}\n  {one.by}{default}")
            label = ""
        if label:
            prefix = self.found.spec.annotation_prefix
            yield row(label, f"to nothing: annotate it with {prefix}/subscribe.TRIGGER.SERVICE")


def _before(known: HealthSeen) -> str:
    if not known.since:
        return ""
    previous = f", before that {known.previous}" if known.previous else ""
    return f" ({known.status} since {moment(known.since)}{previous})"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What all Notifiers make of an object."""

    subject: Subject
    accounts: list[Account]
    others: list[tuple[Found, str]]
    """Notifiers that do not take it, and why."""

    @classmethod
    async def of(cls, given: Inputs, memory: Memory, now: float) -> "Explanation":
        """Look at an object. Raises BusError."""
        subject = given.subject
        assert subject is not None, "the command takes one"
        accounts, others = [], []
        for found in given.found:
            plan = found.plan(subject)
            if plan is None:
                why = "; ".join(against(watch, subject) for watch in found.spec.watches)
                others.append((found, why))
                continue
            remembered = await memory.of(found, plan.watch, subject)
            evaluated = Evaluated.of(plan, subject, remembered.state, now)
            accounts.append(Account(found, plan, remembered, evaluated))
        return cls(subject, accounts, others)

    def json(self) -> dict[str, Any]:
        """Return it for a script."""
        return {
            "object": self.subject.name,
            "from": self.subject.where,
            "accounts": [one.json() for one in self.accounts],
            "others": [{"notifier": found.title, "why": why} for found, why in self.others],
        }

    def lines(self, *, full: bool) -> Iterator[str]:
        """Yield it for a person."""
        yield row("object", f"{self.subject.name}, from {self.subject.where}")
        for one in self.accounts:
            yield from one.lines(full=full)
        for found, why in self.others:
            yield row("not taken", f"by Notifier {found.title}: {why}")
