"""Refusals that need no look: what the attributes of an event alone say to its dependencies.

Which dependencies mean an event, and which of those refuse it by a filter of its context, follows
from its source, name, type and content type. Of these there are few, so what follows is kept: a
hundred triggers that wait for another kind of event cost what one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sensor.decision import PASSED, DependencyVerdict, Skip
from sensor.dependencies import PlannedDependency
from sensor.plan import Plan
from spine.event import Event
from spine.lang.gjson import Document

KEPT = 16_384
"""Verdicts on dependencies that are kept for one plan: some 4 MiB."""

_NO_DATA = Document(b"")


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of the dependencies that mean an event."""

    all: tuple[PlannedDependency, ...]
    """In the order of the Sensor."""
    verdicts: tuple[DependencyVerdict, ...]
    """One for each; of those that must look it is that the event passed."""
    looking: tuple[tuple[int, PlannedDependency], ...]
    """Those that must look, and their places."""
    refused: tuple[DependencyVerdict, ...]
    """The verdicts of the others."""
    labels: tuple[tuple[str, str], ...]
    """Name and code of each that is refused, for the metrics."""


def known_of(plan: Plan, event: Event, skip: Skip = ()) -> Known:
    """Return what the attributes of an event say, without the dependencies that skip it."""
    content = event.datacontenttype if plan.compares_content else ""
    key = (event.source, event.subject, event.type, content)
    known = plan.known.get(key)
    if known is None:
        known = _known(plan.dependencies_of(event.source, event.subject), event)
        if plan.verdicts >= KEPT:
            plan.known.clear()
            plan.verdicts = 0
        plan.known[key] = known
        plan.verdicts += 1 + len(known.verdicts)
    if skip:
        return _known([one for one in known.all if one.name not in skip], event)
    return known


def _known(dependencies: Sequence[PlannedDependency], event: Event) -> Known:
    verdicts, looking, refused = [], [], []
    for at, one in enumerate(dependencies):
        reason = None if one.context is None else one.context(event, _NO_DATA)
        if reason is None:
            verdicts.append(DependencyVerdict(one.name, True, PASSED))
            looking.append((at, one))
        else:
            verdicts.append(DependencyVerdict(one.name, False, reason.code, reason))
            refused.append(verdicts[-1])
    labels = tuple((one.name, one.code) for one in refused)
    return Known(tuple(dependencies), tuple(verdicts), tuple(looking), tuple(refused), labels)
