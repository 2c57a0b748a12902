"""PagerDuty by its Events API: an event for an integration, resolved when what it tells is over.

The event's key is the template's own, or names the occurrence: what is sent again, or repeated,
joins the same alert, and the end resolves it.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from services.fitting import cut, filled, first_line, word
from services.hiding import HIDDEN
from services.service import (
    Block,
    Client,
    Message,
    OpenBlock,
    Receipt,
    Service,
    merged,
    missing_key,
)
from services.web import Transport, Web, json_content, over_http
from spine.errors import TriggerError
from spine.model import Model
from spine.runtime import Env

SUMMARY = 1024
"""Characters of a summary that PagerDuty takes."""
DEDUP_KEY = 255


class Link(Model):
    """A link."""

    href: str
    """Where it leads."""
    text: str = ""
    """What it is called."""


class Image(Model):
    """An image."""

    src: str
    """Where it is; https."""
    href: str = ""
    """Where it leads."""
    alt: str = ""
    """What it shows."""


class Pagerdutyv2Block(OpenBlock):
    """The event. `extra` is merged into it."""

    defaults: ClassVar[Mapping[str, str]] = {
        "source": "{{ with .obj.metadata.namespace }}{{ . }}/{{ end }}{{ .obj.metadata.name }}"
    }

    summary: str = ""
    """What happened, in a line; the first one of the message where it is empty."""
    severity: str = ""
    """`critical`, `error`, `warning` or `info`; `error` where it is empty."""
    source: str = ""
    """What is affected; namespace and name of the object where it is not written."""
    component: str = ""
    """The part of it that broke."""
    group: str = ""
    """What it belongs to."""
    class_: Annotated[str, Field(alias="class")] = ""
    """Kind of event."""
    url: str = ""
    """Where more is to be seen."""
    dedup_key: str = ""
    """Name of the alert: events of one name are one."""
    custom_details: Annotated[dict[str, Any], Field(alias="customDetails")] = {}
    """Ours: whatever helps."""
    links: list[Link] = []
    """Ours: links."""
    images: list[Image] = []
    """Ours: images."""


class Pagerdutyv2(Transport, Service):
    """Sends an event, and another one when it is over."""

    kind: ClassVar[str] = "pagerdutyv2"
    block: ClassVar[type[Block] | None] = Pagerdutyv2Block
    recipients: ClassVar[str] = "a key of serviceKeys"
    idempotent: ClassVar[str] = "dedup_key"
    example: ClassVar[str] = """
service.pagerdutyv2: |
  serviceKeys:
    payments: $pagerduty-payments
template.down: |
  message: "{{ .obj.kind }} {{ .obj.metadata.name }} is down"
  pagerdutyv2:
    summary: "{{ .obj.metadata.name }} is down"
    severity: critical
    source: "{{ .obj.metadata.namespace }}"
    customDetails: {phase: "{{ .obj.status.phase }}"}
    links: [{href: "https://runbooks.example.com", text: Runbook}]
"""

    service_keys: Annotated[dict[str, str], HIDDEN, Field(min_length=1)]
    """Integration keys, by the name that recipients use."""
    client: str = "ArgoCD"
    """What events name as their sender; the default is that of Argo's engine, as rules may look
    at it."""
    api_url: Annotated[str, Field(alias="apiURL")] = "https://events.pagerduty.com"
    """Where its API is; `https://events.eu.pagerduty.com` in Europe."""

    @override
    def problem(self, recipient: str) -> str:
        return missing_key("serviceKeys", self.service_keys, recipient)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, web))


class _Client(Client):
    def __init__(self, service: Pagerdutyv2, web: Web) -> None:
        self._service, self._web = service, web

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        routing = self._service.service_keys.get(recipient)
        if routing is None:
            raise TriggerError(self._service.problem(recipient), permanent=True)
        name = cut(word(message.block, "dedupKey") or message.incident or key, DEDUP_KEY)
        action = "resolve" if message.resolved else "trigger"
        event = {"routing_key": routing, "event_action": action, "dedup_key": name}
        if not message.resolved:
            event = merged(
                {**event, **_event(message, self._service.client)}, message.block.get("extra")
            )
        answer = await self._web.call(
            f"sending a PagerDuty event for {recipient!r}",
            "POST",
            f"{self._service.api_url.rstrip('/')}/v2/enqueue",
            content=json_content(event),
        )
        return Receipt(answer.summary, {"dedup_key": name, "event_action": action})


def _event(message: Message, client: str) -> dict[str, Any]:
    """Return what a PagerDuty event says. Raises TriggerError where it says nothing."""
    block = message.block
    summary = word(block, "summary") or first_line(message.text) or message.template
    if not summary:
        raise TriggerError("sending a PagerDuty event: it has no summary", permanent=True)
    details = block.get("customDetails")
    if not block and message.text.strip() != summary:
        details = {"message": message.text}  # nothing else would show it
    payload = filled(
        summary=cut(summary, SUMMARY),
        source=word(block, "source") or message.template or client,
        severity=word(block, "severity").lower() or "error",
        component=word(block, "component"),
        group=word(block, "group"),
        custom_details=details,
    )
    if word(block, "class"):
        payload["class"] = word(block, "class")
    return filled(
        client=client,
        client_url=word(block, "url"),
        payload=payload,
        links=[filled(**one) for one in block.get("links") or []],
        images=[filled(**one) for one in block.get("images") or []],
    )
