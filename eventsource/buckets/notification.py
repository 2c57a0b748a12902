"""What MinIO says of objects, and the payload that is made of it.

The members of a record, their order and what is left out are those of Argo Events, whose records
are structs of MinIO's client. The id of an event is made of what the server says: for an object
that was made, key, time and content, so that a listing finds the same event.
"""

from collections.abc import Mapping, Sequence

import msgspec

from eventsource.bodies import event_id
from spine.errors import EventError
from spine.lang import gojson

MADE = frozenset(
    f"s3:ObjectCreated:{how}" for how in ("Put", "Post", "Copy", "CompleteMultipartUpload")
)
"""Events that an object is new; others of `s3:ObjectCreated` are of its tags, for example."""
Texts = dict[str, str]


class Identity(msgspec.Struct, rename="camel"):
    """Who did it, or whose it is."""

    principal_id: str = ""


class Bucket(msgspec.Struct, rename="camel"):
    """The bucket."""

    name: str = ""
    owner_identity: Identity = msgspec.field(default_factory=Identity)
    arn: str = ""


class Object(msgspec.Struct, rename="camel"):
    """The object."""

    key: str = ""
    """As it is: to a listener MinIO does not escape it, as it does elsewhere."""
    size: int = 0
    e_tag: str = ""
    content_type: str = ""
    user_metadata: Texts | None = None
    version_id: str = ""
    sequencer: str = ""
    """Nanoseconds of Unix time at which the object was made, in hexadecimal."""


class S3(msgspec.Struct, rename="camel"):
    """What it is about."""

    schema_version: str = msgspec.field(default="", name="s3SchemaVersion")
    configuration_id: str = ""
    bucket: Bucket = msgspec.field(default_factory=Bucket)
    object: Object = msgspec.field(default_factory=Object)


class Agent(msgspec.Struct, rename="camel"):
    """Where the request came from."""

    host: str = ""
    port: str = ""
    user_agent: str = ""


class Record(msgspec.Struct, rename="camel"):
    """One thing that happened."""

    event_version: str = ""
    event_source: str = ""
    aws_region: str = ""
    event_time: str = ""
    event_name: str = ""
    user_identity: Identity = msgspec.field(default_factory=Identity)
    request_parameters: Texts | None = None
    response_elements: Texts | None = None
    s3: S3 = msgspec.field(default_factory=S3)
    source: Agent = msgspec.field(default_factory=Agent)

    @property
    def moment(self) -> int:
        """Milliseconds of Unix time at which the object was made; 0 where that is not said."""
        try:
            return int(self.s3.object.sequencer, 16) // 1_000_000
        except ValueError:
            return 0

    @property
    def made(self) -> bool:
        """Whether it says that an object is new, and which."""
        return self.event_name in MADE and bool(self.moment and self.s3.object.e_tag)


class _Line(msgspec.Struct):
    Records: list[Record] | None = None


_decode = msgspec.json.Decoder(_Line, strict=True).decode


def records_of(line: bytes) -> list[Record]:
    """Return the records of a line; none for a sign of life. Raises EventError."""
    try:
        return _decode(line).Records or []
    except msgspec.DecodeError as exc:
        raise EventError(f"reading a notification of MinIO: {exc}") from exc


class Notification:
    """The payload of one line."""

    __slots__ = ("_metadata", "_records")

    def __init__(self, records: Sequence[Record], metadata: bytes = b"") -> None:
        """Take `metadata` as the member with its comma; empty where there is none."""
        self._records, self._metadata = records, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        records = gojson.escape(msgspec.json.encode([_members(one) for one in self._records]))
        return b'{"notification":%b%b}' % (records, self._metadata)


class Unread:
    """What is no notification, to be set aside as it came."""

    __slots__ = ("_line", "_metadata")

    def __init__(self, line: bytes, metadata: bytes = b"") -> None:
        self._line, self._metadata = line, metadata

    def encode(self) -> bytes:
        """Return the line as a JSON string, where the records would be."""
        text = gojson.quote(self._line.decode(errors="replace"))
        return b'{"notification":%b%b}' % (text, self._metadata)


_OMITTED = ("size", "eTag", "contentType", "userMetadata", "versionId")
"""Members of an object that are left out where they are empty."""


def _members(record: Record) -> dict[str, object]:
    members: dict[str, object] = msgspec.to_builtins(record)
    members["requestParameters"] = _sorted(record.request_parameters)
    members["responseElements"] = _sorted(record.response_elements)
    found: dict[str, object] = msgspec.to_builtins(record.s3.object)
    found["userMetadata"] = _sorted(record.s3.object.user_metadata)
    s3: dict[str, object] = msgspec.to_builtins(record.s3)
    s3["object"] = {name: value for name, value in found.items() if value or name not in _OMITTED}
    return members | {"s3": s3}


def _sorted(texts: Texts | None) -> Texts | None:
    return dict(sorted(texts.items())) if texts is not None else None


def id_of(place: tuple[str, str], records: Sequence[Record]) -> str:
    """Return the id of the event of a line; `place` is EventSource and event name."""
    return event_id((*place, *(part for record in records for part in _identity(record))))


def _identity(record: Record) -> tuple[str, ...]:
    found = record.s3.object
    if record.made:
        return (record.s3.bucket.name, found.key, found.e_tag, str(record.moment))
    asked: Mapping[str, str] = record.response_elements or {}
    return (
        record.s3.bucket.name,
        found.key,
        record.event_name,
        found.version_id,
        found.sequencer,
        record.event_time,
        asked.get("x-amz-request-id", ""),
    )
