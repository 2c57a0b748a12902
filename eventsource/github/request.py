"""What GitHub posts: who signed it, and the payload that it becomes.

Source: GitHub's public documentation, "Validating webhook deliveries" and "Webhook events and
payloads". The body is read and written anew, as Argo Events does it: members sorted, two of the
headers among them. Unlike there, large integers stay as they are.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from eventsource import forms, headers
from eventsource.answers import Answer
from eventsource.web import Request
from spine.lang import gojson

FORM = b"application/x-www-form-urlencoded"
UNSIGNED = Answer(401, "missing signature\n")
FORGED = Answer(403, "payload signature check failed\n")
NO_JSON_TYPE = Answer(415, "webhook request has unsupported Content-Type\n")
_DELIVERY, _EVENT = b"x-github-delivery", b"x-github-event"
_HASHES: Mapping[bytes, Callable[..., Any]] = {
    b"sha1": hashlib.sha1,
    b"sha256": hashlib.sha256,
    b"sha512": hashlib.sha512,
}


class GithubEvent:
    """One delivery."""

    __slots__ = ("_body", "_header", "_metadata")

    def __init__(self, header: bytes, body: bytes, metadata: bytes = b"") -> None:
        """Take JSON texts; `metadata` is empty, or the member with its comma."""
        self._header, self._body, self._metadata = header, body, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return b'{"headers":%b,"body":%b%b}' % (self._header, self._body, self._metadata)


def refusal(request: Request, secrets: Sequence[str]) -> Answer | None:
    """Return the answer to a request that is not signed with one of the secrets."""
    fields = request.fields
    given = fields.get(b"x-hub-signature-256") or fields.get(b"x-hub-signature")
    if not given:
        return UNSIGNED
    name, _, signature = given.partition(b"=")
    made_by = _HASHES.get(name)
    if made_by is None:
        return FORGED
    good = [
        hmac.compare_digest(_signature(secret, request.body, made_by), signature)
        for secret in secrets
    ]
    return None if any(good) else FORGED


def _signature(secret: str, body: bytes, made_by: Callable[..., Any]) -> bytes:
    return hmac.new(secret.encode(), body, made_by).hexdigest().encode()


def event_of(request: Request, metadata: bytes) -> GithubEvent:
    """Return the payload of a request. Raises ValueError saying what is wrong with its body."""
    fields = request.fields
    text = request.body
    if is_form(fields):
        values = forms.form(text).get("payload")
        if not values:
            raise ValueError("the form has no field payload")
        text = values[0].encode()
    body = _object(text)
    body["X-GitHub-Delivery"] = delivery(fields)
    body["X-GitHub-Event"] = fields.get(_EVENT, b"").decode(errors="replace")
    lines = request.lines
    header = headers.encode(lines, len(lines) == len(fields))
    return GithubEvent(header, gojson.dumps(body), metadata)


def delivery(fields: Mapping[bytes, bytes]) -> str:
    """Return what GitHub calls a delivery; it is the same when it is sent once more."""
    return fields.get(_DELIVERY, b"").decode(errors="replace")


def understood(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether the body is of a kind that GitHub sends."""
    return is_form(fields) or _type(fields) == b"application/json"


def is_form(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether the body is a form."""
    return _type(fields) == FORM


def _type(fields: Mapping[bytes, bytes]) -> bytes:
    return fields.get(b"content-type", b"").partition(b";")[0].strip().lower()


def _object(text: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(gojson.without_lone_surrogates(text) or text)
    except orjson.JSONDecodeError as exc:
        msg = f"the payload is not JSON: {exc}"
        raise ValueError(msg) from exc
    if not isinstance(body, dict):
        raise ValueError("the payload is not a JSON object")  # noqa: TRY004 -- who posts it is told
    return body
