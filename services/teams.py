"""Teams: message cards to connectors of channels, as Office 365 had them.

Microsoft retires these addresses in 2026: `teams-workflows` is what follows. A connector answers
200 whatever happens, and only a body of `1` says that the card was taken.
"""

import re
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from services.hiding import HIDDEN
from services.service import Block, Client, Message, Receipt, Service, merged, missing_key
from services.structures import Structures
from services.teams_block import TeamsBlock, readable
from services.web import BUSY, Transport, Web, json_content, over_http
from spine.errors import TriggerError
from spine.http.client import SHOWN
from spine.runtime import Env

_TAKEN = b"1"
_INNER_STATUS = re.compile(r"HTTP error (\d{3})")


class Teams(Transport, Service):
    """Posts message cards to Microsoft Teams."""

    kind: ClassVar[str] = "teams"
    block: ClassVar[type[Block] | None] = TeamsBlock
    recipients: ClassVar[str] = "a key of `recipientUrls`"
    example: ClassVar[str] = """
service.teams: |
  recipientUrls:
    platform: $teams-platform-url
template.app-degraded: |
  message: "{{ .app.metadata.name }} is degraded"
  teams:
    title: "{{ .app.metadata.name }} is degraded"
    themeColor: "#E01E5A"
    facts:
      - name: Revision
        value: "{{ .app.status.sync.revision }}"
"""

    recipient_urls: Annotated[dict[str, str], Field(min_length=1), HIDDEN]
    """URLs of connectors, by names that recipients use."""

    @override
    def problem(self, recipient: str) -> str:
        return missing_key("recipientUrls", self.recipient_urls, recipient)

    @classmethod
    @override
    def preview(cls, message: Message) -> str:
        return readable(message, "template")

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, env.name, web))


class _Client(Client):
    def __init__(self, service: Teams, name: str, web: Web) -> None:
        self._service, self._what, self._web = service, f"telling Teams by {name!r}", web

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        problem = self._service.problem(recipient)
        if problem:
            raise TriggerError(f"{self._what}: {problem}", permanent=True)
        structures = Structures(message.block)
        body = merged(card(message, structures), message.block.get("extra"))
        answer = await self._web.call(
            self._what,
            "POST",
            self._service.recipient_urls[recipient].strip(),
            content=json_content(body),
        )
        if answer.body.strip() != _TAKEN:
            raise self._refused(answer.body.decode(errors="replace").strip())
        return Receipt(answer.summary, problems=tuple(structures.problems))

    def _refused(self, told: str) -> TriggerError:
        """Return what another answer than 1 means; the status of Teams itself stands in it."""
        found = _INNER_STATUS.search(told)
        status = int(found[1]) if found else 500
        return TriggerError(
            f"{self._what}: 200, but not taken: {self._web.hide(told)[:SHOWN] or 'empty answer'}",
            permanent=status < 500 and status not in BUSY,  # noqa: PLR2004 -- its own fault
        )


def card(message: Message, structures: Structures) -> dict[str, Any]:
    """Return the message card of a message."""
    whole: dict[str, Any] | None = structures.get("template", dict)
    if whole is not None:
        return whole
    block = message.block
    out: dict[str, Any] = {
        "@type": "MessageCard",
        "context": "https://schema.org/extensions",
        "title": block.get("title", ""),
        "summary": block.get("summary", ""),
        "text": block.get("text") or message.text,
    }
    if block.get("themeColor"):
        out["themeColor"] = block["themeColor"]
    sections = structures.get("sections") or []
    facts = structures.get("facts")
    if facts is not None:
        sections = [*sections, {"facts": facts}]
    if sections:
        out["sections"] = sections
    actions = structures.get("potentialAction")
    if actions is not None:
        out["potentialAction"] = actions
    return out
