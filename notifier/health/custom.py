"""A user's own check of health, in Lua, by Argo CD's contract.

It runs in this process: time, steps and memory of a run are bounded (`spine.lang.lua.checks`). One
that had to be ended rests for a while, so that it cannot take the time of everything else.
"""

import time
from collections.abc import Callable
from typing import Any

from notifier.health.conditions import Object
from notifier.health.status import STATUSES, UNKNOWN, Health
from spine.lang import EvaluationError
from spine.lang.lua.checks import Check
from spine.lang.lua.engine import Ended

INVALID = "Lua returned an invalid health status"
_NAMES = {bool: "a boolean", dict: "a table", list: "a table"}
REST = 30.0
"""How many times as long as it ran a check rests after it had to be ended."""


class CustomCheck:
    """A compiled check and what became of it."""

    def __init__(self, check: Check, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._check = check
        self._clock = clock
        self._until = float("-inf")
        self._ended = Health(UNKNOWN)

    def __call__(self, obj: Object) -> Health:
        """Return what the check says of an object; Unknown with the reason where it fails."""
        start = self._clock()
        if start < self._until:
            return self._ended
        try:
            return _health(self._check.run(obj))
        except Ended as exc:
            now = self._clock()
            self._until = now + (now - start) * REST
            self._ended = Health(UNKNOWN, f"running the health check: {exc}")
            return self._ended
        except EvaluationError as exc:
            return Health(UNKNOWN, f"running the health check: {exc}")


def _health(said: dict[str, Any] | list[Any] | None) -> Health:
    """Return what a check has returned as Go reads it: letter case of keys does not matter."""
    if not said:
        return Health("")
    if isinstance(said, list):
        raise EvaluationError("it returned a list, not a table with status and message")
    status, message = _text(said, "status"), _text(said, "message")
    return Health(status, message) if status in STATUSES else Health(UNKNOWN, INVALID)


def _text(said: dict[str, Any], name: str) -> str:
    found = ""
    for key in sorted(said):
        value = said[key]
        if key.lower() != name or value is None:
            continue
        if not isinstance(value, str):
            raise EvaluationError(f"{name} is {_NAMES.get(type(value), 'a number')}, not a text")
        found = value
    return found
