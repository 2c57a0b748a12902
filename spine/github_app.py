"""GitHub Apps: how one proves to be one, and the tokens that its installations get.

Source: GitHub's public documentation, "Generating an installation access token for a GitHub App".
A token is good for an hour and kept until five minutes before. Who asks for it, over which
client, and what a refusal means there, is left to those who need one.
"""

import asyncio
import base64
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from spine.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

EARLY = 300.0
"""Seconds before its end at which a token is not used any more."""


class Token(NamedTuple):
    """A token of an installation."""

    text: str
    until: float
    """When it ends, in seconds since 1970."""


def private_key(pem: str, what: str) -> "RSAPrivateKey":
    """Read the key of an app; `what` names it in errors. Raises ConfigError."""
    try:
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as exc:
        raise ConfigError(
            f"reading {what}: cryptography is not installed", hint="pip install 'tocsin[git]'"
        ) from exc
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"reading {what}: it is no private key in PEM") from exc
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"reading {what}: it is no RSA key")
    return key


def proof(app: str, key: "RSAPrivateKey", now: float) -> str:
    """Return what says that we are an app: a JWT, signed with RS256, good for nine minutes."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    claims = {"iat": int(now) - 60, "exp": int(now) + 540, "iss": app}  # clocks differ a little
    text = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def token_of(body: bytes) -> Token:
    """Read the answer that gives a token. Raises ValueError where it holds none."""
    try:
        given = orjson.loads(body)
        until = datetime.fromisoformat(given["expires_at"]).astimezone(UTC).timestamp()
        return Token(str(given["token"]), until)
    except (KeyError, TypeError, ValueError) as exc:  # bad JSON is a ValueError, too
        raise ValueError("the answer has no token") from exc


class Tokens:
    """Tokens that are good, by whatever tells apart those who asked."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Token] = {}
        self._asking: defaultdict[Hashable, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, whose: Hashable, ask: Callable[[], Awaitable[Token]]) -> str:
        """Return a token; ask for one where none is kept, once for all who wait for it."""
        async with self._asking[whose]:
            token = self._kept.get(whose)
            if token is None or time.time() > token.until - EARLY:
                token = await ask()
                self._kept = {k: t for k, t in self._kept.items() if t.until > time.time()}
                self._kept[whose] = token
        return token.text

    def forget(self, whose: Hashable) -> None:
        """Keep a token no more: it was refused."""
        self._kept.pop(whose, None)
