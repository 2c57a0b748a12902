"""Where the ConfigMap and the Secret of `tocsin notify` come from: manifests, or the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson
from typing_extensions import override

from notifier.reading import data_of
from spine.errors import ConfigError, KubeError
from spine.kube import Kube
from spine.manifest import Reading, read
from tocsin.checks import Result, Setting, check
from tocsin.notifying.subject import ENDINGS, is_file

Data = Mapping[str, str]
EMPTY = ":empty"
"""What stands for a Secret without keys."""
_FORBIDDEN, _NOT_FOUND = 403, 404


class Source(Protocol):
    """Finds ConfigMaps and Secrets by namespace and name."""

    async def data(self, kind: str, namespace: str, name: str) -> Data | None:
        """Return the texts of one, None where there is none. Raises KubeError."""
        ...


@dataclass(frozen=True, slots=True)
class Files(Source):
    """Manifests."""

    reading: Reading
    result: Result

    @classmethod
    def of(cls, paths: list[str]) -> "Files":
        """Read manifests. Raises ConfigError for what cannot be read: it may be what is meant."""
        reading = read(paths)
        errors = [one for one in reading.findings if one.severity == "error"]
        if errors:
            raise ConfigError("; ".join(map(str, errors)))
        return cls(reading, check(reading, Setting()))

    def names(self, kind: str, namespace: str) -> list[str]:
        """Return the names of all ConfigMaps or Secrets of a namespace."""
        return [one.name for one in self.reading.of(kind) if one.namespace == namespace]

    @override
    async def data(self, kind: str, namespace: str, name: str) -> Data | None:
        if name not in self.names(kind, namespace):
            return None
        known = self.result.values.find(kind, namespace)
        return {key: text for (one, key), text in known.items() if one == name}


@dataclass(frozen=True, slots=True)
class Cluster(Source):
    """An API server."""

    kube: Kube

    @override
    async def data(self, kind: str, namespace: str, name: str) -> Data | None:
        resource = await self.kube.discovery.kind("v1", kind)
        try:
            found = orjson.loads(await self.kube.get(resource, name, namespace))
        except KubeError as exc:
            if exc.status == _NOT_FOUND or (exc.status == _FORBIDDEN and kind == "Secret"):
                return None  # all but its values can be checked
            raise
        return data_of(kind, found)


@dataclass(frozen=True, slots=True)
class Given(Source):
    """Another source, with a Secret that was named on the command line."""

    source: Source
    secret: Data

    @override
    async def data(self, kind: str, namespace: str, name: str) -> Data | None:
        return self.secret if kind == "Secret" else await self.source.data(kind, namespace, name)


async def secret_of(text: str, namespace: str, kube: Kube | None) -> Data:
    """Return the Secret of `--secret`: FILE, [NS/]NAME or `:empty`. Raises ConfigError."""
    if text == EMPTY:
        return {}
    if is_file(text):
        files = Files.of([text])
        found = files.reading.of("Secret")
        if len(found) != 1:
            names = ", ".join(one.name for one in found) or "none"
            raise ConfigError(f"reading --secret {text}: one Secret is wanted, there is: {names}")
        return await files.data("Secret", found[0].namespace, found[0].name) or {}
    assert kube is not None, "who calls this opens it for names"
    space, _, name = text.rpartition("/")
    data = await Cluster(kube).data("Secret", space or namespace or kube.namespace, name)
    if data is None:
        raise missing("Secret", name, space or namespace or kube.namespace)
    return data


def missing(kind: str, name: str, namespace: str) -> ConfigError:
    """Return the complaint about an object that the cluster does not have."""
    return ConfigError(
        f"reading {kind} {name!r}: namespace {namespace!r} has none",
        hint=f"name it as NS/NAME, or give a file that ends in {' or '.join(ENDINGS)}",
    )
