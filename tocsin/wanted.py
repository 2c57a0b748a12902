"""What `tocsin run` is to start: a process for each EventSource, Sensor and Notifier.

A process gets its own object, its bus and the values it refers to, nothing else; what it gets
makes its fingerprint, so an edit restarts exactly those it concerns.
"""

import errno
import hashlib
import json
import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.objects import Checked, walk
from eventbus.config import BusConfig
from spine.manifest import Finding
from spine.model import Model
from spine.secrets import KeyRef, SecretRef
from tocsin.checks import Result
from tocsin.values import Values

LOOPBACK = "127.0.0.1"
VERBS = {"EventSource": "eventsource", "Sensor": "sensor", "Notifier": "notifier"}

BusKey = tuple[str, str]
"""Namespace and name of an EventBus."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all processes of a run have in common."""

    port_offset: int
    log_format: str
    log_level: str
    dry_run: bool = False
    """Whether actions are only told."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One process."""

    checked: Checked
    verb: str
    job: dict[str, Any]
    fingerprint: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name."""
        return (self.checked.object.kind, *self.checked.key)

    @property
    def addresses(self) -> "list[Address]":
        """Where its events can be posted; none of a Sensor."""
        return addresses(self.checked, int(self.job["port_offset"]))

    @property
    def label(self) -> str:
        """Name before its lines."""
        kind = "source" if self.verb == "eventsource" else self.verb
        return f"{kind} {self.checked.object.name}"


def wanted(
    result: Result, buses: Mapping[BusKey, dict[str, Any]], setup: Setup
) -> dict[tuple[str, str, str], Wanted]:
    """Return the processes of checked manifests; `buses` has the configuration of each bus."""
    configs = {key: BusConfig.model_validate(config) for key, config in buses.items()}
    out = {}
    for checked in (*result.of("Sensor"), *result.of("Notifier"), *result.of("EventSource")):
        specs = (checked.spec, configs[checked.bus])
        job = {
            "kind": checked.object.kind,
            "object": checked.object.raw,
            "bus": buses[checked.bus],
            **handed(checked, specs, result.values),
            "host": LOOPBACK,
            "metrics_port": 0,
            "port_offset": setup.port_offset,
            "log_format": setup.log_format,
            "log_level": setup.log_level,
            "dry_run": setup.dry_run,
        }
        text = json.dumps(job, sort_keys=True, default=str)
        digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        one = Wanted(checked, VERBS[checked.object.kind], job, digest)
        out[one.key] = one
    return out


def handed(
    checked: Checked, specs: Iterable[Model], values: Values
) -> dict[str, dict[str, dict[str, str]]]:
    """Return the values that a process gets: what it refers to, for a Notifier whole objects."""
    found = referenced(specs, checked.object.namespace, values)
    if checked.object.kind == "Notifier":
        spec, namespace = checked.spec, checked.object.namespace
        maps = {spec.config_map, spec.health_config_map}
        for kind, names, part in (
            ("ConfigMap", maps, "config_maps"),
            ("Secret", {spec.secret}, "secrets"),
        ):
            for (name, key), value in values.find(kind, namespace).items():
                if name in names:
                    found[part].setdefault(name, {})[key] = value
    return found


def referenced(
    specs: Iterable[Model], namespace: str, values: Values
) -> dict[str, dict[str, dict[str, str]]]:
    """Return the Secrets and ConfigMaps that specifications refer to, with those keys alone."""
    found: dict[str, dict[str, dict[str, str]]] = {"secrets": {}, "config_maps": {}}

    def visit(_: Any, model: Model) -> None:
        if isinstance(model, KeyRef):
            kind = "Secret" if isinstance(model, SecretRef) else "ConfigMap"
            known = values.find(kind, namespace)
            if (model.name, model.key) in known:
                part = found["secrets" if kind == "Secret" else "config_maps"]
                part.setdefault(model.name, {})[model.key] = known[model.name, model.key]

    for spec in specs:
        walk(spec, (), visit)
    return found


# ---------------------------------------------------------------------------- ports


@dataclass(frozen=True, slots=True)
class Address:
    """Where an event can be posted."""

    event: str
    url: str
    method: str
    port: int
    path: tuple[str, ...]
    """Where the port stands below `spec`."""
    auth: bool
    """Whether a bearer token must be presented."""


def addresses(checked: Checked, port_offset: int) -> list[Address]:
    """Return where the events of an EventSource can be posted."""
    if checked.object.kind != "EventSource":
        return []
    from eventsource.spec import ports

    found = []
    for port in ports(checked.spec):
        number = port.number + port_offset
        hook = checked.spec.sources()[port.event]
        scheme = "https" if port.tls else "http"
        endpoint = port.endpoint if port.endpoint.startswith("/") else f"/{port.endpoint}"
        found.append(
            Address(
                event=port.event,
                url=f"{scheme}://{LOOPBACK}:{number}{endpoint}",
                method=getattr(hook, "method", "") or "POST",
                port=number,
                path=port.path,
                auth=getattr(hook, "auth_secret", None) is not None,
            )
        )
    return found


def port_problems(
    sources: Iterable[Checked], port_offset: int, ours: Collection[int] = ()
) -> Iterator[Finding]:
    """Say of each port that cannot be listened on why, and who has it.

    `ours` are ports that we hold already.
    """
    for source in sources:
        seen = set(ours)
        for address in addresses(source, port_offset):
            why = "" if address.port in seen else _unusable(address.port)
            seen.add(address.port)
            if why:
                yield source.finding(("spec", *address.path), f"port {address.port} {why}")


def _unusable(port: int) -> str:
    """Return why nobody can listen on a port of loopback just now; empty when one can."""
    if not 0 < port <= 65535:  # noqa: PLR2004 -- what TCP has
        return "does not exist (choose another --port-offset)"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                who = owner(port)
                by = f" by {who}" if who else ""
                return f"is in use{by} (free it, or shift all ports with --port-offset N)"
            return f"cannot be used: {exc.strerror} (shift all ports with --port-offset N)"
    return ""


def owner(port: int) -> str:
    """Return the name and pid of who listens on a port, as far as Linux tells us."""
    inodes = set(_listeners(port))
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if not inodes.isdisjoint(_links(process / "fd")):
            with suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                name = b" ".join(words[:4]).decode(errors="replace").strip()
                return f"{name} (pid {process.name})"
    return ""


def _links(folder: Path) -> Iterator[str]:
    with suppress(OSError):  # it has gone, or belongs to somebody else
        for descriptor in folder.iterdir():
            with suppress(OSError):
                yield str(descriptor.readlink())


def _listeners(port: int) -> Iterator[str]:
    """Yield the sockets that listen on a port, from the tables of proc(5)."""
    listening = "0A"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == listening and int(columns[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{columns[9]}]"
