"""Health of what runs Pods: Deployment, ReplicaSet, StatefulSet, DaemonSet of apps/v1."""

from notifier.health.conditions import UNSEEN, Object, conditions_of, generation_of, status_of, told
from notifier.health.status import DEGRADED, HEALTHY, PROGRESSING, SUSPENDED, Health


def deployment(obj: Object) -> Health:  # noqa: PLR0911 -- one for each case
    """Return the health of a Deployment."""
    spec, status = obj["spec"], status_of(obj)
    if spec.get("paused"):
        return Health(SUSPENDED, "the Deployment is paused")
    if _unseen(obj, status):
        return UNSEEN
    for one in status.get("conditions") or ():
        if one["type"] == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return Health(DEGRADED, told(one))
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    wanted = spec.get("replicas", updated)
    if updated < wanted:
        return Health(PROGRESSING, f"{updated} of {wanted} replicas are updated")
    old = status.get("replicas", 0) - updated
    if old > 0:
        return Health(PROGRESSING, f"{old} old replicas are not gone yet")
    if available < updated:
        return Health(PROGRESSING, f"{available} of {updated} updated replicas are available")
    return Health(HEALTHY)


def replica_set(obj: Object) -> Health:
    """Return the health of a ReplicaSet."""
    status = status_of(obj)
    if _unseen(obj, status):
        return UNSEEN
    failure = conditions_of(obj).get("ReplicaFailure")
    if failure is not None and failure.get("status") == "True":
        return Health(DEGRADED, told(failure))
    available = status.get("availableReplicas", 0)
    wanted = obj["spec"].get("replicas", available)
    if available < wanted:
        return Health(PROGRESSING, f"{available} of {wanted} replicas are available")
    return Health(HEALTHY)


def stateful_set(obj: Object) -> Health:  # noqa: PLR0911 -- one for each case
    """Return the health of a StatefulSet."""
    spec, status = obj["spec"], status_of(obj)
    if not status.get("observedGeneration") or _unseen(obj, status):
        return UNSEEN
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    wanted = spec.get("replicas", ready)
    if ready < wanted:
        return Health(PROGRESSING, f"{ready} of {wanted} replicas are ready")
    strategy = spec.get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type", "RollingUpdate") == "RollingUpdate" and rolling is not None:
        share = wanted - (rolling.get("partition") or 0)
        if rolling.get("partition") is not None and updated < share:
            return Health(PROGRESSING, f"{updated} of {share} replicas of this part are updated")
        return Health(HEALTHY, f"{updated} replicas are updated")
    if strategy.get("type") == "OnDelete":
        return Health(HEALTHY, f"{ready} replicas are ready; each is updated when it is deleted")
    if status.get("updateRevision") != status.get("currentRevision"):
        return Health(PROGRESSING, f"{updated} replicas are updated, and not all yet")
    return Health(HEALTHY)


def daemon_set(obj: Object) -> Health:
    """Return the health of a DaemonSet."""
    status = status_of(obj)
    if _unseen(obj, status):
        return UNSEEN
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    wanted = status.get("desiredNumberScheduled", 0)
    if (obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return Health(HEALTHY, f"{available} Pods are available; each is updated when deleted")
    if updated < wanted:
        return Health(PROGRESSING, f"{updated} of {wanted} Pods are updated")
    if available < wanted:
        return Health(PROGRESSING, f"{available} of {wanted} Pods are available")
    return Health(HEALTHY)


def _unseen(obj: Object, status: Object) -> bool:
    """Say whether the specification is newer than what the status tells of."""
    seen: int = status.get("observedGeneration", 0)
    generation: int = generation_of(obj)
    return generation > seen
