"""A message of SQS, and the payload that is made of it."""

import base64
from collections.abc import Mapping
from typing import Any

from spine.lang import gojson


class SqsMessage:
    """The payload of one message."""

    __slots__ = ("_attributes", "_body", "_id", "_metadata")

    def __init__(self, id: str, attributes: bytes, body: bytes, metadata: bytes = b"") -> None:
        """Take JSON texts; `metadata` is empty, or the member with its comma."""
        self._id, self._attributes, self._body = id, attributes, body
        self._metadata = metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return b'{"messageId":%b,"messageAttributes":%b,"body":%b%b}' % (
            gojson.quote(self._id),
            self._attributes,
            self._body,
            self._metadata,
        )


def attributes(found: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the attributes of a message as Go writes the SDK's values; null without any."""
    if not found:
        return b"null"
    return gojson.dumps({name: _value(value) for name, value in found.items()})


def _value(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "BinaryListValues": _each(given.get("BinaryListValues"), _text),
        "BinaryValue": _text(given.get("BinaryValue")),
        "DataType": given.get("DataType"),
        "StringListValues": _each(given.get("StringListValues"), str),
        "StringValue": given.get("StringValue"),
    }


def _each(values: Any, form: Any) -> list[Any] | None:
    return [form(value) for value in values] if values else None


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
