"""Hooks of repositories and organizations in GitHub's API for tests; part of `github_kit`.

It does what the real one does: lists in pages, never tells a secret, refuses a second hook with
the same URL and settings, forgets a secret that a whole `config` leaves out, and hides what a
token may not see.
"""

import itertools
from typing import Any

HIDDEN = "********"
DEFAULT = {"content_type": "form", "insecure_ssl": "0"}


class Refused(Exception):
    """Status and message of a refusal."""

    def __init__(self, status: int, message: str, *errors: str) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, errors


class GithubHooks:
    """Hooks by place: `repos/o/r` or `orgs/o`."""

    def __init__(self) -> None:
        self.of: dict[str, list[dict[str, Any]]] = {}
        self._ids = itertools.count(100)

    def add(self, place: str, url: str, **more: Any) -> dict[str, Any]:
        """Put a hook there, as somebody by hand would."""
        config = {**DEFAULT, "url": url, **more.pop("config", {})}
        hook = {"id": next(self._ids), "name": "web", "active": True, "events": ["push"], **more}
        self.of.setdefault(place, []).append({**hook, "config": config})
        return self.of[place][-1]

    def act(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Do what is asked; return status and answer."""
        place, _, rest = path.strip("/").partition("/hooks")
        if place not in self.of:
            raise Refused(404, "Not Found")
        match method, rest.strip("/").split("/"):
            case "GET", [""]:
                return 200, [shown(hook) for hook in self.of[place]]
            case "POST", [""]:
                return 201, shown(self._create(place, body))
            case "PATCH", [number]:
                return 200, shown(self._patch(self._get(place, number), body))
            case "PATCH", [number, "config"]:
                hook = self._get(place, number)
                hook["config"] |= body
                return 200, shown(hook)["config"]
            case "DELETE", [number]:
                self.of[place].remove(self._get(place, number))
                return 204, None
        raise Refused(404, "Not Found")

    def _get(self, place: str, number: str) -> dict[str, Any]:
        for hook in self.of[place]:
            if str(hook["id"]) == number:
                return hook
        raise Refused(404, "Not Found")

    def _create(self, place: str, body: dict[str, Any]) -> dict[str, Any]:
        if not body.get("config", {}).get("url"):
            raise Refused(422, "Validation Failed", "url is missing")
        if body.get("name", "web") != "web":
            raise Refused(422, "Validation Failed", "name must be web")
        wanted = {**DEFAULT, **body["config"]}
        for hook in self.of[place]:
            if (hook["config"]["url"], set(hook["events"])) == (wanted["url"], set(body["events"])):
                kind = "organization" if place.startswith("orgs/") else "repository"
                message = f"Hook already exists on this {kind}"
                raise Refused(422, "Validation Failed", message)
        return self.add(
            place,
            wanted["url"],
            config=wanted,
            active=body.get("active", True),
            events=body.get("events") or ["push"],
        )

    def _patch(self, hook: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if "config" in body:  # as a whole: what it does not name is gone
            hook["config"] = {**DEFAULT, **body["config"]}
        hook |= {name: body[name] for name in ("active", "events") if name in body}
        return hook


def shown(hook: dict[str, Any]) -> dict[str, Any]:
    """A hook as the API tells of it."""
    config = dict(hook["config"])
    if "secret" in config:
        config["secret"] = HIDDEN
    return {**hook, "config": config, "type": "Repository"}
