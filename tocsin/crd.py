"""The CustomResourceDefinition of a kind: what `kubectl` knows of it.

Names are those of Argo Events, so that scripts go on working. The schema takes whatever a process
takes, and writes no defaults into stored objects; the status is described and left open, as it may
be of another version of the controller, or of Argo Events'.
"""

from collections.abc import Iterator
from typing import Any

from spine.compat import TABLE
from spine.manifest import ARGO, OUR_KINDS, OURS
from spine.model import Model
from spine.schema import ANYTHING, OPEN, Schema, structural
from tocsin.crd_rules import RULES

NAMES = {
    "EventBus": ("eventbus", "eb"),
    "EventSource": ("eventsources", "es"),
    "Sensor": ("sensors", "sn"),
    "Notifier": ("notifiers", "ntf"),
}
"""Plural and short name of each kind, as Argo Events has them, and ours."""
CATEGORY = "tocsin"
"""What `kubectl get` takes for all kinds. `all` is none: nothing of Argo Events is in it."""

_ABOUT = {
    "EventBus": "A bus that keeps events until all who wait for them have acted.",
    "EventSource": "Where events come from: each entry is one named event.",
    "Sensor": "What is waited for, and what is done when it has come.",
    "Notifier": "Kinds of objects that are watched, and people who are told of them.",
}
_OBJECTS = ("*", "dlqTrigger")
"""How paths end whose old shapes are objects, as those of today are."""
_PARTS = {"EventSource": "event", "Sensor": "trigger", "Notifier": "watch"}


def api_version(kind: str) -> str:
    """Return group and version of a kind."""
    return f"{OURS}/v1alpha1" if kind in OUR_KINDS else ARGO


def crd(kind: str, model: type[Model]) -> Schema:
    """Return the CustomResourceDefinition of a kind."""
    plural, short = NAMES[kind]
    group, version = api_version(kind).split("/")
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}} | _scale(kind),
        "additionalPrinterColumns": list(_columns(kind)),
        "schema": {"openAPIV3Schema": _schema(kind, model)},
    }
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": [short],
        "categories": [CATEGORY],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }


def _scale(kind: str) -> Schema:
    """Return what `kubectl scale` and autoscalers use, where a kind has replicas of its own."""
    if kind not in _PARTS:
        return {}
    paths = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    return {"scale": paths}


def _schema(kind: str, model: type[Model]) -> Schema:
    converted = (row.at.removeprefix("spec.") for row in TABLE if row.kind == kind and row.convert)
    spec = structural(model, (at for at in converted if not at.endswith(_OBJECTS)), RULES)
    if _scale(kind):  # the scale subresource cannot read a null: without this it is dropped
        spec["properties"]["replicas"].pop("nullable")
    return {
        "description": _ABOUT[kind],
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": {"description": f"{api_version(kind)}.", "type": "string"},
            "kind": {"description": f"{kind}.", "type": "string"},
            "metadata": {"type": "object"},  # described by the API server itself
            "spec": spec,
            "status": _status(kind),
        },
    }


# ---------------------------------------------------------------------------- status

_TEXTS = {
    "type": "What it is about, such as Ready.",
    "status": "True, False or Unknown.",
    "reason": "Why, in one word.",
    "message": "Why, in a sentence.",
    "lastTransitionTime": "Since when it is so.",
}
_PODS = {
    "eventBusName": "EventBus that it uses.",
    "replicas": "Pods that there are.",
    "readyReplicas": "Pods that do their work.",
    "updatedReplicas": "Pods of the object as it is now.",
    "selector": "Labels of its pods.",
    "suspended": "Whether it runs nowhere for now.",
}
_BUS = {
    "kind": "Kind of the bus, such as jetstream.",
    "config": "How the bus is reached; what its users are given.",
    "replicas": "Servers that are wanted.",
    "readyReplicas": "Servers that serve.",
}


def _status(kind: str) -> Schema:
    """Return the schema of a status: described, and open."""
    texts = {name: _text(about) for name, about in _TEXTS.items()}
    generation = _open("Generation of the object that it was said of.")
    condition = {
        "description": "One thing that is true of the object, or not.",
        "type": "object",
        "properties": {**texts, "observedGeneration": generation},
        **OPEN,
    }
    conditions = {
        "description": "What is true of the object, since when, and why.",
        "type": "array",
        "items": condition,
        "nullable": True,
    }
    return {
        "description": "What the controller has made of it; not to be written by hand.",
        "type": "object",
        "properties": {
            "conditions": conditions,
            "observedGeneration": _open("Generation of the object that the status is of."),
            **{name: _open(about) for name, about in _told(kind).items()},
        },
        "nullable": True,
        **OPEN,
    }


def _told(kind: str) -> dict[str, str]:
    """Return what a status tells beside the conditions, with its meaning."""
    if kind == "EventBus":
        return _BUS
    part, plural = _PARTS[kind], _plural(kind)
    told = _PODS | {
        plural: f"Its {plural}, with name, type, whether each is ready, since when and why not.",
        f"{part}Count": f"How many {plural} it has.",
        "deadLetters": "What was set aside for good and waits for somebody's decision.",
    }
    return told | {"lag": "Events that wait for it."} if kind == "Sensor" else told


def _plural(kind: str) -> str:
    part = _PARTS[kind]
    return f"{part}es" if part.endswith("ch") else f"{part}s"


def _text(about: str) -> Schema:
    return {"description": about, "type": "string", "nullable": True}


def _open(about: str) -> Schema:
    return {"description": about, **ANYTHING}


# ---------------------------------------------------------------------------- kubectl


def _columns(kind: str) -> Iterator[dict[str, Any]]:
    """Yield what `kubectl get` shows; with priority 1 only with `-o wide`."""
    yield _column("Ready", '.status.conditions[?(@.type=="Ready")].status')
    yield _column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1)
    if kind == "EventBus":
        yield _column("Kind", ".status.kind")
    else:
        yield _column("Bus", ".status.eventBusName")
        name = _plural(kind).capitalize()
        yield _column(name, f".status.{_PARTS[kind]}Count", "integer")
    if kind == "Sensor":
        yield _column("Lag", ".status.lag", "integer")
    if kind != "EventBus":
        yield _column("Dead", ".status.deadLetters", "integer", priority=1)
        yield _column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1)
    yield _column("Age", ".metadata.creationTimestamp", "date")


def _column(name: str, path: str, of: str = "string", priority: int = 0) -> dict[str, Any]:
    column = {"name": name, "type": of, "jsonPath": path}
    return column | {"priority": priority} if priority else column
