"""The environment of a container: values, references, fields, resources, Services."""

import math
import os
import re
from base64 import b64decode
from typing import Any

from kubelet.store import Manifest, Refused, Store

UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 1024.0 ** (n + 1) for n, letter in enumerate("KMGT")
}
MACHINE = {
    "cpu": os.cpu_count() or 1,
    "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
}
REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z0-9_.-]+)\)")
KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def expand(text: str, known: dict[str, str]) -> str:
    """Replace each $(NAME) that is known; `$$` is a dollar."""

    def one(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else known.get(found[1], found[0])

    return REFERENCE.sub(one, text)


def field(pod: Manifest, path: str) -> str:
    """Return a field of a pod as text. Raises Refused."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    if found := KEYED.fullmatch(path):
        return metadata.get(found[1], {}).get(found[2], "")
    if path in {"metadata.labels", "metadata.annotations"}:
        pairs = sorted(metadata.get(path.split(".")[1], {}).items())
        return "\n".join(f'{key}="{value}"' for key, value in pairs)
    if path in {"metadata.name", "metadata.namespace", "metadata.uid"}:
        return metadata[path.split(".")[1]]
    values: dict[str, Any] = {
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName"),
        "status.podIP": status.get("podIP"),
        "status.podIPs": status.get("podIP"),
        "status.hostIP": status.get("hostIP"),
        "status.hostIPs": status.get("hostIP"),
    }
    if path not in values:
        raise Refused("CreateContainerConfigError", f"no such field: {path}")
    return values[path] or ""


def quantity(text: str | float) -> float:
    """Return a quantity of Kubernetes as a number."""
    found = re.fullmatch(r"([\d.]+(?:e\d+)?)([a-zA-Z]*)", str(text))
    assert found is not None, text
    return float(found[1]) * (UNITS[found[2]] if found[2] else 1)


def resource(pod: Manifest, container: Manifest, asked: Manifest) -> str:
    """Return a limit or request of a container."""
    chosen = asked.get("containerName")
    if chosen:
        container = next(c for c in pod["spec"]["containers"] if c["name"] == chosen)
    which, _, name = asked["resource"].partition(".")
    given = container.get("resources", {}).get(which, {}).get(name)
    value = (
        quantity(given) if given is not None else (MACHINE.get(name, 0) if which == "limits" else 0)
    )
    divisor = quantity(asked.get("divisor") or 1) or 1
    return str(math.ceil(round(value / divisor, 6)))


def data(store: Store, kind: str, namespace: str, name: str) -> dict[str, bytes] | None:
    """Return what is in a Secret or a ConfigMap, None where it is not there."""
    found = store.get(kind, namespace, name)
    if found is None:
        return None
    plain, coded = found.get("data") or {}, found.get("binaryData") or {}
    if kind == "Secret":
        plain, coded = {}, plain
    return {key: text.encode() for key, text in plain.items()} | {
        key: b64decode(text) for key, text in coded.items()
    }


class Environment:
    """Makes the environment of one container of a pod; `pod` has its address in its status."""

    def __init__(self, store: Store, pod: Manifest, container: Manifest) -> None:
        self._store, self._pod, self._container = store, pod, container
        self._namespace = pod["metadata"]["namespace"]

    def make(self, image: dict[str, str]) -> dict[str, str]:
        """Return everything. Raises Refused where something is not there."""
        result = {
            **image,
            "HOSTNAME": self._pod["spec"].get("hostname") or self._pod["metadata"]["name"],
        }
        result |= self._services()
        for source in self._container.get("envFrom", []):
            result |= self._all_of(source)
        for one in self._container.get("env", []):
            value = self._value(one, result)
            if value is not None:
                result[one["name"]] = value
        return result

    def _value(self, one: Manifest, known: dict[str, str]) -> str | None:
        source = one.get("valueFrom")
        if not source:
            return expand(one.get("value", ""), known)
        if "fieldRef" in source:
            return field(self._pod, source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return resource(self._pod, self._container, source["resourceFieldRef"])
        kind, reference = (
            ("Secret", source["secretKeyRef"])
            if "secretKeyRef" in source
            else ("ConfigMap", source["configMapKeyRef"])
        )
        found = self._data(kind, reference)
        if reference["key"] in found:
            return found[reference["key"]].decode()
        if reference.get("optional"):
            return None
        raise Refused(
            "CreateContainerConfigError",
            f"couldn't find key {reference['key']} in {kind} {self._namespace}/{reference['name']}",
        )

    def _all_of(self, source: Manifest) -> dict[str, str]:
        kind, key = (
            ("Secret", "secretRef") if "secretRef" in source else ("ConfigMap", "configMapRef")
        )
        prefix = source.get("prefix", "")
        return {prefix + k: v.decode() for k, v in self._data(kind, source[key]).items()}

    def _data(self, kind: str, reference: Manifest) -> dict[str, bytes]:
        found = data(self._store, kind, self._namespace, reference["name"])
        if found is None and not reference.get("optional"):
            text = f'{kind.lower()} "{reference["name"]}" not found'
            raise Refused("CreateContainerConfigError", text)
        return found or {}

    def _services(self) -> dict[str, str]:
        result = {}
        for service in self._store.all("Service"):
            name, space = service["metadata"]["name"], service["metadata"]["namespace"]
            master = (space, name) == ("default", "kubernetes")
            linked = self._pod["spec"].get("enableServiceLinks", True) and space == self._namespace
            address = service["spec"].get("clusterIP", "None")
            if address != "None" and (master or linked):
                result |= _links(name, address, service["spec"].get("ports", []))
        return result


def _links(name: str, address: str, ports: list[Manifest]) -> dict[str, str]:
    root = name.upper().replace("-", "_")
    result = {f"{root}_SERVICE_HOST": address}
    for n, port in enumerate(ports):
        number, protocol = str(port["port"]), port.get("protocol", "TCP").lower()
        if n == 0:
            result[f"{root}_SERVICE_PORT"] = number
            result[f"{root}_PORT"] = f"{protocol}://{address}:{number}"
        if port.get("name"):
            result[f"{root}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = number
        start = f"{root}_PORT_{number}_{protocol.upper()}"
        result |= {
            start: f"{protocol}://{address}:{number}",
            f"{start}_PROTO": protocol,
            f"{start}_PORT": number,
            f"{start}_ADDR": address,
        }
    return result
