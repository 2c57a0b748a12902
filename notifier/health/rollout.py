"""Health of a Rollout: the phase that its controller tells, or what one of old leaves to guess."""

from notifier.health.conditions import (
    UNSEEN,
    Object,
    annotations_of,
    behind,
    conditions_of,
    status_of,
    told,
)
from notifier.health.status import DEGRADED, HEALTHY, PROGRESSING, SUSPENDED, UNKNOWN, Health

_PHASES = {
    "Healthy": HEALTHY,
    "Paused": SUSPENDED,
    "Progressing": PROGRESSING,
    "Degraded": DEGRADED,
}
_FAILED = frozenset({"RolloutAborted", "ProgressDeadlineExceeded"})
_WORKLOAD = "rollout.argoproj.io/workload-generation"


def rollout(obj: Object) -> Health:
    """Return the health of a Rollout."""
    status = status_of(obj)
    if not status or behind(obj) or _workload_behind(obj):
        return UNSEEN
    phase = status.get("phase")
    if phase:
        return Health(_PHASES.get(phase, UNKNOWN), status.get("message", ""))
    return _failed(obj) or _paused(obj) or _replicas(obj) or _steps(obj)


def _workload_behind(obj: Object) -> bool:
    """Say whether the Deployment that it runs is newer than what it has seen of it."""
    given = annotations_of(obj).get(_WORKLOAD)
    if given is None or "workloadRef" not in obj["spec"]:
        return False
    return str(given) != str(status_of(obj).get("workloadObservedGeneration"))


def _failed(obj: Object) -> Health | None:
    found = conditions_of(obj)
    invalid, progress = found.get("InvalidSpec"), found.get("Progressing", {})
    if invalid is not None:
        return Health(DEGRADED, told(invalid))
    if progress.get("reason") in _FAILED:
        return Health(DEGRADED, told(progress))
    return None


def _paused(obj: Object) -> Health | None:
    if status_of(obj).get("pauseConditions") or obj["spec"].get("paused"):
        return Health(SUSPENDED, "the Rollout is paused")
    return None


def _replicas(obj: Object) -> Health | None:
    status = status_of(obj)
    if not status.get("currentPodHash"):
        return UNSEEN
    wanted = obj["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return Health(PROGRESSING, f"{updated} of {wanted} replicas are updated")
    if available < updated:
        return Health(PROGRESSING, f"{available} of {updated} updated replicas are available")
    return None


def _steps(obj: Object) -> Health:
    status, strategy = status_of(obj), obj["spec"].get("strategy") or {}
    current = status["currentPodHash"]
    stable = status.get("stableRS") or (status.get("canary") or {}).get("stableRS", "")
    if "blueGreen" in strategy:
        if (status.get("blueGreen") or {}).get("activeSelector") != current:
            return Health(PROGRESSING, "the active Service does not point to the new Pods yet")
        if stable not in {"", current}:
            return Health(PROGRESSING, "its analysis is not done yet")
    elif "canary" in strategy:
        if status.get("replicas", 0) > status.get("updatedReplicas", 0):
            return Health(PROGRESSING, "old replicas are not gone yet")
        if stable != current:
            return Health(PROGRESSING, "not all of its steps are done yet")
    return Health(HEALTHY)
