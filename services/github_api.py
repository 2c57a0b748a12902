"""Calls of GitHub's API: tokens, lists over many pages, and what a refusal means.

Source: GitHub's public documentation, "Using pagination in the REST API" and "Rate limits for the
REST API": a limit that is reached answers 403 or 429, and passes.
"""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from services.hiding import Hiding
from services.web import KEPT, Web, json_content, json_of, refused
from spine.errors import TriggerError
from spine.github_app import Token, Tokens, proof, token_of
from spine.http.client import Response

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PAGE = 50
"""Items of a page."""
PAGES = 60
"""Pages that are read of a list; what stands behind is not looked at."""
LIST = 16 * 1024 * 1024
"""Bytes of a page: a comment has up to 65,536 characters."""
_NEXT = re.compile(r'<([^>]*)>;[^,]*\brel="next"')
_FORBIDDEN, _UNKNOWN = 403, 401


class Api(ABC):
    """GitHub's API, as somebody who has a token sees it."""

    def __init__(self, web: Web, base: str) -> None:
        self._web, self._base = web, base

    @abstractmethod
    async def token(self) -> str:
        """Return the token. Raises TriggerError."""

    def forget(self) -> bool:
        """Take note that the token was refused; return whether there may be another."""
        return False

    async def call(self, what: str, method: str, path: str, body: Any = None) -> Any:
        """Return what is answered, as JSON. Raises TriggerError where that is no success."""
        response = await self.ask(what, method, path, body)
        if not response.ok:
            raise self.refusal(what, response)
        return json_of(response.body)

    async def ask(
        self, what: str, method: str, path: str, body: Any = None, *, keep: int = KEPT
    ) -> Response:
        """Return what is answered, be it a success or not. Raises TriggerError.

        A token that is not good any more, such as one of permissions that changed, is replaced.
        """
        response = await self._once(what, method, path, body, keep)
        if response.status == _UNKNOWN and self.forget():
            response = await self._once(what, method, path, body, keep)
        return response

    async def items(self, what: str, path: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the items of a list, page after page. Raises TriggerError."""
        page = "1"
        for _ in range(PAGES):
            response = await self.ask(what, "GET", f"{path}?per_page={PAGE}&page={page}", keep=LIST)
            if not response.ok:
                raise self.refusal(what, response)
            found = json_of(response.body)
            if not isinstance(found, list):
                raise TriggerError(f"{what}: the answer is no list")
            for item in found:
                yield item
            page = next_page(response.link)
            if not page:
                return

    def refusal(self, what: str, response: Response, *, hint: str = "") -> TriggerError:
        """Return what a response means that is no success."""
        error = refused(what, response, self._web.hide, hint=hint)
        limited = response.retry_after is not None or b"rate limit" in response.body.lower()
        if response.status == _FORBIDDEN and limited:
            error.permanent = False
        return error

    async def _once(self, what: str, method: str, path: str, body: Any, keep: int) -> Response:
        token = await self.token()
        response = await self._send(what, method, path, token, body, keep)
        return _without(response, token)

    async def _send(
        self, what: str, method: str, path: str, token: str, body: Any, keep: int
    ) -> Response:
        return await self._web.ask(
            what,
            method,
            f"{self._base}{path}",
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
            content=None if body is None else json_content(body),
            keep=keep,
        )


class AppApi(Api):
    """GitHub's API, as an installation of an App sees it."""

    def __init__(
        self, web: Web, base: str, app: str, installation: str, key: "RSAPrivateKey"
    ) -> None:
        super().__init__(web, base)
        self._app, self._installation, self._key = app, installation, key
        self._tokens = Tokens()

    @override
    async def token(self) -> str:
        return await self._tokens.get(None, self._new_token)

    @override
    def forget(self) -> bool:
        self._tokens.forget(None)
        return True

    async def _new_token(self) -> Token:
        what = f"asking GitHub for a token of installation {self._installation}"
        path = f"/app/installations/{self._installation}/access_tokens"
        signed = proof(self._app, self._key, time.time())
        response = await self._send(what, "POST", path, signed, None, KEPT)
        if not response.ok:
            hint = "look at appID, installationID, privateKey and the clock"
            raise self.refusal(what, _without(response, signed), hint=hint)
        try:
            return token_of(response.body)
        except ValueError as exc:
            raise TriggerError(f"{what}: {exc}") from exc


def _without(response: Response, token: str) -> Response:
    """Return a refusal that does not repeat the token."""
    if response.ok or token.encode() not in response.body:
        return response
    hide = Hiding([token])
    body = hide(response.body.decode(errors="replace"))
    return response._replace(body=body.encode(), start=hide(response.start))


def next_page(link: str) -> str:
    """Return the number of the page that the header Link leads to; empty after the last.

    Only the number is taken: the address would be followed with a token.
    """
    found = _NEXT.search(link)
    return parse_qs(urlsplit(found[1]).query).get("page", [""])[0] if found else ""
