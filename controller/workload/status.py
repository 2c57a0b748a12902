"""The status of an EventSource, a Sensor or a Notifier: what is true of it, told in one shape.

`conditions` are Valid (the object can work), BusReady, Deployed (what runs it is written) and
Ready (its pods, of this generation, do their work, and so does each of its parts), and DeadLetters
once there was one. Beside them stand `observedGeneration`, `eventBusName`, `replicas`,
`readyReplicas`, `updatedReplicas`, `selector`, `deadLetters`, `lag` of a Sensor (events that wait
for it) and, of its parts, `events`, `triggers` or `watches` as a list of name, type, ready, reason,
message and since, with their number in `eventCount`, `triggerCount` or `watchCount`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.conditions import Condition
from controller.objects import Checked
from controller.reconciler import Manifest
from controller.workload import parts
from controller.workload.buses import BusState
from controller.workload.reports import Report
from spine.errors import ConfigError

VALID, BUS, DEPLOYED, READY, DEAD = "Valid", "BusReady", "Deployed", "Ready", "DeadLetters"
OPTIONS = {"EventSource": "source", "Sensor": "sensor", "Notifier": "notifier"}
"""Options of `tocsin dlq list` that name an object of a kind."""


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
    valid: Condition,
    deployed: Condition,
    pods: Pods,
    *,
    suspended: bool,
    missing: list[str],
    told: "Told | None" = None,
) -> Condition:
    """Return whether the object does its work; if not, the first reason why."""
    if valid.status == "False":
        return Condition("False", valid.reason, valid.message)
    if deployed.status != "True":
        return Condition("False", deployed.reason, deployed.message)
    if suspended:
        return Condition("False", "Suspended", "suspended: no pods run, and its place is kept")
    return _of_pods(pods, missing, told or Told())


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of the inside of the pods."""

    plural: str = "events"
    """What the parts are called."""
    parts: Sequence[Mapping[str, Any]] = ()
    """As the status has them."""
    report: Report = field(default_factory=Report)


def _of_pods(pods: Pods, missing: list[str], told: Told) -> Condition:
    count = f"{min(pods.available, pods.wanted)} of {pods.wanted} pods are ready"
    short = parts.lacking(told.parts)
    if pods.up and not short:
        failing = parts.failing(told.parts)
        more = [f"failing: {parts.said(failing)}"] if failing else []
        return Condition("True", "Ready", "; ".join([count, *more, *told.report.notes]))
    number = len(told.parts)
    text = f"{number - len(short)} of {number} {told.plural} are ready; {parts.said(short)}"
    trouble = f"; {told.report.trouble}" if told.report.trouble else ""
    rolling = pods.observed and pods.total > pods.updated
    why_not = (
        (missing, "ReferenceNotFound", f"{count}; missing: {', '.join(missing)}"),
        (pods.trouble, "PodsFailed", f"{count}: {pods.trouble}{trouble}"),
        (short and not parts.starting(short), f"{told.plural.capitalize()}NotReady", text),
        (short, "PodsNotReady", f"{count}; {text}"),
        (rolling, "RollingOut", f"{count}; older ones are being replaced{trouble}"),
        (True, "PodsNotReady", f"{count}{trouble}"),
    )
    return next(Condition("False", reason, said) for holds, reason, said in why_not if holds)


def dead_letters(checked: Checked, count: int, reasons: Mapping[str, int]) -> Condition:
    """Return whether dead letters wait for somebody's decision; `reasons` are the latest."""
    if not count:
        return Condition("False", "None")
    option = f"--{OPTIONS[checked.object.kind]} {checked.object.name}"
    why = ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
    lately = f" (lately {why})" if why else ""
    word = "dead letter" if count == 1 else "dead letters"
    return Condition("True", "SetAside", f"{count} {word}{lately}: tocsin dlq list {option}")


def status(
    checked: Checked,
    stated: list[dict[str, Any]],
    pods: Pods,
    *,
    selector: str,
    found: list[dict[str, Any]],
    numbers: Mapping[str, int | None],
) -> Manifest:
    """Return the whole status; of an object that is wrong, without its parts.

    `found` are its parts, `numbers` what else is counted, as far as it is known.
    """
    metadata = checked.object.raw["metadata"]
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
        word, plural = parts.words(checked.object.kind)
        made |= {f"{word}Count": len(found), plural: found}
    return made | {name: number for name, number in numbers.items() if number is not None}
