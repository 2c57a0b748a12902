"""HTTP: sends one request for each firing.

Success is a status of 2xx, or what `policy.status` allows. Secrets are named in an action and
read when it is sent, so a rotated one is taken at once and none is ever stored.
"""

import base64
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, ClassVar, Literal

from pydantic import model_validator
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.body import Whole, body_of
from sensor.credentials import SecureHeader
from sensor.fields import Integer, Name
from sensor.parameters import (
    Parameter,
    PayloadEntry,
    compile_parameters,
    compile_payload,
)
from sensor.sources import compile_source
from sensor.templated import compile_changing, json_of, members
from sensor.trigger import Events, Render, Trigger
from services.hiding import Hiding
from spine.access import BasicAuth, TlsConfig
from spine.errors import ConfigError, ParameterError, TriggerError
from spine.http import url as gourl
from spine.http.client import SHOWN, HttpClient, Request, Response, open_guarded_client
from spine.http.tls import read_tls
from spine.model import Model, load
from spine.runtime import Env
from spine.secrets import ConfigMapRef, SecretRef, Secrets

DEFAULT_TIMEOUT = 60
"""Seconds; as Argo Events."""


class Http(Trigger):
    """Sends an HTTP request."""

    kind: ClassVar[str] = "http"

    url: Name
    """Where the request goes: http or https."""
    method: Literal["", "GET", "DELETE", "PATCH", "POST", "PUT"] = "POST"
    """HTTP method; POST where none is given."""
    payload: list[PayloadEntry] | None = None
    """What the body is built from; none is an empty body."""
    body: Whole = ""
    """Ours: the whole event as the body. `passthrough` is its data, byte for byte, with the content
    type of the event; `cloudevent` is a CloudEvent in structured JSON. Of several the newest."""
    headers: dict[str, str] = {}
    """Headers with fixed values. Content-Type is not set by itself, except for `body`."""
    secure_headers: list[SecureHeader] = []
    """Headers with values from Secrets or ConfigMaps, read when the request is sent."""
    dynamic_headers: list[Parameter] = []
    """Headers with values from events; `dest` is the name."""
    basic_auth: BasicAuth | None = None
    """Name and password sent as `Authorization`."""
    host: str = ""
    """Host header, where it is not that of the URL."""
    timeout: Integer = DEFAULT_TIMEOUT
    """Seconds for a request with all its redirects; 0 or less is 60."""
    tls: TlsConfig | None = None
    """TLS settings; none trusts the system's CA certificates."""
    parameters: list[Parameter] = []
    """Values from events put into these settings, such as into `url`."""

    @model_validator(mode="after")
    def _one_body(self) -> "Http":
        if self.body and self.payload:
            raise ValueError(f"body: {self.body} and payload are two bodies: leave one out")
        return self

    @override
    def compile(self) -> Render:
        if not self.parameters:
            return _compile(self)
        document = json_of(self, without=frozenset({"parameters"}))
        return compile_changing(document, compile_parameters(self.parameters), _compile_text)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        return _open(env)


# ---------------------------------------------------------------------------- rendering

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "trailer"})
"""Headers that the client sets itself, whatever is asked for."""

_AddHeaders = Callable[[Events, dict[str, str]], None]


def _compile_text(document: bytes) -> Render:
    return _compile(load(Http, members(document), what="http", lenient=True))


def _compile(http: Http) -> Render:
    try:
        _url(http.url)
    except ValueError as exc:
        raise ConfigError(f"reading http.url {http.url!r}: {exc}") from exc
    static = _static(http)
    headers = _fixed_headers(http)
    add = _dynamic_headers(http)
    build = compile_payload(http.payload) if http.payload else None
    whole = http.body
    typed = any(n.lower() == "content-type" for n in (*headers, *_secure_names(http)))

    def render(events: Events) -> dict[str, Any]:
        content = static.copy()
        if add is not None:
            content["headers"] = own = headers.copy()
            add(events, own)
        elif headers:
            content["headers"] = headers
        if build is not None:
            content["body"] = build(events)
        elif whole:
            _put_whole(content, events, whole, typed=typed)
        return content

    return render


