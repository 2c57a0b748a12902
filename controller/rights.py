"""The least rights that an object of ours needs in a cluster, read off its manifest.

Secrets and ConfigMaps are mounted into pods, and leases are kept on the bus, so neither needs a
right. What parameters change at run time is pointed out, as no manifest can tell what it will be.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from controller.objects import Checked
from eventsource.spec import EventSourceSpec
from notifier.spec import NotifierSpec
from sensor.spec import SensorSpec, SensorTrigger
from sensor.triggers.argo_workflow import ArgoWorkflow
from sensor.triggers.k8s import K8s

VERBS = {
    "create": ("create", "get", "update"),
    "update": ("create", "get", "update"),
    "patch": ("create", "get", "patch"),
    "apply": ("create", "get", "patch"),
    "delete": ("delete", "get"),
}
"""What each operation of `k8s` does: look first, and create what is not there."""
WORKFLOW = "argoproj.io"
WORKFLOW_VERBS = {
    "submit": ("create", "get"),
    "submit-from": ("create", "get"),
    "resubmit": ("create", "get"),
    "retry": ("get",),
}
"""The same of `argoWorkflow`; all others look and update."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """What may be done to one kind."""

    namespace: str
    """Where; empty: in the whole cluster."""
    group: str
    resource: str
    """Plural where it is written so, else empty."""
    kind: str
    """Kind of a manifest, from which the plural is found."""
    version: str
    verb: str
    name: str = ""
    """The only object that is meant; empty: all of the kind."""


@dataclass(slots=True)
class Rights:
    """What one object needs."""

    kind: str
    name: str
    namespace: str
    account: str
    """Service account of its pod; empty where the manifest names none."""
    rights: set[Right] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    """What the manifest cannot tell."""


def rights_of(checked: Checked) -> Rights:
    """Return what an object needs. It must have been checked without errors."""
    spec = checked.spec
    account = spec.template.service_account_name if spec.template is not None else ""
    found = Rights(
        checked.object.kind, checked.object.name, checked.object.namespace, account or ""
    )
    if isinstance(spec, EventSourceSpec):
        for source in spec.resource.values():
            for verb in ("list", "watch"):
                found.rights.add(
                    Right(
                        source.namespace, source.group, source.resource.lower(), "",
                        source.version, verb,
                    )
                )  # fmt: skip
    elif isinstance(spec, NotifierSpec):
        _of_notifier(spec, found)
    elif isinstance(spec, SensorSpec):
        for trigger in _triggers(spec.triggers):
            _of_trigger(trigger, found)
    return found


def _of_notifier(spec: NotifierSpec, found: Rights) -> None:
    """Add what it watches, and the objects in which its configuration is."""
    verbs = ("list", "watch", "patch") if spec.write_annotations else ("list", "watch")
    for watch in spec.watches:
        group, _, version = watch.api_version.rpartition("/")
        exact = [name for name in watch.namespaces if not set(name) & set("*?[")]
        spaces = exact if len(exact) == len(watch.namespaces) else []
        for space in spaces or [""]:
            for verb in verbs:
                found.rights.add(Right(space, group, "", watch.kind, version, verb))
    where = "" if spec.self_service else found.namespace
    maps = {spec.config_map, spec.health_config_map} - {""}
    for kind, names in (("ConfigMap", maps), ("Secret", {spec.secret})):
        for name in names:
            found.rights.add(Right(where, "", "", kind, "v1", "get", name))
    if spec.self_service:
        found.notes.append(
            "selfService: it reads the ConfigMap and Secret of these names in every namespace; to "
            "bound it, turn the ClusterRole's rule on them into a Role of each namespace"
        )


def _triggers(triggers: Iterable[SensorTrigger]) -> Iterator[SensorTrigger]:
    for trigger in triggers:
        yield trigger
        if trigger.dlq_trigger is not None:
            yield from _triggers([trigger.dlq_trigger])


def _of_trigger(trigger: SensorTrigger, found: Rights) -> None:
    kind = trigger.template.trigger
    if isinstance(kind, K8s):
        _of_object(trigger, kind, found)
    elif isinstance(kind, ArgoWorkflow):
        _of_workflow(trigger, kind, found)


def _of_object(trigger: SensorTrigger, k8s: K8s, found: Rights) -> None:
    where = f"trigger {trigger.template.name}"
    changed = _changed(trigger, k8s, "k8s")
    made = _manifest(k8s)
    if made is None:
        found.notes.append(
            f"{where}: its object is read at run time, so its kind is not known here"
        )
        return
    operations = VERBS if "operation" in changed else {k8s.operation or "create"}
    if "operation" in changed:
        found.notes.append(
            f"{where}: parameters choose the operation, so all that can be chosen are allowed; "
            "drop verbs of those that never come"
        )
    group, _, version = str(made.get("apiVersion", "")).rpartition("/")
    metadata = made.get("metadata") or {}
    space = metadata.get("namespace") or found.namespace
    if "namespace" in changed:
        found.notes.append(
            f"{where}: parameters choose the namespace, so a ClusterRole is needed for all; to "
            "bound it, write the namespace into the manifest, one trigger for each"
        )
        space = ""
    if "kind" in changed:
        found.notes.append(
            f"{where}: parameters choose the kind: add rules for each that can be chosen; to bound "
            "it, write one trigger for each kind"
        )
    counted = ("list",) if trigger.max_active is not None else ()
    for operation in operations:
        verbs = (*VERBS[operation], *counted)
        if operation == "create" and not metadata.get("name"):  # a new name each time
            verbs = ("create", "get", *counted)
        for verb in verbs:
            found.rights.add(Right(space, group, "", str(made["kind"]), version, verb))


def _of_workflow(trigger: SensorTrigger, workflow: ArgoWorkflow, found: Rights) -> None:
    operation = workflow.operation or "submit"
    made = _manifest(workflow) or {}
    metadata = made.get("metadata") or {}
    space = metadata.get("namespace") or found.namespace
    where = f"trigger {trigger.template.name}"
    changed = _changed(trigger, workflow, "argoWorkflow")
    operations: set[str] = {operation}
    if "operation" in changed:
        operations = {*WORKFLOW_VERBS, "stop"}
        found.notes.append(f"{where}: parameters choose the operation, so all are allowed")
    if "namespace" in changed:
        found.notes.append(f"{where}: parameters choose the namespace, so a ClusterRole is needed")
        space = ""
    counted = ("list",) if trigger.max_active is not None else ()
    for one in operations:
        for verb in (*WORKFLOW_VERBS.get(one, ("get", "update")), *counted):
            found.rights.add(Right(space, WORKFLOW, "workflows", "Workflow", "v1alpha1", verb))
    if operation == "submit-from" and str(made.get("kind", "")).lower() == "cronworkflow":
        found.rights.add(Right(space, WORKFLOW, "cronworkflows", "CronWorkflow", "v1alpha1", "get"))


def _manifest(trigger: K8s | ArgoWorkflow) -> dict[str, Any] | None:
    """Return the object as it stands in the Sensor; None where it stands elsewhere."""
    import orjson

    document = trigger.source.document()
    made = None if document is None else orjson.loads(document)
    return made if isinstance(made, dict) and made.get("kind") else None


def _changed(trigger: SensorTrigger, kind: K8s | ArgoWorkflow, key: str) -> set[str]:
    """Return what of kind, namespace and operation parameters change."""
    found: set[str] = set()
    for parameter in trigger.parameters:
        dest = parameter.dest
        if dest == f"{key}.operation":
            found.add("operation")
        prefix = f"{key}.source.resource."
        if dest.startswith(prefix):
            found |= _part(dest.removeprefix(prefix))
    for parameter in kind.parameters:
        found |= _part(parameter.dest)
    return found


def _part(dest: str) -> set[str]:
    if dest in {"kind", "apiVersion"}:
        return {"kind"}
    return {"namespace"} if dest in {"metadata.namespace", "metadata"} else set()
