"""Payloads of Slack's events, commands and interactions, as Argo Events writes them.

Argo Events reads what Slack sends into the structures of a Go client and writes those: members
that Slack leaves out are there with an empty value, and filters rely on it
(`Data.thread_ts == ""`). `zeros.json` has these values. Unlike there, members that the client does
not know, and kinds of events that it does not know, are sent on as Slack sends them.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from eventsource.headers import MASK
from spine.lang import gojson

COMMAND = (
    "token",
    "team_id",
    "team_domain",
    "enterprise_id",
    "enterprise_name",
    "is_enterprise_install",
    "channel_id",
    "channel_name",
    "user_id",
    "user_name",
    "command",
    "text",
    "response_url",
    "trigger_id",
    "api_app_id",
)
"""Members of a command, in their order."""
_OMITTED = frozenset({"enterprise_id", "enterprise_name"})
_OWN = frozenset({"message", "previous_message"})


class SlackEvent:
    """One event, command or interaction."""

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        """Take the JSON of the payload."""
        self._text = text

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return self._text


def event(inner: Mapping[str, Any]) -> SlackEvent:
    """Return the payload of an event: what stands in the member `event` of a callback."""
    kind = inner.get("type")
    kind = kind if isinstance(kind, str) else ""
    data = _filled(_zeros()["events"].get(kind), inner)
    if kind == "message":
        own = {name: value for name, value in inner.items() if name not in _OWN}
        data["message"] = _message(inner.get("message") or own)
        if inner.get("previous_message"):
            data["previous_message"] = _message(inner["previous_message"])
    return _written({"type": kind, "Data": data})


def _message(given: Any) -> Any:
    message = _filled(_zeros()["message"], given)
    if isinstance(message, dict) and "files" in message:
        message["files"] = _each("file", message["files"])
    return message


def interaction(payload: Mapping[str, Any]) -> SlackEvent:
    """Return the payload of an interaction: what stands in the field `payload` of a form."""
    data = _filled(_zeros()["interaction"], payload)
    if data["token"]:
        data["token"] = MASK
    of_blocks = data["type"] == "block_actions"
    data["actions"] = _each("action" if of_blocks else "attachment_action", data["actions"])
    if of_blocks:
        data["state"] = _state(data.get("state") or {})
    view = data["view"]
    if isinstance(view, dict) and view.get("state"):
        view["state"] = _state(view["state"])
    return _written(data)


def _state(state: Any) -> Any:
    """Return the state of a view, whose values are actions by block and by themselves."""
    values = state.get("values") if isinstance(state, dict) else None
    if not isinstance(values, dict):
        return state
    blocks = {
        block: {name: _filled(_zeros()["action"], one) for name, one in actions.items()}
        for block, actions in values.items()
        if isinstance(actions, dict)
    }
    return {**state, "values": values | blocks}


def command(form: Mapping[str, str]) -> SlackEvent:
    """Return the payload of a command: the fields of a form."""
    data: dict[str, Any] = {
        name: form.get(name, "") for name in COMMAND if name not in _OMITTED or form.get(name)
    }
    data["is_enterprise_install"] = form.get("is_enterprise_install") == "true"
    if data["token"]:
        data["token"] = MASK
    return _written(data)


def _filled(zero: Any, given: Any) -> Any:
    """Return what is given, with empty values for members that are not."""
    if given is None:
        return zero
    if isinstance(zero, dict) and isinstance(given, Mapping):
        known = {name: _filled(value, given.get(name)) for name, value in zero.items()}
        return known | {name: value for name, value in given.items() if name not in zero}
    return dict(given) if isinstance(given, Mapping) else given


def _each(kind: str, given: Any) -> Any:
    """Return a list with what each of it leaves out."""
    return [_filled(_zeros()[kind], one) for one in given] if isinstance(given, list) else given


def _written(data: Any) -> SlackEvent:
    return SlackEvent(gojson.escape(orjson.dumps(data)))


@cache
def _zeros() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(files(__package__).joinpath("zeros.json").read_bytes())
    return found
