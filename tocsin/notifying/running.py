"""`tocsin notify trigger run`: each condition of a trigger, held against one object."""

from collections.abc import Iterator
from typing import Any

from notifier.state import ObjectState
from spine.errors import ConfigError
from tocsin.notifying.finding import Inputs
from tocsin.notifying.found import Alone, having
from tocsin.notifying.looking import Evaluated, Shown
from tocsin.notifying.words import block, row, warned, whom


class Run:
    """One trigger and one object."""

    def __init__(self, given: Inputs, trigger: str, now: float) -> None:
        """Raise ConfigError where there is no such trigger."""
        assert given.subject is not None, "the command takes one"
        self.subject = given.subject
        self.trigger = trigger
        self.found = having(given.found, self.subject, "triggers", [trigger])
        plan, self.note = self.found.plan_anyway(self.subject)
        alone = Alone.of(plan, trigger)
        self.evaluated = Evaluated.of(alone, self.subject, ObjectState(), now)
        looks = self.evaluated.decision.looks
        self.conditions = [Shown(self.evaluated, look) for look in looks]
        if not self.conditions:
            own = [one for one in self.found.problems if one.key == f"trigger.{trigger}"]
            why = f": {own[0]}" if own else ""
            raise ConfigError(f"running trigger {trigger!r}: it has no condition that works{why}")

    @property
    def met(self) -> bool:
        """Whether some condition is met."""
        return self.evaluated.any_met()

    @property
    def _subscribed(self) -> bool:
        return bool(self.evaluated.plan.subscribed(self.subject.seen.meta).by_trigger[self.trigger])

    def json(self) -> dict[str, Any]:
        """Return it for a script."""
        redact = self.found.configuration.redact
        problems = dict.fromkeys([self.note, *self.evaluated.decision.problems])
        return {
            "trigger": self.trigger,
            "notifier": self.found.name,
            "object": self.subject.name,
            "met": self.met,
            "subscribed": self._subscribed,
            "conditions": [one.json() for one in self.conditions],
            "messages": messages_json(self.evaluated),
            "problems": [redact(one) for one in problems if one],
        }

    def lines(self, *, full: bool) -> Iterator[str]:
        """Yield it for a person."""
        yield row("trigger", f"{self.trigger}, of Notifier {self.found.title}")
        yield row("object", self.subject.name)
        if self.note:
            yield warned("note", self.note)
        for one in self.conditions:
            yield ""
            yield from one.lines(full=full)
        yield ""
        if not self._subscribed:
            yield row("told", "nobody: the object is not subscribed to it")
            prefix = self.found.spec.annotation_prefix
            yield row("", f"annotation: {prefix}/subscribe.{self.trigger}.SERVICE: RECIPIENT")
        yield from message_lines(self.evaluated, full=full)
        met = sum(one.look.verdict is True for one in self.conditions)
        yield row("met", f"{met} of {len(self.conditions)} conditions")


def messages_json(evaluated: Evaluated) -> list[dict[str, Any]]:
    """Return the messages that would be sent."""
    return [
        {
            "trigger": sent.trigger,
            "condition": sent.condition,
            "service": sent.service,
            "recipient": sent.recipient,
            "resolved": sent.resolved,
            "key": sent.key,
            "manner": evaluated.manner(sent),
            "text": evaluated.text(sent),
        }
        for sent in evaluated.decision.notifications
    ]


def message_lines(evaluated: Evaluated, *, full: bool) -> Iterator[str]:
    """Yield the messages that would be sent, at length if they are asked for in full."""
    for sent in evaluated.decision.notifications:
        ending = ", as it is over" if sent.resolved else ""
        yield row("would tell", whom(sent.service, sent.recipient) + ending)
        for text in evaluated.manner(sent):
            yield row("", text)
        body = evaluated.text(sent)
        lines = body.split("\n")
        shown = body if full or len(lines) <= SHORT else "\n".join([*lines[:SHORT], "…"])
        yield from block(shown, 2)


SHORT = 12
"""Lines of a message that are shown."""
