"""What may not change in an object that exists.

Only an EventBus has such things: servers and volumes that are there cannot become others without
losing what is on them. Everything else can be edited at any time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.bus.install import Install, install, kept_to
from controller.bus.names import Names
from controller.bus.servers import claims, claims_differ
from controller.bus.versions import Settings
from controller.objects import Checked
from controller.reconciler import Manifest
from eventbus.spec import EventBusSpec
from spine.errors import ConfigError
from spine.manifest import Finding
from spine.model import Path

_WAY_OUT = "make an EventBus of another name and name it in eventBusName, or delete this one first"


@dataclass(frozen=True, slots=True)
class Edit:
    """An object before and after."""

    before: Checked
    now: Checked
    servers: Manifest | None = None
    """The StatefulSet of a bus, where it is known."""


def forbidden(edit: Edit) -> Iterator[Finding]:
    """Yield why an edit cannot be carried out; nothing of what was not served before."""
    before, now = edit.before.spec, edit.now.spec
    if edit.now.object.kind != "EventBus" or before is None or now is None:
        return
    if before.unsupported or now.unsupported:
        return
    if _kind(before) != _kind(now):
        why = (
            f"{_kind(before)} cannot become {_kind(now)}: what is on the bus would stay behind"
            f" ({_WAY_OUT})"
        )
        yield edit.now.finding(("spec",), why)
    elif _kind(now) == "jetstream":
        yield from _servers(edit, before, now)


def _kind(spec: EventBusSpec) -> str:
    return "jetstream" if spec.kind == "nats.native" else spec.kind


def _servers(edit: Edit, before: EventBusSpec, now: EventBusSpec) -> Iterator[Finding]:
    settings = Settings()
    try:
        old, new = install(before, settings), install(now, settings)
    except ConfigError:  # a version that nobody knows: nothing can have been installed, or is
        return
    there = edit.servers
    if old.replicas != new.replicas:
        count = int(there["spec"].get("replicas", 1)) if there is not None else old.replicas
        kept = kept_to(new, count)
        if kept.replicas != new.replicas:
            yield edit.now.finding((*_base(now), "replicas"), kept.notes[-1].partition(": ")[2])
    if _claims_change(Names(*reversed(edit.now.key)), old, new, there):
        why = (
            f"the volumes of servers that exist cannot become others ({_WAY_OUT}; a claim itself"
            " can be made larger where its storage class allows it)"
        )
        yield edit.now.finding((*_base(now), "persistence"), why)


def _claims_change(names: Names, old: Install, new: Install, there: Manifest | None) -> bool:
    if claims(names, old, None) == claims(names, new, None):
        return False
    return there is None or claims_differ(names, new, there)


def _base(spec: EventBusSpec) -> Path:
    return ("spec", "jetstream") if spec.kind == "jetstream" else ("spec", "nats", "native")
