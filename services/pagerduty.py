"""PagerDuty by its REST API: incidents of a service, resolved when what they tell is over.

The incident's key names the occurrence, and PagerDuty keeps one open incident for a key: what is
sent again, or repeated, opens no second one.
"""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from pydantic import Field
from typing_extensions import override

from services.fitting import cut, filled, first_line, word
from services.hiding import HIDDEN
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged
from services.web import Transport, Web, json_content, json_of, over_http, refused
from spine.errors import TriggerError
from spine.http.client import Response
from spine.runtime import Env

TITLE = 1024
"""Characters of a title that are sent."""
KEY = 255
OPEN_ALREADY = b"Open incident with matching dedup key"
"""What PagerDuty says where an open incident has that key."""
_BAD = 400


class PagerdutyBlock(OpenBlock):
    """The incident. `extra` is merged into it."""

    title: str = ""
    """Title; the first line of the message where there is none."""
    body: str = ""
    """What it says at length; the message where it says nothing."""
    urgency: str = ""
    """`high` or `low`; what the service says where it is empty."""
    priority_id: str = ""
    """Id of a priority."""


class Pagerduty(Transport, Service):
    """Opens an incident, and resolves it when it is over."""

    kind: ClassVar[str] = "pagerduty"
    block: ClassVar[type[Block] | None] = PagerdutyBlock
    recipients: ClassVar[str] = "id of a PagerDuty service"
    idempotent: ClassVar[str] = "incident_key"
    example: ClassVar[str] = """
service.pagerduty: |
  token: $pagerduty-token
  from: robot@example.com
template.down: |
  message: "{{ .obj.kind }} {{ .obj.metadata.name }} is down"
  pagerduty:
    title: "{{ .obj.metadata.name }} is down"
    body: "{{ .obj.status.message }}"
    urgency: high
    priorityId: P456XYZ
"""

    token: Annotated[str, HIDDEN, Field(min_length=1)]
    """Key of the REST API."""
    sender: Annotated[str, Field(alias="from")] = ""
    """Mail address of the user who opens incidents; PagerDuty wants one where the key is of an
    account."""
    service_id: str = ""
    """Of no effect: the recipient says it."""
    api_url: Annotated[str, Field(alias="apiURL")] = "https://api.pagerduty.com"
    """Where its API is; `https://api.eu.pagerduty.com` in Europe."""

    @override
    def problem(self, recipient: str) -> str:
        return "" if recipient else "it names no PagerDuty service"

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, web))


class _Client(Client):
    def __init__(self, service: Pagerduty, web: Web) -> None:
        self._web = web
        self._url = f"{service.api_url.rstrip('/')}/incidents"
        self._headers = {
            "Authorization": f"Token token={service.token}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }
        if service.sender:
            self._headers["From"] = service.sender

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        name = cut(message.incident or key, KEY)
        if message.resolved:
            return await self._resolve(recipient, name)
        what = f"opening an incident of PagerDuty service {recipient!r}"
        incident = {**_incident(message, recipient), "incident_key": name}
        body = {"incident": merged(incident, message.block.get("extra"))}
        answer = await self._ask(what, "POST", self._url, body)
        if answer.status == _BAD and OPEN_ALREADY in answer.body:
            return Receipt("the incident is open already", {"incident_key": name})
        if not answer.ok:
            raise refused(what, answer, self._web.hide)
        return Receipt(f"{answer.status} {answer.reason}".strip(), {"incident_key": name})

    async def _resolve(self, recipient: str, name: str) -> Receipt:
        what = f"resolving an incident of PagerDuty service {recipient!r}"
        query = [("incident_key", name), ("service_ids[]", recipient)]
        query += [("statuses[]", "triggered"), ("statuses[]", "acknowledged")]
        answer = await self._ask(what, "GET", f"{self._url}?{urlencode(query)}")
        if not answer.ok:
            raise refused(what, answer, self._web.hide)
        told = json_of(answer.body)
        found = told.get("incidents") if isinstance(told, dict) else None
        if not isinstance(found, list):
            raise TriggerError(f"{what}: the answer lists no incidents", permanent=True)
        for one in found:
            change = {"incident": {"type": "incident_reference", "status": "resolved"}}
            answer = await self._ask(what, "PUT", f"{self._url}/{one['id']}", change)
            if not answer.ok:
                raise refused(what, answer, self._web.hide)
        said = "resolved" if found else "no such incident is open"
        return Receipt(said, {"incident_key": name})

    async def _ask(self, what: str, method: str, url: str, body: Any = None) -> Response:
        content = None if body is None else json_content(body)
        return await self._web.ask(what, method, url, headers=self._headers, content=content)


def _incident(message: Message, service: str) -> dict[str, Any]:
    """Return what PagerDuty is asked to open. Raises TriggerError where nothing is said."""
    block = message.block
    title = word(block, "title") or first_line(message.text) or message.template
    if not title:
        raise TriggerError("opening a PagerDuty incident: it has no title", permanent=True)
    details = word(block, "body") or message.text
    priority = word(block, "priorityId")
    return filled(
        type="incident",
        title=cut(title, TITLE),
        service={"id": service, "type": "service_reference"},
        urgency=word(block, "urgency"),
        body={"type": "incident_body", "details": details} if details else None,
        priority={"id": priority, "type": "priority_reference"} if priority else None,
    )
