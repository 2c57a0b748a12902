"""Signature Version 4 of AWS: how a request proves who sends it.

One hash over method, path, query, headers and body's hash, signed with a key derived for the day,
region and service. Source: AWS General Reference, "Signing AWS API requests". The SDK that has it
cannot be had beside the Kubernetes client (they want different versions of python-dateutil), and
would open its connections itself, past the rules on where a process may fetch from.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING = hashlib.sha256(b"").hexdigest()
"""Hash of an empty body."""


@dataclass(frozen=True, slots=True)
class Keys:
    """An access key and its secret."""

    access: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for."""

    region: str
    service: str


def quoted(path: str) -> str:
    """Return a path with all quoted but letters, digits, `-._~` and `/`, as S3 signs it."""
    return quote(path, safe="/-._~")


def query_text(query: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Return a query as it is signed, and may be sent: sorted, a name may come more than once."""
    pairs = query.items() if isinstance(query, Mapping) else query
    return "&".join(
        f"{name}={value}" for name, value in sorted((_all(k), _all(v)) for k, v in pairs)
    )


def _all(text: str) -> str:
    return quote(text, safe="-._~")


def signed_headers(  # noqa: PLR0913 -- what a request consists of
    keys: Keys,
    scope: Scope,
    now: datetime,
    *,
    host: str,
    path: str,
    method: str = "GET",
    query: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    body_hash: str = NOTHING,
) -> dict[str, str]:
    """Return the headers that a request is to bear, those given among them.

    `path` is quoted already; `host` has its port where that is not the scheme's; `now` has a zone.
    """
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    sent = {"x-amz-content-sha256": body_hash, "x-amz-date": stamp}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    lines = {**sent, "host": host}
    names = ";".join(sorted(lines))
    request = "\n".join(
        [
            method,
            path,
            query_text(query),
            *(f"{name}:{' '.join(lines[name].split())}" for name in sorted(lines)),
            "",
            names,
            body_hash,
        ]
    )
    place = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = f"{ALGORITHM}\n{stamp}\n{place}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = _hmac(_key(keys.secret, place), text).hex()
    sent["authorization"] = (
        f"{ALGORITHM} Credential={keys.access}/{place},SignedHeaders={names},Signature={signature}"
    )
    return sent


def _key(secret: str, place: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in place.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
