"""Opsgenie: alerts for a team, closed when what they tell is over.

An alert's alias is the template's own, or names the occurrence: a message that is sent again, or
repeated, is counted in the same alert, and the end closes it.
"""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import Field
from typing_extensions import override

from services.fitting import cut, filled, first_line, word, words
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
from services.web import Transport, Web, json_content, over_http, refused
from spine.errors import TriggerError
from spine.model import Model
from spine.runtime import Env

MESSAGE = 130
"""Characters of an alert's message that Opsgenie takes; all of a longer one is its description."""
DESCRIPTION = 15_000
ALIAS = 512
NOTE = 25_000
_GONE = 404


class Viewer(Model):
    """Who may see an alert without being told."""

    id: str = ""
    """Its id."""
    type: str = ""
    """`team` or `user`."""
    name: str = ""
    """Name of a team."""
    username: str = ""
    """Name of a user."""


class OpsgenieBlock(OpenBlock):
    """The alert."""

    description: str = ""
    """What the alert says at length; the message where that is too long for a title."""
    priority: str = ""
    """P1 to P5."""
    alias: str = ""
    """Name of the alert: an open one of that name is counted up instead of a second one."""
    note: str = ""
    """A note."""
    actions: list[str] = []
    """Actions that can be taken."""
    tags: list[str] = []
    """Tags."""
    details: dict[str, str] = {}
    """Properties."""
    entity: str = ""
    """What it is about."""
    visible_to: list[Viewer] = []
    """Teams and users that see it."""
    user: str = ""
    """Who made it."""


class Opsgenie(Transport, Service):
    """Creates an alert, and closes it when it is over."""

    kind: ClassVar[str] = "opsgenie"
    block: ClassVar[type[Block] | None] = OpsgenieBlock
    recipients: ClassVar[str] = "id of a team, a key of apiKeys"
    idempotent: ClassVar[str] = "alias of the alert"
    example: ClassVar[str] = """
service.opsgenie: |
  apiUrl: api.eu.opsgenie.com
  apiKeys:
    platform: $opsgenie-platform
template.unhealthy: |
  message: "{{ .obj.kind }} {{ .obj.metadata.name }} is unhealthy"
  opsgenie:
    description: "{{ .obj.status.message }}"
    priority: P2
    tags: ["{{ .obj.metadata.namespace }}"]
"""

    api_url: str = "api.opsgenie.com"
    """Host of its API, `api.eu.opsgenie.com` in Europe; or a whole URL, where it is not https."""
    api_keys: Annotated[dict[str, str], HIDDEN, Field(min_length=1)]
    """Keys of its API integrations, by team."""
    source: str = "Argo CD"
    """What alerts name as their source; the default is that of Argo's engine, as rules may
    look at it."""

    @override
    def problem(self, recipient: str) -> str:
        return missing_key("apiKeys", self.api_keys, recipient)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, web))


class _Client(Client):
    def __init__(self, service: Opsgenie, web: Web) -> None:
        self._service, self._web = service, web
        place = service.api_url if "://" in service.api_url else f"https://{service.api_url}"
        self._url = f"{place.rstrip('/')}/v2/alerts"

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        team_key = self._service.api_keys.get(recipient)
        if team_key is None:
            raise TriggerError(self._service.problem(recipient), permanent=True)
        headers = {"Authorization": f"GenieKey {team_key}"}
        alias = cut(word(message.block, "alias") or message.incident or key, ALIAS)
        if message.resolved:
            return await self._close(message, alias, headers)
        body = {**_alert(message, alias, recipient), "source": self._service.source}
        what = f"creating an Opsgenie alert for {recipient!r}"
        answer = await self._web.call(
            what,
            "POST",
            self._url,
            headers=headers,
            content=json_content(merged(body, message.block.get("extra"))),
        )
        return Receipt(answer.summary, {"alias": alias})

    async def _close(self, message: Message, alias: str, headers: dict[str, str]) -> Receipt:
        what = f"closing the Opsgenie alert {alias!r}"
        note = word(message.block, "note") or message.text
        body = filled(
            user=word(message.block, "user"), source=self._service.source, note=cut(note, NOTE)
        )
        url = f"{self._url}/{quote(alias, safe='')}/close?identifierType=alias"
        answer = await self._web.ask(what, "POST", url, headers=headers, content=json_content(body))
        if answer.status == _GONE:
            return Receipt("no such alert is open", {"alias": alias})
        if not answer.ok:
            raise refused(what, answer, self._web.hide)
        return Receipt(f"closed: {answer.status} {answer.reason}".strip(), {"alias": alias})


def _alert(message: Message, alias: str, team: str) -> dict[str, Any]:
    """Return what Opsgenie is asked to create. Raises TriggerError without a message."""
    block, text = message.block, message.text.strip()
    title = cut(first_line(text) if len(text) > MESSAGE else text, MESSAGE)
    if not title:
        raise TriggerError("creating an Opsgenie alert: the message is empty", permanent=True)
    rest = "" if title == text else text  # all of it stands somewhere
    description = word(block, "description") or rest
    return filled(
        message=title,
        description=cut(description, DESCRIPTION),
        priority=word(block, "priority"),
        alias=alias,
        note=cut(word(block, "note") or ("" if description == rest else rest), NOTE),
        actions=words(block, "actions"),
        tags=words(block, "tags"),
        details=block.get("details"),
        entity=word(block, "entity"),
        visibleTo=[filled(**one) for one in block.get("visibleTo") or []],
        user=word(block, "user"),
        responders=[{"type": "team", "id": team}],
    )
