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


_SERVERS: Path = ("spec", "jetstream")
"""What NATS Streaming was told stands there too, once it is rewritten."""


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
    if before.kind != now.kind:
        why = (
            f"{before.kind} cannot become {now.kind}: what is on the bus would stay behind"
            f" ({_WAY_OUT})"
        )
        yield edit.now.finding(("spec",), why)
    elif now.kind == "jetstream":
        yield from _servers(edit, before, now)


def _servers(edit: Edit, before: EventBusSpec, now: EventBusSpec) -> Iterator[Finding]:
    try:
        old, new = _installed(before), _installed(now)
    except ConfigError:  # the status says why it cannot be installed
        return
    there = edit.servers
    if old.replicas != new.replicas:
        count = int(there["spec"].get("replicas", 1)) if there is not None else old.replicas
        kept = kept_to(new, count)
        if kept.replicas != new.replicas:
            yield edit.now.finding((*_SERVERS, "replicas"), kept.notes[-1].partition(": ")[2])
    if _claims_change(Names(*reversed(edit.now.key)), old, new, there):
        why = (
            f"the volumes of servers that exist cannot become others ({_WAY_OUT}; a claim itself"
            " can be made larger where its storage class allows it)"
        )
        yield edit.now.finding((*_SERVERS, "persistence"), why)


def _installed(spec: EventBusSpec) -> Install:
    """Return what is installed, apart from the version, which may be one of this cluster's own."""
    assert spec.jetstream is not None
    jetstream = spec.jetstream.model_copy(update={"version": "latest"})
    return install(spec.model_copy(update={"jetstream": jetstream}), Settings())


def _claims_change(names: Names, old: Install, new: Install, there: Manifest | None) -> bool:
    if claims(names, old, None) == claims(names, new, None):
        return False
    return there is None or claims_differ(names, new, there)
