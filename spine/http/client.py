"""One HTTP client for all that a process sends by HTTP.

It keeps connections open, never sends a request twice by itself, follows redirects as Go's
client does (credentials never leave the host they were meant for), and takes of a response no
more than is worth showing. Everything that goes wrong outside comes out as TriggerError.
"""

import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

from spine import __version__
from spine.deadline import Deadline
from spine.errors import TriggerError
from spine.http import url as gourl
from spine.http.egress import check_host
from spine.http.tls import Tls, tls_context
from spine.http.url import Url
from spine.http.wire import Hangup, Pool, request_bytes

if TYPE_CHECKING:
    import aiohttp

Headers = Sequence[tuple[str, str]]
Opening = Callable[[], "aiohttp.ClientSession"]
"""Returns the session that is open; opens it the first time."""

USER_AGENT = f"tocsin/{__version__}"
MAX_REDIRECTS = 10
"""As Go's client: the eleventh is an error."""
SHOWN = 200
"""Characters of a response that an error shows."""
_READ = 64 * 1024
"""Bytes of a response that are read so that its connection can be used again; longer ones cost
theirs."""
_CONTEXTS = 32
"""TLS contexts that are kept; each is a pool of connections of its own."""
_MOVED = 301
_REDIRECTS_TO_GET = frozenset({_MOVED, 302, 303})
_REDIRECTS = _REDIRECTS_TO_GET | {307, 308}
_PRIVATE = frozenset({"authorization", "cookie", "cookie2", "www-authenticate"})
_PLAIN_TLS = Tls()
"""What is meant where a request says nothing of TLS."""
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    url: Url
    headers: Headers = ()
    private: frozenset[str] = frozenset()
    """Lower-case names of headers that hold a secret."""
    body: bytes = b""
    host: str = ""
    """Host header, where it is not that of the URL."""
    tls: Tls | None = None
    keep: int = 0
    """Bytes of the response's body that are wanted; what is shown of it is kept in any case."""
    guarded: bool = False
    """Whether each host, those of redirects too, must be one that may be asked."""
    follow: bool = True
    """Whether redirects are followed; otherwise they are the response."""

    @property
    def what(self) -> str:
        """What sending it is called in an error."""
        return f"sending {self.method} {self.url.shown}"


class Response(NamedTuple):
    """What came back."""

    status: int
    reason: str
    start: str
    """Start of the body."""
    retry_after: float | None = None
    """Seconds after which the server asks to be tried again."""
    location: str = ""
    """Where a redirect leads."""
    body: bytes = b""
    """As much of the body as the request wanted."""
    link: str = ""
    """The header Link, where the body is wanted: it says where a list goes on."""
    lost: str = ""
    """Where the request was moved to without its body, by a redirect that turns it into a GET.
    Empty too where a redirect leads to an answer and not to another place of the same thing."""

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300  # noqa: PLR2004 -- as HTTP has it


class HttpClient:
    """Sends requests over kept connections; used by many tasks at a time."""

    def __init__(self, session: "Opening", pool: Pool | None = None) -> None:
        """Take what opens a session, which is done by the first request that needs one.

        Without a pool all goes over the session, which knows proxies.
        """
        self._session, self._pool = session, pool
        self._contexts: dict[bytes, ssl.SSLContext] = {}

    async def send(self, request: Request, within: float, *, hint: str = "") -> Response:
        """Send a request and follow its redirects, all within so many seconds.

        `hint` is what to do where that is too short. Raises TriggerError where no response came.
        """
        try:
            async with Deadline(within):
                return await self._follow(request)
        except TimeoutError as exc:
            raise TriggerError(
                f"{request.what}: no response within {within:g} s", hint=hint
            ) from exc
        except (OSError, ValueError) as exc:
            raise TriggerError(f"{request.what}: {_why(exc)}") from exc

    async def _follow(self, request: Request) -> Response:
        lost = ""
        for _ in range(MAX_REDIRECTS + 1):
            if request.guarded:
                check_host(request.url.host, f"asking {request.url.host}")
            response = await self._once(request)
            if response.status not in _REDIRECTS or not (response.location and request.follow):
                return response._replace(lost=lost) if lost else response
            before, request = request, _redirected(request, response.status, response.location)
            if before.body and not request.body and _moved(before, request, response.status):
                lost = request.url.shown
        raise ValueError(f"more than {MAX_REDIRECTS} redirects")

    async def _over(self, pool: Pool, request: Request, headers: Headers) -> Response:
        """Send a request over a connection of our own."""
        url, keep = request.url, request.keep
        context = None
        if url.scheme == "https":
            context = self._context(request.tls or _PLAIN_TLS)
        data = request_bytes(request.method, url, headers, request.body, USER_AGENT)
        status, reason, found, read = await pool.ask(url, context, data, max(_READ, keep))
        start = read[: 4 * SHOWN].decode(errors="replace")[:SHOWN] if read else ""
        if status < 300:  # noqa: PLR2004 -- a success asks for nothing more
            link = found.get("link", "") if keep else ""
            return Response(status, reason, start, body=read[:keep], link=link)
        after, location = _retry_after(found.get("retry-after")), found.get("location", "")
        return Response(status, reason, start, after, location, read[:keep])

    async def _once(self, request: Request) -> Response:
        headers = request.headers
        if request.host:
            headers = [*headers, ("Host", request.host)]
        if self._pool is not None and request.method != "HEAD":
            return await self._over(self._pool, request, headers)
        import aiohttp

        try:
            return await self._over_session(request, headers)
        except aiohttp.ClientError as exc:
            raise _of_the_session(exc) from exc

    async def _over_session(self, request: Request, headers: Headers) -> Response:
        """Send a request where a proxy may be on the way, or without a body in its answer."""
        from yarl import URL

        async with self._session().request(
            request.method,
            URL(request.url.text, encoded=True),
            data=request.body or None,
            headers=headers,
            ssl=True if request.tls is None else self._context(request.tls),
            allow_redirects=False,
        ) as response:
            read = await _read(response, request.keep)
            start, body = read[: 4 * SHOWN].decode(errors="replace")[:SHOWN], read[: request.keep]
            status, reason = response.status, response.reason or ""
            found = response.headers
            if status < 300:  # noqa: PLR2004 -- a success asks for nothing more
                link = found.get("Link", "") if request.keep else ""
                return Response(status, reason, start, body=body, link=link)
            retry_after = _retry_after(found.get("Retry-After"))
            return Response(status, reason, start, retry_after, found.get("Location", ""), body)

    def _context(self, tls: Tls) -> ssl.SSLContext:
        key = hashlib.blake2b(repr(tls).encode()).digest()
        context = self._contexts.get(key)
        if context is None:
            if len(self._contexts) >= _CONTEXTS:
                del self._contexts[next(iter(self._contexts))]
            context = self._contexts[key] = tls_context(tls)
        return context


