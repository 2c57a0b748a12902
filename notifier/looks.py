"""What an evaluation looked at, for those who ask why somebody was told, or was not."""

from dataclasses import dataclass, field
from typing import NamedTuple

from notifier.state import Told
from notifier.triggers import Condition


class Outcome(NamedTuple):
    """What came of one destination."""

    service: str
    recipient: str
    what: str
    """In a few words, such as `tell` or `told already`."""
    told: Told | None = None
    """What is remembered of it; None where it was never told."""


@dataclass(slots=True)
class Look:
    """One condition that was looked at."""

    trigger: str
    index: int
    condition: Condition
    verdict: bool | str
    """Whether it holds; a text says why that is not known."""
    since: float
    """Since when it held before this look; 0 where it did not."""
    held_until: float = 0.0
    """When it will have held as long as `for` says; 0 where nothing is waited for."""
    once: str = ""
    problem: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
