"""The hooks of repositories and organizations, by GitHub's API.

Source: GitHub's public documentation, "REST API endpoints for repository webhooks" and "for
organization webhooks". GitHub never tells the secret of a hook, so it is written anew when ours
may be another. What a manifest does not say is left as it is on GitHub: a hook that somebody
switched on there is not switched off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from eventsource.registration import Hook
from services.github_api import LIST, Api, next_page
from services.web import Web, json_of
from spine.errors import TriggerError
from spine.http.client import Response

PAGE = 100
"""Hooks of a page."""
PAGES = 10
"""Pages that are read; GitHub allows 20 hooks for each kind of event."""
ALL = "*"
_UNKNOWN, _FORBIDDEN, _HIDDEN, _INVALID = 401, 403, 404, 422


class TokenApi(Api):
    """GitHub's API, as somebody who was given a token sees it."""

    def __init__(self, web: Web, base: str, token: str) -> None:
        super().__init__(web, base)
        self._token = token

    @override
    async def token(self) -> str:
        return self._token


@dataclass(frozen=True, slots=True)
class Wanted:
    """What hooks are to be like; None leaves it to GitHub."""

    url: str
    events: frozenset[str]
    active: bool | None = None
    insecure: bool | None = None
    content_type: str | None = None
    secret: str | None = field(default=None, repr=False)

    def config(self) -> dict[str, str]:
        """Return the part of a hook that says where it leads to."""
        found = {
            "url": self.url,
            "content_type": self.content_type,
            "insecure_ssl": None if self.insecure is None else str(int(self.insecure)),
            "secret": self.secret,
        }
        return {name: value for name, value in found.items() if value is not None}

    def is_met(self, hook: Mapping[str, Any]) -> bool:
        """Return whether a hook is like this, as far as GitHub tells."""
        there = hook.get("config") or {}
        said = {k: v for k, v in self.config().items() if k in {"content_type", "insecure_ssl"}}
        events = frozenset(hook.get("events") or ())
        return (
            (events == self.events or ALL in events & self.events)
            and self.active in {None, hook.get("active")}
            and all(str(there.get(name)) == value for name, value in said.items())
        )


class GithubPlace:
    """A repository or an organization."""

    def __init__(self, api: Api, path: str, shown: str, wanted: Wanted) -> None:
        self._api, self._path, self.shown, self._wanted = api, f"{path}/hooks", shown, wanted
        self._organization = path.startswith("/orgs/")

    async def hooks(self) -> list[Hook]:
        """Return all of its hooks."""
        what, page, found = f"listing the hooks of {self.shown}", "1", list[Hook]()
        for _ in range(PAGES):
            path = f"{self._path}?per_page={PAGE}&page={page}"
            body, page = await self._paged(what, path)
            found += [self._hook(one) for one in body]
            if not page:
                break
        return found

    async def create(self) -> int | None:
        """Make the hook."""
        wanted = self._wanted
        body = {
            "name": "web",
            "active": bool(wanted.active),
            "events": sorted(wanted.events),
            "config": {"insecure_ssl": "0", **wanted.config()},
        }
        what = f"making a hook of {self.shown}"
        response = await self._api.ask(what, "POST", self._path, body)
        if response.status == _INVALID and b"already exists" in response.body:
            return None
        made = json_of(self._checked(what, response).body)
        if not isinstance(made, dict) or not isinstance(made.get("id"), int):
            raise TriggerError(f"{what}: the answer has no number")
        return int(made["id"])

    async def update(self, hook: Hook) -> None:
        """Bring a hook up to date."""
        wanted, path = self._wanted, f"{self._path}/{hook.id}"
        what = f"changing hook {hook.id} of {self.shown}"
        body: dict[str, Any] = {"events": sorted(wanted.events)}
        if wanted.active is not None:
            body["active"] = wanted.active
        self._checked(what, await self._api.ask(what, "PATCH", path, body))
        config = f"{path}/config"  # by itself it keeps what is not named
        self._checked(what, await self._api.ask(what, "PATCH", config, wanted.config()))

    async def delete(self, number: int) -> None:
        """Take a hook away."""
        what = f"deleting hook {number} of {self.shown}"
        response = await self._api.ask(what, "DELETE", f"{self._path}/{number}")
        if response.status != _HIDDEN:
            self._checked(what, response)

    def _hook(self, one: Any) -> Hook:
        config = one.get("config") or {}
        return Hook(int(one["id"]), str(config.get("url", "")), self._wanted.is_met(one))

    async def _paged(self, what: str, path: str) -> tuple[list[Any], str]:
        response = self._checked(what, await self._api.ask(what, "GET", path, keep=LIST))
        body = json_of(response.body)
        if not isinstance(body, list) or not all(isinstance(o, dict) and "id" in o for o in body):
            raise TriggerError(f"{what}: the answer is no list of hooks")
        return body, next_page(response.link)

    def _checked(self, what: str, response: Response) -> Response:
        """Return a success. Raises TriggerError saying which permission is missing."""
        if response.ok:
            return response
        raise self._api.refusal(what, response, hint=self._hint(response.status))

    def _hint(self, status: int) -> str:
        if status == _UNKNOWN:
            return "the token is not good, or not any more: look at the Secret"
        if status not in {_FORBIDDEN, _HIDDEN}:
            return ""
        if self._organization:
            return (
                "it needs the permission Webhooks of the organization, read and write;"
                " a classic token the scope admin:org_hook, of an owner"
            )
        return (
            "it needs the permission Webhooks of the repository, read and write; a classic token"
            " the scope admin:repo_hook, of an administrator. GitHub hides what a token may not see"
        )


def repository(owner: str, name: str) -> tuple[str, str]:
    """Return path and name of a repository."""
    return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}", f"{owner}/{name}"


def organization(name: str) -> tuple[str, str]:
    """Return path and name of an organization."""
    return f"/orgs/{quote(name, safe='')}", name
