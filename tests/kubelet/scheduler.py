"""Gives pods to nodes: some that exist by name only, all of them this machine."""

import asyncio
import itertools
from typing import Any

from kubelet.store import Manifest, Seen, Store, steadily
from spine.errors import KubeError

NODES = ("node-a", "node-b", "node-c")


def node(name: str, address: str, port: int) -> Manifest:
    """Return a node that is ready."""
    room = {"cpu": "64", "memory": "64Gi", "pods": "500", "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": f"zone-{name[-1]}",
            },
        },
        "status": {
            "capacity": room,
            "allocatable": room,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": address},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [
                {
                    "type": "Ready", "status": "True", "reason": "KubeletReady",
                    "message": "the test kubelet runs", "lastHeartbeatTime": None,
                }
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.34.0-test", "operatingSystem": "linux",
                "architecture": "amd64", "containerRuntimeVersion": "test://1", "machineID": "",
                "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "",
                "kubeProxyVersion": "",
            },
        },
    }  # fmt: skip


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    """Return whether a label selector selects."""
    for one in selector.get("matchExpressions", []):
        value, values = labels.get(one["key"]), one.get("values", [])
        if not {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[one["operator"]]:
            return False
    wanted: dict[str, Any] = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items()


class Scheduler:
    """Binds each pod that has no node, as far as one fits; `mine` says which pods are ours."""

    def __init__(self, store: Store, address: str, port: int, ignored: set[str]) -> None:
        self._store, self._ignored = store, ignored
        self._nodes = [node(name, address, port) for name in NODES]
        self._turn = itertools.count()
        self._changed = asyncio.Event()

    def look(self, seen: Seen) -> None:
        """Look again where a change is one of pods."""
        if seen.kind == "Pod":
            self._changed.set()

    async def register(self) -> None:
        """Have the nodes be there and ready. Raises KubeError."""
        for made in self._nodes:
            name = made["metadata"]["name"]
            await self._store.ensure("/api/v1/nodes", {**made, "spec": {}})
            await self._store.patch_status(f"/api/v1/nodes/{name}", made["status"])
            await self._store.send(
                "PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": None}},
                "application/merge-patch+json",
            )  # fmt: skip

    async def run(self) -> None:
        """Bind for ever."""
        await steadily(self._changed, self._look)

    async def _look(self) -> None:
        for pod in self._store.all("Pod"):
            uid, spec = pod["metadata"]["uid"], pod["spec"]
            if spec.get("nodeName") or spec.get("schedulingGates") or uid in self._ignored:
                continue
            metadata = pod["metadata"]
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            if name := self._choose(pod):
                await self._bind(path, metadata, name)
                spec["nodeName"] = name  # for the choice of the next, before it is told
            else:
                await self._refuse(pod, path)

    async def _bind(self, path: str, metadata: Manifest, name: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": name}
        given = {"name": metadata["name"], "uid": metadata["uid"]}
        try:
            await self._store.send("POST", f"{path}/binding", {"metadata": given, "target": target})
        except KubeError as exc:
            if exc.status not in {404, 409}:
                raise

    async def _refuse(self, pod: Manifest, path: str) -> None:
        given = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        message = "0/3 nodes are available: node selector or anti-affinity do not match."
        told = pod.get("status", {}).get("conditions") or []
        if not any(one.get("reason") == "Unschedulable" for one in told):
            await self._store.patch_status(path, {"conditions": [{**given, "message": message}]})

    def _choose(self, pod: Manifest) -> str:
        start = next(self._turn)
        for n in range(len(self._nodes)):
            made = self._nodes[(start + n) % len(self._nodes)]
            labels = made["metadata"]["labels"]
            wanted = pod["spec"].get("nodeSelector") or {}
            if wanted.items() <= labels.items() and not self._averse(pod, labels):
                return made["metadata"]["name"]
        return ""

    def _averse(self, pod: Manifest, labels: dict[str, str]) -> bool:
        """Return whether a pod may not be on a node because of the others there."""
        affinity = (pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
        namespace = pod["metadata"]["namespace"]
        of_node = {made["metadata"]["name"]: made["metadata"]["labels"] for made in self._nodes}
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution", []):
            for other in self._store.all("Pod", namespace):
                there = of_node.get(other["spec"].get("nodeName", ""), {})
                key = term["topologyKey"]
                near = key in labels and labels[key] == there.get(key)
                given = other["metadata"].get("labels", {})
                if near and selects(term.get("labelSelector") or {}, given):
                    return True
        return False
