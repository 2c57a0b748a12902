"""All that runs one EventSource, Sensor or Notifier: pure, from what is known to manifests.

Pods are replaced when something changed that they read: the object without what only shapes its
pods, the bus, what the object refers to, or the form in which all that is handed over. A change of
`replicas` or `suspend` alone restarts nobody.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from controller.objects import Checked
from controller.reconciler import Manifest
from controller.rights import rights_of
from controller.roles import API as RBAC
from controller.roles import Named, rules
from controller.workload.limits import ENV, Allowed
from controller.workload.names import Names
from controller.workload.pods import Core, given, pod
from controller.workload.references import Reference, references
from eventbus.config import BusConfig
from spine.model import load
from spine.pod import PodTemplate

SCHEMA = 1
"""Form of what a pod is handed; another number replaces all pods."""
SUSPEND = "tocsin.dev/suspend"
"""Annotation that suspends, as `spec.suspend` does."""
CONTENT = "tocsin.dev/content"
"""Annotation of the Secret of an object with the hash of what is in it."""
GENERATION = "tocsin.dev/generation"
"""The same with the generation in which that came to be."""
READ = "tocsin.dev/read"
"""Annotation of pods with the hash of all that they read."""

_POD_KEYS = frozenset(
    {"template", "service", "replicas", "replica", "suspend", "revisionhistorylimit"}
)
"""Keys of a `spec`, in small letters, that only shape pods; Argo Events takes any case."""
_LIFETIME = 1_000_000
"""Generations of one object; more than anybody makes of it."""

_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Options:
    """What all objects have in common."""

    image: str
    """Image of the pods."""
    image_pull_policy: str = ""
    """When it is pulled, where the template does not say."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment of the pods, below that of the template."""
    make_service_accounts: bool = False
    """Whether an account with the least rights is made for an object that names none."""
    allowed: Allowed = field(default_factory=Allowed)
    """What templates may ask for beyond what is allowed to all."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the cluster has of what an object needs."""

    digests: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Hashes of the values that are referred to, by kind and name of what they stand in."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the Secret of the object as it is; empty where there is none."""
    rights: Iterable[Named] = ()
    """Rights in the object's namespace that it needs, where an account is made."""


def desired(
    checked: Checked, bus: Manifest, options: Options, known: Known | None = None
) -> list[Manifest]:
    """Return the manifests of all that runs an object, in the order in which they are applied.

    `checked` has no errors; `bus` is of the shape of EVENTBUS_CONFIG.
    """
    known = known or Known()
    names = Names(checked.object.kind, checked.object.name)
    refs = refs_of(checked, bus)
    read = _digest([SCHEMA, content(checked), bus, sorted(known.digests.items())])
    made = [_config(checked, names, bus, known.kept)]
    rights = list(known.rights)
    account = makes_account(checked, options)
    if account:
        made = [*_account(names, rights), *made]
    service = getattr(checked.spec, "service", None)
    if service is not None and service.ports:
        made.append(_service(checked, names))
    if replicas(checked) > 1:
        made.append(_budget(names))
    needs = rights_of(checked)
    template = checked.spec.template or PodTemplate()
    token = bool(template.service_account_name or needs.rights or needs.notes)
    made.append(
        _deployment(
            checked,
            names,
            read,
            pod(
                names,
                template,
                image={"image": options.image, "imagePullPolicy": options.image_pull_policy},
                env=options.env,
                refs=refs,
                ports=_ports(checked),
                account=names.account if account else "",
                token=token,
                pinned=ENV not in options.allowed.words,
            ),
        )
    )
    for one in made:
        one["metadata"]["namespace"] = checked.object.namespace
    return made


# ---------------------------------------------------------------------------- what is read


def refs_of(checked: Checked, bus: Manifest) -> list[Reference]:
    """Return the Secrets and ConfigMaps that the pods of an object read. Raises ConfigError."""
    config = load(BusConfig, bus, what="event bus", lenient=True)
    return references([checked.spec, config])


def content(checked: Checked) -> Manifest:
    """Return the object as its process gets it, without its generation."""
    raw = checked.object.raw
    spec = {key: value for key, value in raw["spec"].items() if key.lower() not in _POD_KEYS}
    metadata = {"name": checked.object.name, "namespace": checked.object.namespace}
    return {
        "apiVersion": raw["apiVersion"],
        "kind": checked.object.kind,
        "metadata": metadata,
        "spec": spec,
    }