def _secure_names(http: Http) -> list[str]:
    return [header.name for header in http.secure_headers]


def _put_whole(content: dict[str, Any], events: Events, whole: Whole, *, typed: bool) -> None:
    """Put an event into the content of an action, with its type unless the trigger has one."""
    data, content_type = body_of(events, whole)
    try:
        content["body"] = data.decode()
    except UnicodeDecodeError:  # an action is JSON
        content["body64"] = base64.b64encode(data).decode()
    own = content.get("headers", {})
    if not content_type or typed or any(name.lower() == "content-type" for name in own):
        return
    if not _bad_value(content_type):
        content["headers"] = {**own, "Content-Type": content_type}


def _static(http: Http) -> dict[str, Any]:
    content: dict[str, Any] = {
        "method": http.method or "POST",
        "url": http.url,
        "timeout": http.timeout if http.timeout > 0 else DEFAULT_TIMEOUT,
    }
    if http.host:
        content["host"] = http.host
    if http.secure_headers:
        content["secureHeaders"] = [_secure_header(header) for header in http.secure_headers]
    if http.basic_auth is not None:
        content["basicAuth"] = _plain(http.basic_auth)
    if http.tls is not None:
        content["tls"] = _plain(http.tls)
    return content


def _plain(record: Model) -> dict[str, Any]:
    return record.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)


def _secure_header(header: SecureHeader) -> dict[str, Any]:
    why = _bad_name(header.name)
    if why:
        raise ConfigError(f"reading http.secureHeaders {header.name!r}: {why}")
    return header.model_dump(by_alias=True, exclude_none=True)


def _fixed_headers(http: Http) -> dict[str, str]:
    for name, value in http.headers.items():
        why = _bad_name(name) or _bad_value(value)
        if why:
            raise ConfigError(f"reading http.headers {name!r}: {why}")
    return {n: v.strip(" \t") for n, v in http.headers.items() if n.lower() not in _OURS}


def _dynamic_headers(http: Http) -> _AddHeaders | None:
    if not http.dynamic_headers:
        return None
    steps = []
    for header in http.dynamic_headers:
        if why := _bad_name(header.dest):
            raise ConfigError(f"reading http.dynamicHeaders {header.dest!r}: {why}")
        if header.dest.lower() not in _OURS:
            steps.append((header.dest, compile_source(header.src)))

    def add(events: Events, headers: dict[str, str]) -> None:
        for name, resolve in steps:
            value = resolve(events)
            if value is None:
                continue
            if why := _bad_value(value.text):
                raise ParameterError(f"setting header {name!r} to {value.text[:80]!r}: {why}")
            headers[name] = value.text.strip(" \t")

    return add


def _bad_name(name: str) -> str:
    return "" if _NAME.fullmatch(name) else "it is no name of a header"


def _bad_value(value: str) -> str:
    return "it holds a control character" if _BAD_VALUE.search(value) else ""


@lru_cache(maxsize=1024)
def _url(text: str) -> gourl.Url:
    return gourl.parse(text)


# ---------------------------------------------------------------------------- sending

_LOOKED_AT = 4096
"""Bytes of a refusal in which credentials are looked for before its start is shown."""


@asynccontextmanager
async def _open(env: Env) -> AsyncIterator[Sender]:
    client: HttpClient = await env.shared.get("guarded http client", open_guarded_client)
    yield HttpSender(client, env.secrets)


