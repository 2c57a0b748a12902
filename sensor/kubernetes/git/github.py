"""Tokens of a GitHub App's installation, with which its repositories are read."""

import time

import aiohttp

from sensor.artifact import GithubApp
from sensor.kubernetes.fetching import content_of
from sensor.kubernetes.git.place import Place
from spine import github_app
from spine.errors import ConfigError
from spine.github_app import Token, private_key, proof, token_of
from spine.http.egress import check_host
from spine.http.resolver import guarded_connector

SECONDS = 20.0
MOST = 64 * 1024


def api_of(place: Place) -> str:
    """Return the URL of the API that belongs to a repository's host."""
    host, port = place.host, place.port
    if host == "github.com":
        return "https://api.github.com"
    if host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{place.scheme}://{host}:{port}/api/v3"


class Tokens:
    """Tokens that are good, by who asked for them where."""

    def __init__(self) -> None:
        self._tokens = github_app.Tokens()

    async def get(self, place: Place, app: GithubApp, key: str) -> str:
        """Return a token for a repository. Raises ConfigError where none is given."""
        api = api_of(place)
        whose = (api, app.app_id, app.installation_id, key)
        return await self._tokens.get(whose, lambda: _ask(api, app, key))


async def _ask(api: str, app: GithubApp, key: str) -> Token:
    url = f"{api}/app/installations/{app.installation_id}/access_tokens"
    what = f"asking {api} for a token of installation {app.installation_id}"
    check_host(url.split("/")[2].partition(":")[0], what)
    signed = proof(str(app.app_id), private_key(key, "githubApp.privateKey"), time.time())
    headers = {
        "Authorization": f"Bearer {signed}",
        "Accept": "application/vnd.github+json",
        "User-Agent": "tocsin",
    }
    connector = guarded_connector(limit=1)
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
        return token_of(body)
    except ValueError as exc:
        raise ConfigError(f"{what}: {exc}") from exc
