"""A whole event as the body of a request, untouched; ours.

`passthrough` is the data as it came, byte for byte: large integers, `1.0e2`, an image. `cloudevent`
is the event with its attributes, as a CloudEvent in structured JSON, in which JSON data stands as
it is and other data in base64. Of several events the newest is sent: that which completed the
conditions, as a rule.
Format: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from spine.event import JSON, Event, encode
from spine.lang.gjson import Document

Whole = Literal["", "passthrough", "cloudevent"]
"""How an event becomes a body; empty: it does not."""

CLOUDEVENT = "application/cloudevents+json"
_OCTETS = "application/octet-stream"


class Body(NamedTuple):
    """A body and what it is."""

    data: bytes
    content_type: str
    """Empty where there is no body."""


def body_of(events: Mapping[str, Event], how: Whole) -> Body:
    """Return the newest event as a body."""
    event = newest(events)
    if how == "cloudevent":
        return Body(_structured(event), CLOUDEVENT)
    if event.data is None:
        return Body(b"", "")
    return Body(event.data, event.datacontenttype or _OCTETS)


def newest(events: Mapping[str, Event]) -> Event:
    """Return the event with the latest time; of equal ones the last."""
    times = [
        (0.0 if e.time is None else e.time.timestamp(), n) for n, e in enumerate(events.values())
    ]
    return list(events.values())[max(times)[1]]


def _structured(event: Event) -> bytes:
    data = event.data
    media = event.datacontenttype.partition(";")[0].strip().lower()
    plain = media == JSON or media.endswith("+json")
    if data is None or not plain or not Document(data).valid:
        return encode(event)
    head = encode(msgspec.structs.replace(event, data=None))
    return b'%b,"data":%b}' % (head[:-1], data.strip())
