"""Brings the cluster to what an EventSource, a Sensor or a Notifier says.

An object that is wrong, or whose bus is not there, changes nothing that runs: what was deployed
goes on as it was, and the status says what is the matter. Everything that is made belongs to the
object and goes with it; what is wanted no more goes at once.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from controller.cluster import Cluster
from controller.conditions import Condition, changed, conditions
from controller.reconciler import Key, Manifest, Reconciler, owner_of
from controller.roles import API as RBAC
from controller.roles import Named
from controller.workload import parts, status
from controller.workload.accounts import rights_in
from controller.workload.buses import BusState, bus_state
from controller.workload.checking import Checker, Looked
from controller.workload.desired import (
    Known,
    Options,
    desired,
    generation,
    makes_account,
    refs_of,
    suspended,
)
from controller.workload.durables import Durables, First, adopts
from controller.workload.index import Index
from controller.workload.letters import Letters
from controller.workload.limits import beyond
from controller.workload.names import Names
from controller.workload.reports import Report, Reports
from controller.workload.values import Digests
from spine.errors import ConfigError, Fault, KubeError
from spine.manifest import ARGO

if TYPE_CHECKING:
    from controller.workload.references import Reference

MADE = (
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("policy/v1", "PodDisruptionBudget"),
)
ACCOUNTS = (
    ("v1", "ServiceAccount"),
    (f"{RBAC}/v1", "Role"),
    (f"{RBAC}/v1", "RoleBinding"),
)
"""What is made for objects that name no account, where that is asked for."""
READ = (("v1", "Secret"), ("v1", "ConfigMap"), (ARGO, "EventBus"))
UPSTREAM = {"EventSource": "eventsource-controller", "Sensor": "sensor-controller"}
"""Finalizers of Argo Events, which would hold an object for ever once its controller is gone."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the reconcilers of all three kinds share."""

    options: Options
    checker: Checker = field(default_factory=Checker)
    digests: Digests = field(default_factory=Digests)
    durables: Durables = field(default_factory=Durables)
    reports: Reports = field(default_factory=Reports)
    lags: dict[Key, int] = field(default_factory=dict)
    """Events that wait for each Sensor, as far as it is known."""
    dead: dict[Key, Mapping[str, int]] = field(default_factory=dict)
    """Dead letters of each object by event or trigger, as far as they are known."""
    pending: dict[Key, Mapping[str, int]] = field(default_factory=dict)
    """Actions of each Sensor that wait on the bus, by trigger, as far as they are known."""
    letters: Letters = field(default_factory=Letters)


@dataclass(slots=True)
class Outcome:
    """What came of deploying."""

    deployed: Condition
    missing: list[str] = field(default_factory=list)
    """What pods need and is not there."""
    notes: list[str] = field(default_factory=list)
    """What else is to be said."""
    fault: Fault | None = None
    """What has to be tried again."""


