"""What the product made of a vector, and whether that is what was recorded."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from spine.errors import ConfigError, EventError, RemoteError
from spine.lang import EvaluationError

Vector = dict[str, Any]

REFUSALS = (ConfigError, EventError, RemoteError, EvaluationError)
"""What the product says no with; anything else is a crash."""


@dataclass(frozen=True)
class Outcome:
    """What an evaluation gave: `told` under the names that `expect` has, or why it is refused."""

    told: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    stage: Literal["", "plan", "event", "untold"] = ""
    """When it was refused: before any event came, or on the event; or nothing of ours tells it."""
    loose: bool = False
    """Whether what says nothing (nulls, zeros, empty texts) is left out of the comparison."""

    @classmethod
    def of(cls, result: Any, **more: Any) -> "Outcome":
        """Return a success."""
        return cls({"result": result, **more})

    @classmethod
    def refused(cls, exc: Exception, **more: Any) -> "Outcome":
        """Return a refusal; `more` is what was done before it."""
        stage: Literal["plan", "event"] = "plan" if isinstance(exc, ConfigError) else "event"
        return cls(more, str(exc) or type(exc).__name__, stage)

    @classmethod
    def untold(cls, why: str) -> "Outcome":
        """Return that nothing in the product answers this."""
        return cls({}, why, "untold")

    @property
    def shown(self) -> Any:
        """What stands in a report."""
        return (
            {"refused": self.stage, "error": self.error, **self.told} if self.error else self.told
        )


DROPS = frozenset(
    {"data_filter", "expr_filter", "context_filter", "time_filter", "script_filter"}
    | {"combined_filter"}
)
"""Families of which an error and false are the same: the event does not pass."""

UNTOLD = {
    "sensor_validation": {"status": "there is no controller yet that writes a status"},
}
"""Keys of `expect` that no part of the product can tell."""

_HINTS = frozenset({"error", "contains"})


def difference(vector: Vector, outcome: Outcome) -> str:
    """Say what is not as recorded; empty where all is."""
    expect, name = vector["expect"], vector["family"]
    if name in DROPS:
        wanted, got = expect.get("result") is True, outcome.told.get("result") is True
        return "" if wanted is got else f"passes is {got}"
    if outcome.stage == "untold":
        return outcome.error
    if "error" in expect and not outcome.error:
        return "an error was recorded"
    if "error" not in expect and outcome.error:
        return "no error was recorded"
    keys = expect.keys() - _HINTS - UNTOLD.get(name, {}).keys()
    return next(
        filter(None, (_differs(key, expect, outcome) for key in keys | outcome.told.keys())), ""
    )


_NOTHING = object()


def _differs(key: str, expect: Vector, outcome: Outcome) -> str:
    absent = "" if key == "raw" else _NOTHING  # an empty text is no text
    got, wanted = outcome.told.get(key, absent), expect.get(key, absent)
    if got is _NOTHING or wanted is _NOTHING:
        return f"{key} was not recorded" if wanted is _NOTHING else f"{key} is not told"
    if outcome.loose:
        got, wanted = said(got), said(wanted)
    return "" if same(got, wanted) else f"{key} differs"


_VERBATIM = frozenset({"resource"})
"""Keys with content of the user's own."""


def said(value: Any) -> Any:
    """Leave out nulls, empty texts, false, zeros, and what is empty without them.

    Go writes some of these for absent fields and drops others, by field; they mean the same.
    """
    if not isinstance(value, dict):
        return [said(item) for item in value] if isinstance(value, list) else value
    out = {key: inner if key in _VERBATIM else said(inner) for key, inner in value.items()}
    return {key: inner for key, inner in out.items() if inner not in (None, "", False, 0, [], {})}


def same(got: Any, wanted: Any) -> bool:
    """Compare two JSON values; 1 and 1.0 are one number, and no boolean is a number."""
    if isinstance(got, dict) and isinstance(wanted, dict):
        return got.keys() == wanted.keys() and all(same(got[k], wanted[k]) for k in got)
    if isinstance(got, list) and isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(same, got, wanted))
    if isinstance(got, bool) or isinstance(wanted, bool):
        return got is wanted
    if isinstance(got, float) and isinstance(wanted, float) and math.isnan(got):
        return math.isnan(wanted)
    if isinstance(got, float) and isinstance(wanted, int):  # a double, by its shortest digits
        return got == float(wanted)
    return bool(got == wanted)
