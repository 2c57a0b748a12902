"""The payload of an MQTT message."""

from spine.lang import gojson


class MqttMessage:
    """The payload of one message."""

    __slots__ = ("_body", "_metadata", "_number", "_topic")

    def __init__(self, topic: str, number: int, body: bytes, metadata: bytes = b"") -> None:
        """Take `body` as JSON text; `metadata` is empty, or the member with its comma.

        `number` is what the broker counts deliveries with: 0 for QoS 0, else it comes again.
        """
        self._topic, self._number, self._body, self._metadata = topic, number, body, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        topic = gojson.quote(self._topic)
        return b'{"topic":%b,"messageId":%d,"body":%b%b}' % (
            topic,
            self._number,
            self._body,
            self._metadata,
        )
