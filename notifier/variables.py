"""Variables of expressions and templates: the object under its names, and what is known of it.

Always there: `obj`, `context`, `health`, `event`, `resolved`, `time`, `strings`, `repo`. A kind has
a name of its own beside `obj`: `app`, `rollout`, `cert`, else the kind with a small first letter.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from notifier.expressions import STRINGS, TIME
from notifier.repo import OFFLINE, Repo
from spine.lang import gotime
from spine.lang.govalue import StringMap

ALWAYS = frozenset(
    ("obj", "context", "health", "event", "resolved", "time", "strings", "repo", "appProject")
)
"""Names that any configuration may use."""

_ALIASES = {"Application": "app", "Certificate": "cert"}
_TIME, _STRINGS = dict(TIME), dict(STRINGS)
_NEVER = gotime.Time(gotime.ZERO)
_HEALTH: Mapping[str, Any] = {"status": "", "message": "", "previous": "", "since": _NEVER}


def alias_of(kind: str) -> str:
    """Return the name of objects of a kind: `app`, `cert`, `rollout`, `statefulSet`."""
    return _ALIASES.get(kind) or kind[:1].lower() + kind[1:]


def health_of(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return health as programs see it: empty texts where there is none, `since` a time.

    `since` is given in Unix seconds, or as datetime.
    """
    if not found:
        return dict(_HEALTH)
    return {**_HEALTH, **found, "since": _moment(found.get("since"))}


def _moment(value: Any) -> gotime.Time:
    if isinstance(value, gotime.Time):
        return value
    if isinstance(value, datetime):
        return gotime.Time.of(value)
    if not value:
        return _NEVER
    seconds = int(value // 1)
    return gotime.Time(seconds, int((value - seconds) * 1e9))


def variables(
    obj: Mapping[str, Any],
    *,
    alias: str = "",
    context: Mapping[str, str] | None = None,
    health: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    repo: Repo = OFFLINE,
) -> dict[str, Any]:
    """Return the variables for one object, plain decoded JSON.

    `alias` is its name beside `obj`. `health` has status, message, previous and since. `extra` is
    put last: `event`, `resolved`, `appProject`, `secrets`.
    """
    found: dict[str, Any] = {
        "obj": obj,
        "context": StringMap({"notificationType": "", **(context or {})}),
        "health": health_of(health),
        "event": {"type": "MODIFIED"},
        "resolved": False,
        "time": _TIME,
        "strings": _STRINGS,
        "repo": repo.functions(obj),
    }
    if alias:
        found[alias] = obj
    if extra:
        found.update(extra)
    return found
