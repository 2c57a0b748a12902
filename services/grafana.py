"""Grafana: annotations on dashboards."""

import time
from contextlib import AbstractAsyncContextManager
from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import override

from services.hiding import HIDDEN
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged
from services.web import Transport, Web, json_content, over_http
from spine.errors import TriggerError
from spine.runtime import Env


class GrafanaBlock(OpenBlock):
    """Ours: `extra` holds more of an annotation, such as `dashboardUID` and `panelId`."""


class Grafana(Transport, Service):
    """Writes an annotation."""

    kind: ClassVar[str] = "grafana"
    block: ClassVar[type[Block] | None] = GrafanaBlock
    recipients: ClassVar[str] = "tags of the annotation, separated by |"
    example: ClassVar[str] = """
service.grafana: |
  apiUrl: https://grafana.example.com/api
  apiKey: $grafana-key
template.synced: |
  message: "{{ .obj.metadata.name }} was synced"
  grafana:
    extra: {dashboardUID: a1b2c3}
"""

    api_url: Annotated[str, Field(min_length=1)]
    """Where its API is; it ends in `/api`."""
    api_key: Annotated[str, HIDDEN, Field(min_length=1)]
    """Token of a service account that may write annotations."""

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, web))


class _Client(Client):
    def __init__(self, service: Grafana, web: Web) -> None:
        self._service, self._web = service, web

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        body = {
            "time": int(time.time()) * 1000,
            "isRegion": False,
            "tags": [tag for part in recipient.split("|") if (tag := part.strip())],
            "text": message.text,
        }
        what = "writing an annotation in Grafana"
        answer = await self._web.call(
            what,
            "POST",
            f"{self._service.api_url.rstrip('/')}/annotations",
            headers={"Authorization": f"Bearer {self._service.api_key}"},
            content=json_content(merged(body, message.block.get("extra"))),
        )
        told = answer.json()
        if not isinstance(told, dict):  # a page to log in at, most likely
            raise TriggerError(
                f"{what}: the answer is no JSON",
                hint="apiUrl ends in /api: https://HOST/api",
                permanent=True,
            )
        return Receipt(answer.summary, {"id": told["id"]} if "id" in told else {})
