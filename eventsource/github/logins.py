"""Who registers hooks: somebody with a token, or an App; with the credentials of the moment."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from eventsource.github.hooks import GithubPlace, TokenApi, Wanted, organization, repository
from services.github_api import Api, AppApi
from services.hiding import Hiding
from services.web import Web
from spine.errors import ConfigError
from spine.http.client import HttpClient, open_guarded_client
from spine.runtime import Env

if TYPE_CHECKING:
    from eventsource.sources.github import Github, GithubApp

PUBLIC = "https://api.github.com"


def api_url(base: str) -> str:
    """Return the URL of the API, also of a GitHub server of one's own. Raises ValueError."""
    if not base:
        return PUBLIC
    parts = urlsplit(base)
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise ValueError("no URL: write https://HOST/")
    place = base.rstrip("/")
    named = parts.path.rstrip("/").endswith("/api/v3") or "api." in parts.hostname
    return place if named else f"{place}/api/v3"


class Logins:
    """The API of one event."""

    def __init__(self, env: Env, source: "Github", client: HttpClient) -> None:
        self._env, self._source, self._client = env, source, client
        self._base = api_url(source.github_base_url)
        self._app: tuple[tuple[str, ...], Api] | None = None

    @classmethod
    async def of(cls, env: Env, source: "Github") -> "Logins":
        """Return it, with the HTTP client of the process."""
        return cls(env, source, await env.shared.get("guarded http client", open_guarded_client))

    def places(self, wanted: Wanted) -> list[GithubPlace]:
        """Return what has hooks. Raises ConfigError where a Secret cannot be read."""
        api, source = self._api(wanted.secret or ""), self._source
        names = [organization(name) for name in source.organizations]
        names += [repository(*one) for one in source.repository_names]
        return [GithubPlace(api, path, shown, wanted) for path, shown in names]

    def _api(self, secret: str) -> Api:
        source = self._source
        if source.api_token is not None:
            token = self._env.secrets.secret(source.api_token).strip()
            if not token:
                raise ConfigError(f"reading the token of {self._env.name}: it is empty")
            return TokenApi(self._web(token, secret), self._base, token)
        assert source.github_app is not None
        return self._app_api(source.github_app, secret)

    def _app_api(self, app: "GithubApp", secret: str) -> Api:
        """Return the API for an App; the same while its key is the same, as it keeps its token."""
        pem = self._env.secrets.secret(app.private_key)
        if self._app is None or self._app[0] != (pem, secret):
            from spine.github_app import private_key

            key = private_key(pem, f"key {app.private_key.key!r} of {app.private_key.name!r}")
            ids = str(app.app_id), str(app.installation_id)
            self._app = (pem, secret), AppApi(self._web(secret), self._base, *ids, key)
        return self._app[1]

    def _web(self, *hidden: str) -> Web:
        """Return what calls, with errors that do not repeat credentials."""
        return Web(self._client, hide=Hiding(hidden))
