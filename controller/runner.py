"""The controller: one process that takes care of all kinds.

Every replica keeps its cache up to date, so one that takes over knows everything at once; only
the leader looks at objects and writes. What fails is tried again by itself, and a bug in looking
at one object is logged and holds up no other.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from controller.cache import LABEL, METADATA_ONLY, Cache
from controller.cluster import Cluster
from controller.leader import Leader, fenced
from controller.queue import Queue
from controller.reconciler import GROUPS, Key, Manifest, Reconciler, owner_of
from controller.sweep import Sweep
from controller.workload.reports import Reports
from spine.errors import ConfigError, Fault, RemoteError
from spine.kube import Kube
from spine.runtime import cancelled_at_exit
from spine.telemetry import registry

log = logging.getLogger(__name__)

WORKERS = 8
"""Objects that are looked at at once; most of that time is spent waiting for the API server."""
NEW_KINDS = 15.0
"""Seconds between looks whether a kind has come that the API server did not have."""


class Metrics:
    """What `/metrics` tells."""

    def __init__(self) -> None:
        self.registry = registry()
        self.looks = Counter(
            "tocsin_controller_reconciles",
            "Looks at objects, by kind and what came of them.",
            ["kind", "result"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "tocsin_controller_reconcile_seconds",
            "Time of a look at an object.",
            ["kind"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "tocsin_controller_queue", "Objects that wait to be looked at.", registry=self.registry
        )
        self.leading = Gauge(
            "tocsin_controller_leading", "Whether this replica leads.", registry=self.registry
        )
        self.objects = Gauge(
            "tocsin_controller_objects", "Objects by kind.", ["kind"], registry=self.registry
        )


@dataclass(eq=False)
class Controller:
    """Reconciles until it is cancelled."""

    kube: Kube
    reconcilers: Sequence[Reconciler]
    leader: Leader
    namespaces: tuple[str, ...] = ()
    """Namespaces that are taken care of; none: all."""
    namespace: str = "default"
    """The controller's own."""
    sweep: Sweep | None = None
    reports: Reports | None = None
    workers: int = WORKERS
    metrics: Metrics = field(default_factory=Metrics)
    _cache: Cache | None = None
    _missing: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """Why this replica could not take over just now; empty when it could. For readiness."""
        return "waits for CRDs" if self._cache is None else self._cache.problem

    @property
    def cache(self) -> Cache | None:
        """What is in the cluster; None while not all of it is known."""
        return None if self.problem else self._cache

    async def run(self) -> None:
        """Run until cancelled.

        Raises KubeError where the API server refuses what the controller cannot do without.
        """
        while True:
            served = [one for one in self.reconcilers if await self._served(one)]
            self._missing = tuple(one.kind for one in self.reconcilers if one not in served)
            if self._missing:
                log.warning("waiting for CRDs of %s", ", ".join(self._missing))
            if not served:
                await self._until_new()
            elif await self._run(served):
                return

    async def _served(self, reconciler: Reconciler) -> bool:
        try:
            await self.kube.discovery.kind(reconciler.api_version, reconciler.kind)
        except ConfigError:
            return False
        return True

    async def _run(self, served: Sequence[Reconciler]) -> bool:
        """Run with the kinds that there are; return False when there are more of them."""
        cache, queue = await self._listening(served), Queue[Key]()
        self._cache = cache

        def written(manifest: Manifest) -> None:
            wrote = {_key(manifest["kind"], manifest), owner_of(manifest)}
            for key in _concerned(served, manifest):
                if key not in wrote:  # who wrote it knows
                    queue.add(key)

        def changed(manifest: Manifest) -> None:
            if self.leader.leading:
                for key in _concerned(served, manifest):
                    # A user waits for what became of an edit, nobody for a count of pods.
                    queue.add(key, first=key.kind == manifest["kind"])

        cluster = Cluster(
            fenced(self.kube, self.leader),
            cache,
            self.namespace,
            identity=self.leader.identity,
            written=written,
            edited=changed,
        )

        async def lead() -> None:
            await self._lead(served, cluster, queue)

        following = asyncio.create_task(cache.run(changed), name="follow")
        leading = asyncio.create_task(self.leader.run(lead), name="lead")
        looking = asyncio.create_task(self._until_new(), name="look for kinds")
        async with cancelled_at_exit(leading, following, looking):
            done, _ = await asyncio.wait(
                {following, leading, looking}, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                one.result()
        return looking not in done

    async def _listening(self, served: Sequence[Reconciler]) -> Cache:
        """Return a cache of all that is looked at."""
        cache = Cache(self.kube, self.namespaces)
        for api_version, kind in _kinds(served):
            ours = api_version.startswith(GROUPS) or (api_version, kind) in METADATA_ONLY
            try:
                await cache.add(api_version, kind, labels="" if ours else "=".join(LABEL))
            except ConfigError:  # an EventBus that is not installed is one that nobody finds
                log.warning("%s is not followed: there is no such kind", kind)
        return cache

    async def _until_new(self) -> None:
        """Return when a kind has come that was not there."""
        kinds = [one for one in self.reconcilers if one.kind in self._missing]
        while True:
            await asyncio.sleep(NEW_KINDS)
            for one in kinds:
                if await self._served(one):
                    log.info("%s has come", one.kind)
                    return

    # ------------------------------------------------------------------------ leading

    async def _lead(
        self, served: Sequence[Reconciler], cluster: Cluster, queue: Queue[Key]
    ) -> None:
        """Look at everything once, and then at what changes."""
        while self.problem:  # noqa: ASYNC110 -- the lists come one by one
            await asyncio.sleep(0.02)
        queue.forget()
        if self.reports is not None:
            self.reports.clear()
        by_kind = {one.kind: one for one in served}
        for one in served:
            for manifest in cluster.all(one.api_version, one.kind):
                queue.add(_key(one.kind, manifest))
        for key in cluster.owners():
            if key.kind in by_kind:  # it may have gone while nobody looked
                queue.add(key)
        _tell_of_left([key for key in cluster.owners() if key.kind in self._missing])
        self.metrics.leading.set(1)
        self.metrics.waiting.set_function(lambda: len(queue))
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self.workers):
                    group.create_task(
                        self._work(by_kind, cluster, queue), name=f"reconcile {number}"
                    )
                if self.sweep is not None:
                    group.create_task(self.sweep.run(cluster, queue.add), name="sweep")
                if self.reports is not None:
                    group.create_task(self.reports.run(cluster, queue.add), name="ask pods")
        finally:
            self.metrics.leading.set(0)

    async def _work(
        self, by_kind: dict[str, Reconciler], cluster: Cluster, queue: Queue[Key]
    ) -> None:
        while True:
            key = await queue.take()
            began = time.perf_counter()
            result = await self._look(by_kind[key.kind], key, cluster, queue)
            self.metrics.seconds.labels(key.kind).observe(time.perf_counter() - began)
            self.metrics.looks.labels(key.kind, result).inc()
            count = cluster.count(by_kind[key.kind].api_version, key.kind)
            self.metrics.objects.labels(key.kind).set(count)

    @staticmethod
    async def _look(reconciler: Reconciler, key: Key, cluster: Cluster, queue: Queue[Key]) -> str:
        """Look at one object; return how it went."""
        extra = {"object": f"{key.kind} {key.namespace}/{key.name}"}
        try:
            again = await reconciler.reconcile(key, cluster)
        except Fault as exc:
            after = exc.retry_after if isinstance(exc, RemoteError) else None
            wait = queue.failed(key, after or 0.0)
            log.warning("trying again in %.1f s: %s", wait, exc, extra=extra)
            return "failed"
        except Exception:
            queue.failed(key)
            log.exception("a bug in looking at an object", extra=extra)
            return "bug"
        queue.done(key, again)
        return "done"


