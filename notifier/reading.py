"""Where the configuration comes from: what the process was given, or the API server.

A ConfigMap among the manifests of `tocsin run`, or one that is mounted, is taken as it is. Else it
is read from the API and looked at again now and then, for which `get` on these two objects is
enough; watching them would need more rights.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from spine.errors import KubeError
from spine.kube import Kube

EVERY = 15.0
"""Seconds between looks at the ConfigMaps and the Secret."""
NOT_FOUND = 404


class Texts(NamedTuple):
    """The data of the objects that a configuration is made of."""

    config: Mapping[str, str] = {}
    secret: Mapping[str, str] | None = {}
    """None where nobody has seen it: then all is checked but what would be in it."""
    health: Mapping[str, str] = {}
    missing: tuple[str, ...] = ()
    """What is not there, in words."""

    @property
    def version(self) -> str:
        """Return what is equal for equal data."""
        data = json.dumps([self.config, self.secret, self.health], sort_keys=True)
        return hashlib.blake2b(data.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, slots=True)
class Given:
    """What the process was handed: object -> data."""

    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Source:
    """Reads the configuration of one Notifier, in its namespace or in another one."""

    def __init__(self, kube: Kube | None, given: Given, names: tuple[str, str, str]) -> None:
        """`names` are those of the ConfigMap, the Secret, and the ConfigMap of health."""
        self._kube, self._given, self._names = kube, given, names

    async def read(self, namespace: str, *, own: bool = False) -> Texts:
        """Return what there is now; own: a namespace's own, of which nothing was handed over.

        Raises KubeError.
        """
        config, secret, health = self._names
        missing: list[str] = []
        found = await self._data("ConfigMap", config, namespace, missing, own=own)
        asked = any("$" in value for key, value in found.items() if key.startswith("service."))
        kept = await self._data("Secret", secret, namespace, missing if asked else [], own=own)
        checks: Mapping[str, str] = {}
        if not own:
            checks = found
            if health and health != config:
                checks = await self._data("ConfigMap", health, namespace, missing)
        return Texts(found, kept, checks, tuple(missing))

    async def _data(
        self, kind: str, name: str, namespace: str, missing: list[str], *, own: bool = False
    ) -> Mapping[str, str]:
        given = self._given.secrets if kind == "Secret" else self._given.config_maps
        if name in given and not own:
            return given[name]
        if self._kube is not None:
            resource = await self._kube.discovery.kind("v1", kind)
            try:
                return data_of(kind, orjson.loads(await self._kube.get(resource, name, namespace)))
            except KubeError as exc:
                if exc.status != NOT_FOUND:
                    raise
        missing.append(f"there is no {kind} {name!r} in namespace {namespace!r}")
        return {}


def data_of(kind: str, found: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a ConfigMap or Secret, decoded."""
    data = dict(found.get("data") or {})
    if kind == "Secret":
        data = {k: base64.b64decode(v).decode(errors="replace") for k, v in data.items()}
    return data
