"""Gives each claim of the default class a volume: a folder of the machine."""

import asyncio
import shutil
from pathlib import Path

from kubelet.store import Manifest, Seen, Store, steadily
from spine.errors import KubeError

CLASS = "standard"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = "/api/v1/persistentvolumes"
PROVISIONER = "tocsin.test/folder"


class Claims:
    """Makes volumes for claims, and removes those that nobody claims any longer."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._changed = asyncio.Event()

    def look(self, seen: Seen) -> None:
        """Look again where a change is one of claims."""
        if seen.kind in {"PersistentVolume", "PersistentVolumeClaim"}:
            self._changed.set()

    async def run(self) -> None:
        """Do it for ever."""
        await self._store.ensure(CLASSES, {
            "metadata": {
                "name": CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": PROVISIONER,
        })  # fmt: skip
        await steadily(self._changed, self._look)

    async def _look(self) -> None:
        for claim in self._store.all("PersistentVolumeClaim"):
            await self._provide(claim)
        for volume in self._store.all("PersistentVolume"):
            await self._remove(volume)

    async def _provide(self, claim: Manifest) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        name = f"pvc-{metadata['uid']}"
        if spec.get("storageClassName") != CLASS or spec.get("volumeName"):
            return
        if self._store.get("PersistentVolume", "", name):
            return
        path = self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        await self._store.ensure(VOLUMES, {
            "metadata": {
                "name": name,
                "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER},
            },
            "spec": {
                "accessModes": spec["accessModes"],
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "storageClassName": CLASS,
                "persistentVolumeReclaimPolicy": "Delete",
                "hostPath": {"path": str(path)},
                "claimRef": {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": metadata["uid"],
                    "namespace": metadata["namespace"], "name": metadata["name"],
                },
            },
        })  # fmt: skip

    async def _remove(self, volume: Manifest) -> None:
        by = volume["metadata"].get("annotations", {}).get("pv.kubernetes.io/provisioned-by")
        if by != PROVISIONER or volume.get("status", {}).get("phase") != "Released":
            return
        shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)
        try:
            await self._store.send("DELETE", f"{VOLUMES}/{volume['metadata']['name']}")
        except KubeError as exc:
            if exc.status != 404:
                raise
