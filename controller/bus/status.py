"""The status of an EventBus.

`conditions` are Valid (the object can work), Deployed (what runs it is written), Ready (its
servers serve) and, while it is being deleted, InUse (who holds it). Beside them stand `config`,
which is how to reach the bus and of the shape of EVENTBUS_CONFIG, `kind`, `replicas`,
`readyReplicas` and `observedGeneration`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.conditions import Condition
from controller.reconciler import Manifest
from spine.errors import Fault

VALID, DEPLOYED, READY, IN_USE = "Valid", "Deployed", "Ready", "InUse"
SHOWN = 5
"""Users of a bus that are named."""


@dataclass(slots=True)
class Outcome:
    """What came of bringing the cluster to what an EventBus says."""

    valid: Condition
    deployed: Condition
    ready: Condition
    config: Manifest | None = None
    kind: str = ""
    servers: tuple[int, int] | None = None
    """Servers that are wanted and that are ready; None where none are installed."""
    fault: Fault | None = None
    """What has to be tried again."""
    again: float | None = None
    """Seconds until another look."""
    more: dict[str, Condition] = field(default_factory=dict)

    @classmethod
    def refused(
        cls, reason: str, message: str, before: Manifest, there: Manifest | None
    ) -> "Outcome":
        """Nothing is changed, as the object cannot work; servers that are there go on.

        `before` is the status so far.
        """
        wrong = Condition("False", reason, message)
        if there is None:
            return cls(wrong, wrong, wrong)
        kept = Condition("True", "KeptAsItWas", "the servers are kept as they were")
        wanted = int(there["spec"].get("replicas", 1))
        return cls(wrong, kept, ready(there, wanted, before), before.get("config"))

    def status(self, manifest: Manifest, stated: list[dict[str, Any]]) -> Manifest:
        """Return the whole status."""
        made: Manifest = {
            "observedGeneration": int(manifest["metadata"].get("generation") or 0),
            "conditions": stated,
        }
        if self.kind:
            made["kind"] = self.kind
        if self.config is not None:
            made["config"] = self.config
        if self.servers is not None:
            made |= {"replicas": self.servers[0], "readyReplicas": self.servers[1]}
        return made

    @property
    def stated(self) -> dict[str, Condition]:
        """The conditions, by type."""
        return {VALID: self.valid, DEPLOYED: self.deployed, READY: self.ready, **self.more}


def valid(warnings: Iterable[str]) -> Condition:
    """Return the condition of an object that can work."""
    said = "; ".join(warnings)
    return Condition("True", "ValidWithWarnings" if said else "Valid", said)


def ready_servers(stateful_set: Manifest | None) -> int:
    """Return how many servers are ready."""
    return int(((stateful_set or {}).get("status") or {}).get("readyReplicas") or 0)


def ready(stateful_set: Manifest | None, wanted: int, before: Mapping[str, Any]) -> Condition:
    """Return whether the servers serve.

    All have to be up before the first event; later a majority is enough. `before` is the status
    so far.
    """
    count = ready_servers(stateful_set)
    said = f"{min(count, wanted)} of {wanted} servers are ready"
    if count >= wanted:
        return Condition("True", "Ready", said)
    were = {one.get("type"): one.get("status") for one in before.get("conditions") or ()}
    if were.get(READY) == "True" and count > wanted // 2:
        return Condition("True", "Degraded", said)
    return Condition("False", "ServersNotReady", said)


def in_use(users: list[str]) -> Condition:
    """Return why a bus is not deleted yet."""
    shown = ", ".join(users[:SHOWN])
    more = f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""
    message = f"deletion waits until nobody uses the bus: {shown}{more}"
    return Condition("True", "DeletionHeld", message)
