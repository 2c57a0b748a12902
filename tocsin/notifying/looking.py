"""Conditions that the notifier's evaluator looked at, as JSON and as lines for a person."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from notifier.config import Configuration
from notifier.evaluate import WORDS, Decision, Notification, evaluate
from notifier.looks import Look, Outcome
from notifier.plan import Plan
from notifier.posting import quiet_until
from notifier.state import ObjectState, Told, decode, encode
from notifier.templates import conceal
from notifier.tracing import Part, trace
from notifier.triggers import Condition
from tocsin.notifying.subject import Subject
from tocsin.notifying.words import (
    block,
    lasting,
    moment,
    plain,
    row,
    short,
    stamp,
    whom,
)

MET, NOT_MET, ERROR = "met", "not met", "error"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came of one look at an object."""

    plan: Plan
    subject: Subject
    decision: Decision
    before: ObjectState
    """What was remembered before."""
    variables: Mapping[str, Any]
    """What conditions saw."""
    now: float

    @classmethod
    def of(cls, plan: Plan, subject: Subject, state: ObjectState, now: float) -> "Evaluated":
        """Look at an object as the notifier does; `state` is left as it is."""
        after = decode(encode(state))
        decision = evaluate(plan, subject.seen, after, now)
        found = plan.health(subject.seen.body)
        health = None
        if found is not None:
            known = after.health
            health = {**found._asdict(), "previous": known.previous, "since": known.since}
        variables = plan.variables(subject.seen, health)
        return cls(plan, subject, decision, state, variables, now)

    @property
    def configuration(self) -> Configuration:
        """Return the configuration."""
        return self.plan.configuration

    def any_met(self) -> bool:
        """Return whether some condition is met."""
        return any(look.verdict is True for look in self.decision.looks)

    # ------------------------------------------------------------------------ messages

    def text(self, sent: Notification) -> str:
        """Return a message as its reader would see it, without secrets."""
        return shown(self.configuration, sent.service, sent.message)

    def manner(self, sent: Notification) -> list[str]:
        """Return what stands between a message and its service: quiet hours, digests, limits."""
        found = []
        until = quiet_until(self.configuration, sent, self.now)
        if until is not None:
            found.append(f"quiet hours hold it until {moment(until)}" if until else _DROPPED)
        if until != 0 and not sent.resolved:
            for digest in self.configuration.digests:
                if digest.covers(sent.service, sent.recipient, sent.trigger):
                    found.append(f"gathered for a digest of {lasting(digest.window)}")
                    break
        limits = self.configuration.limits_of(sent.service)
        for rate, each in ((limits.rate, ""), (limits.per_recipient, " to one recipient")):
            if rate is not None:
                pace = f"{rate.per_second * 60:g} a minute, {rate.burst} at once"
                found.append(f"no more than {pace}{each}")
        return found


_DROPPED = "quiet hours drop it"


def shown(configuration: Configuration, service: str, message: Any) -> str:
    """Return a message of a service as its reader would see it, without secrets."""
    model = type(configuration.services[service])
    return configuration.redact(model.preview(conceal(message)))


# ---------------------------------------------------------------------------- one condition


