"""New Relic: deployments of an application."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import Field
from typing_extensions import override

from services.fitting import filled, word
from services.hiding import HIDDEN
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged
from services.web import Transport, Web, json_content, over_http
from spine.errors import TriggerError
from spine.runtime import Env

_REVISION = ".app.status.operationState.syncResult.revision"


class NewrelicBlock(OpenBlock):
    """The deployment. `extra` is merged into it."""

    defaults: ClassVar[Mapping[str, str]] = {
        "revision": f"{{{{ {_REVISION} }}}}",
        "changelog": f"{{{{ with {_REVISION} }}}}"
        "{{ (call $.repo.GetCommitMetadata .).Message }}{{ end }}",
        "user": f"{{{{ with {_REVISION} }}}}"
        "{{ (call $.repo.GetCommitMetadata .).Author }}{{ end }}",
    }

    revision: str = ""
    """What was deployed; the commit that an Argo CD Application was synced to where it is not
    written."""
    changelog: str = ""
    """What changed; the commit's message where it is not written."""
    description: str = ""
    """What is said of it; the message where it is empty."""
    user: str = ""
    """Who did it; the commit's author where it is not written."""


class Newrelic(Transport, Service):
    """Records a deployment."""

    kind: ClassVar[str] = "newrelic"
    block: ClassVar[type[Block] | None] = NewrelicBlock
    recipients: ClassVar[str] = "id of an application"
    example: ClassVar[str] = """
service.newrelic: |
  apiURL: https://api.eu.newrelic.com
  apiKey: $newrelic-key
template.deployed: |
  message: "{{ .obj.metadata.name }} was deployed"
  newrelic:
    revision: "{{ .obj.metadata.generation }}"
    user: "{{ .obj.metadata.annotations.owner }}"
"""

    api_key: Annotated[str, HIDDEN, Field(min_length=1)]
    """User key of the REST API."""
    api_url: Annotated[str, Field(alias="apiURL")] = "https://api.newrelic.com"
    """Where its API is; `https://api.eu.newrelic.com` in Europe."""

    @override
    def problem(self, recipient: str) -> str:
        return "" if recipient else "it names no application"

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, web))


class _Client(Client):
    def __init__(self, service: Newrelic, web: Web) -> None:
        self._service, self._web = service, web

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        block, what = message.block, f"recording a deployment of New Relic's {recipient!r}"
        revision = word(block, "revision")
        if not revision:
            raise TriggerError(
                f"{what}: it has no revision",
                hint="write newrelic.revision in the template",
                permanent=True,
            )
        deployment = filled(
            revision=revision,
            changelog=word(block, "changelog"),
            description=word(block, "description") or message.text,
            user=word(block, "user"),
        )
        place = f"/v2/applications/{quote(recipient, safe='')}/deployments.json"
        answer = await self._web.call(
            what,
            "POST",
            self._service.api_url.rstrip("/") + place,
            headers={"X-Api-Key": self._service.api_key},
            content=json_content({"deployment": merged(deployment, block.get("extra"))}),
            private=frozenset({"x-api-key"}),
        )
        return Receipt(answer.summary)
