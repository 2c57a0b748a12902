"""The events of one firing, as parameters look at them.

An event has three faces: its context (the attributes), its data (as a JSON document), and the
whole of it as text. Each is made at most once, and only when somebody asks. The shapes are
those of Argo Events: times in UTC with seconds only, data in base64.
"""

import base64
from collections.abc import Mapping
from datetime import UTC

from sensor import yaml_body
from spine.errors import ParameterError
from spine.event import Event
from spine.lang import gojson
from spine.lang.gjson import Document

YAML = "application/yaml"


class Firing(dict[str, Event]):
    """Dependency -> event, with the documents of their data that were already read."""

    __slots__ = ("documents",)

    def __init__(
        self,
        events: Mapping[str, Event] | None = None,
        documents: dict[str, Document] | None = None,
    ) -> None:
        if events:
            self.update(events)
        self.documents: dict[str, Document] = documents or {}


def data_document(events: Mapping[str, Event], dependency: str) -> Document:
    """Return the data of an event as a JSON document.

    Raises ParameterError where the content type is neither JSON nor YAML, or the data is not of it.
    """
    if isinstance(events, Firing):
        document = events.documents.get(dependency)
        if document is None:
            document = events.documents[dependency] = _document(events[dependency])
    else:
        document = _document(events[dependency])
    if not document.valid:
        raise ParameterError(f"reading the data of {_who(events[dependency])}: not valid JSON")
    return document


def _document(event: Event) -> Document:
    if event.datacontenttype == "application/json":
        return Document(event.data or b"")
    if event.datacontenttype == YAML:
        try:
            return Document(yaml_body.to_json(event.data or b""))
        except ValueError as exc:
            raise ParameterError(f"reading the data of {_who(event)} as yaml: {exc}") from exc
    raise ParameterError(
        f"reading the data of {_who(event)}: unknown content type {event.datacontenttype!r}",
        hint="dataKey works on application/json and application/yaml",
    )


def _who(event: Event) -> str:
    return f"event {event.id!r} of {event.source}/{event.subject}"


def context_json(event: Event) -> str:
    """Return the attributes of an event as JSON."""
    time = context_time(event)
    return (
        f'{{"id":{_quote(event.id)},"source":{_quote(event.source)},'
        f'"specversion":{_quote(event.specversion)},"type":{_quote(event.type)},'
        f'"datacontenttype":{_quote(event.datacontenttype)},"subject":{_quote(event.subject)},'
        f'"time":{"null" if time is None else _quote(time)}}}'
    )


def context_time(event: Event) -> str | None:
    """Return the time of an event in UTC with whole seconds; None where it has none."""
    if event.time is None or event.time.year == 1:
        return None
    return event.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whole_json(event: Event) -> str:
    """Return an event, attributes and data, as JSON."""
    data = "null" if event.data is None else f'"{base64.b64encode(event.data).decode()}"'
    return f'{{"context":{context_json(event)},"data":{data}}}'


def _quote(text: str) -> str:
    return gojson.quote(text).decode()
