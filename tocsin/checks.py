"""Checks that need more than one object: who sends what a Sensor waits for, over which bus.

In a cluster much of what a folder does not define may exist elsewhere, so `lint` only warns of
it. `tocsin run` has nothing but the folder, so there the same is an error.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from controller.objects import Checked, check_object, walk
from spine.compat import FILE
from spine.manifest import CHECKED_KINDS, Finding, Object, Reading, Severity
from spine.model import Model, Path
from spine.secrets import KeyRef, SecretRef
from tocsin.pitfalls import pitfalls
from tocsin.values import Values, read_values

METRICS_PORT = 7777
"""Where every pod serves its metrics."""

_NOT_SOURCES = frozenset(
    {"template", "service", "eventBusName", "replicas", "replica", "suspend", "type"}
)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the manifests are going to run."""

    alone: bool = False
    """Whether there is nothing but these manifests (`tocsin run`)."""
    bus_given: bool = False
    """Whether `--bus` names a server, on which other event sources may be."""

    def missing(self) -> Severity:
        """How bad it is that something is not defined here."""
        return "error" if self.alone else "warning"


@dataclass(slots=True)
class Result:
    """Everything that is known of a set of manifests."""

    checked: list[Checked] = field(default_factory=list)
    values: Values = field(default_factory=Values)
    findings: list[Finding] = field(default_factory=list)

    def of(self, kind: str) -> list[Checked]:
        """Return the checked objects of a kind."""
        return [c for c in self.checked if c.object.kind == kind]

    def count(self, severity: Severity) -> int:
        """Return how many findings are of a severity."""
        return sum(f.severity == severity for f in self.findings)


def check(
    reading: Reading,
    setting: Setting,
    secrets: Iterable[str] = (),
    config_maps: Iterable[str] = (),
) -> Result:
    """Check every object by itself and all of them together.

    Findings come in the order of files and lines. Raises ConfigError for a wrong option.
    """
    result = Result()
    result.values, bad_values = read_values(reading.objects, secrets, config_maps)
    result.findings += [*reading.findings, *bad_values]
    for obj in reading.objects:
        if obj.kind in CHECKED_KINDS:
            checked, findings = check_object(obj)
            result.checked.append(checked)
            result.findings += findings
    result.findings += _notifications(reading, result, setting)
    result.findings += _duplicates(reading.objects, setting)
    result.findings += _unserved(result)
    result.findings += _buses(result, setting)
    for sensor in result.of("Sensor"):
        result.findings += _dependencies(sensor, result, setting)
    result.findings += _ports(result, setting)
    for checked in result.checked:
        result.findings += pitfalls(checked)
        result.findings += _references(checked, result.values, setting)
    order = {file: n for n, file in enumerate(dict.fromkeys(o.file for o in reading.objects))}
    result.findings.sort(key=lambda f: (order.get(f.place.file, -1), f.place))
    return result


def _notifications(reading: Reading, result: Result, setting: Setting) -> list[Finding]:
    """Check Notifiers, what they read and who subscribes; add those that nobody wrote."""
    if not reading.subscribed and not {"Notifier", "ConfigMap"} & {o.kind for o in reading.objects}:
        return []
    from tocsin.notifications import check_notifications

    notifiers = result.of("Notifier")
    found = check_notifications(reading, notifiers, result.values, alone=setting.alone)
    result.checked += found.implied
    return found.findings


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]})" if near else ""


def _duplicates(objects: Iterable[Object], setting: Setting) -> Iterator[Finding]:
    first: dict[tuple[str, str, str], Object] = {}
    for obj in objects:
        shared = setting.bus_given and obj.kind in {"EventSource", "Sensor", "Notifier"}
        other = first.setdefault((obj.kind, "" if shared else obj.namespace, obj.name), obj)
        if other is not obj:
            at = other.place(("metadata", "name"))
            way_out = (
                "; namespaces share the bus of --bus, so give one of them another name"
                if other.namespace != obj.namespace
                else ""
            )
            message = f"{obj} is defined twice (first at {at}{way_out})"
            yield obj.finding(("metadata", "name"), message)


def _unserved(result: Result) -> Iterator[Finding]:
    for bus in result.of("EventBus"):
        if bus.spec is not None and bus.spec.unsupported:
            yield bus.finding(("spec",), bus.spec.unsupported)


_ADD_BUS = (
    " (add an EventBus of that name with spec: {jetstream: {version: latest}}, or give --bus)"
)