class Workload(Reconciler, ABC):
    """Takes care of one of the three kinds."""

    watches: ClassVar[tuple[tuple[str, str], ...]] = (*READ, *MADE)

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._index = Index()
        self._refs: dict[Key, list[Reference]] = {}
        if shared.options.make_service_accounts:
            self.watches = (*self.watches, *ACCOUNTS)  # type: ignore[misc]  # what one of them watches

    @override
    def affected(self, changed: Manifest) -> Iterable[Key]:
        owner = owner_of(changed)
        if owner is not None and owner.kind == self.kind:
            yield owner
        metadata = changed["metadata"]
        yield from self._index.of(
            Key(changed["kind"], metadata.get("namespace", ""), metadata["name"])
        )

    @override
    async def reconcile(self, key: Key, cluster: Cluster) -> float | None:
        manifest = cluster.get(self.api_version, self.kind, key.namespace, key.name)
        if manifest is not None:
            await cluster.finalizer(manifest, UPSTREAM.get(self.kind, ""), present=False)
        if manifest is None or manifest["metadata"].get("deletionTimestamp"):
            self._forget(key)
            if manifest is None:
                await self._clear(key, cluster)
            return None
        looked = await self.shared.checker.check(manifest)
        bus = bus_state(cluster, *looked.checked.bus)
        looked = self._allowed(looked, bus)
        self._note(key, looked, bus)
        outcome = await self._bring(cluster, manifest, looked, bus)
        await self._tell(cluster, manifest, looked, bus, outcome)
        if outcome.fault is not None:
            raise outcome.fault
        return None

    def _allowed(self, looked: Looked, bus: BusState) -> Looked:
        """Return what came of checking, with what the template may not ask for."""
        checked = looked.checked
        if checked.spec is None:
            return looked
        refs = [] if bus.config is None else refs_of(checked, bus.config)
        secrets = [one.name for one in refs if one.kind == "Secret"]
        found = beyond(checked, self.shared.options.allowed, secrets)
        return replace(looked, errors=(*looked.errors, *found)) if found else looked

    # ------------------------------------------------------------------------ references

    def _note(self, key: Key, looked: Looked, bus: BusState) -> None:
        """Remember what the object refers to, to be told when that changes."""
        checked = looked.checked
        targets = [Key("EventBus", *checked.bus)]
        refs = []
        if checked.spec is not None and bus.config is not None:
            refs = refs_of(checked, bus.config)
        targets += [Key(ref.kind, key.namespace, ref.name) for ref in refs]
        self._index.set(key, targets)
        self.shared.digests.forget(key.namespace, set(self._refs.get(key, ())) - set(refs))
        self._refs[key] = refs

    async def _clear(self, key: Key, cluster: Cluster) -> None:
        """Delete what was made for an object that is gone.

        Kubernetes does so too, but no longer where the CRD has gone with the object. What somebody
        changes meanwhile is looked at again: it may have been taken from its owner, to stay.
        """
        names = Names(key.kind, key.name)
        called = names.deployment, names.service, names.config, names.account
        for api_version, kind in (*MADE, ("v1", "Secret"), *ACCOUNTS):
            for name in called:
                there = cluster.get(api_version, kind, key.namespace, name)
                if there is not None and owner_of(there) == key:
                    version = there["metadata"]["resourceVersion"]
                    await cluster.delete(api_version, kind, key.namespace, name, version)

    def _forget(self, key: Key) -> None:
        self._index.set(key, ())
        self.shared.digests.forget(key.namespace, self._refs.pop(key, ()))
        self.shared.lags.pop(key, None)
        self.shared.dead.pop(key, None)
        self.shared.pending.pop(key, None)
        self.shared.letters.forget(key)
        self.shared.reports.forget(key)

    # ------------------------------------------------------------------------ deploying

    async def _bring(
        self, cluster: Cluster, manifest: Manifest, looked: Looked, bus: BusState
    ) -> Outcome:
        """Write all that runs the object, as far as that is possible now."""
        names = Names(self.kind, manifest["metadata"]["name"])
        namespace = manifest["metadata"]["namespace"]
        there = cluster.get("apps/v1", "Deployment", namespace, names.deployment)
        as_it_was = f"Deployment {names.deployment!r} is kept as it was"
        if looked.errors or bus.config is None or not (bus.ready or there):
            if there is not None:
                return Outcome(Condition("True", "KeptAsItWas", as_it_was))
            if looked.errors:
                said = "nothing is deployed, as the object is not valid"
                return Outcome(Condition("False", ConfigError.code, said))
            return Outcome(Condition("False", bus.reason, f"waiting: {bus.message}"))
        outcome = Outcome(Condition("True", "Deployed", f"Deployment {names.deployment!r}"))
        try:
            await self._deploy(cluster, manifest, looked, bus, outcome)
        except Fault as exc:
            reason = exc.reason if isinstance(exc, KubeError) and exc.reason else exc.code
            outcome.deployed = Condition("False", reason, str(exc))
            outcome.fault = exc
        return outcome

    async def _deploy(
        self,
        cluster: Cluster,
        manifest: Manifest,
        looked: Looked,
        bus: BusState,
        outcome: Outcome,
    ) -> None:
        checked, options, config = looked.checked, self.shared.options, bus.config
        assert config is not None
        namespace, name = checked.key
        names = Names(self.kind, name)
        values = await self.shared.digests.of(cluster, namespace, refs_of(checked, config))
        outcome.missing = values.missing
        secret = cluster.get("v1", "Secret", namespace, names.config)
        kept = (secret["metadata"].get("annotations") or {}) if secret is not None else {}
        rights: list[Named] = []
        if makes_account(checked, options):
            rights, outcome.notes = await rights_in(cluster, checked)
        known = Known(values.digests, kept, rights)
        if bus.ready and not cluster.has("apps/v1", "Deployment", namespace, names.deployment):
            lacking = await self.before_first(cluster, looked, config, known)
            if lacking:
                await cluster.event(manifest, "Warning", "NoPlaceOnBus", lacking)
        made = desired(checked, config, options, known)
        for one in made:
            await _make_way(cluster, one)
            await cluster.apply(one, manifest)
        await self._prune(cluster, manifest, made)

    @abstractmethod
    async def before_first(
        self, cluster: Cluster, looked: Looked, bus: Manifest, known: Known
    ) -> str:
        """Do what has to be done before there are pods; return why it is not, if it is not."""

    async def _prune(self, cluster: Cluster, manifest: Manifest, made: Sequence[Manifest]) -> None:
        """Delete what was made for the object once and is wanted no more."""
        wanted = {(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in made}
        for api_version, kind in self.watches:
            if kind in {"Secret", "ConfigMap", "EventBus"}:
                continue
            for namespace, name in cluster.owned(api_version, kind, manifest):
                if (api_version, kind, name) not in wanted:
                    await cluster.delete(api_version, kind, namespace, name)

    # ------------------------------------------------------------------------ telling

    async def _tell(
        self,
        cluster: Cluster,
        manifest: Manifest,
        looked: Looked,
        bus: BusState,
        outcome: Outcome,
    ) -> None:
        """Write the status, and tell of what is new in it."""
        checked, metadata = looked.checked, manifest["metadata"]
        shared, before = self.shared, manifest.get("status") or {}
        key = Key(self.kind, metadata["namespace"], metadata["name"])
        names = Names(self.kind, key.name)
        deployment = cluster.get("apps/v1", "Deployment", key.namespace, names.deployment)
        pods, report = status.Pods.of(deployment), shared.reports.get(key)
        is_valid = status.valid(looked.errors, (*looked.warnings, *outcome.notes))
        dead = shared.dead.get(key)
        count = sum(dead.values()) if dead is not None else _told_dead(report, before)
        now = datetime.now(UTC)
        found = parts.told(
            checked,
            report,
            up=pods.up and is_valid.status == "True",
            there=pods.wanted > 0,
            before=before,
            numbers={"deadLetters": dead or {}, "pending": shared.pending.get(key, {})},
            now=now,
        )
        told = status.Told(parts.words(self.kind)[1], found, report or Report())
        stopped = checked.spec is not None and suspended(checked)
        conditional: dict[str, Condition] = {}
        if count or status.DEAD in {one.get("type") for one in before.get("conditions") or ()}:
            reasons = report.dead if report is not None else {}
            conditional[status.DEAD] = status.dead_letters(checked, count or 0, reasons)
        stated = conditions(
            before.get("conditions") or [],
            int(metadata.get("generation") or 0),
            now,
            Valid=is_valid,
            BusReady=status.bus_ready(bus),
            Deployed=outcome.deployed,
            Ready=status.ready(
                is_valid,
                outcome.deployed,
                pods,
                suspended=stopped,
                missing=outcome.missing,
                told=told,
            ),
            **conditional,
        )
        selector = ",".join(f"{k}={v}" for k, v in sorted(names.selector.items()))
        lag = shared.lags.get(key, _number(before, "lag"))
        made = status.status(
            checked,
            stated,
            pods,
            selector=selector,
            found=found,
            numbers={"lag": lag, "deadLetters": count},
        )
        await cluster.status(manifest, made)
        self._ask(key, selector, deployment, pods, stated)
        await self._announce(cluster, manifest, stated)
        news = shared.letters.news(key, _number(before, "deadLetters") or 0, count)
        if news:
            message = f"{news}; {conditional[status.DEAD].message}"
            await cluster.event(manifest, "Warning", "DeadLetters", message)

    def _ask(
        self,
        key: Key,
        selector: str,
        deployment: Manifest | None,
        pods: status.Pods,
        stated: list[dict[str, Any]],
    ) -> None:
        """Have the pods asked how they are, as often as it is worth it."""
        if deployment is None or pods.wanted == 0:
            self.shared.reports.forget(key)
            return
        ready = any(one["type"] == status.READY and one["status"] == "True" for one in stated)
        self.shared.reports.ask(key, selector, deployment, settled=pods.up and ready)

    async def _announce(
        self, cluster: Cluster, manifest: Manifest, stated: list[dict[str, Any]]
    ) -> None:
        before = (manifest.get("status") or {}).get("conditions") or []
        async with asyncio.TaskGroup() as group:
            for one in changed(before, stated):
                if one["type"] != status.DEAD and (before or _is_news(one)):
                    group.create_task(_announce(cluster, manifest, one))

    async def sensors_without_pods(
        self, cluster: Cluster, bus: tuple[str, str], of: Iterable[Manifest]
    ) -> list[First]:
        """Return the Sensors of a bus that can work and have no pods yet."""
        found = []
        for manifest in of:
            metadata = manifest["metadata"]
            names = Names("Sensor", metadata["name"])
            namespace = metadata["namespace"]
            if cluster.has("apps/v1", "Deployment", namespace, names.deployment):
                continue
            looked = await self.shared.checker.check(manifest)
            if not looked.errors and looked.checked.bus == bus:
                adopt = adopts(cluster, looked.checked)
                found.append(First(looked.checked, generation(looked.checked, {}), adopt))
        return found


def _told_dead(report: Report | None, before: Manifest) -> int | None:
    """Return how many dead letters there are where the bus cannot be asked: what pods have told."""
    lately = sum(report.dead.values()) if report is not None else 0
    return lately or _number(before, "deadLetters")


def _number(status: Manifest, name: str) -> int | None:
    """Return a number of a status; another controller may have written anything."""
    found = status.get(name)
    return found if isinstance(found, int) else None


async def _make_way(cluster: Cluster, wanted: Manifest) -> None:
    """Delete a Service whose cluster address is to be another: it cannot be changed."""
    if wanted["kind"] != "Service":
        return
    metadata = wanted["metadata"]
    there = cluster.get("v1", "Service", metadata["namespace"], metadata["name"])
    if there is None:
        return
    before, now = there["spec"].get("clusterIP"), wanted["spec"].get("clusterIP")
    headless = before == "None" and now is None
    if headless or (now is not None and before != now):
        await cluster.delete("v1", "Service", metadata["namespace"], metadata["name"])


_CALM = frozenset({"RollingOut", "PodsNotReady", "Suspended", "EventBusNotReady"})
"""Reasons that are no cause for worry by themselves."""


def _is_news(condition: Any) -> bool:
    """Return whether a condition of a new object is worth an Event: that all is well is not."""
    if condition["status"] == "True":
        return bool(condition["type"] == status.DEPLOYED)
    return condition["reason"] not in _CALM


async def _announce(cluster: Cluster, manifest: Manifest, condition: Any) -> None:
    """Tell of a condition that is another than before."""
    kind, good = condition["type"], condition["status"] == "True"
    calm = good or condition["reason"] in _CALM
    state = "is met" if good else "is not met"
    message = f"{kind} {state}" + (f": {condition['message']}" if condition["message"] else "")
    reason = kind if condition["reason"] == kind else f"{kind}{condition['reason']}"
    await cluster.event(manifest, "Normal" if calm else "Warning", reason, message)
