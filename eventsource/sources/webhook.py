"""Webhook: an event for each HTTP request.

The request is answered 200 once the bus has stored the event, so whoever sends it can try again
after anything else and nothing is lost. The body goes through as it came: large integers and
the order of members survive.
"""

import asyncio
import logging
from functools import cache
from typing import ClassVar, Self

from pydantic import field_validator, model_validator
from typing_extensions import override

from eventsource import cloudevents, forms, headers, web
from eventsource.answers import SUCCESS, Answer
from eventsource.endpoint import Endpoint
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine.lang import EvaluationError, gojson
from spine.model import warn
from spine.runtime import Env
from spine.secrets import SecretRef

log = logging.getLogger(__name__)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FORM = b"application/x-www-form-urlencoded"


class Delivery:
    """One request: its headers and its body."""

    __slots__ = ("_body", "_header", "_metadata")

    def __init__(self, header: bytes, body: bytes, metadata: bytes = b"") -> None:
        """Take JSON texts; `metadata` is empty, or the member with its comma."""
        self._header, self._body, self._metadata = header, body, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return b'{"header":%b,"body":%b%b}' % (self._header, self._body, self._metadata)


class Webhook(Endpoint, Source):
    """Serves an HTTP endpoint."""

    type: ClassVar[str] = "webhook"
    answers: ClassVar[bool] = True
    example: ClassVar[Payload] = Delivery(
        b'{"Content-Type":["application/json"],"User-Agent":["curl/8.5.0"]}',
        b'{"build":42,"state":"passed"}',
        b',"metadata":{"team":"web"}',
    )
    method: str = ""
    """Method of the requests; POST where it is not given."""
    auth_secret: SecretRef | None = None
    """Bearer token that requests must present."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which requests become events."""

    @field_validator("method")
    @classmethod
    def _method(cls, method: str) -> str:
        if method and method.upper() not in METHODS:
            msg = f"must be one of {', '.join(METHODS)}"
            raise ValueError(msg)
        if method != method.upper():
            warn(f"method: write {method.upper()}: Argo Events never matches {method}")
        return method.upper()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.method:
            warn("method: taken as POST: Argo Events never matches an empty one")
        return self

    @property
    def accepted(self) -> str:
        """The method that requests must have."""
        return self.method or "POST"

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        route = web.Route(
            event=env.name,
            endpoint=self.endpoint,
            method=self.accepted,
            handler=self._handler(emit),
            max_payload=self.max_payload_size,
            token=web.bearer(env, self.auth_secret) if self.auth_secret else None,
            rejected=env.rejected,
        )
        async with web.serve(env, int(self.port), route, self.certificate(env)):
            env.listening()
            await asyncio.Event().wait()  # until cancelled

    def _handler(self, emit: Emit) -> web.Handler:
        metadata = b',"metadata":%b' % gojson.dumps(self.metadata) if self.metadata else b""
        read = _query if self.accepted == "GET" else _body
        optional = self.accepted == "DELETE"

        async def handle(request: web.Request) -> Answer:
            lines, fields = request.lines, request.fields
            posted = None
            try:
                body = read(request, optional)
                if cloudevents.VERSION in fields:
                    posted = cloudevents.binary(fields)
                elif fields.get(b"content-type", b"").startswith(cloudevents.STRUCTURED):
                    posted = cloudevents.structured(request.body)
            except ValueError as exc:
                return Answer(400, f"{exc}\n")
            header = headers.encode(lines, len(lines) == len(fields))
            payload = Delivery(header, body, metadata)
            if posted is None:
                await emit(payload)
            else:
                await emit(payload, id=posted.id, time=posted.time, origin=posted.origin)
            return SUCCESS

        return handle


def _query(request: web.Request, _: bool) -> bytes:
    return gojson.dumps(forms.query(request.query))


def _body(request: web.Request, optional: bool) -> bytes:
    """Return the JSON of a body. Raises ValueError."""
    kind = request.fields.get(b"content-type", b"")
    if kind == FORM:
        if request.body.startswith((b"{", b"[")):
            _tell_of_json_as_form()
        return gojson.dumps(forms.form(request.body))
    try:
        return gojson.compact(request.body)
    except EvaluationError as exc:
        if not request.body and (optional or cloudevents.VERSION in request.fields):
            return b"null"
        if kind.startswith(FORM):  # with parameters, where Argo Events takes JSON only
            return gojson.dumps(forms.form(request.body))
        why = str(exc) if request.body else "it is empty"
        msg = f"the body must be one JSON value: {why}"
        raise ValueError(msg) from exc


@cache
def _tell_of_json_as_form() -> None:
    """Say once what a user of curl is bound to run into."""
    log.warning(
        "A request has JSON for a body and says that it is a form, as curl -d does: it is taken"
        " as a form (send the header Content-Type: application/json)"
    )
