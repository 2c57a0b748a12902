"""A MinIO server: signed requests, and what its refusals mean.

Keys are read from their Secrets for each connection. A server that is of another region than we
signed for says so, and is asked once more.
"""

import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from spine.errors import ConfigError, SourceError
from spine.secrets import SecretRef, Secrets
from spine.sigv4 import Keys, Scope, query_text, quoted, signed_headers

if TYPE_CHECKING:
    import aiohttp

CONNECT = 10.0
"""Seconds for a connection."""
SILENCE = 15.0
"""Seconds without a sign of life after which the server has gone."""
MOST = 64 * 1024
"""Bytes of a refusal that are read."""
REGION = "us-east-1"
"""What MinIO is where nobody said otherwise."""
_TAGS = re.compile(rb"<(Code|Message|Region)>([^<]{1,1000})</")
_ANY_REGION = re.compile(r"[a-z0-9-]{1,40}")

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, and where what opens it stands."""

    endpoint: str
    bucket: str
    region: str
    insecure: bool
    access_key: SecretRef
    secret_key: SecretRef
    ca_certificate: SecretRef | None

    def keys(self, secrets: Secrets) -> Keys:
        """Return the keys as they are now. Raises ConfigError."""
        return Keys(
            secrets.secret(self.access_key).strip(), secrets.secret(self.secret_key).strip()
        )

    def tls(self, secrets: Secrets) -> ssl.SSLContext | bool:
        """Return whom to trust. Raises ConfigError."""
        if self.ca_certificate is None or self.insecure:
            return True
        try:
            return ssl.create_default_context(cadata=secrets.secret(self.ca_certificate))
        except (ssl.SSLError, ValueError) as exc:
            what = f"reading {shown(self.ca_certificate)}"
            raise ConfigError(f"{what}: it holds no certificate in PEM") from exc


class RefusedError(SourceError):
    """The server understood, and does not do it."""


class Server:
    """A server, and who we are there."""

    def __init__(
        self,
        place: Place,
        keys: Keys,
        session: "aiohttp.ClientSession",
        tls: ssl.SSLContext | bool,
    ) -> None:
        self._place, self.keys = place, keys
        self._session, self._tls = session, tls
        self._region = place.region or REGION

    @asynccontextmanager
    async def get(
        self, query: Query, doing: str, grant: str
    ) -> AsyncIterator["aiohttp.ClientResponse"]:
        """Yield the answer to a GET of the bucket.

        `grant` is the action that it takes. Raises SourceError for all that goes wrong, in the
        block, too: RefusedError where the server says no, and ConfigError for a query that it
        does not understand.
        """
        import aiohttp

        place = self._place
        what = f"{doing} bucket {place.bucket} at {place.endpoint}"
        try:
            answer = await self._ask(query)
            if answer.status == 400:  # noqa: PLR2004 -- as for a signature of another region
                answer = await self._again(answer, query, what, grant)
            async with answer:
                if answer.status != 200:  # noqa: PLR2004 -- all that S3 answers a GET with
                    raise await self._refusal(answer, what, grant)
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise SourceError(f"{what}: {_why(exc)}", hint=self._hint(exc)) from exc

    async def _ask(self, query: Query) -> "aiohttp.ClientResponse":
        from yarl import URL

        place = self._place
        scheme = "http" if place.insecure else "https"
        path = f"/{quoted(place.bucket)}"
        url = URL(f"{scheme}://{place.endpoint}{path}?{query_text(query)}", encoded=True)
        headers = signed_headers(
            self.keys,
            Scope(self._region, "s3"),
            datetime.now(UTC),
            host=url.host_port_subcomponent or "",
            path=path,
            query=query,
        )
        headers["Accept-Encoding"] = "identity"  # a stream that is packed comes when it is full
        return await self._session.get(url, headers=headers, ssl=self._tls, allow_redirects=False)

    async def _again(
        self, answer: "aiohttp.ClientResponse", query: Query, what: str, grant: str
    ) -> "aiohttp.ClientResponse":
        """Ask once more where the answer names another region."""
        async with answer:
            tags = _TAGS.findall(await answer.content.read(MOST))
            region = dict(tags).get(b"Region", b"").decode(errors="replace")
            if region in {"", self._region} or not _ANY_REGION.fullmatch(region):
                raise self._meaning(answer, dict(tags), what, grant)
        self._region = region
        return await self._ask(query)

    async def _refusal(
        self, answer: "aiohttp.ClientResponse", what: str, grant: str
    ) -> SourceError | ConfigError:
        tags = dict(_TAGS.findall(await answer.content.read(MOST)))
        return self._meaning(answer, tags, what, grant)

    def _meaning(
        self, answer: "aiohttp.ClientResponse", tags: dict[bytes, bytes], what: str, grant: str
    ) -> SourceError | ConfigError:
        place = self._place
        code = tags.get(b"Code", b"").decode(errors="replace")
        said = tags.get(b"Message", b"").decode(errors="replace")
        says = f"{what}: {answer.status} {code}".rstrip() + (f": {said}" if said else "")
        if code == "InvalidArgument":
            return ConfigError(says, hint="check events and filter")
        hints = {
            "InvalidAccessKeyId": f"the server knows no such key: {shown(place.access_key)}",
            "SignatureDoesNotMatch": f"check {shown(place.secret_key)}: it is that of another key",
            "AccessDenied": f"allow {grant} on arn:aws:s3:::{place.bucket}",
            "NoSuchBucket": "make the bucket, or check bucket.name and endpoint",
            "RequestTimeTooSkewed": _skew(answer.headers.get("Date", "")),
            "NotImplemented": "only MinIO tells of its objects in this way",
        }
        return RefusedError(says, hint=hints.get(code, ""))

    def _hint(self, exc: Exception) -> str:
        import aiohttp

        if isinstance(exc, aiohttp.ClientConnectorCertificateError):
            return "give the CA in caCertificate"
        if isinstance(exc, aiohttp.ClientConnectorSSLError):
            return "insecure: true is for a server without TLS"
        return ""


def shown(ref: SecretRef) -> str:
    """Return what a part of a Secret is called in errors."""
    return f"key {ref.key!r} of Secret {ref.name!r}"


def _why(exc: Exception) -> str:
    import aiohttp

    if isinstance(exc, TimeoutError):
        return "no sign of life"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {exc.certificate_error}"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return str(exc.os_error.strerror or exc.os_error).lower()
    if isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the server closed the connection"
    return str(exc) or type(exc).__name__


def _skew(date: str) -> str:
    try:
        apart = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return "set the clock of this machine"
    side = "ahead of" if apart > 0 else "behind"
    return f"set the clock of this machine: it is {abs(round(apart))} s {side} the server's"


@asynccontextmanager
async def open_server(place: Place, secrets: Secrets) -> AsyncIterator[Server]:
    """Yield a server with the keys as they are now. Raises ConfigError."""
    import aiohttp

    from spine.http.resolver import guarded_connector

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=SILENCE)
    keys, tls = place.keys(secrets), place.tls(secrets)
    session = aiohttp.ClientSession(connector=guarded_connector(), timeout=timeout, trust_env=True)
    async with session:
        yield Server(place, keys, session, tls)
