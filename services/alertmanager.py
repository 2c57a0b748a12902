"""Alertmanager: an alert for every one of a cluster's members.

All targets are asked at a time, and one that takes the alert is enough, as the members tell each
other. Alertmanager takes an alert for over some minutes after it heard of it last; where a
recovery is told, `lasts` keeps it up until then.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator
from typing_extensions import override

from services.fitting import NO_VALUE, filled, word
from services.hiding import HIDDEN
from services.service import Block, Client, Message, OpenBlock, Receipt, Service, merged
from services.web import BasicAuth, Transport, Web, json_content, over_http, several
from spine.errors import ConfigError, TriggerError
from spine.giturl import https_url
from spine.runtime import Env, seconds

WITHIN = 3
"""Seconds for a target, where none are set."""


class AlertmanagerBlock(OpenBlock):
    """The alert. `extra` is merged into it."""

    defaults: ClassVar[Mapping[str, str]] = {"generatorURL": "{{ .app.spec.source.repoURL }}"}
    together: ClassVar[bool] = False

    labels: dict[str, str] = {}
    """What tells it apart; `alertname` is the name of the template where it is not written."""
    annotations: dict[str, str] = {}
    """What it says; `description` with the message where nothing is written."""
    generator_url: Annotated[str, Field(alias="generatorURL")] = ""
    """Where it comes from; the repository of an Argo CD Application where it is not written."""


class Alertmanager(Transport, Service):
    """Posts an alert, and its end."""

    kind: ClassVar[str] = "alertmanager"
    block: ClassVar[type[Block] | None] = AlertmanagerBlock
    recipients: ClassVar[str] = "none: leave it empty"
    example: ClassVar[str] = """
service.alertmanager: |
  targets: ["alertmanager-0:9093", "alertmanager-1:9093"]
  lasts: 24h
template.unhealthy: |
  message: "{{ .obj.metadata.name }} is unhealthy"
  alertmanager:
    labels: {severity: critical, name: "{{ .obj.metadata.name }}"}
    annotations: {summary: "{{ .obj.kind }} {{ .obj.metadata.name }} is unhealthy"}
    generatorURL: "https://clusters.example.com/{{ .obj.metadata.namespace }}"
"""

    targets: Annotated[list[str], Field(min_length=1)] = ["127.0.0.1:9093"]
    """Members of the cluster, as HOST:PORT."""
    scheme: str = "http"
    """`http` or `https`."""
    api_path: str = "/api/v2/alerts"
    """Path of the API; another one behind a proxy."""
    basic_auth: BasicAuth | None = None
    """Name and password; they come before the token."""
    bearer_token: Annotated[str, HIDDEN] = ""
    """Token."""
    timeout: int = WITHIN
    """Seconds for a target."""
    lasts: str = ""
    """Ours: how long an alert lasts if nothing is heard of it any more, such as `24h`;
    Alertmanager's own resolve_timeout where it is empty."""

    @field_validator("lasts")
    @classmethod
    def _duration(cls, text: str) -> str:
        try:
            seconds(text or "0s")
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return text

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return over_http(self, env, lambda web: _Client(self, web))


class _Client(Client):
    def __init__(self, service: Alertmanager, web: Web) -> None:
        self._service, self._web = service, web
        self._lasts = seconds(service.lasts or "0s")
        self._headers: dict[str, str] = {}
        if service.basic_auth is not None:
            self._headers["Authorization"] = service.basic_auth.header
        elif service.bearer_token:
            self._headers["Authorization"] = f"Bearer {service.bearer_token}"

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        alert = {**_alert(message), **self._times(message)}
        alert = merged(alert, message.block.get("extra"))
        targets = self._service.targets
        told = await asyncio.gather(*(self._post(target, alert) for target in targets))
        refusals = [one for one in told if isinstance(one, TriggerError)]
        if len(refusals) == len(targets):
            raise several(refusals)
        taken = len(targets) - len(refusals)
        return Receipt(
            f"taken by {taken} of {len(targets)}",
            {"labels": alert.get("labels")},
            tuple(str(one) for one in refusals),
        )

    def _times(self, message: Message) -> dict[str, str]:
        now = datetime.now(UTC)
        until = now if message.resolved else now + timedelta(seconds=self._lasts)
        ends = {"endsAt": until.isoformat()} if message.resolved or self._lasts else {}
        return {"startsAt": now.isoformat(), **ends}

    async def _post(self, target: str, alert: dict[str, Any]) -> TriggerError | None:
        """Return why a target did not take an alert."""
        service = self._service
        try:
            await self._web.call(
                f"posting an alert to {target}",
                "POST",
                f"{service.scheme}://{target}/{service.api_path.lstrip('/')}",
                headers=self._headers,
                content=json_content([alert]),
                within=service.timeout if service.timeout > 0 else WITHIN,
            )
        except TriggerError as exc:
            return exc
        return None


def _alert(message: Message) -> dict[str, Any]:
    """Return an alert, without its times."""
    block = message.block
    labels = _texts(block.get("labels"))
    if "alertname" not in labels:
        labels["alertname"] = message.template or "notification"
    annotations = _texts(block.get("annotations"))
    if not annotations and message.text:
        annotations = {"description": message.text}
    url = word(block, "generatorURL")
    if not url.startswith(("http://", "https://")):
        url = https_url(url)  # git@host:a/b, as Applications have it
    return filled(labels=labels, annotations=annotations, generatorURL=url)


def _texts(value: Any) -> dict[str, str]:
    """Return a map of texts, less those that have no value."""
    fields = value if isinstance(value, dict) else {}
    return {str(k): str(v) for k, v in fields.items() if v is not None and v != NO_VALUE}
