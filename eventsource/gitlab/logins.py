"""Who registers hooks with GitLab, with the credentials of the moment."""

from typing import TYPE_CHECKING

from eventsource.gitlab.hooks import GitlabPlace, Wanted, api_url
from services.hiding import Hiding
from services.web import Web
from spine.errors import ConfigError
from spine.http.client import HttpClient, open_guarded_client
from spine.runtime import Env

if TYPE_CHECKING:
    from eventsource.sources.gitlab import Gitlab


class Logins:
    """The API of one event."""

    def __init__(self, env: Env, source: "Gitlab", client: HttpClient) -> None:
        self._env, self._source, self._client = env, source, client

    @classmethod
    async def of(cls, env: Env, source: "Gitlab") -> "Logins":
        """Return it, with the HTTP client of the process."""
        return cls(env, source, await env.shared.get("guarded http client", open_guarded_client))

    def places(self, wanted: Wanted) -> list[GitlabPlace]:
        """Return what has hooks. Raises ConfigError where a Secret cannot be read."""
        source = self._source
        assert source.access_token is not None
        token = self._env.secrets.secret(source.access_token).strip()
        if not token:
            raise ConfigError(f"reading the access token of {self._env.name}: it is empty")
        web = Web(self._client, hide=Hiding([token, wanted.token or ""]))
        base = api_url(source.gitlab_base_url)
        names = [("projects", name) for name in source.project_names]
        names += [("groups", name) for name in source.groups]
        return [GitlabPlace(web, base, token, place, wanted) for place in names]
