"""A Pub/Sub message, however it came, and the payload that is made of it.

Pulled and pushed messages give the same payload, byte for byte that of Argo Events. The id of an
event is made of EventSource, event, subscription, message id and time of publishing, so a
redelivery is the same event, and a server that begins to count anew makes new ones.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spine.errors import EventError
from spine.lang import EvaluationError, gojson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it was received."""

    id: str
    """What the server calls it."""
    data: bytes
    attributes: Mapping[str, str]
    seconds: int
    """When it was published: Unix seconds and the nanoseconds beyond."""
    nanos: int

    @property
    def time(self) -> datetime:
        """When it was published, to the microsecond."""
        return _EPOCH + timedelta(seconds=self.seconds, microseconds=self.nanos // 1000)

    @property
    def published(self) -> str:
        """When it was published, as Go's `time.String()` writes it."""
        fraction = f".{self.nanos:09d}".rstrip("0") if self.nanos else ""
        return f"{self.time:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


class PubSubMessage:
    """The payload of one message."""

    __slots__ = ("_attributes", "_body", "_id", "_metadata", "_published")

    def __init__(
        self,
        id: str,
        body: bytes,
        attributes: Mapping[str, str],
        published: str,
        metadata: bytes = b"",
    ) -> None:
        """Take `body` as JSON text; `metadata` is empty, or the member with its comma."""
        self._id, self._body, self._attributes = id, body, attributes
        self._published, self._metadata = published, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        attributes = gojson.dumps(dict(self._attributes)) if self._attributes else b"null"
        return b'{"id":%b,"body":%b,"attributes":%b,"publishTime":%b%b}' % (
            gojson.quote(self._id),
            self._body,
            attributes,
            gojson.quote(self._published),
            self._metadata,
        )


def base64_body(data: bytes) -> bytes:
    """Return data as a base64 string; null where there is none, as in Go."""
    return b'"%b"' % base64.b64encode(data) if data else b"null"


def json_body(data: bytes) -> bytes:
    """Return data that is JSON, numbers as they are spelled. Raises EventError if it is not."""
    if not data:
        return b"null"  # a notification may consist of attributes alone
    try:
        return gojson.compact(data)
    except EvaluationError as exc:
        raise EventError(
            f"reading the body of a Pub/Sub message: it is not JSON, and jsonBody is set: {exc}",
            hint="leave jsonBody away if messages are not JSON",
        ) from exc


def former(
    body: Callable[[bytes], bytes], metadata: Mapping[str, str]
) -> Callable[[Received], PubSubMessage]:
    """Return what makes payloads; it raises what `body` raises."""
    constant = b',"metadata":%b' % gojson.dumps(dict(metadata)) if metadata else b""

    def form(message: Received) -> PubSubMessage:
        body_text = body(message.data)
        return PubSubMessage(message.id, body_text, message.attributes, message.published, constant)

    return form


def event_id(place: tuple[str, str], subscription: str, message: Received) -> str:
    """Return the id of the event of a message; `place` is EventSource and event name."""
    moment = f"{message.seconds}.{message.nanos:09d}"
    parts = (*place, subscription, message.id, moment)
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
