"""GitLab's API for tests: hooks of projects and groups, with the checks that the real one makes.

`from gitlab_kit import gitlab_server`. Tokens come in PRIVATE-TOKEN and have a role, lists come in
pages with a Link, the token of a hook is never told, and what a token may not see is not there.
"""

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from aiohttp import web

BASE = "/api/v4"
FLAGS = {
    "push_events",
    "issues_events",
    "confidential_issues_events",
    "merge_requests_events",
    "tag_push_events",
    "note_events",
    "confidential_note_events",
    "job_events",
    "pipeline_events",
    "wiki_page_events",
    "deployment_events",
    "releases_events",
    "emoji_events",
    "resource_access_token_events",
    "vulnerability_events",
}
DEFAULTS = {
    **dict.fromkeys(FLAGS, False),
    "push_events": True,
    "enable_ssl_verification": True,
    "alert_status": "executable",
}


class Refusal(Exception):
    """What GitLab says against a request."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class GitlabServer:
    """An API server with hooks by place: `projects/shop/web` or `groups/warehouse`."""

    def __init__(self) -> None:
        self.url = ""
        self.hooks: dict[str, list[dict[str, Any]]] = {}
        self.tokens = {"glpat-good"}
        self.requests: list[tuple[str, str]] = []
        self.refuse: Callable[[str, str], Refusal | None] = lambda _method, _path: None
        self._ids = itertools.count(1)

    def add(self, place: str, url: str, **more: Any) -> dict[str, Any]:
        """Put a hook there, as somebody by hand would."""
        hook = {**DEFAULTS, "id": next(self._ids), "url": url, **more}
        self.hooks.setdefault(place, []).append(hook)
        return hook

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Refusal as exc:
            return web.json_response(exc.body, status=exc.status, headers=exc.headers)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if not path.startswith(f"{BASE}/"):
            raise Refusal(404, {"error": "404 Not Found"})
        if request.headers.get("PRIVATE-TOKEN") not in self.tokens:
            raise Refusal(401, {"message": "401 Unauthorized"})
        path = path.removeprefix(f"{BASE}/")
        self.requests.append((request.method, path))
        if (refusal := self.refuse(request.method, path)) is not None:
            raise refusal
        kind, name, *rest = path.split("/")
        place = f"{kind}/{unquote(name)}"
        if place not in self.hooks or not rest or rest[0] != "hooks":
            what = "Group" if kind == "groups" else "Project"
            raise Refusal(404, {"message": f"404 {what} Not Found"})
        body = json.loads(await request.read() or b"{}")
        return self._act(request, place, rest[1:], body)

    def _act(
        self, request: web.BaseRequest, place: str, rest: list[str], body: dict[str, Any]
    ) -> web.StreamResponse:
        match request.method, rest:
            case "GET", []:
                return self._list(request, [shown(hook) for hook in self.hooks[place]])
            case "POST", []:
                if not body.get("url"):
                    raise Refusal(400, {"error": "url is missing"})
                return web.json_response(shown(self.add(place, **body)), status=201)
            case "PUT", [number]:
                if not body.get("url"):
                    raise Refusal(400, {"error": "url is missing"})
                hook = self._get(place, number)
                hook.update(body)
                return web.json_response(shown(hook))
            case "DELETE", [number]:
                self.hooks[place].remove(self._get(place, number))
                return web.Response(status=204)
        raise Refusal(404, {"error": "404 Not Found"})

    def _get(self, place: str, number: str) -> dict[str, Any]:
        for hook in self.hooks[place]:
            if str(hook["id"]) == number:
                return hook
        raise Refusal(404, {"message": "404 Not found"})

    def _list(self, request: web.BaseRequest, items: list[Any]) -> web.Response:
        size = min(int(request.query.get("per_page", "20")), 100)
        page = int(request.query.get("page", "1"))
        links = []
        if page * size < len(items):
            links.append(f'<{request.url.update_query(page=page + 1)}>; rel="next"')
        links.append(f'<{request.url.update_query(page=1)}>; rel="first"')
        headers = {"Link": ", ".join(links)}
        return web.json_response(items[(page - 1) * size : page * size], headers=headers)


def shown(hook: dict[str, Any]) -> dict[str, Any]:
    """A hook as the API tells of it."""
    return {name: value for name, value in hook.items() if name != "token"}


@asynccontextmanager
async def gitlab_server() -> AsyncIterator[GitlabServer]:
    """Yield a server that listens; it has the project `shop/web` and the group `warehouse`."""
    one = GitlabServer()
    one.hooks = {"projects/shop/web": [], "groups/warehouse": []}
    runner = web.ServerRunner(web.Server(one.serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        await runner.cleanup()
