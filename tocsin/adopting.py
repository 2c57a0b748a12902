"""Which Sensors `tocsin adopt` looks after, and on which bus: from manifests or from a cluster."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.objects import Checked, check_object
from controller.workload.references import references
from controller.workload.values import texts
from eventbus.config import BusConfig
from spine.errors import ConfigError, KubeError
from spine.kube import Kube
from spine.manifest import ARGO, Object, read
from spine.model import load
from spine.secrets import GivenSecrets, LayeredSecrets, MountedSecrets, Secrets
from tocsin.handed import bus_from_options

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the options say."""

    names: tuple[str, ...]
    """Sensors; none: all."""
    files: tuple[str, ...]
    """Manifests; none: those of the cluster."""
    namespace: str
    kubeconfig: str
    context: str
    bus: str
    """Address of the bus, where it is another one than the EventBus says."""
    bus_config: str
    secrets_dir: str


@dataclass(frozen=True, slots=True)
class Group:
    """The Sensors of one bus."""

    config: BusConfig
    secrets: Secrets
    sensors: list[Checked]


async def groups(choice: Choice) -> list[Group]:
    """Return the Sensors that are meant, by bus. Raises ConfigError and KubeError."""
    if choice.files:
        return [_of_files(choice)]
    from spine.kube import open_kube

    async with open_kube(choice.kubeconfig, choice.context) as kube:
        return await _of_cluster(choice, kube)


# ---------------------------------------------------------------------------- manifests


def _of_files(choice: Choice) -> Group:
    reading = read(choice.files)
    if errors := [finding for finding in reading.findings if finding.severity == "error"]:
        raise ConfigError("; ".join(map(str, errors)))
    sensors = _chosen(choice.names, reading.of("Sensor"), " ".join(choice.files))
    raw = bus_from_options(choice.bus, choice.bus_config)
    secrets = MountedSecrets(Path(choice.secrets_dir))
    return Group(_config(raw), secrets, sensors)


def _chosen(names: Sequence[str], objects: Sequence[Object], where: str) -> list[Checked]:
    known = {one.name for one in objects}
    if missing := [name for name in names if name not in known]:
        raise ConfigError(f"looking for Sensor {', '.join(missing)} in {where}: there is none")
    if not objects:
        raise ConfigError(f"looking for Sensors in {where}: there is none")
    return [_checked(one) for one in objects if not names or one.name in names]


def _checked(obj: Object) -> Checked:
    checked, findings = check_object(obj, lenient=True)
    if errors := [finding for finding in findings if finding.severity == "error"]:
        raise ConfigError("; ".join(map(str, errors)))
    return checked


def _config(raw: Mapping[str, Any]) -> BusConfig:
    config = load(BusConfig, raw, what="event bus", lenient=True)
    config.require_jetstream()
    return config


# ---------------------------------------------------------------------------- a cluster


async def _of_cluster(choice: Choice, kube: Kube) -> list[Group]:
    namespace = choice.namespace or kube.namespace
    where = f"namespace {namespace}"
    objects = [_object(raw, where) for raw in await _all(kube, "Sensor", namespace)]
    sensors = _chosen(choice.names, objects, where)
    found: list[Group] = []
    for name in dict.fromkeys(one.bus[1] for one in sensors):
        raw = await _bus(choice, kube, namespace, name)
        config = _config(raw)
        secrets = LayeredSecrets(
            MountedSecrets(Path(choice.secrets_dir)),
            GivenSecrets(dict([item async for item in _values(kube, namespace, config)])),
        )
        found.append(Group(config, secrets, [one for one in sensors if one.bus[1] == name]))
    return found


def _object(raw: dict[str, Any], where: str) -> Object:
    metadata = raw["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    return Object(raw["kind"], name, namespace, raw, where, {}, {})


async def _all(kube: Kube, kind: str, namespace: str) -> list[dict[str, Any]]:
    resource = await kube.discovery.kind(ARGO, kind)
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await kube.page(resource, namespace, query={"continue": after} if after else None)
        found += [
            {"apiVersion": ARGO, "kind": kind, **json.loads(bytes(raw))} for raw in page.items
        ]
        after = page.metadata.continue_
        if not after:
            return found


async def _bus(choice: Choice, kube: Kube, namespace: str, name: str) -> dict[str, Any]:
    """Return how to reach an EventBus, of the shape of EVENTBUS_CONFIG."""
    if choice.bus_config:
        return bus_from_options(choice.bus, choice.bus_config)
    try:
        raw = await kube.get(await kube.discovery.kind(ARGO, "EventBus"), name, namespace)
    except KubeError as exc:
        if exc.status != _NOT_FOUND:
            raise
        raise ConfigError(
            f"looking for EventBus {name} in namespace {namespace}: there is none"
        ) from exc
    config = (json.loads(raw).get("status") or {}).get("config")
    if not config:
        raise ConfigError(
            f"reading EventBus {namespace}/{name}: its status has no config yet",
            hint="is its controller running?",
        )
    if choice.bus and isinstance(config.get("jetstream"), dict):
        config["jetstream"]["url"] = choice.bus
    found: dict[str, Any] = config
    return found


async def _values(kube: Kube, namespace: str, config: BusConfig) -> Any:
    """Yield the values of the Secrets that are needed to reach a bus, by name and key."""
    resource = await kube.discovery.kind("v1", "Secret")
    for ref in references([config]):
        raw = await kube.get(resource, ref.name, namespace)
        for key, text in _texts(json.loads(raw)):
            yield (ref.name, key), text


def _texts(secret: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from dict(texts(secret)).items()
