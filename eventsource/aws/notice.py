"""What SNS posts: the envelope of a message, the text of it that is signed, and the payload.

Source: AWS's public documentation, "Verifying the signatures of Amazon SNS messages".
"""

from datetime import datetime

import msgspec

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
FAREWELL = "UnsubscribeConfirmation"


class SnsNotice:
    """The payload of one message: the headers, and the envelope as it was posted."""

    __slots__ = ("_body", "_header", "_metadata")

    def __init__(self, header: bytes, body: bytes, metadata: bytes = b"") -> None:
        """Take JSON texts; `metadata` is empty, or the member with its comma."""
        self._header, self._body, self._metadata = header, body, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return b'{"header":%b,"body":%b%b}' % (self._header, self._body, self._metadata)


class Envelope(msgspec.Struct, rename="pascal"):
    """The members that count here; what `text` holds is signed."""

    type: str
    message_id: str
    topic_arn: str
    timestamp: str
    message: str = ""
    subject: str | None = None
    token: str = ""
    signature: str = ""
    signature_version: str = ""
    signing_cert_url: str = msgspec.field(default="", name="SigningCertURL")
    subscribe_url: str = msgspec.field(default="", name="SubscribeURL")

    @property
    def text(self) -> bytes:
        """The text that is signed: names and values, each on a line."""
        lines: dict[str, str | None] = {
            "Message": self.message,
            "MessageId": self.message_id,
            "Subject": self.subject,
            "Timestamp": self.timestamp,
            "TopicArn": self.topic_arn,
            "Type": self.type,
        }
        if self.type != NOTIFICATION:
            lines |= {"Subject": None, "SubscribeURL": self.subscribe_url, "Token": self.token}
        found = [f"{name}\n{value}\n" for name, value in sorted(lines.items()) if value is not None]
        return "".join(found).encode(errors="replace")

    @property
    def time(self) -> datetime:
        """When it was published. Raises ValueError."""
        moment = datetime.fromisoformat(self.timestamp)
        if moment.tzinfo is None:
            raise ValueError("Timestamp has no time zone")
        return moment


_decode = msgspec.json.Decoder(Envelope).decode


def read(body: bytes) -> Envelope:
    """Return the envelope of a message. Raises ValueError."""
    if not body:
        raise ValueError("bad request, not a valid SNS notification")
    try:
        envelope = _decode(body)
        _ = envelope.time
    except (ValueError, RecursionError) as exc:  # msgspec's errors are ValueErrors
        raise ValueError(f"this is not what SNS posts: {exc}") from exc
    return envelope
