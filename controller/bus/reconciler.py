"""Brings the cluster to what an EventBus says, and holds it while anybody uses it.

An object that is wrong changes nothing that runs. What a bus keeps secret is read anew at every
look and never remembered.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

from typing_extensions import override

from controller.bus import status
from controller.bus.configured import KEY, NAME, configured
from controller.bus.desired import Known, config, desired
from controller.bus.install import Install, install, kept_to
from controller.bus.material import Kept, Material, material
from controller.bus.names import Names
from controller.bus.servers import claims_differ
from controller.bus.status import Outcome
from controller.bus.streams import AGAIN, Provisioner
from controller.bus.versions import Settings
from controller.cluster import Cluster
from controller.conditions import Condition, changed, conditions
from controller.objects import DEFAULT_BUS
from controller.reconciler import Key, Manifest, Reconciler, owner_of
from controller.workload.checking import Looked, look
from controller.workload.limits import Allowed, beyond
from controller.workload.values import texts
from eventbus.spec import EventBusSpec
from spine.errors import ConfigError, Fault, KubeError
from spine.manifest import ARGO, OURS

log = logging.getLogger(__name__)

FINALIZER = "tocsin.dev/eventbus"
UPSTREAM = "eventbus-controller"
"""Finalizer of Argo Events, whose place ours takes."""
USERS = ((ARGO, "EventSource"), (ARGO, "Sensor"), (f"{OURS}/v1alpha1", "Notifier"))
"""Kinds that use a bus."""
STATEFUL_SET = ("apps/v1", "StatefulSet")
MADE = (
    STATEFUL_SET,
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
)
"""What is made for a bus, in the order in which it goes: keys last."""
ORPHANING = "orphan"
"""Finalizer of `kubectl delete --cascade=orphan`: what was made is to stay."""


class EventBusReconciler(Reconciler):
    """Takes care of EventBus objects."""

    kind: ClassVar[str] = "EventBus"
    api_version: ClassVar[str] = ARGO
    watches: ClassVar[tuple[tuple[str, str], ...]] = (*MADE, *USERS)

    def __init__(self, settings: Settings | None = None, allowed: Allowed | None = None) -> None:
        self.settings = settings or Settings()
        self.allowed = allowed or Allowed()
        self._provisioner: Provisioner | None = None
        self._held: set[Key] = set()
        self._all: set[Key] = set()
        """Buses there are, which all have the same configuration."""

    @override
    def affected(self, changed: Manifest) -> Iterable[Key]:
        owner = owner_of(changed)
        if owner is not None and owner.kind == self.kind:
            yield owner
        if changed["kind"] == "ConfigMap" and changed["metadata"]["name"] == NAME:
            yield from sorted(self._all)
        if (changed["apiVersion"], changed["kind"]) in USERS:
            used = Key(self.kind, changed["metadata"]["namespace"], bus_of(changed))
            if used in self._held:
                yield used

    @override
    async def reconcile(self, key: Key, cluster: Cluster) -> float | None:
        manifest = cluster.get(self.api_version, self.kind, key.namespace, key.name)
        if manifest is None:
            self._held.discard(key)
            self._all.discard(key)
            return None
        self._all.add(key)
        users = []
        if manifest["metadata"].get("deletionTimestamp"):
            users = users_of(cluster, key)
            if not users:
                await self._release(key, manifest, cluster)
                return None
            self._held.add(key)
        else:
            self._held.discard(key)
            await cluster.finalizer(manifest, FINALIZER, present=True)
            await cluster.finalizer(manifest, UPSTREAM, present=False)
        outcome = await self._bring(key, manifest, cluster)
        if key in self._held:
            outcome.more[status.IN_USE] = status.in_use(users)
        await _tell(cluster, manifest, outcome)
        if outcome.fault is not None:
            raise outcome.fault
        return outcome.again

    # ------------------------------------------------------------------------ installing

    async def _bring(self, key: Key, manifest: Manifest, cluster: Cluster) -> Outcome:
        """Write all that the object asks for, as far as that is possible."""
        looked = look(manifest)
        before = manifest.get("status") or {}
        names = Names(key.name, key.namespace)
        there = await _stateful_set(cluster, names)
        spec: EventBusSpec | None = looked.checked.spec
        if spec is not None and spec.unsupported:
            return Outcome.refused("NotSupported", spec.unsupported, before, there)
        if spec is None or looked.errors:
            why = "; ".join(looked.errors)
            return Outcome.refused("InvalidSpec", why, before, there)
        if spec.kind == "jetstreamExotic":
            return _exotic(looked, there)
        if why := "; ".join(beyond(looked.checked, self.allowed)):
            return Outcome.refused("InvalidSpec", why, before, there)
        try:
            return await self._install(spec, looked, manifest, cluster, there)
        except Fault as exc:
            reason = exc.reason if isinstance(exc, KubeError) and exc.reason else exc.code
            failed = Outcome.refused(reason, str(exc), before, there)
            failed.valid = status.valid(looked.warnings)
            failed.deployed = Condition("False", reason, str(exc))
            failed.fault = exc if isinstance(exc, KubeError) else None
            return failed

    async def _install(
        self,
        spec: EventBusSpec,
        looked: Looked,
        manifest: Manifest,
        cluster: Cluster,
        there: Manifest | None,
    ) -> Outcome:
        metadata = manifest["metadata"]
        names = Names(metadata["name"], metadata["namespace"])
        replicas = int(there["spec"].get("replicas", 1)) if there is not None else None
        settings, remarks = await self._settings(cluster)
        wanted = kept_to(install(spec, settings), replicas)
        notes = [*looked.warnings, *remarks, *wanted.notes]
        if there is not None and claims_differ(names, wanted, there):
            notes.append("persistence: the claims of servers that exist cannot be changed")
        found = await self._material(names, cluster, there)
        known = Known(found, there, metadata.get("labels") or {})
        for one in desired(names, wanted, known):
            made = await cluster.apply(one, manifest)
            there = made if one["kind"] == "StatefulSet" else there
        is_ready = status.ready(there, wanted.replicas, manifest.get("status") or {})
        why = ""
        if is_ready.status == "True":
            why = await self._provision(metadata["uid"], names, wanted, found)
        said = f"StatefulSet {names.servers!r}" + (f"; {why}" if why else "")
        return Outcome(
            status.valid(dict.fromkeys(notes)),
            Condition("True", "Deployed", said),
            is_ready,
            config(names, wanted),
            spec.kind,
            (wanted.replicas, min(status.ready_servers(there), wanted.replicas)),
            again=AGAIN if why else None,
        )

    async def _settings(self, cluster: Cluster) -> tuple[Settings, tuple[str, ...]]:
        """Return what all buses have in common, and what is to be said of it."""
        try:
            found = await cluster.read("v1", "ConfigMap", cluster.namespace, NAME)
        except KubeError as exc:
            if exc.permanent:  # it may not be read, so nobody has asked for it
                return self.settings, ()
            raise
        text = texts(found).get(KEY, "") if found is not None else ""
        if not text:
            return self.settings, ()
        try:
            return configured(text, self.settings)
        except ConfigError as exc:
            return self.settings, (str(exc),)

    async def _material(self, names: Names, cluster: Cluster, there: Manifest | None) -> Material:
        """Return what the bus keeps secret, with all that is missing made."""
        kept = []
        for name in (names.root, names.secret, names.access):
            secret = await cluster.read("v1", "Secret", names.namespace, name)
            kept.append(dict(texts(secret)) if secret is not None else {})
        root, server, access = kept
        known = Kept(root, server, access, running=there is not None)
        return material(names, known, self.settings.cluster_domain, datetime.now(UTC))

    async def _provision(self, uid: str, names: Names, wanted: Install, found: Material) -> str:
        if self._provisioner is None:
            self._provisioner = Provisioner()
        return await self._provisioner.provision(uid, names, wanted, found)

    # ------------------------------------------------------------------------ deleting

    async def _release(self, key: Key, manifest: Manifest, cluster: Cluster) -> None:
        """Delete what the servers stored and what was made for the object, and let it go.

        Kubernetes deletes what an object owned, but not where its CRD goes right after it.
        """
        self._held.discard(key)
        if ORPHANING not in (manifest["metadata"].get("finalizers") or ()):
            await _clear(key, manifest, cluster)
        if self._provisioner is not None:
            self._provisioner.forget(manifest["metadata"]["uid"])
        await cluster.finalizer(manifest, UPSTREAM, present=False)
        await cluster.finalizer(manifest, FINALIZER, present=False)


async def _clear(key: Key, manifest: Manifest, cluster: Cluster) -> None:
    """Delete what the servers stored, and all that was made for a bus."""
    there = await _stateful_set(cluster, Names(key.name, key.namespace))
    if there is not None:
        for claim in _claims_of(there):
            await cluster.delete("v1", "PersistentVolumeClaim", key.namespace, claim)
    for api_version, kind in MADE:
        for namespace, name in cluster.owned(api_version, kind, manifest):
            await cluster.delete(api_version, kind, namespace, name)


async def _stateful_set(cluster: Cluster, names: Names) -> Manifest | None:
    """Return the servers; those that Argo Events made are not in the cache."""
    place = (*STATEFUL_SET, names.namespace, names.servers)
    return cluster.get(*place) or await cluster.read(*place)


def _claims_of(stateful_set: Manifest) -> Iterable[str]:
    spec, name = stateful_set["spec"], stateful_set["metadata"]["name"]
    for claim in spec.get("volumeClaimTemplates") or ():
        for number in range(int(spec.get("replicas", 1))):
            yield f"{claim['metadata']['name']}-{name}-{number}"


def _exotic(looked: Looked, there: Manifest | None) -> Outcome:
    """Pass on a bus that exists, as the object says it."""
    said = "the bus exists already"
    if there is not None:
        said += f"; StatefulSet {there['metadata']['name']!r} of before is left, delete it"
    return Outcome(
        status.valid(looked.warnings),
        Condition("True", "Skipped", said),
        Condition("True", "Ready", "the bus exists already; whether it answers is not looked at"),
        {"jetstream": looked.checked.modern.raw["spec"]["jetstreamExotic"]},
        "jetstreamExotic",
    )


def bus_of(manifest: Manifest) -> str:
    """Return the bus that an EventSource, Sensor or Notifier uses."""
    spec = manifest.get("spec")
    name = spec.get("eventBusName") if isinstance(spec, dict) else None
    return name if isinstance(name, str) and name else DEFAULT_BUS


def users_of(cluster: Cluster, key: Key) -> list[str]:
    """Return who uses a bus."""
    return sorted(
        f"{kind} {one['metadata']['name']!r}"
        for api_version, kind in USERS
        for one in cluster.all(api_version, kind, key.namespace)
        if bus_of(one) == key.name
    )


async def _tell(cluster: Cluster, manifest: Manifest, outcome: Outcome) -> None:
    """Write the status, and tell of what is new in it."""
    before = (manifest.get("status") or {}).get("conditions") or []
    generation = int(manifest["metadata"].get("generation") or 0)
    stated = conditions(before, generation, datetime.now(UTC), **outcome.stated)
    await cluster.status(manifest, outcome.status(manifest, stated))
    for one in changed(before, stated):
        await _announce(cluster, manifest, one)


_CALM = frozenset({"ServersNotReady"})
"""Reasons that are no cause for worry by themselves."""


async def _announce(cluster: Cluster, manifest: Manifest, condition: Any) -> None:
    kind, reason, message = condition["type"], condition["reason"], condition["message"]
    good = condition["status"] == "True" and kind != status.IN_USE
    called = kind if reason == kind else f"{kind}{reason}"
    text = message or f"{kind} is {condition['status']}"
    await cluster.event(manifest, "Normal" if good or reason in _CALM else "Warning", called, text)
