"""Health of a Pod: whether it shall run for ever, and what its containers say."""

from collections.abc import Iterator

from notifier.health.conditions import Object, annotations_of, conditions_of, is_true, status_of
from notifier.health.status import DEGRADED, HEALTHY, PROGRESSING, UNKNOWN, Health

_IGNORE = "argocd.argoproj.io/ignore-restart-policy"
_HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook")


def pod(obj: Object) -> Health:
    """Return the health of a Pod."""
    status = status_of(obj)
    lasting = _lasting(obj)
    if lasting:
        stuck = [_reason(one) for one in _waiting(status) if _is_error(one.get("reason", ""))]
        if stuck:
            return Health(DEGRADED, ", ".join(stuck))
    phase = status.get("phase", "")
    message = status.get("message", "")
    if phase == "Running":
        return _running(obj, status) if lasting else Health(PROGRESSING, message)
    if phase == "Failed":
        return Health(DEGRADED, message or _failure(status))
    if phase in {"Pending", "Succeeded"}:
        return Health(PROGRESSING if phase == "Pending" else HEALTHY, message)
    return Health(UNKNOWN, message)


def _lasting(obj: Object) -> bool:
    """Say whether the Pod is there to run until somebody ends it."""
    if obj["spec"].get("restartPolicy", "Always") == "Always":
        return True
    given = annotations_of(obj)
    return given.get(_IGNORE) == "true" and not any(hook in given for hook in _HOOKS)


def _running(obj: Object, status: Object) -> Health:
    if is_true(conditions_of(obj), "Ready"):
        return Health(HEALTHY, status.get("message", ""))
    for one in status.get("containerStatuses") or ():
        last = (one.get("lastState") or {}).get("terminated")
        if last is not None:
            name = one.get("name", "")
            why = (one.get("state") or {}).get("waiting") or {}
            said = why.get("message") or f"the container {name} ended before: {_end(last)}"
            return Health(DEGRADED, said)
    return Health(PROGRESSING, status.get("message") or "not all containers are ready")


def _waiting(status: Object) -> Iterator[Object]:
    for one in status.get("containerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting")
        if waiting is not None:
            yield waiting


def _is_error(reason: str) -> bool:
    return reason.startswith("Err") or reason.endswith(("Error", "BackOff"))


def _reason(waiting: Object) -> str:
    said: str = waiting.get("message") or waiting.get("reason", "")
    return said


def _failure(status: Object) -> str:
    """Say how the first container that failed did."""
    both = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for one in both:
        ended = (one.get("state") or {}).get("terminated")
        if ended is None:
            continue
        if ended.get("message"):
            return str(ended["message"])
        if ended.get("reason") == "OOMKilled":
            return "OOMKilled"
        if ended.get("exitCode"):
            return f"the container {one.get('name', '')} ended with code {ended['exitCode']}"
    return ""


def _end(terminated: Object) -> str:
    reason, code = terminated.get("reason", ""), terminated.get("exitCode", 0)
    return f"{reason or 'it ended'} with code {code}"