def generation(checked: Checked, kept: Mapping[str, str]) -> int:
    """Return the generation of what the process reads.

    It stays while only pods are shaped, so that replicas do not step back for each other, and
    grows when an object is deleted and made again, as its places on the bus live longer.
    """
    if kept.get(CONTENT) == _digest(content(checked)) and kept.get(GENERATION, "").isdecimal():
        return int(kept[GENERATION])
    metadata = checked.object.raw["metadata"]
    made = str(metadata.get("creationTimestamp") or "1970-01-01T00:00:00Z")
    born = int(datetime.fromisoformat(made).timestamp())
    return born * _LIFETIME + int(metadata.get("generation") or 1)


def replicas(checked: Checked) -> int:
    """Return how many pods are wanted; none while it is suspended."""
    if suspended(checked):
        return 0
    return max(1, int(checked.spec.replicas))


def suspended(checked: Checked) -> bool:
    """Return whether the object is to run nowhere for now."""
    annotations = checked.object.raw["metadata"].get("annotations") or {}
    return bool(checked.spec.suspend) or annotations.get(SUSPEND, "").lower() == "true"


def _digest(value: Any) -> str:
    return hashlib.blake2b(_encode(value), digest_size=12).hexdigest()


# ---------------------------------------------------------------------------- objects


def _config(checked: Checked, names: Names, bus: Manifest, kept: Mapping[str, str]) -> Manifest:
    inside = content(checked)
    number = generation(checked, kept)
    handed = {**inside, "metadata": {**inside["metadata"], "generation": number}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.config,
            "labels": names.labels,
            "annotations": {CONTENT: _digest(inside), GENERATION: str(number)},
        },
        "type": "Opaque",
        "data": {"bus.json": _base64(bus), "object.json": _base64(handed)},
    }


def _base64(value: Any) -> str:
    return base64.b64encode(_encode(value)).decode()


def _deployment(checked: Checked, names: Names, read: str, spec: Core) -> Manifest:
    template = checked.spec.template or PodTemplate()
    metadata = template.metadata
    labels = dict(metadata.labels) if metadata is not None else {}
    annotations = dict(metadata.annotations) if metadata is not None else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": names.deployment, "labels": _labels(checked, names)},
        "spec": given(
            {
                "replicas": replicas(checked),
                "revisionHistoryLimit": getattr(checked.spec, "revision_history_limit", None),
                "selector": {"matchLabels": names.selector},
                # Single sources and ordered work change hands by leases, so old and new overlap.
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
                },
                "template": {
                    "metadata": {
                        "labels": {**labels, **names.labels},
                        "annotations": {**annotations, READ: read},
                    },
                    "spec": spec,
                },
            }
        ),
    }


def _labels(checked: Checked, names: Names) -> dict[str, str]:
    """Return the labels of the object itself, and ours, which win."""
    return {**(checked.object.raw["metadata"].get("labels") or {}), **names.labels}


def _service(checked: Checked, names: Names) -> Manifest:
    service = checked.spec.service
    metadata = service.metadata
    labels = dict(metadata.labels) if metadata is not None else {}
    annotations = dict(metadata.annotations) if metadata is not None else {}
    spec = {
        "type": "ClusterIP",
        "clusterIP": service.cluster_ip,
        "ports": service.ports,
        "selector": names.selector,
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": given(
            {
                "name": names.service,
                "labels": {**labels, **_labels(checked, names)},
                "annotations": annotations,
            }
        ),
        "spec": given(spec),
    }


def _ports(checked: Checked) -> list[Core]:
    """Return the ports on which an EventSource listens."""
    if checked.object.kind != "EventSource":
        return []
    from eventsource.spec import ports

    numbers = sorted({port.number for port in ports(checked.spec)})
    return [
        {"name": f"p-{number}", "containerPort": number, "protocol": "TCP"} for number in numbers
    ]


def _budget(names: Names) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": names.deployment, "labels": names.labels},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": names.selector}},
    }


def makes_account(checked: Checked, options: Options) -> bool:
    """Return whether an account is made for an object."""
    template = checked.spec.template
    named = template is not None and bool(template.service_account_name)
    return options.make_service_accounts and not named


def _account(names: Names, rights: list[Named]) -> list[Manifest]:
    """Return an account and, where it needs any, its rights in its own namespace."""

    def metadata() -> Core:
        return {"name": names.account, "labels": names.labels}

    made: list[Manifest] = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata()}]
    if rights:
        role = {"apiGroup": RBAC, "kind": "Role", "name": names.account}
        namespace = rights[0].namespace
        subject = {"kind": "ServiceAccount", "name": names.account, "namespace": namespace}
        made += [
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "Role",
                "metadata": metadata(),
                "rules": rules(rights),
            },
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "RoleBinding",
                "metadata": metadata(),
                "subjects": [subject],
                "roleRef": role,
            },
        ]
    return made
