"""Whether a vector passed: the one judgement that the runner and pytest share."""

import traceback
from dataclasses import dataclass
from typing import Any, Literal

from vectors.deviations import DEVIATIONS
from vectors.families import TABLE, evaluate
from vectors.outcome import Vector, difference


@dataclass(frozen=True)
class Verdict:
    """Passed, deviated on purpose, or failed; `why` names the deviation or says what differs."""

    kind: Literal["passed", "failed", "deviated"]
    why: str = ""
    got: Any = None
    trace: str = ""
    """Where it crashed."""


def verdict(vector: Vector) -> Verdict:
    """Evaluate a vector and judge what came."""
    if vector.get("family") not in TABLE:
        return Verdict("failed", f"family {vector.get('family')!r} is unknown")
    try:
        outcome = evaluate(vector)
        why = difference(vector, outcome)
    except (Exception, SystemExit) as exc:
        lines = traceback.format_exception(exc, limit=-3)
        return Verdict("failed", f"crashed: {exc!r}"[:300], trace="".join(lines)[-1500:])
    if not why:
        return Verdict("passed")
    for deviation in DEVIATIONS:
        if deviation.covers(vector, outcome):
            return Verdict("deviated", deviation.name, outcome.shown)
    return Verdict("failed", why, outcome.shown)
