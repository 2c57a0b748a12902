"""Dependencies: from an event of the bus to one that counts, or to why it does not.

An event is transformed first and filtered then, once for each dependency that names it, however
many triggers wait for that dependency.
"""

from collections.abc import Callable
from dataclasses import dataclass

from eventbus.bus import Topic
from sensor.reason import Check, Reason
from spine.event import JSON, Event
from spine.lang.gjson import Document

ANY = "*"
"""Stands for any EventSource or any event name."""


@dataclass(frozen=True, slots=True)
class PlannedDependency:
    """A compiled dependency."""

    name: str
    topic: Topic
    triggers: tuple[str, ...]
    """Triggers that wait for it."""
    fingerprint: str
    """Changes when anything of it is edited."""
    transform: Callable[[Event], Event] | None = None
    check: Check | None = None

    def takes(self, source: str, name: str) -> bool:
        """Return whether it means events of a source and name."""
        return self.topic.source in {ANY, source} and self.topic.name in {ANY, name}


@dataclass(slots=True)
class Seen:
    """An event as a dependency sees it."""

    event: Event
    document: Document
    """Its data."""
    reason: Reason | None
    """Why it does not count; None: it does."""


def look(dependency: PlannedDependency, event: Event, document: Document) -> Seen:
    """Transform and filter an event. Raises TransformError and FilterError."""
    if dependency.transform is not None:
        event = dependency.transform(event)
        document = Document(event.data or b"")
    reason = None if dependency.check is None else dependency.check(event, document)
    return Seen(event, document, reason)


def is_json(event: Event) -> bool:
    """Return whether parameters take the data of an event as the JSON that it is."""
    return event.datacontenttype == JSON
