"""Calls of Slack's Web API: a form goes out, `ok: true` comes back.

Slack limits a method for an app as a whole. It says so with 429 and for how long; until then the
method is not called for anybody, and who wants to is told when to come again.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from services.web import Answer, Web, form_content
from spine.errors import TriggerError

PAUSE = 300.0
"""Seconds for which a method is not called at most, whatever Slack asks for."""
_PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"}
    | {"request_timeout", "team_added_to_org"}
)
"""Errors that may be gone at the next try."""
_HINTS = {
    "channel_not_found": "is it private? Invite the app with /invite",
    "not_in_channel": "invite the app to the channel with /invite",
    "is_archived": "the channel is archived",
    "invalid_auth": "is the token that of the app's bot?",
    "not_authed": "is the token empty?",
    "account_inactive": "the token's user or workspace is deleted",
    "token_revoked": "install the app again and take its new token",
    "users_not_found": "no account has this e-mail address",
    "missing_scope": "add the scope to the app and install it again",
}


class Refused(TriggerError):
    """An answer with `ok: false`; `error` is Slack's own word."""

    error = ""


class Api:
    """The API for one token."""

    def __init__(self, web: Web, url: str, token: str, what: str) -> None:
        self._web, self._root, self._token = web, url.rstrip("/") + "/", token
        self.what = what
        """What is being done, for errors."""
        self.hide = web.hide
        self._paused: dict[str, float] = {}

    async def call(self, method: str, fields: Mapping[str, str]) -> tuple[Answer, dict[str, Any]]:
        """Call a method; return what it said with `ok: true`.

        Raises Refused for what it said otherwise, TriggerError where it said nothing of the kind.
        """
        now = monotonic()
        left = self._paused.get(method, now) - now
        if left > 0:
            raise TriggerError(f"{self.what}: {method} is at its limit", retry_after=left)
        content = form_content({"token": self._token, **fields})
        try:
            answer = await self._web.call(self.what, "POST", self._root + method, content=content)
        except TriggerError as exc:
            if exc.retry_after is not None:
                self._paused[method] = monotonic() + min(exc.retry_after, PAUSE)
            raise
        told = answer.json()
        if not isinstance(told, dict) or "ok" not in told:
            raise TriggerError(
                f"{self.what}: {method} answered {answer.summary} with what is none of Slack's",
                hint="is apiURL the address of Slack's API?",
            )
        if told["ok"] is not True:
            raise self._refusal(method, told)
        return answer, told

    def _refusal(self, method: str, told: Mapping[str, Any]) -> Refused:
        error = str(told.get("error", ""))
        why = [error or "no reason given"]
        if told.get("needed"):
            why.append(f"needed: {told['needed']}")
        metadata = told.get("response_metadata")
        messages = metadata.get("messages") if isinstance(metadata, dict) else None
        why += [str(one) for one in messages or [] if one]
        text = self.hide("; ".join(why))[:300]
        exc = Refused(
            f"{self.what}: {method} refused: {text}",
            hint=_HINTS.get(error, ""),
            permanent=error not in _PASSING,
        )
        exc.error = error
        return exc
