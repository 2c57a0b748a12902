"""The status of an EventSource, a Sensor or a Notifier: what is true of it, told in one shape.

`conditions` are Valid (the object can work), BusReady, Deployed (what runs it is written) and
Ready (its pods, of this generation, do their work). Beside them stand `observedGeneration`,
`eventBusName`, `replicas`, `readyReplicas`, `updatedReplicas`, `selector`, `suspended` where it is,
`lag` of a Sensor (events that wait for it) and, of its parts, `events`, `triggers` or `watches` as
a list of name, type and ready, with their number in `eventCount`, `triggerCount` or `watchCount`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controller.conditions import Condition
from controller.objects import Checked
from controller.reconciler import Manifest
from controller.workload.buses import BusState
from spine.errors import ConfigError

VALID, BUS, DEPLOYED, READY = "Valid", "BusReady", "Deployed", "Ready"


@dataclass(frozen=True, slots=True)
class Pods:
    """What a Deployment says of its pods."""

    wanted: int = 0
    total: int = 0
    updated: int = 0
    available: int = 0
    observed: bool = False
    """Whether all this is about the Deployment as it is now."""
    trouble: str = ""
    """Why pods cannot be made, or did not come up in time."""

    @classmethod
    def of(cls, deployment: Manifest | None) -> "Pods":
        """Read a Deployment; without one there are no pods."""
        if deployment is None:
            return cls()
        spec, status = deployment["spec"], deployment.get("status") or {}
        seen = int(status.get("observedGeneration") or 0)
        return cls(
            wanted=int(spec.get("replicas", 1)),
            total=int(status.get("replicas") or 0),
            updated=int(status.get("updatedReplicas") or 0),
            available=int(status.get("availableReplicas") or 0),
            observed=seen >= int(deployment["metadata"].get("generation") or 0),
            trouble=_trouble(status.get("conditions") or ()),
        )

    @property
    def up(self) -> bool:
        """Whether all pods that are wanted, and no older ones, do their work."""
        return (
            self.observed
            and self.updated >= self.wanted
            and self.available >= self.wanted
            and self.total <= self.wanted
        )


def _trouble(conditions: Any) -> str:
    for one in conditions:
        kind, status = one.get("type"), one.get("status")
        if (kind, status) in {("ReplicaFailure", "True"), ("Progressing", "False")}:
            return str(one.get("message") or one.get("reason") or kind)
    return ""


def valid(errors: tuple[str, ...], warnings: tuple[str, ...]) -> Condition:
    """Return what checking the object came to."""
    if errors:
        return Condition("False", ConfigError.code, "; ".join(errors))
    if warnings:
        return Condition("True", "ValidWithWarnings", "; ".join(warnings))
    return Condition("True", "Valid")


def bus_ready(bus: BusState) -> Condition:
    """Return what is known of the bus."""
    return Condition("True" if bus.ready else "False", bus.reason, bus.message)


def ready(
    valid: Condition, deployed: Condition, pods: Pods, *, suspended: bool, missing: list[str]
) -> Condition:
    """Return whether the object does its work; if not, the first reason why."""
    if valid.status == "False":
        return Condition("False", valid.reason, valid.message)
    if deployed.status != "True":
        return Condition("False", deployed.reason, deployed.message)
    if suspended:
        return Condition("False", "Suspended", "suspended: no pods run, and its place is kept")
    return _of_pods(pods, missing)


def _of_pods(pods: Pods, missing: list[str]) -> Condition:
    counted = f"{min(pods.available, pods.wanted)} of {pods.wanted} pods are ready"
    if pods.up:
        return Condition("True", "Ready", counted)
    if missing:
        return Condition("False", "ReferenceNotFound", f"{counted}; missing: {', '.join(missing)}")
    if pods.trouble:
        return Condition("False", "PodsFailed", f"{counted}: {pods.trouble}")
    if pods.observed and pods.total > pods.updated:
        return Condition("False", "RollingOut", f"{counted}; older ones are being replaced")
    return Condition("False", "PodsNotReady", counted)


def parts(checked: Checked) -> Iterator[tuple[str, str]]:
    """Yield name and type of every event, trigger or watch."""
    spec, kind = checked.spec, checked.object.kind
    if kind == "EventSource":
        for name, source in spec.sources().items():
            yield name, source.type
    elif kind == "Sensor":
        for trigger in spec.triggers:
            yield trigger.template.name, trigger.template.trigger.kind
    else:
        for watch in spec.watches:
            yield str(watch), watch.kind


PARTS = {"EventSource": "event", "Sensor": "trigger", "Notifier": "watch"}
"""What the parts of a kind are called."""
_PLURALS = {"event": "events", "trigger": "triggers", "watch": "watches"}


def status(
    checked: Checked, stated: list[dict[str, Any]], pods: Pods, *, selector: str, lag: int | None
) -> Manifest:
    """Return the whole status; of an object that is wrong, without its parts."""
    metadata = checked.object.raw["metadata"]
    up = any(one["type"] == READY and one["status"] == "True" for one in stated)
    made: Manifest = {
        "observedGeneration": int(metadata.get("generation") or 0),
        "conditions": stated,
        "eventBusName": checked.bus[1],
        "replicas": pods.total,
        "readyReplicas": pods.available,
        "updatedReplicas": pods.updated,
        "selector": selector,
    }
    if checked.spec is not None:
        word = PARTS[checked.object.kind]
        found = [{"name": name, "type": kind, "ready": up} for name, kind in parts(checked)]
        made |= {f"{word}Count": len(found), _PLURALS[word]: found}
    if lag is not None:
        made["lag"] = lag
    return made
