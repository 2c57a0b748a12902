"""Health of the kinds of Kubernetes itself beside workloads, and of Argo's Workflow."""

import json

from notifier.health.conditions import (
    Object,
    annotations_of,
    by_type,
    conditions_of,
    is_false,
    is_true,
    told,
)
from notifier.health.conditions import status_of as _status
from notifier.health.pods import pod
from notifier.health.status import DEGRADED, HEALTHY, PROGRESSING, SUSPENDED, UNKNOWN, Health
from notifier.health.workloads import daemon_set, deployment, replica_set, stateful_set

_CLAIMS = {"Lost": DEGRADED, "Pending": PROGRESSING, "Bound": HEALTHY}
_WORKFLOWS = {
    "Succeeded": HEALTHY,
    "Failed": DEGRADED,
    "Error": DEGRADED,
    **dict.fromkeys(("", "Pending", "Running"), PROGRESSING),
}
_SCALING = {
    "AbleToScale": {"FailedGetScale", "FailedUpdateScale"},
    "ScalingActive": {
        *("FailedGetResourceMetric", "FailedGetObjectMetric", "FailedGetPodsMetric"),
        *("FailedGetExternalMetric", "FailedComputeMetricsReplicas", "InvalidSelector"),
    },
}
"""Reasons of conditions with which an autoscaler does not work."""
_SCALING_OF_V1 = "autoscaling.alpha.kubernetes.io/conditions"


def claim(obj: Object) -> Health:
    """Return the health of a PersistentVolumeClaim."""
    phase = _status(obj).get("phase", "")
    return Health(_CLAIMS.get(phase, UNKNOWN), f"the claim is {phase}" if phase else "")


def service(obj: Object) -> Health:
    """Return the health of a Service."""
    if (obj.get("spec") or {}).get("type") == "LoadBalancer" and not _addresses(obj):
        return Health(PROGRESSING, "the load balancer has no address yet")
    return Health(HEALTHY)


def ingress(obj: Object) -> Health:
    """Return the health of an Ingress; stays Progressing where its controller sets no address."""
    if _addresses(obj):
        return Health(HEALTHY)
    return Health(PROGRESSING, "the ingress has no address yet")


def _addresses(obj: Object) -> bool:
    return bool((_status(obj).get("loadBalancer") or {}).get("ingress"))


def job(obj: Object) -> Health:
    """Return the health of a Job."""
    found = conditions_of(obj)
    if "Failed" in found:
        return Health(DEGRADED, told(found["Failed"]))
    if is_true(found, "Suspended"):
        return Health(SUSPENDED, told(found["Suspended"]))
    for name in ("Complete", "Suspended"):
        if name in found:
            return Health(HEALTHY, told(found[name]))
    return Health(PROGRESSING, "the Job is not done yet")


def cron_job(obj: Object) -> Health:  # noqa: PLR0911 -- one for each case
    """Return the health of a CronJob by its last run."""
    status = _status(obj)
    if (obj.get("spec") or {}).get("suspend"):
        return Health(HEALTHY, "the CronJob is suspended")
    if "status" not in obj:
        return Health(PROGRESSING, "the CronJob has not been looked at yet")
    planned, succeeded = status.get("lastScheduleTime"), status.get("lastSuccessfulTime")
    if planned is None:
        return Health(HEALTHY, "it was not due yet")
    if status.get("active"):
        return Health(HEALTHY, f"a run is under way since {planned}")
    if succeeded is None:
        return Health(HEALTHY, f"no run has succeeded yet, the last one began at {planned}")
    if succeeded < planned:
        return Health(DEGRADED, f"the run of {planned} has not succeeded")
    return Health(HEALTHY, f"the last run succeeded at {succeeded}")


def autoscaler(obj: Object) -> Health:
    """Return the health of a HorizontalPodAutoscaler."""
    conditions = _status(obj).get("conditions") or ()
    if obj["apiVersion"] == "autoscaling/v1":
        given = annotations_of(obj)
        conditions = json.loads(given.get(_SCALING_OF_V1) or "[]")
    for one in conditions:
        if one.get("reason") in _SCALING.get(one["type"], ()):
            return Health(DEGRADED, told(one))
    for one in conditions:
        if one["type"] in {"AbleToScale", "ScalingLimited"} and one.get("status") == "True":
            return Health(HEALTHY, told(one))
    return Health(PROGRESSING, "waits to be scaled for the first time")


def api_service(obj: Object) -> Health:
    """Return the health of an APIService."""
    found = conditions_of(obj)
    if "Available" not in found:
        return Health(PROGRESSING, "waits for its first check")
    one = found["Available"]
    available = one.get("status") == "True"
    return Health(HEALTHY if available else PROGRESSING, told(one))


def workflow(obj: Object) -> Health:
    """Return the health of a Workflow."""
    status = _status(obj)
    return Health(_WORKFLOWS.get(status.get("phase", ""), UNKNOWN), status.get("message", ""))


def definition(obj: Object) -> Health:
    """Return the health of a CustomResourceDefinition."""
    found = conditions_of(obj)
    if not found:
        return Health(PROGRESSING, "the API server has not looked at it yet")
    if is_true(found, "Terminating"):
        return Health(PROGRESSING, told(found["Terminating"]))
    if is_false(found, "NamesAccepted"):
        return Health(DEGRADED, told(found["NamesAccepted"]))
    if is_true(found, "NonStructuralSchema"):
        return Health(DEGRADED, told(found["NonStructuralSchema"]))
    if is_true(found, "Established"):
        return Health(HEALTHY)
    return Health(PROGRESSING, told(found.get("Established", {}), "it is not established yet"))


def disruption_budget(obj: Object) -> Health:
    """Return the health of a PodDisruptionBudget; too few Pods are no fault of it."""
    found = by_type(_status(obj).get("conditions"))
    for one in found.values():
        if one.get("status") == "False" and one.get("reason") != "InsufficientPods":
            return Health(DEGRADED, told(one))
    if not found:
        return Health(PROGRESSING, "waits for its first check")
    return Health(HEALTHY)


_SCALERS = frozenset(f"autoscaling/{v}" for v in ("v1", "v2", "v2beta1", "v2beta2"))
STRICT = {
    ("apps", "Deployment"): (deployment, frozenset({"apps/v1"})),
    ("apps", "ReplicaSet"): (replica_set, frozenset({"apps/v1"})),
    ("apps", "StatefulSet"): (stateful_set, frozenset({"apps/v1"})),
    ("apps", "DaemonSet"): (daemon_set, frozenset({"apps/v1"})),
    ("", "Pod"): (pod, frozenset({"v1"})),
    ("", "PersistentVolumeClaim"): (claim, frozenset({"v1"})),
    ("", "Service"): (service, frozenset({"v1"})),
    ("batch", "Job"): (job, frozenset({"batch/v1"})),
    ("autoscaling", "HorizontalPodAutoscaler"): (autoscaler, _SCALERS),
    ("apiregistration.k8s.io", "APIService"): (
        api_service,
        frozenset({"apiregistration.k8s.io/v1", "apiregistration.k8s.io/v1beta1"}),
    ),
}
"""Rules of kinds, and the versions that they understand; any other version is Unknown."""
LOOSE = {
    ("networking.k8s.io", "Ingress"): ingress,
    ("extensions", "Ingress"): ingress,
    ("argoproj.io", "Workflow"): workflow,
    ("batch", "CronJob"): cron_job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): definition,
    ("policy", "PodDisruptionBudget"): disruption_budget,
}
"""Rules of kinds in any version."""
