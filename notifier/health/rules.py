"""Which rule says how an object is, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from notifier.health.problems import HealthProblem
from notifier.health.status import Health


@dataclass(frozen=True, slots=True, eq=False)
class HealthRules:
    """All rules that hold for the objects of a cluster."""

    generic: bool = True
    """Whether a kind without a rule gets one by its conditions and phase."""
    problems: tuple[HealthProblem, ...] = ()
    """What of the configuration is not in use, or doubtful."""

    @classmethod
    def of_config(cls, data: Mapping[str, str], *, generic: bool) -> Self:
        """Return the rules that a ConfigMap's data gives beside ours; a bad one is a problem."""
        return cls(generic=generic)

    def check(self, obj: dict[str, Any]) -> Health | None:
        """Return how an object is; None where no rule says."""
        return None
