"""The block `webhook` of sources that other systems post to, and who may post there."""

import hmac
from typing import Self

from pydantic import Field, model_validator

from eventsource import web
from eventsource.endpoint import Endpoint
from spine.model import warn
from spine.runtime import Env
from spine.secrets import SecretRef


class WebhookContext(Endpoint):
    """Where a provider posts its events to."""

    method: str = ""
    """Of no effect: providers post."""
    url: str = ""
    """Base URL under which the provider reaches the endpoint, such as `https://hooks.example.com`.
    It is what hooks are registered with."""
    auth_secret: SecretRef | None = None
    """Bearer token that requests must present; few providers can send one."""
    metadata: dict[str, str] = Field(default={})
    """Of no effect: the metadata of payloads stands beside `webhook`."""

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if self.metadata:
            warn("metadata: of no effect here: write it beside webhook")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url: write https://HOST, as the provider is to reach it")
        if self.url and "{" in self.endpoint:
            raise ValueError("an endpoint that is registered has no {name} in it")
        return self

    @property
    def hook_url(self) -> str:
        """The URL that hooks lead to; empty where none is known."""
        return f"{self.url.rstrip('/')}{self.endpoint}" if self.url else ""

    def route(self, env: Env, handler: web.Handler, admit: web.Admit | None = None) -> web.Route:
        """Return what serves the endpoint. Raises ConfigError where a Secret cannot be read."""
        return web.Route(
            event=env.name,
            endpoint=self.endpoint,
            method="POST",
            handler=handler,
            max_payload=self.max_payload_size,
            token=web.bearer(env, self.auth_secret) if self.auth_secret else None,
            admit=admit,
            rejected=env.rejected,
        )


def same(given: bytes, wanted: str) -> bool:
    """Return whether two secrets are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given, wanted.encode())