class HttpSender(Sender):
    """Sends what an action of kind `http` holds."""

    def __init__(self, client: HttpClient, secrets: Secrets) -> None:
        self._client = client
        self._secrets = secrets

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        content = action.content
        try:
            request = self._request(content)
        except ConfigError as exc:  # a Secret may yet come
            raise TriggerError(f"sending {content['method']}: {exc}") from exc
        try:
            response = await self._client.send(
                request, content["timeout"], hint="raise http.timeout"
            )
        except ConfigError as exc:  # it may not go there
            raise TriggerError(f"{request.what}: {exc}", permanent=True) from exc
        if request.keep and not response.ok:
            body = Hiding(_credentials(request))(response.body.decode(errors="replace"))
            response = response._replace(start=body[:SHOWN])
        return judge(request, response, content.get("allow"))

    def _request(self, content: Mapping[str, Any]) -> Request:
        try:
            url = _url(content["url"])
        except ValueError as exc:
            raise TriggerError(f"sending to {content['url']!r}: {exc}", permanent=True) from exc
        headers = dict(content.get("headers", {}))
        private: set[str] = set()
        for header in content.get("secureHeaders", ()):
            headers[header["name"]] = self._value(header["name"], header["valueFrom"])
            private.add(header["name"].lower())
        if "basicAuth" in content:
            headers["Authorization"] = self._basic(content["basicAuth"])
        elif url.user and "Authorization" not in headers:
            headers["Authorization"] = _authorization(url.user)
        private |= {n.lower() for n in headers if n.lower() in {"authorization", "cookie"}}
        return Request(
            method=content["method"],
            url=url,
            headers=list(headers.items()),
            private=frozenset(private),
            body=_body(content),
            keep=_LOOKED_AT if private else 0,
            host=content.get("host", ""),
            guarded=True,
            tls=read_tls(content["tls"], self._secrets) if "tls" in content else None,
        )

    def _value(self, name: str, source: Mapping[str, Any]) -> str:
        if "secretKeyRef" in source:
            value = self._secrets.secret(SecretRef(**source["secretKeyRef"]))
        else:
            value = self._secrets.config_map(ConfigMapRef(**source["configMapKeyRef"]))
        if why := _bad_value(value):
            raise ConfigError(f"reading the value of header {name!r}: {why}")
        return value

    def _basic(self, auth: Mapping[str, Any]) -> str:
        return _authorization(f"{self._key(auth, 'username')}:{self._key(auth, 'password')}")

    def _key(self, refs: Mapping[str, Any], name: str) -> str:
        return self._secrets.secret(SecretRef(**refs[name])) if name in refs else ""


def _body(content: Mapping[str, Any]) -> bytes:
    if "body64" in content:
        return base64.b64decode(content["body64"])
    text: str = content.get("body", "")
    return text.encode(errors="replace")


def _authorization(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


def _credentials(request: Request) -> Iterator[str]:
    """Yield what of a request must not be shown: a server that refuses it may repeat it."""
    for name, value in request.headers:
        if name.lower() not in request.private:
            continue
        yield from (value, *value.split())  # such as a token behind its scheme
        if value.startswith("Basic "):
            with suppress(ValueError):  # a header that was written out may be anything
                login = base64.b64decode(value[6:]).decode(errors="replace")
                yield from (login, login.partition(":")[2])


_BUSY = frozenset({408, 425, 429})
"""4xx that ask for another try."""


def judge(request: Request, response: Response, allow: list[int] | None) -> Outcome:
    """Tell success from failure: what is allowed, or 2xx where nothing is said.

    A refusal (4xx) and a success that is not wanted (below 400) are permanent: the target has
    understood, and would do it twice.
    """
    status = response.status
    if status in allow if allow is not None else 200 <= status < 300:  # noqa: PLR2004 -- 2xx
        return Outcome(f"{status} {response.reason}".strip(), {"status": status})
    told = f": {response.start}" if response.start else ""
    not_allowed = " is not allowed by policy.status" if allow is not None else ""
    raise TriggerError(
        f"{request.what}: {status} {response.reason}".strip() + not_allowed + told,
        retry_after=response.retry_after,
        permanent=status < 500 and status not in _BUSY,  # noqa: PLR2004 -- 5xx
    )
