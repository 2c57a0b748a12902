"""Requests to a Kubernetes API server: connection, credentials, errors.

Credentials are those of a kubeconfig or of the pod. Tokens that expire are read again before a
request, and programs that give them are asked again when the old one has run out.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from spine.errors import KubeError
from spine.kube.credentials import credentials, tls
from spine.kube.refusal import Refusal

if TYPE_CHECKING:
    import aiohttp

SECONDS = 30.0
"""Time that a request may take, unless it says otherwise."""
CONNECT = 5.0
"""Seconds to connect."""
CONNECTIONS = 64
"""Requests under way at a time."""
CHUNK = 2**21
"""Bytes read at once from a watch."""

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
"""Asks for the metadata of objects alone; a list is asked for with `List` put in."""

Headers = Mapping[str, str]


class Status(msgspec.Struct):
    """What the API says when it refuses."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: dict[str, Any] | None = None


_decode_status = msgspec.json.Decoder(Status).decode


@dataclass(slots=True, eq=False)
class Session:
    """A connection to one API server."""

    server: str
    """URL without a slash at the end."""
    namespace: str
    """Where namespaced objects go that name none."""
    _client: "aiohttp.ClientSession"
    _tls: ssl.SSLContext | bool
    _configuration: Any

    async def request(  # noqa: PLR0913 -- the parts of a request
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        accept: str = JSON,
    ) -> bytes:
        """Return the body of the answer. Raises KubeError for all but success."""
        import aiohttp

        headers = await self._headers(accept)
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            async with asyncio.timeout(seconds):
                async with self._client.request(
                    method,
                    self.server + path,
                    data=body,
                    params=query,
                    headers=headers,
                    ssl=self._tls,
                    allow_redirects=False,
                ) as answer:
                    content = await answer.read()
        except TimeoutError:
            raise KubeError(f"{method} {path}: no answer within {seconds:g} s") from None
        except aiohttp.ClientError as exc:
            raise self._unreachable(method, path, exc) from exc
        if not 200 <= answer.status < 300:  # noqa: PLR2004 -- success in HTTP
            raise failure(method, path, answer.status, content, answer.headers)
        return content

    async def request_get(self, path: str) -> bytes:
        """Return the body of the answer to a GET."""
        return await self.request("GET", path)

    async def lines(
        self, path: str, query: Mapping[str, str], *, idle: float, accept: str = JSON
    ) -> AsyncIterator[bytes]:
        """Yield the lines of an answer as they come; end when the server ends it.

        Raises KubeError when it refuses, when the connection breaks, and when nothing has come
        for `idle` seconds.
        """
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=idle)
        try:
            async with self._client.get(
                self.server + path,
                params=query,
                headers=await self._headers(accept),
                ssl=self._tls,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status != 200:  # noqa: PLR2004 -- a watch answers with nothing else
                    content = await answer.read()
                    raise failure("watch", path, answer.status, content, answer.headers)
                rest = b""
                async for chunk in answer.content.iter_any():
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        if line:
                            yield line
        except TimeoutError:
            raise KubeError(f"watching {path}: nothing came for {idle:g} s") from None
        except aiohttp.ClientError as exc:
            raise self._unreachable("watch", path, exc) from exc

    async def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept}
        try:
            token = await self._configuration.get_api_key_with_prefix(
                "BearerToken", "authorization"
            )
        except Exception as exc:  # any third-party credential program
            raise KubeError(
                f"getting credentials for {self.server}: {exc}", hint="see the user in kubeconfig"
            ) from exc
        if token:
            headers["Authorization"] = token
        return headers

    def _unreachable(self, method: str, path: str, exc: Exception) -> KubeError:
        why = str(exc) or type(exc).__name__
        return KubeError(f"{method} {path} of {self.server}: {why}")


def failure(
    method: str, path: str, status: int, content: bytes, headers: Mapping[str, str]
) -> KubeError:
    """Return what an answer means that is no success."""
    try:
        said = _decode_status(content)
    except msgspec.DecodeError:
        said = Status(message=content[:200].decode("utf-8", "replace"))
    after = headers.get("Retry-After", "")
    return KubeError(
        f"{method} {path}: {status} {said.reason}: {said.message}".rstrip(": "),
        hint=Refusal.of(said.message).hint if status == 403 else "",  # noqa: PLR2004 -- Forbidden
        retry_after=float(after) if after.isdecimal() else None,
        status=status,
        reason=said.reason,
    )


@asynccontextmanager
async def open_session(kubeconfig: str = "", context: str = "") -> AsyncIterator[Session]:
    """Connect as a kubeconfig says; without one, as KUBECONFIG, the pod or ~/.kube/config does.

    Raises ConfigError where none can be used.
    """
    import aiohttp

    configuration, namespace = await credentials(kubeconfig, context)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(
        connector=connector, read_bufsize=CHUNK, trust_env=True, auto_decompress=True
    ) as client:
        yield Session(
            server=configuration.host.rstrip("/"),
            namespace=namespace,
            _client=client,
            _tls=tls(configuration),
            _configuration=configuration,
        )
