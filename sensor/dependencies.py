"""Dependencies: from an event of the bus to one that counts, or to why it does not.

An event is transformed first and filtered then, once for each dependency that names it, however
many triggers wait for that dependency.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from eventbus.bus import Topic
from sensor.globs import ANY, fits, is_pattern
from sensor.reason import Check, Reason
from spine.event import JSON, Event
from spine.lang.gjson import Document

__all__ = ["ANY", "PlannedDependency", "Seen", "is_json", "look"]


@dataclass(frozen=True, slots=True)
class PlannedDependency:
    """A compiled dependency."""

    name: str
    topic: Topic
    """As it is written: names may be patterns."""
    triggers: tuple[str, ...]
    """Triggers that wait for it."""
    fingerprint: str
    """Changes when anything of it is edited."""
    transform: Callable[[Event], Event] | None = None
    check: Check | None = None
    """All of its filters."""
    context: Check | None = None
    """What of them needs the attributes of an event alone, and decides before all else."""

    def takes(self, source: str, name: str) -> bool:
        """Return whether it means events of a source and name."""
        return fits(self.topic.source, source) and fits(self.topic.name, name)

    @property
    def reads(self) -> Topic:
        """What is read for it: a bus knows no pattern for a part of a name."""
        return Topic(_wide(self.topic.source), _wide(self.topic.name))


def _wide(name: str) -> str:
    return ANY if is_pattern(name) else name


class Seen(NamedTuple):
    """An event as a dependency sees it, for which it counts."""

    event: Event
    document: Document
    """Its data."""


def look(dependency: PlannedDependency, event: Event, document: Document) -> Seen | Reason:
    """Transform and filter an event: return it, or why it does not count.

    Raises TransformError and FilterError.
    """
    if dependency.transform is not None:
        event = dependency.transform(event)
        document = Document(event.data or b"")
    reason = None if dependency.check is None else dependency.check(event, document)
    return Seen(event, document) if reason is None else reason


def is_json(event: Event) -> bool:
    """Return whether parameters take the data of an event as the JSON that it is."""
    return event.datacontenttype == JSON
