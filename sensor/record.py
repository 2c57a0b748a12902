"""A decision as it is kept on the bus for `tocsin why`: short, in words, without any data."""

import time

from delivery.report import Decided, Judged
from sensor.evaluate import Decision
from sensor.wording import fires, sentence
from spine.event import Event

LONGEST = 500
"""Characters of a text in a record."""


def outcome(decision: Decision) -> str:
    """Return a text that is equal for decisions of which a few are enough."""
    for verdict in decision.triggers:
        return f"{verdict.name} {verdict.code}"
    for refused in decision.dependencies:
        return f"{refused.name} {refused.code}"
    return ""


def record(sensor: str, decision: Decision, event: Event, sequence: int = 0) -> Decided:
    """Return what is kept of a decision."""
    return Decided(
        decided=time.time(),
        sensor=sensor,
        source=event.source,
        event=event.subject,
        id=event.id,
        sequence=sequence,
        fired=fires(decision),
        text=sentence(decision, event, would=False)[:LONGEST],
        dependencies=tuple(
            Judged(one.name, one.code, one.detail[:LONGEST]) for one in decision.dependencies
        ),
        triggers=tuple(
            Judged(one.name, one.code, one.detail[:LONGEST], one.key) for one in decision.triggers
        ),
    )
