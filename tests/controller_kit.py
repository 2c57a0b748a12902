"""A controller on the test cluster, and what its tests ask of it."""

import asyncio
import json
import time
import urllib.error
from contextlib import asynccontextmanager
from pathlib import Path

from controller.assembly import controller
from controller.leader import Pace
from controller.workload import Options
from spine.kube import open_kube

CRDS = sorted((Path(__file__).parent.parent / "crds").glob("*.yaml"))
FAST = Pace(duration=9.0, deadline=6.0, retry=0.2)
PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "Event": "/api/v1/namespaces/{}/events",
    "EventBus": "/apis/argoproj.io/v1alpha1/namespaces/{}/eventbus",
    "EventSource": "/apis/argoproj.io/v1alpha1/namespaces/{}/eventsources",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
    "Notifier": "/apis/tocsin.dev/v1alpha1/namespaces/{}/notifiers",
    "Pod": "/api/v1/namespaces/{}/pods",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Sensor": "/apis/argoproj.io/v1alpha1/namespaces/{}/sensors",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
}
PATIENCE = 90.0

HOOK = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "EventSource",
    "metadata": {"name": "hook"},
    "spec": {"webhook": {"orders": {"port": "12000", "endpoint": "/orders", "method": "POST"}}},
}
SENSOR = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Sensor",
    "metadata": {"name": "tell"},
    "spec": {
        "dependencies": [{"name": "d", "eventSourceName": "hook", "eventName": "orders"}],
        "triggers": [{"template": {"name": "t", "log": {}}}],
    },
}


class Space:
    """One namespace of the test cluster."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name

    async def get(self, kind, name):
        """Return an object, None where there is none."""
        return await asyncio.to_thread(self._call, "GET", kind, name)

    async def all(self, kind):
        """Return all objects of a kind."""
        found = await asyncio.to_thread(self._call, "GET", kind, "")
        return found["items"]

    async def apply(self, made):
        """Apply an object as a user does."""
        made = {**made, "metadata": {"namespace": self.name, **made["metadata"]}}
        path = f"{PATHS[made['kind']].format(self.name)}/{made['metadata']['name']}"
        return await asyncio.to_thread(
            self.cluster.call,
            "PATCH",
            f"{path}?fieldManager=kubectl&force=true",
            made,
            Content_Type="application/apply-patch+yaml",
        )

    async def status(self, kind, name, status):
        """Set a status, as another controller would."""
        path = f"{PATHS[kind].format(self.name)}/{name}/status"
        return await asyncio.to_thread(
            self.cluster.call,
            "PATCH",
            path,
            {"status": status},
            Content_Type="application/merge-patch+json",
        )

    async def delete(self, kind, name):
        """Delete an object."""
        return await asyncio.to_thread(self._call, "DELETE", kind, name)

    async def until(self, kind, name, is_it, patience=PATIENCE):
        """Return an object once it is as wanted (None too); fail with what it is instead."""
        until = time.monotonic() + patience
        while True:
            found = await self.get(kind, name)
            if is_it(found):
                return found
            assert time.monotonic() < until, json.dumps(found, indent=1)[:4000]
            await asyncio.sleep(0.05)

    async def condition(self, kind, name, condition, status, reason=""):
        """Return a condition once it has this status and reason."""

        def there(found):
            one = condition_of(found, condition)
            return bool(one) and one["status"] == status and reason in {"", one["reason"]}

        return condition_of(await self.until(kind, name, there), condition)

    async def told(self, reason):
        """Return the Events of a reason once there is one: they come after the status."""
        until = time.monotonic() + PATIENCE
        while True:
            events = await self.all("Event")
            if found := [one for one in events if one["reason"] == reason]:
                return found
            assert time.monotonic() < until, {one["reason"] for one in events}
            await asyncio.sleep(0.05)

    async def bus(self, url="nats://127.0.0.1:1", **spec):
        """Make the default EventBus: one that exists somewhere, or what `spec` says."""
        await self.apply(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "EventBus",
                "metadata": {"name": "default"},
                "spec": spec or {"jetstreamExotic": {"url": url}},
            }
        )

    async def pods_up(self, name, *, ready=True, address=""):
        """Say that the pods of a Deployment run at an address, as nothing runs any here."""
        deployment = await self.get("Deployment", name)
        wanted = deployment["spec"]["selector"]["matchLabels"].items()
        until, count = time.monotonic() + PATIENCE, deployment["spec"]["replicas"]
        while True:
            pods = [
                one
                for one in await self.all("Pod")
                if wanted <= (one["metadata"].get("labels") or {}).items()
            ]
            if len(pods) >= count:
                break
            assert time.monotonic() < until, pods
            await asyncio.sleep(0.05)
        stated = {"type": "Ready", "status": str(ready)}
        where = {"podIP": address, "podIPs": [{"ip": address}]} if address else {}
        for pod in pods:
            status = {"phase": "Running", "conditions": [stated], **where}
            await self.status("Pod", pod["metadata"]["name"], status)

    def _call(self, method, kind, name):
        path = PATHS[kind].format(self.name) + (f"/{name}" if name else "")
        try:
            return self.cluster.call(method, path)
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                return None
            raise


def condition_of(found, kind):
    """Return a condition of an object, None where it has none."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), None)


@asynccontextmanager
async def controlled(cluster, *namespaces, identity="one", grace=3600.0, port=7777, **options):
    """Run a controller for some namespaces while the block runs; pods speak at `port`."""
    given = Options(image="tocsin:test", **options)
    async with open_kube(cluster.kubeconfig) as kube:
        one = controller(
            kube,
            given,
            identity=identity,
            own_namespace=namespaces[0],
            namespaces=namespaces,
            grace=grace,
        )
        one.leader.pace = FAST
        one.sweep.every = 0.2
        one.reports.port, one.reports.every = port, 0.5
        async with asyncio.TaskGroup() as group:
            running = group.create_task(one.run())
            try:
                yield one
            finally:
                running.cancel()


__all__ = ["CRDS", "HOOK", "SENSOR", "Space", "condition_of", "controlled"]
