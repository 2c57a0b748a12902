"""Health of a kind that nobody wrote a rule for: by the customs that most controllers follow.

First what the status says of itself, then the conditions of the kstatus convention, then a phase.
"""

import re

from notifier.health.conditions import UNSEEN, Object, behind, by_type, generation_of, told
from notifier.health.status import (
    DEGRADED,
    HEALTHY,
    PROGRESSING,
    STATUSES,
    SUSPENDED,
    UNKNOWN,
    Health,
)

_BAD = ("Stalled", "Failed", "Degraded")
_BUSY = ("Reconciling", "Progressing")
_READY = ("Ready", "Available", "Healthy", "Succeeded", "Established", "Synced")
_PASSING = re.compile(r"Progressing|Pending|Creating|Waiting|Initializing|Reconciling|Issuing")
"""Reasons with which a condition that is False may come true by itself."""
_PHASES = {
    **dict.fromkeys(("running", "bound", "active", "ready", "succeeded", "completed"), HEALTHY),
    **dict.fromkeys(("pending", "creating", "progressing", "terminating"), PROGRESSING),
    **dict.fromkeys(("failed", "error", "lost"), DEGRADED),
    **dict.fromkeys(("suspended", "paused"), SUSPENDED),
}
_OWN_GROUPS = frozenset(
    {
        *("", "apps", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch"),
        *("admissionregistration.k8s.io", "coordination.k8s.io", "discovery.k8s.io"),
        *("events.k8s.io", "extensions", "networking.k8s.io", "node.k8s.io", "policy"),
        *("rbac.authorization.k8s.io", "scheduling.k8s.io", "storage.k8s.io"),
    }
)
"""Groups of Kubernetes itself: most of their kinds, such as ConfigMap, never have a status."""


def generic(obj: Object) -> Health | None:
    """Return the health of an object of any kind; None where nothing tells."""
    status = obj.get("status")
    if status is None:
        return None if _never_has(obj) else Health(UNKNOWN, "it has no status yet")
    if not isinstance(status, dict):
        return None
    if behind(obj):
        return UNSEEN
    return _own_word(status) or _by_conditions(obj, status) or _by_phase(status)


def _never_has(obj: Object) -> bool:
    """Say whether an object without a status is of a kind that most likely never has one."""
    return obj["apiVersion"].rpartition("/")[0] in _OWN_GROUPS


def _own_word(status: Object) -> Health | None:
    health = status.get("health")
    if not isinstance(health, dict) or health.get("status") not in STATUSES:
        return None
    return Health(health["status"], str(health.get("message") or ""))


def _by_conditions(obj: Object, status: Object) -> Health | None:
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return None
    generation = generation_of(obj)
    found = by_type(
        one for one in conditions if (one.get("observedGeneration") or generation) >= generation
    )
    for names, health in ((_BAD, DEGRADED), (_BUSY, PROGRESSING)):
        for name in names:
            if name in found and found[name].get("status") == "True":
                return Health(health, told(found[name], f"{name} is True"))
    for name in _READY:
        if name in found:
            return _by_ready(name, found[name])
    return None


def _by_ready(name: str, condition: Object) -> Health:
    word = condition.get("status")
    message = told(condition, f"{name} is {word}")
    if word == "True":
        return Health(HEALTHY, message)
    if word == "False" and not _PASSING.search(condition.get("reason") or ""):
        return Health(DEGRADED, message)
    return Health(PROGRESSING, message)


def _by_phase(status: Object) -> Health | None:
    phase = status.get("phase")
    found = _PHASES.get(phase.lower()) if isinstance(phase, str) else None
    if found is None:
        return None
    return Health(found, str(status.get("message") or f"its phase is {phase}"))