def _buses(result: Result, setting: Setting) -> Iterator[Finding]:
    if setting.bus_given:
        return
    defined = {c.key for c in result.of("EventBus")}
    users: dict[tuple[str, str], list[Checked]] = {}
    for checked in result.checked:
        # What keeps only its own memory there is given a bus where it runs alone.
        own = checked.implied or (setting.alone and checked.object.kind == "Notifier")
        if checked.object.kind != "EventBus" and not own and checked.bus not in defined:
            users.setdefault(checked.bus, []).append(checked)
    for (namespace, name), waiting in users.items():
        others = f", and {len(waiting) - 1} more need it" if len(waiting) > 1 else ""
        near = _near(name, [n for ns, n in defined if ns == namespace])
        way_out = near or (_ADD_BUS if setting.alone else "")
        message = f"no EventBus {name!r} in these manifests{others}{way_out}"
        path = ("spec", "eventBusName")
        yield waiting[0].finding(path, message, setting.missing())


def event_names(source: Checked) -> dict[str, Path]:
    """Return the events of an EventSource, of kinds that are not built yet too."""
    spec = source.modern.raw["spec"]
    return {
        event: ("spec", key, event)
        for key, events in spec.items()
        if key not in _NOT_SOURCES and isinstance(events, dict)
        for event in events
    }


def _dependencies(sensor: Checked, result: Result, setting: Setting) -> Iterator[Finding]:
    dependencies = sensor.modern.raw["spec"].get("dependencies")
    if not isinstance(dependencies, list):
        return
    for index, dependency in enumerate(dependencies):
        if isinstance(dependency, dict):
            source, event = dependency.get("eventSourceName"), dependency.get("eventName")
            if isinstance(source, str) and source and isinstance(event, str) and event:
                base: Path = ("spec", "dependencies", index)
                yield from _dependency(sensor, base, (source, event), result, setting)


def _dependency(
    sensor: Checked, base: Path, topic: tuple[str, str], result: Result, setting: Setting
) -> Iterator[Finding]:
    name, event = topic
    here = [s for s in result.of("EventSource") if s.object.namespace == sensor.object.namespace]
    sources = [s for s in here if fnmatchcase(s.object.name, name)]
    if not sources:
        severity: Severity = "warning" if setting.bus_given else setting.missing()
        near = _near(name, [s.object.name for s in here])
        message = f"no EventSource {name!r} in these manifests{near}"
        yield sensor.finding((*base, "eventSourceName"), message, severity)
        return
    known = {e for s in sources for e in event_names(s)}
    if not any(fnmatchcase(e, event) for e in known):
        near = _near(event, known) or f" (it has {', '.join(sorted(known)) or 'none'})"
        message = f"EventSource {name!r} has no event {event!r}{near}"
        yield sensor.finding((*base, "eventName"), message)
    elif all(s.bus != sensor.bus for s in sources):
        message = (
            f"EventSource {name!r} sends to EventBus {sources[0].bus[1]!r}, and this Sensor reads"
            f" {sensor.bus[1]!r} (give both the same eventBusName)"
        )
        yield sensor.finding((*base, "eventSourceName"), message)


def _ports(result: Result, setting: Setting) -> Iterator[Finding]:
    from eventsource.spec import ports

    taken: dict[int, Checked] = {}
    for source in result.of("EventSource"):
        if source.spec is None:
            continue
        found = {port.number: ("spec", *port.path) for port in reversed(ports(source.spec))}
        for port, path in sorted(found.items()):
            other = taken.setdefault(port, source)
            if other is not source:
                message = f"port {port} is used by {other.object} too"
                if not setting.alone:
                    message += " (each has its own pod in a cluster; tocsin run needs two ports)"
                yield source.finding(path, message, setting.missing())
            if port == METRICS_PORT and not setting.alone:
                message = f"port {port} serves the metrics of every pod: choose another"
                yield source.finding(path, message, "warning")


def _references(checked: Checked, values: Values, setting: Setting) -> Iterator[Finding]:
    found: list[tuple[Path, KeyRef]] = []

    def visit(path: Path, model: Model) -> None:
        if isinstance(model, KeyRef) and model.name != FILE and not model.optional:
            found.append((path, model))

    walk(checked.spec, ("spec",), visit)
    for path, ref in found:
        kind = "Secret" if isinstance(ref, SecretRef) else "ConfigMap"
        known = values.find(kind, checked.object.namespace)
        keys = [key for name, key in known if name == ref.name]
        if not ref.name:
            yield checked.finding((*path, "name"), "required field is missing")
        elif not keys:
            near = _near(ref.name, {name for name, _ in known})
            option = "--secret" if kind == "Secret" else "--config"
            way_out = near or (
                f" (add it, or give {option} {ref.name}.{ref.key}=@FILE)" if setting.alone else ""
            )
            message = f"no {kind} {ref.name!r} in these manifests{way_out}"
            yield checked.finding((*path, "name"), message, setting.missing())
        elif ref.key not in keys:
            near = _near(ref.key, keys) or f" (it has {', '.join(sorted(keys))})"
            message = f"{kind} {ref.name!r} has no key {ref.key!r}{near}"
            yield checked.finding((*path, "key"), message)
