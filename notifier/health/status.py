"""What health is: six words, their order, and the worst of several."""

from collections.abc import Iterable
from typing import NamedTuple

HEALTHY, SUSPENDED, PROGRESSING = "Healthy", "Suspended", "Progressing"
MISSING, DEGRADED, UNKNOWN = "Missing", "Degraded", "Unknown"

STATUSES = (HEALTHY, SUSPENDED, PROGRESSING, MISSING, DEGRADED, UNKNOWN)
"""From the best to the worst, in Argo CD's order."""
_RANK = {status: rank for rank, status in enumerate(STATUSES)}


class Health(NamedTuple):
    """How an object is."""

    status: str
    """One of STATUSES; empty where a custom check said nothing."""
    message: str = ""
    """Why, in words for people."""


def worst(statuses: Iterable[str]) -> str:
    """Return the worst of some statuses; Healthy of none. Other words are passed over."""
    return max((s for s in statuses if s in _RANK), key=_RANK.__getitem__, default=HEALTHY)
