"""Services that are reached by HTTP: one call, its outcome, and the settings they share.

Connections are shared by the whole process and kept. What a call means for the next attempt is
decided here for all: a network fault, 408, 425, 429 and 5xx may pass, every other refusal stays.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from spine.errors import ConfigError, TriggerError
from spine.http import url as urls
from spine.http.client import HttpClient, Request, Response, open_client
from spine.http.egress import check_host
from spine.http.tls import Tls
from spine.model import Model
from spine.runtime import Env

WITHIN = 30.0
"""Seconds for a call with all its redirects."""
KEPT = 256 * 1024
"""Bytes of an answer that are read."""
_BUSY = frozenset({408, 425, 429})
"""4xx that ask for another try."""


class Transport(Model):
    """How a service is connected to; the same for all that speak HTTP."""

    insecure_skip_verify: bool = False
    """Whether any certificate is accepted."""
    max_idle_conns: int = 0
    """Of no effect: connections are kept as they are needed."""
    max_idle_conns_per_host: int = 0
    """Of no effect."""
    max_conns_per_host: int = 0
    """Of no effect."""
    idle_conn_timeout: str = ""
    """Of no effect."""


class Content(NamedTuple):
    """The body of a request."""

    type: str
    """Content type; empty: none is sent."""
    data: bytes


def json_content(value: Any) -> Content:
    """Return a value as JSON."""
    return Content("application/json", orjson.dumps(value))


def form_content(fields: Mapping[str, str]) -> Content:
    """Return fields as a form."""
    return Content("application/x-www-form-urlencoded", urlencode(fields).encode())


class Answer(NamedTuple):
    """A response that was a success."""

    status: int
    reason: str
    body: bytes

    @property
    def summary(self) -> str:
        """Return it in a few words."""
        return f"{self.status} {self.reason}".strip()

    def json(self) -> Any:
        """Return the body as JSON, None where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class Web:
    """Calls by HTTP for one service."""

    def __init__(self, client: HttpClient, tls: Tls | None = None) -> None:
        self._client, self._tls = client, tls

    @classmethod
    async def of(cls, env: Env, transport: Transport | None = None) -> "Web":
        """Return the caller for a service; the client is shared by the process."""
        client: HttpClient = await env.shared.get("http client", open_client)
        insecure = transport is not None and transport.insecure_skip_verify
        return cls(client, Tls(verify=False) if insecure else None)

    async def call(
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        private: frozenset[str] = frozenset({"authorization"}),
    ) -> Answer:
        """Send one request; return its answer if that is 2xx.

        `what` says what is being done in an error, without a secret: URLs often hold one, so they
        are not shown. `private` names headers that go to no other host. Raises TriggerError.
        """
        sent = dict(headers or {})
        if content is not None and content.type:
            sent.setdefault("Content-Type", content.type)
        data = b"" if content is None else content.data
        request = Request(
            method, _url(what, url), list(sent.items()), private, data, tls=self._tls, keep=KEPT
        )
        try:
            check_host(request.url.host, what)
            response = await self._client.send(request, WITHIN)
        except ConfigError as exc:
            raise TriggerError(str(exc), permanent=True) from exc
        except TriggerError as exc:
            why = exc.message.removeprefix(f"{request.what}: ")
            raise TriggerError(f"{what} at {request.url.host}: {why}", hint=exc.hint) from exc
        if not 200 <= response.status < 300:  # noqa: PLR2004 -- success in HTTP
            raise refused(what, response)
        return Answer(response.status, response.reason, response.body)


def refused(what: str, response: Response) -> TriggerError:
    """Return what a response means that is no success."""
    told = f": {response.start}" if response.start else ""
    status = response.status
    return TriggerError(
        f"{what}: {status} {response.reason}".strip() + told,
        retry_after=response.retry_after,
        permanent=status < 500 and status not in _BUSY,  # noqa: PLR2004 -- the server's own fault
    )


def _url(what: str, text: str) -> urls.Url:
    try:
        return urls.parse(text)
    except ValueError as exc:
        raise TriggerError(f"{what}: its URL cannot be used: {exc}", permanent=True) from exc