def _tell_of_left(owners: Collection[Key]) -> None:
    """Say what is to be done with what belongs to objects of kinds that are gone."""
    if not owners:
        return
    shown = ", ".join(f"{one.kind} {one.namespace}/{one.name}" for one in sorted(owners)[:_SHOWN])
    more = f" and {len(owners) - _SHOWN} more" if len(owners) > _SHOWN else ""
    labels = " and ".join(sorted({f"{one.kind.lower()}-name" for one in owners}))
    log.warning(
        "what runs %s%s is left, though there is no such kind any more: apply the CRDs again, "
        "or delete what has the label %s",
        *(shown, more, labels),
    )


_SHOWN = 5
"""Owners that are named."""


def _kinds(reconcilers: Iterable[Reconciler]) -> list[tuple[str, str]]:
    """Return all kinds that are followed, each once."""
    found: dict[tuple[str, str], None] = {}
    for one in reconcilers:
        found[one.api_version, one.kind] = None
        found.update(dict.fromkeys(one.watches))
    return list(found)


def _concerned(reconcilers: Iterable[Reconciler], manifest: Manifest) -> Iterable[Key]:
    """Yield who is to be looked at when an object changed."""
    place = manifest["apiVersion"], manifest["kind"]
    for one in reconcilers:
        if place == (one.api_version, one.kind):
            yield _key(one.kind, manifest)
        if place in one.watches:
            yield from one.affected(manifest)


def _key(kind: str, manifest: Manifest) -> Key:
    metadata = manifest["metadata"]
    return Key(kind, metadata.get("namespace", ""), metadata["name"])
