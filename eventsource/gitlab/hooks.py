"""The hooks of projects and groups, by GitLab's API.

Source: GitLab's public documentation, "Project webhooks API" and "Group webhooks API". GitLab
never tells the secret token of a hook, so it is written anew when ours may be another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from eventsource.gitlab import events
from eventsource.registration import Hook
from services.github_api import next_page
from services.web import KEPT, Web, json_content, json_of, refused
from spine.errors import TriggerError
from spine.http.client import Response

LIST = 4 * 1024 * 1024
"""Bytes of a page of hooks."""
PAGE = 100
"""Hooks of a page."""
PAGES = 10
"""Pages that are read; GitLab allows 100 hooks of a project."""
_UNKNOWN, _FORBIDDEN, _HIDDEN, _INVALID = 401, 403, 404, 422


def api_url(base: str) -> str:
    """Return the URL of the API. Raises ValueError."""
    parts = urlsplit(base)
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise ValueError("no URL: write https://HOST")
    place = base.rstrip("/")
    return place if place.endswith("/api/v4") else f"{place}/api/v4"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What hooks are to be like; None leaves it to GitLab."""

    url: str
    events: frozenset[str]
    verify: bool | None = None
    """Whether GitLab verifies our certificate."""
    token: str | None = field(default=None, repr=False)
    """What GitLab is to present."""

    def body(self, *, group: bool) -> dict[str, Any]:
        """Return a hook as the API takes it."""
        found = {
            "url": self.url,
            "enable_ssl_verification": self.verify,
            "token": self.token,
            **events.settings(self.events, group=group),
        }
        return {name: value for name, value in found.items() if value is not None}

    def is_met(self, hook: Mapping[str, Any], *, group: bool) -> bool:
        """Return whether a hook is like this, as far as GitLab tells."""
        wanted = self.body(group=group)
        return all(
            hook.get(name) in {value, None}
            for name, value in wanted.items()
            if name not in {"url", "token"}
        )


class GitlabPlace:
    """A project or a group."""

    def __init__(
        self, web: Web, base: str, token: str, place: tuple[str, str], wanted: Wanted
    ) -> None:
        """Take `projects` or `groups`, and number or path of one, as the place."""
        self._web, self._token, self._wanted = web, token, wanted
        kind, name = place
        self._group = kind == "groups"
        self.shown = f"{kind.removesuffix('s')} {name}"
        self._url = f"{base}/{kind}/{quote(name, safe='')}/hooks"

    async def hooks(self) -> list[Hook]:
        """Return all of its hooks."""
        what, page, found = f"listing the hooks of {self.shown}", "1", list[Hook]()
        for _ in range(PAGES):
            response = await self._call(what, "GET", f"?per_page={PAGE}&page={page}", keep=LIST)
            body = json_of(response.body)
            if not isinstance(body, list) or not all(isinstance(one, dict) for one in body):
                raise TriggerError(f"{what}: the answer is no list of hooks")
            found += [self._hook(one, what) for one in body]
            page = next_page(response.link)
            if not page:
                break
        return found

    async def create(self) -> int | None:
        """Make the hook."""
        what = f"making a hook of {self.shown}"
        body = {"enable_ssl_verification": False, **self._wanted.body(group=self._group)}
        made = json_of((await self._call(what, "POST", "", body)).body)
        if not isinstance(made, dict):
            raise TriggerError(f"{what}: the answer is no hook")
        return self._hook(made, what).id

    async def update(self, hook: Hook) -> None:
        """Bring a hook up to date."""
        what = f"changing hook {hook.id} of {self.shown}"
        await self._call(what, "PUT", f"/{hook.id}", self._wanted.body(group=self._group))

    async def delete(self, number: int) -> None:
        """Take a hook away."""
        what = f"deleting hook {number} of {self.shown}"
        response = await self._ask(what, "DELETE", f"/{number}")
        if response.status != _HIDDEN:
            self._checked(what, response)

    def _hook(self, one: Mapping[str, Any], what: str) -> Hook:
        if not isinstance(one.get("id"), int):
            raise TriggerError(f"{what}: the answer has no number")
        status = one.get("alert_status")
        problem = ""
        if status in {"disabled", "temporarily_disabled"}:
            problem = (
                f"GitLab has set it to {status.replace('_', ' ')}, as requests failed:"
                " look at its page in GitLab and test it there"
            )
        met = self._wanted.is_met(one, group=self._group)
        return Hook(one["id"], str(one.get("url", "")), met, problem)

    async def _call(
        self, what: str, method: str, path: str, body: Any = None, *, keep: int = KEPT
    ) -> Response:
        return self._checked(what, await self._ask(what, method, path, body, keep=keep))

    async def _ask(
        self, what: str, method: str, path: str, body: Any = None, *, keep: int = KEPT
    ) -> Response:
        return await self._web.ask(
            what,
            method,
            f"{self._url}{path}",
            headers={"PRIVATE-TOKEN": self._token, "Accept": "application/json"},
            content=None if body is None else json_content(body),
            private=frozenset({"private-token"}),
            keep=keep,
        )

    def _checked(self, what: str, response: Response) -> Response:
        """Return a success. Raises TriggerError saying which permission is missing."""
        if response.ok:
            return response
        raise refused(what, response, self._web.hide, hint=self._hint(response.status))

    def _hint(self, status: int) -> str:
        if status == _UNKNOWN:
            return "the access token is not good, or not any more: look at the Secret"
        if status == _INVALID:
            return "GitLab must be allowed to call that URL: see its outbound requests"
        if status not in {_FORBIDDEN, _HIDDEN}:
            return ""
        if self._group:
            return (
                "it needs the scope api and the role Owner of the group, and a licence that has"
                " hooks of groups"
            )
        return (
            "it needs the scope api and the role Maintainer of the project."
            " GitLab hides what a token may not see"
        )
