"""Tokens of a GitHub App's installation, with which its repositories are read.

Source: GitHub's public documentation, "Generating an installation access token for a GitHub App".
A token is good for an hour and kept until five minutes before.
"""

import base64
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson

from sensor.artifact import GithubApp
from sensor.kubernetes.fetching import content_of
from sensor.kubernetes.git.place import Place
from spine.errors import ConfigError
from spine.http.egress import Resolver, check_host

SECONDS = 20.0
MOST = 64 * 1024
EARLY = 300.0
"""Seconds before its end at which a token is not used any more."""


def api_of(place: Place) -> str:
    """Return the URL of the API that belongs to a repository's host."""
    host, port = place.host, place.port
    if host == "github.com":
        return "https://api.github.com"
    if host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{place.scheme}://{host}:{port}/api/v3"


def proof(app: int, key: str, now: float) -> str:
    """Return what says that we are an app: a JWT, signed with RS256, good for some minutes.

    Raises ConfigError for a key that cannot be read.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError) as exc:
        raise ConfigError("reading githubApp.privateKey: it is no private key in PEM") from exc
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConfigError("reading githubApp.privateKey: it is no RSA key")
    claims = {"iat": int(now) - 60, "exp": int(now) + 540, "iss": str(app)}
    text = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


class Tokens:
    """Tokens that are good, by who asked for them where."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, str], tuple[str, float]] = {}

    async def get(self, place: Place, app: GithubApp, key: str) -> str:
        """Return a token for a repository. Raises ConfigError where none is given."""
        api = api_of(place)
        known = (api, app.installation_id, key)
        token, until = self._kept.get(known, ("", 0.0))
        if time.time() > until - EARLY:
            token, until = await _ask(api, app, key)
            self._kept = {k: kept for k, kept in self._kept.items() if kept[1] > time.time()}
            self._kept[known] = token, until
        return token


async def _ask(api: str, app: GithubApp, key: str) -> tuple[str, float]:
    url = f"{api}/app/installations/{app.installation_id}/access_tokens"
    what = f"asking {api} for a token of installation {app.installation_id}"
    check_host(url.split("/")[2].partition(":")[0], what)
    headers = {
        "Authorization": f"Bearer {proof(app.app_id, key, time.time())}",
        "Accept": "application/vnd.github+json",
        "User-Agent": "tocsin",
    }
    connector = aiohttp.TCPConnector(resolver=Resolver(), limit=1)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True) as client,
            client.post(url, headers=headers, allow_redirects=False) as answer,
        ):
            status, body = answer.status, await content_of(answer, MOST)
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise ConfigError(f"{what}: {exc!r}") from exc
    if status != 201:  # noqa: PLR2004 -- created
        raise ConfigError(
            f"{what}: status {status}",
            hint="look at appID, installationID, privateKey and the clock",
        )
    try:
        given = orjson.loads(body)
        until = datetime.fromisoformat(given["expires_at"]).astimezone(UTC).timestamp()
        return str(given["token"]), until
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as exc:
        raise ConfigError(f"{what}: the answer has no token") from exc
