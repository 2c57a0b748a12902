"""Services that are reached by HTTP: one call, its outcome, and the settings they share.

Connections are shared by the whole process and kept. What a call means for the next attempt is
decided here for all: a network fault, 408, 425, 429 and 5xx may pass, every other refusal stays.
Where a call goes is checked at each hop, and no credential of the service is in an error.
"""

import base64
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote, urlencode

import orjson

from services.hiding import HIDDEN, Hiding, credentials
from services.service import Client
from spine.errors import ConfigError, TriggerError
from spine.http import url as urls
from spine.http.client import SHOWN, HttpClient, Request, Response, open_guarded_client
from spine.http.tls import Tls
from spine.model import Model
from spine.runtime import Env

WITHIN = 30.0
"""Seconds for a call with all its redirects."""
KEPT = 256 * 1024
"""Bytes of an answer that are read."""
_LOOKED_AT = 4096
"""Bytes of a refusal in which credentials are looked for before its start is shown."""
BUSY = frozenset({408, 425, 429})
"""4xx that ask for another try."""


class Transport(Model):
    """How a service is connected to; the same for all that speak HTTP."""

    insecure_skip_verify: bool = False
    """Whether any certificate is accepted."""
    ca_cert: str = ""
    """Ours: certificates in PEM that the server's must come from, in place of the system's."""
    max_idle_conns: int = 0
    """Of no effect: connections are kept as they are needed."""
    max_idle_conns_per_host: int = 0
    """Of no effect."""
    max_conns_per_host: int = 0
    """Of no effect."""
    idle_conn_timeout: str = ""
    """Of no effect."""


class BasicAuth(Model):
    """Name and password sent as `Authorization`."""

    username: str = ""
    """Name."""
    password: Annotated[str, HIDDEN] = ""
    """Password."""

    @property
    def header(self) -> str:
        """Return the value of the header."""
        return basic(self.username, self.password)


class Content(NamedTuple):
    """The body of a request."""

    type: str
    """Content type; empty: none is sent."""
    data: bytes


def json_of(data: bytes) -> Any:
    """Return data as JSON, None where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


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
        return json_of(self.body)


class Web:
    """Calls by HTTP for one service."""

    def __init__(
        self, client: HttpClient, tls: Tls | None = None, hide: Hiding | None = None
    ) -> None:
        self._client, self._tls = client, tls
        self.hide = hide or Hiding()
        """Takes the credentials of the service out of a text that is to be shown."""

    @classmethod
    async def of(
        cls, env: Env, transport: Transport | None = None, *, hidden: Iterable[str] = ()
    ) -> "Web":
        """Return the caller for a service; the client is shared by the process.

        What `transport` marks as HIDDEN is in no error; `hidden` are more texts of that kind.
        """
        client: HttpClient = await env.shared.get("guarded http client", open_guarded_client)
        if transport is None:
            return cls(client, hide=Hiding(hidden))
        return cls(client, _tls(transport), Hiding([*credentials(transport), *hidden]))

    async def call(  # noqa: PLR0913 -- an HTTP request has that many parts
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        private: frozenset[str] = frozenset(),
        within: float = WITHIN,
    ) -> Answer:
        """Send one request; return its answer if that is 2xx.

        As `ask` otherwise. Raises TriggerError.
        """
        response = await self.ask(
            what, method, url, headers=headers, content=content, private=private, within=within
        )
        if not response.ok:
            raise refused(what, response, self.hide)
        return Answer(response.status, response.reason, response.body)

    async def ask(  # noqa: PLR0913 -- an HTTP request has that many parts
        self,
        what: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        private: frozenset[str] = frozenset(),
        within: float = WITHIN,
        keep: int = KEPT,
    ) -> Response:
        """Send one request; return what came back, be it a success or not.

        `what` says what is being done in an error, without a secret: URLs often hold one, so they
        are not shown. `private` names headers beside Authorization, in lower case, that go to no
        other host; `within` is in seconds; `keep` is the bytes of the answer that are wanted.
        Raises TriggerError, also where a redirect would lose the body.
        """
        sent = dict(headers or {})
        if content is not None and content.type:
            sent.setdefault("Content-Type", content.type)
        target = _url(what, url)
        if target.user and "authorization" not in {name.lower() for name in sent}:
            sent["Authorization"] = basic(*unquote(target.user).split(":", 1))
        request = Request(
            method,
            target,
            list(sent.items()),
            private | {"authorization"},
            b"" if content is None else content.data,
            tls=self._tls,
            keep=keep,
            guarded=True,
        )
        try:
            response = await self._client.send(request, within)
        except ConfigError as exc:
            raise TriggerError(self.hide(f"{what}: {exc.message}"), permanent=True) from exc
        except TriggerError as exc:
            why = self.hide(exc.message.removeprefix(f"{request.what}: "))
            raise TriggerError(f"{what} at {request.url.host}: {why}", hint=exc.hint) from exc
        if response.lost:
            raise TriggerError(
                f"{what}: {request.url.host} has moved to {self.hide(response.lost)}",
                hint="write that address: the redirect drops what is sent",
                permanent=True,
            )
        return response


@asynccontextmanager
async def over_http(
    service: Transport, env: Env, make: Callable[[Web], Client]
) -> AsyncIterator[Client]:
    """Open a service that needs nothing but calls: `make` is given what makes them."""
    yield make(await Web.of(env, service))


def joined(url: str, path: str) -> str:
    """Return a URL with a path behind it, joined by exactly one slash; both may have a query."""
    place, _, query = url.partition("#")[0].partition("?")
    path, _, more = path.partition("?")
    if path:
        place = f"{place.rstrip('/')}/{path.lstrip('/')}"
    query = "&".join(part for part in (query, more) if part)
    return f"{place}?{query}" if query else place


def basic(name: str, password: str = "") -> str:
    """Return what `Authorization` says for a name and a password."""
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def refused(
    what: str, response: Response, hide: Hiding | None = None, *, why: str = "", hint: str = ""
) -> TriggerError:
    """Return what a response means that is no success; `why` is told in place of its body."""
    start = why or response.start
    if hide is not None:
        start = hide(why or response.body[:_LOOKED_AT].decode(errors="replace"))[:SHOWN]
    told = f": {start}" if start else ""
    status = response.status
    return TriggerError(
        f"{what}: {status} {response.reason}".strip() + told,
        hint=hint,
        retry_after=response.retry_after,
        permanent=status < 500 and status not in BUSY,  # noqa: PLR2004 -- the server's own fault
    )


def several(refusals: Sequence[TriggerError]) -> TriggerError:
    """Return one error for some of them: lasting only where each of them is."""
    waits = [one.retry_after for one in refusals if one.retry_after is not None]
    return TriggerError(
        "; ".join(dict.fromkeys(str(one) for one in refusals)),
        retry_after=min(waits, default=None),
        permanent=all(one.permanent for one in refusals),
    )


def _tls(transport: Transport) -> Tls | None:
    tls = Tls(ca=transport.ca_cert.strip(), verify=not transport.insecure_skip_verify)
    if tls.ca:
        check_certificates(tls.ca)
    return None if tls == Tls() else tls


def check_certificates(pem: str) -> None:
    """Raise ConfigError where a text holds no certificate."""
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigError("reading caCert: it holds no certificate in PEM") from exc


def _url(what: str, text: str) -> urls.Url:
    try:
        return urls.parse(text)
    except ValueError as exc:
        raise TriggerError(f"{what}: its URL cannot be used: {exc}", permanent=True) from exc
