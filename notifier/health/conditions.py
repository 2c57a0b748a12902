"""Conditions of an object's status, and the rules that are nothing but a table of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from notifier.health.status import DEGRADED, HEALTHY, PROGRESSING, SUSPENDED, Health

Object = dict[str, Any]
Rule = Callable[[Object], Health | None]
"""Says how an object is; None where it cannot tell. What is not shaped as its kind raises one of
the errors of Python that come with that; who calls a rule catches them."""


def status_of(obj: Object) -> dict[str, Any]:
    """Return the status of an object, empty where it has none."""
    return obj.get("status") or {}


def conditions_of(obj: Object) -> dict[str, Object]:
    """Return the conditions of an object by their types; the last of a type counts."""
    return by_type(status_of(obj).get("conditions"))


def by_type(conditions: Iterable[Object] | None) -> dict[str, Object]:
    """Return conditions by their types."""
    return {one["type"]: one for one in conditions or () if "type" in one}


def told(condition: Object, otherwise: str = "") -> str:
    """Return what a condition says: its message, else its reason, else something else."""
    return condition.get("message") or condition.get("reason") or otherwise


def is_true(conditions: dict[str, Object], name: str) -> bool:
    """Say whether there is such a condition and it holds."""
    return name in conditions and conditions[name].get("status") == "True"


def is_false(conditions: dict[str, Object], name: str) -> bool:
    """Say whether there is such a condition and it does not hold."""
    return name in conditions and conditions[name].get("status") == "False"


def generation_of(obj: Object) -> int:
    """Return which specification it is, 0 where nothing says."""
    found: int = (obj.get("metadata") or {}).get("generation") or 0
    return found


def annotations_of(obj: Object) -> dict[str, str]:
    """Return the annotations of an object."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def behind(obj: Object) -> bool:
    """Say whether the status tells of an older specification than there is."""
    seen = status_of(obj).get("observedGeneration")
    if isinstance(seen, str):  # of Rollouts it is a text
        seen = int(seen) if seen.isdecimal() else None
    return seen is not None and seen < generation_of(obj)


UNSEEN = Health(PROGRESSING, "the last change of its spec has not been looked at yet")


@dataclass(frozen=True, slots=True)
class ByConditions:
    """A kind whose conditions say all; the first line that applies counts."""

    suspend: str = ""
    """Field of the spec that is true while it is suspended."""
    busy: tuple[str, ...] = ()
    """Conditions that are True while it is at work, whatever else is said."""
    bad: tuple[str, ...] = ()
    """Conditions that are True when something is wrong."""
    needed: tuple[str, ...] = ()
    """Conditions that are False when something is wrong."""
    paused: tuple[str, ...] = ()
    """Conditions that are True while it is suspended."""
    late: tuple[str, ...] = ()
    """Conditions that are True while it is at work and nothing is wrong."""
    ready: tuple[str, ...] = ("Ready",)
    """Conditions of which one that is True says that all is well, and one that is False not."""
    starting: frozenset[str] = frozenset()
    """Reasons of a bad condition that are no more than a beginning."""

    def __call__(self, obj: Object) -> Health:
        """Return what the conditions of an object say."""
        if self.suspend and (obj.get("spec") or {}).get(self.suspend) is True:
            return Health(SUSPENDED, f"spec.{self.suspend} is true")
        if behind(obj):
            return UNSEEN
        found = conditions_of(obj)
        for names, wanted, status in (
            (self.busy, "True", PROGRESSING),
            (self.bad, "True", DEGRADED),
            (self.needed, "False", DEGRADED),
            (self.paused, "True", SUSPENDED),
            (self.late, "True", PROGRESSING),
            (self.ready, "True", HEALTHY),
            (self.ready, "False", DEGRADED),
        ):
            for name in names:
                one = found.get(name)
                if one is not None and one.get("status") == wanted:
                    return self._said(one, name, status)
        return self._waiting(found)

    def _said(self, condition: Object, name: str, status: str) -> Health:
        if status == DEGRADED and condition.get("reason") in self.starting:
            status = PROGRESSING
        return Health(status, told(condition, f"{name} is {condition['status']}"))

    def _waiting(self, found: dict[str, Object]) -> Health:
        for name in self.ready:
            if name in found:
                return Health(PROGRESSING, told(found[name], f"{name} is not known yet"))
        return Health(PROGRESSING, f"waits for the condition {' or '.join(self.ready)}")
