"""GitHub's API for tests: what the service uses of it, with the checks that the real one makes.

`from github_kit import github_server, PRIVATE_KEY`. Apps prove themselves with a JWT that is
checked with the public key, lists come in pages with a Link, and what GitHub refuses is refused
with its words. What it holds is in `Repository`.
"""

import base64
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from github_hooks import GithubHooks, Refused

_KEY = rsa.generate_private_key(65537, 2048)
PRIVATE_KEY = _KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
).decode()
APP, INSTALLATION = 5, 6
BASE = "/api/v3"
STATES = {"error", "failure", "pending", "success"}
DEPLOYED = STATES | {"inactive", "in_progress", "queued"}
CONCLUSIONS = {"success", "failure", "neutral", "cancelled", "skipped", "timed_out"}
CONCLUSIONS |= {"action_required"}
FULL = "This SHA and context has reached the maximum number of statuses."


@dataclass
class Repository:
    """What a repository holds."""

    commits: dict[str, list[int]] = field(default_factory=dict)
    """Commits, and the pull requests that have them."""
    statuses: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    """The newest first."""
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    behind: int = 0
    """How often the default branch is merged before a deployment is created."""
    green: bool = True
    """Whether the commit's own statuses allow deployments."""


class Refusal(Exception):
    """What GitHub says against a request."""

    def __init__(self, status: int, message: str, *errors: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.headers = status, {k.replace("_", "-"): v for k, v in headers.items()}
        self.told: dict[str, Any] = {"message": message, "documentation_url": "https://docs"}
        if errors:
            self.told["errors"] = [{"code": "custom", "message": one} for one in errors]


def invalid(*errors: str) -> Refusal:
    return Refusal(422, "Validation Failed", *errors)


class GithubServer:
    """An API server with repositories."""

    def __init__(self) -> None:
        self.url = ""
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path, without the prefix, of requests with a token."""
        self.refuse: Callable[[str, str], Refusal | None] = lambda _method, _path: None
        """Asked first, with method and path; may refuse."""
        self.tokens: set[str] = set()
        """Tokens that are good."""
        self.given = 0
        """How many tokens were given."""
        self.lifetime = 3600.0
        self.hooks = GithubHooks()
        self._ids = itertools.count(1)

    # ------------------------------------------------------------------ who asks

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix(BASE)
        try:
            return await self._answer(request, path)
        except Refusal as exc:
            return web.json_response(exc.told, status=exc.status, headers=exc.headers)

    async def _answer(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if not request.path.startswith(f"{BASE}/"):
            raise Refusal(404, "Not Found")
        if not request.headers.get("User-Agent"):
            raise Refusal(403, "Request forbidden by administrative rules.")
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        if path == f"/app/installations/{INSTALLATION}/access_tokens":
            self._check_app(shown)
            return self._new_token()
        if kind != "Bearer" or shown not in self.tokens:
            raise Refusal(401, "Bad credentials")
        self.requests.append((request.method, path))
        if (refusal := self.refuse(request.method, path)) is not None:
            raise refusal
        body = json.loads(await request.read() or b"{}")
        return self._dispatch(request, path, body)

    def _check_app(self, proof: str) -> None:
        try:
            head, claims, signature = proof.split(".")
            said = json.loads(base64.urlsafe_b64decode(f"{claims}=="))
            signed = base64.urlsafe_b64decode(f"{signature}==")
            _KEY.public_key().verify(
                signed, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, InvalidSignature) as exc:
            raise Refusal(401, "A JSON web token could not be decoded") from exc
        if str(said["iss"]) != str(APP):
            raise Refusal(404, "Integration not found")
        if not said["iat"] <= time.time() <= said["exp"] <= said["iat"] + 600:
            raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")

    def _new_token(self) -> web.Response:
        self.given += 1
        token = f"ghs_{self.given:036}"
        self.tokens.add(token)
        ends = time.gmtime(time.time() + self.lifetime)
        told = {"token": token, "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", ends)}
        return web.json_response(told, status=201)

    # ------------------------------------------------------------------ what is asked

    def _dispatch(self, request: web.BaseRequest, path: str, body: Any) -> web.StreamResponse:
        if "/hooks" in path:
            return self._hooks(request, path, body)
        match path.strip("/").split("/"):
            case ["repos", owner, name, *rest] if f"{owner}/{name}" in self.repositories:
                repo = self.repositories[f"{owner}/{name}"]
            case _:
                raise Refusal(404, "Not Found")
        if request.method == "GET":
            return self._list(request, self._found(repo, rest, request.query))
        return self._act(repo, request.method, rest, body)

    def _hooks(self, request: web.BaseRequest, path: str, body: Any) -> web.StreamResponse:
        try:
            status, answer = self.hooks.act(request.method, path, body)
        except Refused as exc:
            raise Refusal(exc.status, exc.message, *exc.errors) from exc
        if isinstance(answer, list):
            return self._list(request, answer)
        return web.json_response(answer, status=status) if answer else web.Response(status=status)

    def _found(self, repo: Repository, rest: list[str], query: Mapping[str, str]) -> list[Any]:
        match rest:
            case ["commits", sha, "pulls"]:
                self._known(repo, sha)
                return [{"number": number} for number in repo.commits[sha]]
            case ["issues", number, "comments"]:
                return repo.comments.get(int(number), [])
            case ["deployments"]:
                wanted = {k: query[k] for k in ("ref", "environment") if k in query}
                return [d for d in repo.deployments if wanted.items() <= d.items()]
        raise Refusal(404, "Not Found")

    def _act(self, repo: Repository, method: str, rest: list[str], body: Any) -> web.Response:
        acts: dict[tuple[str, ...], Callable[..., web.Response]] = {
            ("POST", "statuses", "*"): self._status,
            ("POST", "issues", "*", "comments"): self._comment,
            ("PATCH", "issues", "comments", "*"): self._edit,
            ("POST", "deployments"): self._deploy,
            ("POST", "deployments", "*", "statuses"): self._deployed,
            ("POST", "check-runs"): self._check,
            ("POST", "dispatches"): self._event,
        }
        asked = (method, *rest)
        for pattern, act in acts.items():
            if len(pattern) == len(asked) and all(
                part in {"*", one} for part, one in zip(pattern, asked, strict=True)
            ):
                given = [one for part, one in zip(pattern, asked, strict=True) if part == "*"]
                return act(repo, *given, body)
        raise Refusal(404, "Not Found")

    def _list(self, request: web.BaseRequest, items: list[Any]) -> web.Response:
        size = min(int(request.query.get("per_page", "30")), 100)
        page = int(request.query.get("page", "1"))
        links = []
        if page * size < len(items):
            links.append(f'<{self._page(request, page + 1)}>; rel="next"')
            links.append(f'<{self._page(request, -(-len(items) // size))}>; rel="last"')
        if page > 1:
            links.insert(0, f'<{self._page(request, page - 1)}>; rel="prev"')
        headers = {"Link": ", ".join(links)} if links else {}
        return web.json_response(items[(page - 1) * size : page * size], headers=headers)

    def _page(self, request: web.BaseRequest, page: int) -> str:
        return str(request.url.update_query(page=page))

    def _made(self, kept: list[Any], body: dict[str, Any], *, first: bool = False) -> web.Response:
        made = {"id": next(self._ids), **body}
        kept.insert(0 if first else len(kept), made)
        return web.json_response(made, status=201)

    def _known(self, repo: Repository, sha: str) -> None:
        if sha not in repo.commits:
            raise Refusal(422, f"No commit found for SHA: {sha}")

    # ------------------------------------------------------------------ what is done

    def _status(self, repo: Repository, sha: str, body: dict[str, Any]) -> web.Response:
        self._known(repo, sha)
        if body.get("state") not in STATES:
            raise invalid("State is not included in the list")
        if len(body.get("description", "")) > 140:
            raise invalid("description is too long (maximum is 140 characters)")
        made = {"context": "default", **body, "sha": sha}
        same = [s for s in repo.statuses if (s["sha"], s["context"]) == (sha, made["context"])]
        if len(same) >= 1000:
            raise invalid(FULL)
        return self._made(repo.statuses, made)

    def _comment(self, repo: Repository, number: str, body: dict[str, Any]) -> web.Response:
        self._check_comment(body)
        if not any(int(number) in numbers for numbers in repo.commits.values()):
            raise Refusal(404, "Not Found")
        made = {"body": body["body"], "user": {"login": "tocsin[bot]", "type": "Bot"}}
        return self._made(repo.comments.setdefault(int(number), []), made)

    def _edit(self, repo: Repository, number: str, body: dict[str, Any]) -> web.Response:
        self._check_comment(body)
        for comment in itertools.chain.from_iterable(repo.comments.values()):
            if comment["id"] == int(number):
                comment["body"] = body["body"]
                return web.json_response(comment)
        raise Refusal(404, "Not Found")

    def _check_comment(self, body: dict[str, Any]) -> None:
        if not body.get("body"):
            raise invalid("body can't be blank")
        if len(body["body"]) > 65536:
            raise invalid("body is too long (maximum is 65536 characters)")

    def _deploy(self, repo: Repository, body: dict[str, Any]) -> web.Response:
        if not body.get("ref"):
            raise invalid("ref can't be blank")
        if body.get("auto_merge", True) and repo.behind > 0:
            repo.behind -= 1
            told = {"message": "Auto-merged main into topic on deployment."}
            return web.json_response(told, status=202)
        if body.get("required_contexts") != [] and not repo.green:
            raise Refusal(409, "Conflict: Commit status checks failed for main.")
        made = {"environment": "production", **body, "statuses": []}
        return self._made(repo.deployments, made, first=True)

    def _deployed(self, repo: Repository, number: str, body: dict[str, Any]) -> web.Response:
        if body.get("state") not in DEPLOYED:
            raise invalid("State is not included in the list")
        if len(body.get("description", "")) > 140:
            raise invalid("description is too long (maximum is 140 characters)")
        for one in repo.deployments:
            if one["id"] == int(number):
                return self._made(one["statuses"], body)
        raise Refusal(404, "Not Found")

    def _check(self, repo: Repository, body: dict[str, Any]) -> web.Response:
        if not body.get("name") or not body.get("head_sha"):
            raise Refusal(422, 'Invalid request.\n\n"name", "head_sha" weren\'t supplied.')
        self._known(repo, body["head_sha"])
        if body.get("status") == "completed" and body.get("conclusion") not in CONCLUSIONS:
            raise Refusal(422, "Invalid request. No conclusion.")
        output = body.get("output")
        if output is not None and not (output.get("title") and output.get("summary")):
            raise Refusal(422, 'Invalid request.\n\n"title", "summary" weren\'t supplied.')
        if output is not None and any(len(text) > 65535 for text in output.values()):
            raise Refusal(422, "Only 65535 characters are allowed")
        return self._made(repo.checks, body)

    def _event(self, repo: Repository, body: dict[str, Any]) -> web.Response:
        if not body.get("event_type"):
            raise Refusal(422, 'Invalid request.\n\n"event_type" wasn\'t supplied.')
        payload = body.get("client_payload", {})
        if not isinstance(payload, dict) or len(payload) > 10:
            raise Refusal(422, "No more than 10 properties are allowed; 11 were supplied.")
        repo.events.append(body)
        return web.Response(status=204)


@asynccontextmanager
async def github_server() -> AsyncIterator[GithubServer]:
    """Yield a server that listens; it has the repository `o/r` with the commit `abc`."""
    one = GithubServer()
    one.repositories["o/r"] = Repository({"abc": [1]})
    runner = web.ServerRunner(web.Server(one.serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}{BASE}"
    try:
        yield one
    finally:
        await runner.cleanup()
