"""Tokens that Pub/Sub sends with what it pushes: signed by Google, made out to us.

Signatures are verified by google-auth with the keys that Google publishes, which are fetched when
a token names one that we do not know and kept as long as Google says. A token is good if Google
signed it, for our audience and the service account of the subscription, and it has not expired.
https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions
"""

import asyncio
import base64
import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from spine.errors import ConfigError, SourceError

KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
"""Where Google publishes its keys, as a JSON Web Key Set."""
ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
SKEW = 10
"""Seconds that clocks may differ."""
_PAUSE = 60.0
"""Seconds between two looks for a key that is not there."""
_TIMEOUT = 10.0
_KEPT = 64
"""Tokens that are known to be good; Pub/Sub sends each for up to an hour."""
_MAX_AGE = re.compile(r"max-age=(\d+)")


class Refused(Exception):
    """A token is not good; the text is for us and not for who sent it."""


class Key(msgspec.Struct):
    """One key of the set."""

    kid: str = ""
    kty: str = ""
    n: str = ""
    e: str = ""


class KeySet(msgspec.Struct):
    """What is published."""

    keys: list[Key]


class Keys:
    """Google's public keys, by id."""

    def __init__(self, url: str = "") -> None:
        self._url = url or KEYS_URL
        self._found: Mapping[str, str] = {}
        self._until = self._looked = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, kid: str) -> str | None:
        """Return a key, PEM; None where Google has none of that id. Raises SourceError."""
        async with self._lock:  # many requests wait for one look
            now = time.monotonic()
            unknown = kid not in self._found and now >= self._looked + _PAUSE
            if now >= self._until or unknown:
                self._looked = now
                await self._fetch(now)
        return self._found.get(kid)

    async def _fetch(self, now: float) -> None:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
                session.get(self._url, raise_for_status=True) as answer,
            ):
                raw = await answer.read()
                age = _MAX_AGE.search(answer.headers.get("Cache-Control", ""))
            self._found = _pems(raw)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, ValueError) as exc:
            self._looked = float("-inf")
            raise SourceError(f"fetching the keys of Google from {self._url}: {exc}") from exc
        self._until = now + (int(age[1]) if age else _PAUSE)


def _pems(raw: bytes) -> dict[str, str]:
    """Return the RSA keys of a key set, PEM by id. Raises ValueError, msgspec.DecodeError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found = {}
    for key in msgspec.json.decode(raw, type=KeySet).keys:
        if key.kty == "RSA":
            public = RSAPublicNumbers(_number(key.e), _number(key.n)).public_key()
            pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            found[key.kid] = pem.decode()
    return found


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


class Verifier:
    """Judges the tokens of requests."""

    def __init__(self, audience: str, email: str, keys: Keys) -> None:
        """Take what a token must say. Raises ConfigError where the library is missing."""
        try:
            from google.auth import jwt
        except ImportError as exc:
            raise ConfigError(
                f"verifying what Pub/Sub pushes: {exc}", hint="pip install 'tocsin[gcp]'"
            ) from exc
        self._jwt: Any = jwt
        self._audience, self._email, self._keys = audience, email, keys
        self._good: dict[bytes, float] = {}

    async def check(self, header: bytes) -> None:
        """Judge an Authorization header. Raises Refused; SourceError where there are no keys."""
        if not header.startswith(b"Bearer "):
            raise Refused("it has no bearer token")
        token = header[7:]
        if self._good.get(token, 0.0) > time.time():
            return
        try:
            kid = self._jwt.decode_header(token).get("kid")
        except Exception as exc:  # whatever a forger makes the library stumble over
            raise Refused(f"its token is none: {exc}") from exc
        pem = await self._keys.get(kid) if isinstance(kid, str) else None
        if pem is None:
            raise Refused(f"its token is signed with the key {kid!r}, which Google does not have")
        claims = self._claims(token, {kid: pem})
        if len(self._good) >= _KEPT:
            self._good.clear()
        self._good[token] = float(claims["exp"])

    def _claims(self, token: bytes, keys: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = self._jwt.decode(
                token, certs=keys, audience=self._audience, clock_skew_in_seconds=SKEW
            )
        except Exception as exc:  # see above
            raise Refused(f"its token is not good: {exc}") from exc
        if claims.get("iss") not in ISSUERS:
            raise Refused(f"its token was issued by {claims.get('iss')!r}, not by Google")
        if claims.get("email") != self._email or claims.get("email_verified") is not True:
            raise Refused(f"its token is of {claims.get('email')!r}, not of {self._email!r}")
        return claims
