"""What GitLab posts: the payload that it becomes, and what tells one delivery from another.

Source: GitLab's public documentation, "Webhooks": since 17.4 a delivery has the header
Idempotency-Key, the same when it is sent once more. The older X-Gitlab-Event-UUID is that of
what set off a chain of hooks, and so several deliveries may have it: they differ in their bodies.
"""

from collections.abc import Mapping

from eventsource import headers
from eventsource.bodies import event_id
from eventsource.web import Request
from spine.lang import EvaluationError, gojson

TOKEN = b"x-gitlab-token"
"""The header with the secret that GitLab presents."""


class GitlabEvent:
    """One delivery."""

    __slots__ = ("_body", "_header", "_metadata")

    def __init__(self, header: bytes, body: bytes, metadata: bytes = b"") -> None:
        """Take JSON texts; `metadata` is empty, or the member with its comma."""
        self._header, self._body, self._metadata = header, body, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return b'{"headers":%b,"body":%b%b}' % (self._header, self._body, self._metadata)


def event_of(request: Request, metadata: bytes) -> GitlabEvent:
    """Return the payload of a request. Raises ValueError saying what is wrong with its body."""
    try:
        body = gojson.compact(request.body)
    except EvaluationError as exc:
        msg = f"invalid event: {exc}"
        raise ValueError(msg) from exc
    mask = headers.MASK.encode()
    lines = [(name, mask if name == TOKEN else value) for name, value in request.lines]
    return GitlabEvent(headers.encode(lines, len(lines) == len(request.fields)), body, metadata)


def known_as(place: tuple[str, str], request: Request) -> str | None:
    """Return the id of the event of a delivery, None where GitLab does not tell it from others."""
    fields = request.fields
    if key := _text(fields, b"idempotency-key"):
        return event_id((*place, "key", key))
    if uuid := _text(fields, b"x-gitlab-event-uuid"):
        return event_id((*place, "uuid", uuid), request.body)
    return None


def _text(fields: Mapping[bytes, bytes], name: bytes) -> str:
    return fields.get(name, b"").decode(errors="replace")