@dataclass(frozen=True, slots=True)
class Shown:
    """One condition that was looked at."""

    evaluated: Evaluated
    look: Look

    @property
    def word(self) -> str:
        """Return its outcome."""
        found = self.look.verdict
        return ERROR if isinstance(found, str) else MET if found else NOT_MET

    def _told(self) -> list[Told]:
        phases = self.evaluated.before.phases
        phase = phases.get(f"{self.look.trigger}/{self.look.condition.id}")
        return list(phase.told) if phase is not None else []

    # ------------------------------------------------------------------------ JSON

    def json(self) -> dict[str, Any]:
        """Return it for a script."""
        look, condition = self.look, self.look.condition
        traced = trace(condition.when, self.evaluated.variables) if condition.when else None
        found: dict[str, Any] = {
            "index": look.index,
            "id": condition.id,
            "description": condition.description,
            "when": condition.when,
            "outcome": self.word,
            "error": look.verdict if isinstance(look.verdict, str) else "",
            "parts": [_part(one) for one in traced.parts] if traced else [],
            "since": stamp(look.since),
            "heldUntil": stamp(look.held_until),
            "oncePer": condition.once_per,
            "once": look.once,
            "problem": look.problem,
            "send": list(condition.send),
            "outcomes": [_outcome(one) for one in look.outcomes],
            "told": [_told_json(one) for one in self._told()],
        }
        return {key: redacted(self.evaluated.configuration, value) for key, value in found.items()}

    # ------------------------------------------------------------------------ lines

    def lines(self, *, full: bool = False) -> Iterator[str]:
        """Yield it for a person; `full` shows the parts of a condition that is met, too."""
        redact = self.evaluated.configuration.redact
        look, condition = self.look, self.look.condition
        yield row(f"[{look.index}]", redact(condition.description), word=self.word)
        yield row("when", redact(condition.when) or "(nothing: it is never met)", depth=1)
        if condition.when and (full or look.verdict is not True):
            for line in _traced(condition.when, self.evaluated.variables, whole=full):
                yield redact(line)
        if isinstance(look.verdict, str):
            yield row("error", redact(look.verdict), depth=1)
        for label, text in self._facts(condition):
            yield row(label, redact(text), depth=1)
        for one in look.outcomes:
            yield row("to", redact(f"{whom(one.service, one.recipient)}  {_fate(one)}"), depth=1)
        for told in self._earlier():
            yield row("before", redact(_history(told)), depth=1)

    def _facts(self, condition: Condition) -> Iterator[tuple[str, str]]:
        look = self.look
        if look.since:
            yield "since", moment(look.since)
        if condition.hold:
            until = f", so not before {moment(look.held_until)}" if look.held_until else ""
            yield "for", f"it must hold for {lasting(condition.hold)}{until}"
        if condition.once_per:
            known = look.verdict is True and not look.problem and not look.held_until
            value = f"  = {short(look.once)}" if known else ""
            yield "once per", condition.once_per + value
        if look.problem:
            yield "problem", look.problem
        if condition.repeat_every:
            yield "repeated", f"every {lasting(condition.repeat_every)} while it holds"
        if condition.resolved is not None:
            yield "its end", f"is told by {', '.join(condition.resolved or condition.send)}"
        yield "sends", ", ".join(condition.send) or "nothing: it names no template"

    def _earlier(self) -> list[Told]:
        """Return the newest that were told before, beyond those that an outcome is about."""
        about = {(one.service, one.recipient, one.told.number) for one in self.look.outcomes
                 if one.told is not None and one.what in WORDS.values()}  # fmt: skip
        left = [
            one for one in self._told() if (one.service, one.recipient, one.number) not in about
        ]
        return left[-5:]


def _traced(when: str, variables: Mapping[str, Any], *, whole: bool) -> Iterator[str]:
    """Yield the parts of a condition with what each gave."""
    traced = trace(when, variables)
    if not traced.error and not isinstance(traced.value, bool):
        yield row("gave", f"{short(traced.value, whole=whole)}, which is not true", depth=2)
    texts = [f"{'  ' * one.depth}{one.text}" for one in traced.parts]
    width = min(max(map(len, texts), default=0), 60)
    for part, text in zip(traced.parts, texts, strict=True):
        head = f"      {text:<{width}}  "
        yield from block(head + _gave(part, whole=whole), 0)


def _gave(part: Part, *, whole: bool) -> str:
    if part.skipped:
        return "(not looked at)"
    if part.error:
        return f"error: {part.error}"
    reads = ", ".join(f"{text} = {short(value, whole=whole)}" for text, value in part.reads)
    return short(part.value, whole=whole) + (f"  ({reads})" if reads else "")


def _fate(one: Outcome) -> str:
    told = one.told
    if told is None or one.what not in WORDS.values():
        return one.what
    when = f", {moment(told.at)}" if told.at else ""
    return f"{one.what}{when}" + (f": {told.why}" if told.why else "")


def _history(told: Told) -> str:
    repeats = f", {told.repeats} times more" if told.repeats else ""
    once = f" for {short(told.once)}" if told.once else ""
    end = f": {told.why}" if told.why else ", and that it is over" if told.over else ""
    where = whom(told.service, told.recipient)
    return f"{where}  {WORDS[told.stage]}, {moment(told.at)}{once}{repeats}{end}"


def _part(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {"depth": part.depth, "text": part.text}
    if part.skipped:
        return {**found, "skipped": True}
    if part.error:
        return {**found, "error": part.error}
    found["value"] = plain(part.value)
    if part.reads:
        found["reads"] = {text: plain(value) for text, value in part.reads}
    return found


def _outcome(one: Outcome) -> dict[str, Any]:
    found = {"service": one.service, "recipient": one.recipient, "what": one.what}
    known = one.told is not None and one.what in WORDS.values()
    return {**found, "told": _told_json(one.told) if known and one.told else None}


def _told_json(told: Told) -> dict[str, Any]:
    return {
        "service": told.service,
        "recipient": told.recipient,
        "stage": told.stage,
        "at": stamp(told.at),
        "activation": told.number,
        "once": told.once,
        "repeats": told.repeats,
        "over": told.over,
        "why": told.why,
    }


def redacted(configuration: Configuration, value: Any) -> Any:
    """Return a value of JSON without secrets."""
    if isinstance(value, str):
        return configuration.redact(value)
    if isinstance(value, dict):
        return {key: redacted(configuration, one) for key, one in value.items()}
    return [redacted(configuration, one) for one in value] if isinstance(value, list) else value