@asynccontextmanager
async def open_client(environment: Mapping[str, str] = os.environ) -> AsyncIterator[HttpClient]:
    """Open a client that goes anywhere. Proxies of the environment are honoured."""
    async with _open(environment, guarded=False) as client:
        yield client


@asynccontextmanager
async def open_guarded_client(
    environment: Mapping[str, str] = os.environ,
) -> AsyncIterator[HttpClient]:
    """Open a client for addresses that others choose: see `spine.http.egress`."""
    async with _open(environment, guarded=True) as client:
        yield client


@asynccontextmanager
async def _open(environment: Mapping[str, str], *, guarded: bool) -> AsyncIterator[HttpClient]:
    proxies = any(environment.get(n) or environment.get(n.upper()) for n in _PROXIES)
    opened: list[aiohttp.ClientSession] = []

    def session() -> "aiohttp.ClientSession":
        if not opened:
            opened.append(_session(guarded=guarded, proxies=proxies))
        return opened[0]

    pool = None if proxies else Pool(guarded=guarded)
    try:
        yield HttpClient(session, pool)
    finally:
        if pool is not None:
            pool.close()
        for one in opened:
            await one.close()


def _session(*, guarded: bool, proxies: bool) -> "aiohttp.ClientSession":
    """Open a session: 8 MiB of a library that only proxies and HEAD need."""
    import aiohttp

    from spine.http.resolver import guarded_connector

    return aiohttp.ClientSession(
        # who sends bounds how many there are
        connector=guarded_connector() if guarded else aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=proxies,  # asked for only where there are some: it costs at each request
    )


async def _read(response: "aiohttp.ClientResponse", keep: int) -> bytes:
    """Return the start of a body; read on a little, so that the connection stays usable."""
    if response.content.at_eof():
        return b""
    chunks: list[bytes] = []
    size, most = 0, max(_READ, keep)
    while size <= most and (chunk := await response.content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    if not response.content.at_eof():
        response.close()
    return b"".join(chunks)


def _redirected(request: Request, status: int, location: str) -> Request:
    url = gourl.join(request.url, location)
    method, body = request.method, request.body
    headers = list(request.headers)
    if status in _REDIRECTS_TO_GET:
        if method not in {"GET", "HEAD"}:
            method = "GET"
        body = b""
        headers = [(n, v) for n, v in headers if not n.lower().startswith("content-")]
    if url.origin != request.url.origin:
        private = _PRIVATE | request.private
        headers = [(n, v) for n, v in headers if n.lower() not in private]
    host = request.host if url.authority == request.url.authority else ""
    return replace(request, method=method, url=url, headers=headers, body=body, host=host)


def _moved(before: Request, after: Request, status: int) -> bool:
    """Return whether a redirect says that the same thing is elsewhere.

    Others lead to an answer, such as that of a script that took what was posted.
    """
    elsewhere = before.url.target == after.url.target and before.url.origin != after.url.origin
    return status == _MOVED or elsewhere


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _of_the_session(exc: "aiohttp.ClientError") -> Exception:
    """Return an error of the library as our own connections raise it."""
    import aiohttp

    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return exc.certificate_error
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error
    if isinstance(exc, aiohttp.ServerDisconnectedError):
        return Hangup()
    return ValueError(str(exc) or type(exc).__name__)


def _why(exc: BaseException) -> str:
    """Say in a few words what went wrong on the way."""
    if isinstance(exc, ssl.SSLError):
        wrong = isinstance(exc, ssl.SSLCertVerificationError)
        return f"its certificate is not trusted: {exc}" if wrong else f"TLS: {exc.reason or exc}"
    if isinstance(exc, socket.gaierror):
        return f"its host is not known: {exc.strerror}"
    if isinstance(exc, Hangup):
        return "the server closed the connection without a response"
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno).lower()
    return str(exc) or type(exc).__name__
