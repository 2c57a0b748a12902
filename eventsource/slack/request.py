"""What Slack posts: told apart by content type and members.

Source: Slack's public documentation, "The Events API", "Implementing slash commands" and "Handling
user interaction".
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from eventsource import forms
from eventsource.answers import SUCCESS, Answer
from eventsource.slack import payloads
from eventsource.slack.payloads import SlackEvent
from eventsource.web import Request

FORM = b"application/x-www-form-urlencoded"
EMPTY = Answer(200)
"""What closes a dialog: any text but a command of its own is an error to Slack."""
_SUBMISSION = "view_submission"


class Told(NamedTuple):
    """What a request tells."""

    token: str
    """The verification token."""
    answer: Answer = SUCCESS
    event: SlackEvent | None = None
    """The event, where it is one."""
    id: str = ""
    """What Slack calls the event, where it gives it a name."""
    notice: str = ""
    """What is worth a log line."""


def read(request: Request) -> Told:
    """Return what a request tells. Raises ValueError saying what is wrong with it."""
    kind = request.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return _of_form(request.body) if kind == FORM else _of_json(request.body)


def _of_form(body: bytes) -> Told:
    form = {name: values[0] for name, values in forms.form(body).items()}
    if form.get("payload"):
        payload = _object(form["payload"].encode(), "the field payload")
        answer = EMPTY if payload.get("type") == _SUBMISSION else SUCCESS
        return Told(_token(payload), answer, payloads.interaction(payload))
    if form.get("command"):
        return Told(form.get("token", ""), event=payloads.command(form))
    if form.get("ssl_check"):
        return Told(form.get("token", ""))
    raise ValueError("could not determine slack type from form parameters")


def _of_json(body: bytes) -> Told:
    outer = _object(body, "the body")
    token, kind = _token(outer), outer.get("type")
    if kind == "url_verification":
        return Told(token, Answer(200, str(outer.get("challenge", ""))))
    if kind == "event_callback":
        inner = outer.get("event")
        if not isinstance(inner, dict):
            raise ValueError("the callback has no event")
        return Told(token, event=payloads.event(inner), id=str(outer.get("event_id") or ""))
    return Told(token, notice=f"a request of type {kind!r} is no event")


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        msg = f"{what} is not JSON: {exc}"
        raise ValueError(msg) from exc
    if not isinstance(found, dict):
        msg = f"{what} is not a JSON object"
        raise ValueError(msg)  # noqa: TRY004 -- who posts it is told
    return found


def _token(outer: Mapping[str, Any]) -> str:
    token = outer.get("token")
    return token if isinstance(token, str) else ""
