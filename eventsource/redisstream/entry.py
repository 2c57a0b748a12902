"""An entry of a Redis stream, and the payload that is made of it."""

from collections.abc import Mapping

from eventsource.bodies import text
from spine.lang import gojson


class StreamEntry:
    """The payload of one entry."""

    __slots__ = ("_id", "_metadata", "_stream", "_values")

    def __init__(self, stream: str, id: str, values: bytes, metadata: bytes = b"") -> None:
        """Take `values` as a JSON object; `metadata` is empty, or the member with its comma."""
        self._stream, self._id, self._values, self._metadata = stream, id, values, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return b'{"stream":%b,"message_id":%b,"values":%b%b}' % (
            gojson.quote(self._stream),
            gojson.quote(self._id),
            self._values,
            self._metadata,
        )


def values(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the fields of an entry as a JSON object of texts, sorted as in Go."""
    if len(fields) == 1:
        ((name, value),) = fields.items()
        return b"{%b:%b}" % (text(name), text(value))
    pairs = b",".join(text(name) + b":" + text(fields[name]) for name in sorted(fields))
    return b"{" + pairs + b"}"
