"""Git over HTTP, through connections that are bounded and go only where it is allowed.

Redirects are followed before anything is fetched, as to a repository's new name; credentials go
only to the origin that they are meant for.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from dulwich.client import AbstractHttpGitClient
from dulwich.protocol import CAPABILITY_PACKFILE_URIS
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection

from sensor.kubernetes.git.line import PATIENCE, Line
from sensor.kubernetes.git.place import Auth, Place
from spine.errors import ConfigError
from spine.http.egress import check_host

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

HOPS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})


class Http(AbstractHttpGitClient):
    """A client of one repository."""

    def __init__(self, place: Place, auth: Auth, line: Line) -> None:
        super().__init__(place.url, quiet=True)
        self._fetch_capabilities.discard(CAPABILITY_PACKFILE_URIS)
        self._line = line
        self._pools = _pools(place, line)
        self._origin = place.origin
        self._basic = {}
        if auth.user or auth.password:
            self._basic = urllib3.make_headers(basic_auth=f"{auth.user}:{auth.password}")

    @override
    def close(self) -> None:
        self._pools.clear()

    @staticmethod
    @override
    def _warn_filter_objects() -> None:
        """Say nothing: without filters it takes longer, and that is all."""

    @override
    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> tuple[Any, Callable[[int], bytes]]:
        asked, hops = url, 0
        answer = self._once(url, headers or {}, data)
        while data is None and answer.status in _MOVED and hops < HOPS:
            answer.close()
            url, hops = self._hop(url, answer.headers.get("Location", "")), hops + 1
            answer = self._once(url, headers or {}, data)
        if answer.status != 200:  # noqa: PLR2004 -- all that git says when it answers
            answer.close()
            raise self._refusal(url, answer.status)
        kind = answer.headers.get("Content-Type")
        if data is None and not (kind or "").startswith("application/x-git-"):
            answer.close()
            raise ConfigError(
                f"{self._line.what}: what answers there does not speak git",
                hint="give the URL that git clone takes",
            )
        answer.content_type = kind  # type: ignore[attr-defined]  # what the library reads
        answer.redirect_location = url if url != asked else ""  # type: ignore[attr-defined]  # as above
        return answer, self._line.counted(answer.read)

    def _once(
        self, url: str, headers: dict[str, str], data: bytes | Iterator[bytes] | None
    ) -> "BaseHTTPResponse":
        basic = self._basic if _origin(url) == self._origin else {}
        return self._pools.request(
            "GET" if data is None else "POST",
            url,
            body=data,
            headers={"User-Agent": "git/tocsin", **headers, **basic},
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=PATIENCE,
        )

    def _hop(self, url: str, location: str) -> str:
        """Return where a redirect leads. Raises ConfigError where it must not be followed."""
        there = urljoin(url, location)
        parts = urlsplit(there)
        if parts.scheme != "https" and parts.scheme != urlsplit(url).scheme:
            raise ConfigError(f"{self._line.what}: it redirects to {parts.scheme}, without TLS")
        check_host(parts.hostname or "", f"{self._line.what}, redirected")
        return there

    def _refusal(self, url: str, status: int) -> ConfigError:
        if status in {401, 403}:
            known = "look at the credentials" if self._basic else "set creds or githubApp"
            return ConfigError(f"{self._line.what}: {status}: not for us", hint=known)
        if status == 404:  # noqa: PLR2004 -- not found
            why = "there is no such repository, or not for us"
            return ConfigError(f"{self._line.what}: 404: {why}")
        if status in _MOVED:
            return ConfigError(f"{self._line.what}: more than {HOPS} redirects, or one too late")
        return ConfigError(f"{self._line.what}: status {status} of {urlsplit(url).hostname}")


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname or "", port


class _Joins:
    """Tells a line of each socket of a connection."""

    line: Line
    host: str

    def _new_conn(self) -> socket.socket:
        new: socket.socket = super()._new_conn()  # type: ignore[misc]  # mixed into a connection
        return self.line.joined(new, self.host)


def _pools(place: Place, line: Line) -> urllib3.PoolManager:
    proxy = getproxies().get(place.scheme)
    if proxy and not proxy_bypass(place.host):
        pools: urllib3.PoolManager = urllib3.ProxyManager(proxy)
    else:
        pools = urllib3.PoolManager()
    plain = type("Plain", (_Joins, HTTPConnection), {"line": line})
    secured = type("Secured", (_Joins, HTTPSConnection), {"line": line})
    pools.pool_classes_by_scheme = {
        "http": type("Pool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("Pools", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": secured}),
    }
    return pools


@contextlib.contextmanager
def http_client(place: Place, auth: Auth, line: Line) -> Iterator[tuple[Http, str]]:
    """Yield a client, and the path to ask it for."""
    with contextlib.closing(Http(place, auth, line)) as client:
        yield client, ""
