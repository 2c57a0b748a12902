"""One pod: its network and volumes, its containers in their order, its status, its end."""

import asyncio
import hashlib
import logging
import shutil
import time
from pathlib import Path

from kubelet.container import Container, now
from kubelet.network import Link, Network
from kubelet.store import Manifest, Refused, Seen, Store
from kubelet.volumes import Volumes
from spine.errors import KubeError

log = logging.getLogger(__name__)

DOMAIN = "cluster.local"
LOOK = 5.0
"""Seconds after which what is missing is looked for again, though nothing has changed."""

LAST_TRIES = 50
"""How often the end of a pod is told, a fifth of a second apart, to an API that is away."""


class Pod:
    """A pod of this machine; `run` is all of its life."""

    def __init__(self, store: Store, network: Network, made: Manifest, folder: Path) -> None:
        self.store, self._net, self._made = store, network, made
        metadata = made["metadata"]
        self.name, self.namespace, self.uid = (
            metadata["name"],
            metadata["namespace"],
            metadata["uid"],
        )
        self.spec: Manifest = made["spec"]
        self.folder = folder / "pods" / self.uid
        self._logs = folder / "logs" / f"{self.namespace}_{self.name}_{self.uid}"
        (self.folder / "run").mkdir(parents=True)
        self.volumes = Volumes(store, made, self.folder / "volumes")
        self._init = [Container(self, one, True) for one in self.spec.get("initContainers", [])]
        self._main = [Container(self, one) for one in self.spec["containers"]]
        self.stopping = False
        self._link: Link | None = None
        self._change, self._dirty = asyncio.Event(), asyncio.Event()
        self._conditions: dict[str, Manifest] = {}
        self._started = now()
        self._waits = ""
        self._told: dict[tuple[str, str], int] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._grace: float | None = None
        self._ending: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------ what containers ask

    @property
    def address(self) -> str:
        return self._link.address if self._link else ""

    @property
    def network(self) -> str:
        assert self._link is not None
        return self._link.path

    @property
    def hostname(self) -> str:
        return self.spec.get("hostname") or self.name[:63]

    @property
    def grace(self) -> float:
        """Seconds that the containers have to end."""
        return float(self.spec.get("terminationGracePeriodSeconds", 30))

    @property
    def files(self) -> dict[str, str]:
        """What is in /etc."""
        local = f"{self.namespace}.svc.{DOMAIN}"
        names = self.hostname
        if self.spec.get("subdomain"):
            names = f"{self.hostname}.{self.spec['subdomain']}.{local} {names}"
        hosts = ["127.0.0.1\tlocalhost", "::1\tlocalhost", f"{self.address}\t{names}"]
        aliases = self.spec.get("hostAliases", [])
        hosts += [f"{alias['ip']}\t{' '.join(alias['hostnames'])}" for alias in aliases]
        search = f"{local} svc.{DOMAIN} {DOMAIN}"
        return {
            "hosts": "\n".join(hosts) + "\n",
            "hostname": f"{self.hostname}\n",
            "resolv.conf": f"search {search}\nnameserver {self._net.gateway}\noptions ndots:5\n",
        }

    def log(self, container: str, run: int) -> Path:
        """Return the file of what a container said."""
        return self._logs / container / f"{run}.log"

    def seen(self) -> Manifest:
        """Return the pod as it is now, with its address."""
        status = self._made.get("status", {})
        here = {"podIP": self.address, "hostIP": self._net.machine}
        return {**self._made, "status": {**status, **here}}

    async def changed(self, since: asyncio.Event | None = None, seconds: float = LOOK) -> None:
        """Wait until something has changed that the pod may wait for, `since` it was looked at."""
        try:
            async with asyncio.timeout(seconds):
                await (since or self._change).wait()
        except TimeoutError:
            pass

    def event(self, kind: str, reason: str, message: str) -> None:
        """Tell people who look at the pod."""
        log.info("%s/%s: %s: %s", self.namespace, self.name, reason, message)
        key = (reason, message)
        self._told[key] = self._told.get(key, 0) + 1
        task = asyncio.create_task(self._tell(kind, reason, message, self._told[key]))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, kind: str, reason: str, message: str, count: int) -> None:
        """Make an Event of the API, or count the one that there is."""
        mark = hashlib.sha1(f"{self.uid}{reason}{message}".encode()).hexdigest()[:16]
        name, space = f"{self.name}.{mark}", self.namespace
        path = f"/api/v1/namespaces/{space}/events"
        changed = {"count": count, "lastTimestamp": now()}
        made = {
            "metadata": {"name": name},
            "involvedObject": {
                "apiVersion": "v1", "kind": "Pod",
                "namespace": space, "name": self.name, "uid": self.uid,
            },
            "type": kind, "reason": reason, "message": message[:1000],
            "source": {"component": "kubelet"}, "firstTimestamp": now(), **changed,
        }  # fmt: skip
        try:
            if count == 1:
                await self.store.send("POST", path, made)
            else:
                merge = "application/merge-patch+json"
                await self.store.send("PATCH", f"{path}/{name}", changed, merge)
        except KubeError as exc:
            log.info("%s: %s", self.name, exc)

    # ------------------------------------------------------------------------ what comes from there

    def see(self, made: Manifest) -> None:
        """Take the pod as it is now."""
        self._made = self.volumes.pod = made
        metadata = made["metadata"]
        if metadata.get("deletionTimestamp"):
            self.end(float(metadata.get("deletionGracePeriodSeconds") or 0))
        self.wake()

    def wake(self) -> None:
        """Look again at what was missing."""
        self._change.set()
        self._change = asyncio.Event()

    def concerns(self, seen: Seen) -> bool:
        """Whether a change may be one that the pod waits for."""
        return seen.namespace in {"", self.namespace} and seen.kind not in {"EndpointSlice", "Pod"}

    def end(self, seconds: float) -> None:
        """End all containers within some seconds."""
        if self._ending is None or seconds < (self._grace or 0):
            self.stopping, self._grace = True, seconds
            self._ending = asyncio.create_task(self._stop(seconds))
            self.wake()

    async def _stop(self, seconds: float) -> None:
        await asyncio.gather(*(one.stop(seconds) for one in [*self._init, *self._main]))

    # ------------------------------------------------------------------------ life

    async def run(self) -> None:
        """Live: until all containers have ended for good, or somebody deletes the pod."""
        reporting = asyncio.create_task(self._report())
        upkeep = asyncio.create_task(self._keep_volumes())
        life = asyncio.create_task(self._live())
        try:
            while not (self.stopping or life.done()):
                await self._next(life)
            if self._ending is not None:
                await self._ending
                await asyncio.wait({life}, timeout=0.5)  # what waits to be started does not end
                life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            if not life.cancelled() and life.exception():
                log.error("pod %s", self.name, exc_info=life.exception())
                self._waits = str(life.exception())
                self.report()
            while not self.stopping:  # it has ended by itself; it stays until it is deleted
                await self._next()
        finally:
            for task in (life, upkeep, reporting):
                task.cancel()
            await asyncio.gather(life, upkeep, reporting, return_exceptions=True)
            await self._stop(0)
            if self._link:
                self._net.leave(self._link)
        await self._last_report()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _next(self, life: asyncio.Task[None] | None = None) -> None:
        """Wait for a change, or the end of life."""
        change = asyncio.create_task(self._change.wait())
        await asyncio.wait([change, *([life] if life else [])], return_when="FIRST_COMPLETED")
        change.cancel()

    async def _live(self) -> None:
        if self.spec.get("hostNetwork"):
            self._waits = "the host's network is not for this kubelet"
            self.report()
            return
        self._link = await self._net.join()
        self.report()
        await self._until_volumes()
        for one in self._init:
            if await one.run() or self.stopping:
                return
        async with asyncio.TaskGroup() as group:
            for one in self._main:
                group.create_task(one.run())

    async def _until_volumes(self) -> None:
        while True:
            since = self._change
            try:
                await self.volumes.prepare()
            except (Refused, KubeError) as exc:
                if self._waits != str(exc):
                    self.event("Warning", "FailedMount", str(exc))
                self._waits = str(exc)
                self.report()
                await self.changed(since)
            else:
                self._waits = ""
                return

    async def _keep_volumes(self) -> None:
        """Show what Secrets, ConfigMaps and tokens say now."""
        since = self._change
        while True:
            await self.changed(since, max(1.0, self.volumes.due() - time.time()))
            since = self._change
            if self._waits or not self.volumes.ready:
                continue
            try:
                await self.volumes.prepare()
            except (Refused, KubeError, OSError) as exc:
                log.warning("%s: %s", self.name, exc)

    # ------------------------------------------------------------------------ status

    def report(self) -> None:
        """Have the status told."""
        self._dirty.set()

    async def _report(self) -> None:
        told: Manifest = {}
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            status = self.status()
            if status == told:
                continue
            try:
                await self._send(status)
            except KubeError as exc:
                if exc.status != 404:
                    log.warning("%s: %s", self.name, exc)
                    self._dirty.set()
                await asyncio.sleep(0.1)
            else:
                told = status

    async def _send(self, status: Manifest) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        await self.store.send(
            "PATCH",
            f"{path}/status",
            {"metadata": {"uid": self.uid}, "status": status},
            "application/strategic-merge-patch+json",
        )

    async def _last_report(self) -> None:
        """Tell how it ended, and that it is gone."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        for _ in range(LAST_TRIES):
            try:
                await self._send(self.status())
                await self.store.send("DELETE", path, body)
            except KubeError as exc:
                if exc.status in {404, 409}:
                    return
                log.warning("%s: %s", self.name, exc)
                await asyncio.sleep(0.2)
            else:
                return

    def phase(self) -> str:
        """Return where the pod is in its life."""
        every = [*self._init, *self._main]
        if any(one.code for one in self._init):
            return "Failed"
        if all(one.code is not None for one in every):
            return "Failed" if any(one.code for one in every) else "Succeeded"
        begun = any("waiting" not in one.state or one.last for one in self._main)
        return "Running" if begun else "Pending"

    def status(self) -> Manifest:
        """Return the status as the API tells it."""
        phase = self.phase()
        self._condition(
            "Initialized", all(one.code == 0 for one in self._init), "ContainersNotInitialized"
        )
        not_ready = [one.name for one in self._main if not one.ready]
        message = f"containers with unready status: [{' '.join(not_ready)}]" if not_ready else ""
        reason = "PodCompleted" if phase == "Succeeded" else "ContainersNotReady"
        self._condition("ContainersReady", not not_ready, reason, message)
        open_gates = [
            gate["conditionType"]
            for gate in self.spec.get("readinessGates", [])
            if not self._gate(gate["conditionType"])
        ]
        if open_gates and not not_ready:
            reason, message = "ReadinessGatesNotReady", f"corresponding condition: {open_gates}"
        self._condition("Ready", not not_ready and not open_gates, reason, message)
        self._condition("PodReadyToStartContainers", bool(self._link))
        result: Manifest = {
            "phase": phase,
            "observedGeneration": self._made["metadata"].get("generation", 0),
            "conditions": list(self._conditions.values()),
            "hostIP": self._net.machine,
            "hostIPs": [{"ip": self._net.machine}],
            "startTime": self._started,
            "containerStatuses": [one.status() for one in self._main],
            "initContainerStatuses": [one.status() for one in self._init],
            "message": self._waits or None,
        }
        if self.address:
            result |= {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        return result

    def _gate(self, name: str) -> bool:
        given = self._made.get("status", {}).get("conditions", [])
        return any(one["type"] == name and one["status"] == "True" for one in given)

    def _condition(self, name: str, true: bool, reason: str = "", message: str = "") -> None:
        old = self._conditions.get(name, {})
        same = old.get("status") == str(true)
        self._conditions[name] = {
            "type": name,
            "status": str(true),
            "reason": None if true else reason,
            "message": None if true else message,
            "lastTransitionTime": old["lastTransitionTime"] if same else now(),
        }
