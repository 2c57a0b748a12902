"""Hashes of the values that objects refer to, so that pods are replaced when one changes.

A Secret is asked for when it is referred to and again when its version is another; nothing of it
is kept but a hash of the keys that are read.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controller.cluster import Cluster
from controller.reconciler import Manifest
from controller.workload.references import Reference

ABSENT = "absent"


@dataclass(slots=True)
class Values:
    """What is known of the values of some references."""

    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    """By kind and name."""
    missing: list[str] = field(default_factory=list)
    """What pods cannot do without and is not there."""


class Digests:
    """Remembers hashes by version."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, Reference], tuple[str, str, tuple[str, ...]]] = {}

    async def of(self, cluster: Cluster, namespace: str, refs: Iterable[Reference]) -> Values:
        """Return what is known of the values that are referred to. Raises KubeError."""
        values = Values()
        for ref in refs:
            digest, lacking = await self._one(cluster, namespace, ref)
            values.digests[ref.kind, ref.name] = digest
            if ref.optional:
                continue
            if digest == ABSENT:
                values.missing.append(f"{ref.kind} {ref.name!r}")
            values.missing += [f"key {key!r} of {ref.kind} {ref.name!r}" for key in lacking]
        return values

    async def _one(
        self, cluster: Cluster, namespace: str, ref: Reference
    ) -> tuple[str, tuple[str, ...]]:
        key = (namespace, ref.name, ref)
        there = cluster.get("v1", ref.kind, namespace, ref.name)
        known = self._known.get(key)
        if there is None or known is None or known[0] != _version(there):
            # Of what was applied together, the object may be told of before what it refers to.
            found = await cluster.read("v1", ref.kind, namespace, ref.name)
            if found is None:
                self._known.pop(key, None)
                return ABSENT, ()
            known = self._known[key] = (_version(found), *_digest(found, ref))
        return known[1], known[2]

    def forget(self, namespace: str, refs: Iterable[Reference]) -> None:
        """Forget what nobody refers to any more."""
        for ref in refs:
            self._known.pop((namespace, ref.name, ref), None)


def _version(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return f"{metadata.get('uid')}/{metadata.get('resourceVersion')}"


def texts(manifest: Manifest) -> Mapping[str, str]:
    """Return the values of a Secret or ConfigMap, as a process reads them."""
    if manifest["kind"] == "ConfigMap":
        return dict(manifest.get("data") or {})
    data = manifest.get("data") or {}
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}


def _digest(manifest: Manifest, ref: Reference) -> tuple[str, tuple[str, ...]]:
    """Return the hash of the keys that are read, and which of them are not there."""
    data = {**(manifest.get("binaryData") or {}), **(manifest.get("data") or {})}
    found = hashlib.blake2b(digest_size=12)
    for key in ref.keys:
        found.update(f"{key}={data.get(key)!r}\n".encode())
    return found.hexdigest(), tuple(key for key in ref.keys if key not in data)
