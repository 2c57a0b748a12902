"""Checks that need more than one object: who sends what a Sensor waits for, over which bus.

In a cluster much of what a folder does not define may exist elsewhere, so `lint` only warns of
it. `tocsin run` has nothing but the folder, so there the same is an error.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from controller.alone import alone
from controller.objects import Checked, check_object
from controller.together import Reference, Sender, complaints, event_names, near, needs
from spine.manifest import CHECKED_KINDS, Finding, Object, Reading, Severity
from tocsin.values import Values, read_values


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
    result.findings += _buses(result, setting)
    result.findings += _ports(result, setting)
    for checked in result.checked:
        result.findings += alone(checked, pod=not setting.alone)
        result.findings += _surroundings(checked, result, setting)
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


def _duplicates(objects: Iterable[Object], setting: Setting) -> Iterator[Finding]:
    """Refuse two objects of one name; the same EventBus beside each of several parts is one."""
    first: dict[tuple[str, str, str], Object] = {}
    for obj in objects:
        shared = setting.bus_given and obj.kind in {"EventSource", "Sensor", "Notifier"}
        other = first.setdefault((obj.kind, "" if shared else obj.namespace, obj.name), obj)
        if other is not obj and not (obj.kind == "EventBus" and obj.raw == other.raw):
            at = other.place(("metadata", "name"))
            way_out = (
                "; namespaces share the bus of --bus, so give one of them another name"
                if other.namespace != obj.namespace
                else ""
            )
            message = f"{obj} is defined twice (first at {at}{way_out})"
            yield obj.finding(("metadata", "name"), message)


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
        alike = near(name, [n for ns, n in defined if ns == namespace])
        way_out = alike or (_ADD_BUS if setting.alone else "")
        message = f"no EventBus {name!r} in these manifests{others}{way_out}"
        path = ("spec", "eventBusName")
        yield waiting[0].finding(path, message, setting.missing())


@dataclass(frozen=True, slots=True)
class _Folder:
    """What is around an object of these manifests."""

    result: Result
    setting: Setting
    namespace: str
    where: str = "in these manifests"

    def senders(self) -> dict[str, Sender]:
        """Return the EventSources of the namespace."""
        return {
            one.object.name: Sender(one.bus[1], event_names(one.modern.raw["spec"]))
            for one in self.result.of("EventSource")
            if one.object.namespace == self.namespace
        }

    def names(self, kind: str) -> set[str]:
        """Return the Secrets or ConfigMaps that the namespace sees."""
        return {name for name, _ in self.result.values.find(kind, self.namespace)}

    def keys(self, kind: str, name: str) -> list[str]:
        """Return the keys of one of them."""
        return [key for one, key in self.result.values.find(kind, self.namespace) if one == name]

    def way_out(self, reference: Reference) -> str:
        """Return what to do where it is missing."""
        if not self.setting.alone:
            return ""
        option = "--secret" if reference.kind == "Secret" else "--config"
        return f" (add it, or give {option} {reference.name}.{reference.key}=@FILE)"


def _surroundings(checked: Checked, result: Result, setting: Setting) -> Iterator[Finding]:
    """Hold an object against the others; its bus is looked at with those of all."""
    around = _Folder(result, setting, checked.object.namespace)
    for path, message, missing in complaints(needs(checked), around):
        severity: Severity = "error"
        if missing:
            on_bus = missing == "EventSource" and setting.bus_given
            severity = "warning" if on_bus else setting.missing()
        yield checked.object.finding(path, message, severity)


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
