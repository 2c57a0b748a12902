"""Old shapes of manifests, rewritten to what is written today before anything is validated.

Blog posts and old installations hold YAML that Argo Events once took and today ignores without a
word, or never documented. One row of the table below is one such shape: it is moved, dropped or
refused, and the user is told what to write. Whoever validates an object calls `modernise`
first, so a shape that is in the table works everywhere: in `lint`, in `run`, in a pod.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from typing_extensions import override

from spine.errors import ConfigError
from spine.model import Path, Problem, dotted
from spine.secrets import ConfigMapRef, SecretRef, Secrets, one_newline_less

FILE = "file:"
"""Name of the Secret that stands for files of the process: no Secret can have it, and a key of
it is a path. Old manifests name key files where today's name a key of a Secret."""


class PathSecrets(Secrets):
    """Reads the files that old manifests name, and all else from another place."""

    def __init__(self, inner: Secrets) -> None:
        self._inner = inner

    @override
    def secret(self, ref: SecretRef) -> str:
        if ref.name != FILE:
            return self._inner.secret(ref)
        try:
            return one_newline_less(FilePath(ref.key).read_text())
        except OSError as exc:
            raise ConfigError(
                f"reading {ref.key}: {exc.strerror}", hint="better keep it in a Secret"
            ) from exc

    @override
    def config_map(self, ref: ConfigMapRef) -> str:
        return self._inner.config_map(ref)


# ---------------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Row:
    """One old shape. `*` in a path stands for any key or index."""

    kind: str
    at: str
    to: str | None
    """Where its value goes, with the same `*`; None: nowhere."""
    until: str
    """When it was last valid."""
    say: str | Callable[[Any, dict[str, Any]], str] = ""
    """What to write today, or a function of the value and the whole object that tells."""
    refuse: bool = False
    """Whether the shape is an error, because ignoring it would change what the object does."""
    when: Callable[[Any], bool] | None = None
    """Which values are old; all of them where it is None."""
    convert: Callable[[Any], Any] | None = None
    key: str = ""
    """Part of the value that the complaint is about."""


def _file_ref(path: Any) -> Any:
    return {"name": FILE, "key": path}


def _key_files(kind: str, parent: str, until: str, *names: str) -> Iterator[Row]:
    for name in names:
        new = name.removesuffix("Path") + "Secret"
        say = f"write {new} with name and key of a Secret"
        yield Row(kind, f"{parent}.{name}", f"{parent}.{new}", until, say, convert=_file_ref)


def _dropped(kind: str, parent: str, until: str, say: str, *names: str) -> Iterator[Row]:
    for name in names:
        yield Row(kind, f"{parent}.{name}", None, until, say)


def _moved(kind: str, old: str, new: str, until: str, *names: str) -> Iterator[Row]:
    for name in names:
        yield Row(kind, f"{old}.{name}", f"{new}.{name}", until)


POD_FIELDS = """
serviceAccountName volumes securityContext nodeSelector tolerations affinity imagePullSecrets
priorityClassName priority
""".split()  # noqa: SIM905 -- a list of words reads better as one
CONTAINER_FIELDS = """
image command args name ports workingDir lifecycle livenessProbe readinessProbe startupProbe
stdin tty terminationMessagePath terminationMessagePolicy
""".split()  # noqa: SIM905 -- a list of words reads better as one


def _pod(kind: str) -> Iterator[Row]:
    old, new = "spec.template.spec", "spec.template"
    yield from _moved(kind, old, new, "v0.17", *POD_FIELDS)
    say = "the container is the program's own: template.container takes env, resources and mounts"
    yield Row(kind, f"{old}.containers", None, "v0.17", say)
    yield Row(kind, old, None, "v0.17", f"write the fields under {new}")
    say = "it has no effect: the container is the program's own"
    yield from _dropped(kind, f"{new}.container", "v1.9.5", say, *CONTAINER_FIELDS)


def _user_payload(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return value
    import orjson

    return {"userPayload": value if isinstance(value, str) else orjson.dumps(value).decode()}


def _exclusions(value: Any) -> Any:
    lines = value if isinstance(value, list) else [value]
    return [line for line in lines if isinstance(line, str) and line.startswith("EXDATE")]


def _flat(headers: dict[str, Any]) -> dict[str, Any]:
    return {k: ", ".join(map(str, v)) if isinstance(v, list) else v for k, v in headers.items()}


def _gateway_pair(value: Any) -> bool:
    new = {"eventSourceName", "eventName", "gatewayName"}
    return isinstance(value, dict) and ":" in str(value.get("name", "")) and not new & value.keys()


def _split_pair(value: dict[str, Any]) -> dict[str, Any]:
    source, _, event = value["name"].partition(":")
    return {**value, "eventSourceName": source, "eventName": event}


def _resource_parameters(trigger: dict[str, Any]) -> dict[str, Any]:
    trigger = dict(trigger)
    parameters = trigger.pop("resourceParameters")
    template = dict(trigger.get("template") or {})
    kind = next((k for k in template if isinstance(template[k], dict) and k != "when"), "k8s")
    template[kind] = {"parameters": parameters, **(template.get(kind) or {})}
    return {**trigger, "template": template}


def _joined(names: Any, operator: str, groups: dict[str, str]) -> str:
    found = [str(n) for n in names] if isinstance(names, list) else []
    return operator.join(groups.get(name, name) for name in found)


def _groups(raw: dict[str, Any]) -> dict[str, str]:
    """Return each dependency group as a condition."""
    out = {}
    for group in raw.get("spec", {}).get("dependencyGroups") or []:
        if isinstance(group, dict) and isinstance(group.get("dependencies"), list):
            members = [str(d) for d in group["dependencies"]]
            text = " && ".join(members)
            out[str(group.get("name"))] = f"({text})" if len(members) > 1 else text
    return out


def _say_circuit(value: Any, raw: dict[str, Any]) -> str:
    circuit = raw.get("spec", {}).get("circuit")
    text = str(circuit or value if not isinstance(value, list) else circuit or "")
    for name, members in _groups(raw).items():
        text = text.replace(name, members)
    example = f"{text!r}" if text else "a && b"
    return f"write conditions in the template of each trigger, such as conditions: {example}"


def _say_switch(value: Any, raw: dict[str, Any]) -> str:
    groups = _groups(raw)
    any_, all_ = (value.get("any"), value.get("all")) if isinstance(value, dict) else ([], [])
    text = _joined(any_, " || ", groups) or _joined(all_, " && ", groups) or "a || b"
    return f"write conditions: {text!r} in its place"


def _sensor() -> Iterator[Row]:
    sensor, dependency, trigger = "Sensor", "spec.dependencies.*", "spec.triggers.*"
    template = f"{trigger}.template"
    yield from _pod(sensor)
    say = "events come over the EventBus: leave it out"
    yield from _dropped(sensor, "spec", "v0.16", say, "eventProtocol", "subscription")
    for name in ("circuit", "dependencyGroups"):
        yield Row(sensor, f"spec.{name}", None, "v1.4", _say_circuit, refuse=True)
    yield Row(
        sensor, dependency, dependency, "v0.11", "write eventSourceName and eventName",
        when=_gateway_pair, convert=_split_pair, key="name",
    )  # fmt: skip
    yield Row(
        sensor, dependency, None, "v0.17",
        "Gateways are gone: write eventSourceName, the EventSource that sends the event",
        when=lambda d: isinstance(d, dict) and "gatewayName" in d and "eventSourceName" not in d,
        refuse=True, key="gatewayName",
    )  # fmt: skip
    yield Row(sensor, f"{dependency}.gatewayName", None, "v0.17", "leave it out")
    yield Row(sensor, f"{dependency}.connected", None, "v0.11", "leave it out")
    yield Row(sensor, f"{dependency}.filters.name", None, "v1.0", "leave it out")
    for old, new in (
        ("contentType", "datacontenttype"),
        ("dataContentType", "datacontenttype"),
        ("eventID", "id"),
        ("eventType", "type"),
        ("cloudEventsVersion", "specversion"),
    ):
        at = f"{dependency}.filters.context"
        yield Row(sensor, f"{at}.{old}", f"{at}.{new}", "v0.16", f"write {new}")
    for name in ("switch", "when"):
        yield Row(sensor, f"{template}.{name}", None, "v1.4", _say_switch, refuse=True)
    yield Row(
        sensor, f"{template}.openFaas", None, "v0.16",
        "use http with the address of the function", refuse=True,
    )  # fmt: skip
    yield from _moved(
        sensor, template, trigger, "never",
        "policy", "atLeastOnce", "retryStrategy", "rateLimit", "dlqTrigger",
    )  # fmt: skip
    yield from _parameters(sensor, trigger, template)
    yield from _k8s(sensor, trigger, template)
    http = f"{template}.http"
    yield Row(sensor, f"{http}.serverURL", f"{http}.url", "v0.15", "write url")
    yield Row(
        sensor, f"{http}.headers", f"{http}.headers", "v0.16", "write each header as one text",
        when=lambda v: isinstance(v, dict) and any(isinstance(x, list) for x in v.values()),
        convert=_flat,
    )  # fmt: skip
    for name in ("basicAuth", "basicAuth.username", "basicAuth.password"):
        say = "leave it out: Secrets are taken from the namespace of the Sensor"
        yield Row(sensor, f"{http}.{name}.namespace", None, "v0.17", say)
    names = ("caCertPath", "clientCertPath", "clientKeyPath")
    yield from _key_files(sensor, f"{http}.tls", "v0.17", *names)


def _parameters(sensor: str, trigger: str, template: str) -> Iterator[Row]:
    yield Row(
        sensor, f"{trigger}.templateParameters", f"{trigger}.parameters", "v0.11",
        "write parameters",
    )  # fmt: skip
    yield Row(
        sensor, trigger, trigger, "v0.11", "write parameters inside of the kind of trigger",
        when=lambda t: isinstance(t, dict) and "resourceParameters" in t,
        convert=_resource_parameters, key="resourceParameters",
    )  # fmt: skip
    for place in (f"{trigger}.parameters", f"{template}.*.parameters", f"{template}.*.payload"):
        for old, new in (("event", "dependencyName"), ("path", "dataKey")):
            src = f"{place}.*.src"
            yield Row(sensor, f"{src}.{old}", f"{src}.{new}", "v0.11", f"write {new}")


def _k8s(sensor: str, trigger: str, template: str) -> Iterator[Row]:
    say = "leave it out: it follows from apiVersion and kind of the source"
    yield from _dropped(sensor, template, "v0.11", say, "group", "version", "resource", "kind")
    k8s, policy = f"{template}.k8s", f"{trigger}.policy"
    yield Row(sensor, f"{template}.source", f"{k8s}.source", "v0.11", "write k8s.source")
    for kind in ("k8s", "argoWorkflow"):
        names = ("group", "version", "resource")
        yield from _dropped(sensor, f"{template}.{kind}", "v1.4", say, *names)
    yield from _moved(sensor, policy, f"{policy}.k8s", "v0.11", "backoff", "errorOnBackoffTimeout")
    yield Row(
        sensor, f"{policy}.state.success", f"{policy}.k8s.labels", "v0.11",
        "write policy.k8s.labels",
    )  # fmt: skip
    yield Row(sensor, f"{policy}.state", None, "v0.11", "labels of a failure are not looked at")


def _event_source() -> Iterator[Row]:
    source = "EventSource"
    yield from _pod(source)
    yield Row(source, "spec.replica", "spec.replicas", "v1.4", "write replicas")
    yield Row(source, "spec.type", None, "v0.16", "leave it out")
    names = ("serverCertPath", "serverKeyPath")
    yield from _key_files(source, "spec.webhook.*", "v1.4", *names)
    yield Row(
        source, "spec.webhook.*.authSecret.namespace", None, "v0.16",
        "leave it out: Secrets are taken from the namespace of the EventSource",
    )  # fmt: skip
    calendar = "spec.calendar.*"
    yield Row(
        source, f"{calendar}.recurrence", f"{calendar}.exclusionDates", "v0.11",
        "write exclusionDates with the EXDATE lines; other rules never had an effect",
        convert=_exclusions,
    )  # fmt: skip
    yield Row(
        source, f"{calendar}.userPayload", f"{calendar}.metadata", "v1.4",
        "write metadata, a map of texts; it arrives as metadata and no longer as userPayload",
        convert=_user_payload,
    )  # fmt: skip


def _event_bus() -> Iterator[Row]:
    bus, native = "EventBus", "spec.nats.native"
    yield Row(bus, f"{native}.size", f"{native}.replicas", "v0.16", "write replicas")
    volume = f"{native}.persistence"
    yield Row(bus, f"{volume}.size", f"{volume}.volumeSize", "v0.16", "write volumeSize")
    yield Row(bus, f"{native}.antiAffinity", None, "v1.4", "write affinity")
    group = "spec.kafka.consumerGroup"
    yield Row(bus, f"{group}.startOldest", f"{group}.oldest", "v1.9.0", "write oldest")


def _with_dead_letter_triggers(rows: Iterator[Row]) -> Iterator[Row]:
    """Repeat the rows of a trigger for its dlqTrigger, which is one too."""
    old, new = "spec.triggers.*", "spec.triggers.*.dlqTrigger"
    for row in rows:
        yield row
        if row.at.startswith(old):
            to = row.to.replace(old, new) if row.to else None
            yield replace(row, at=row.at.replace(old, new), to=to)


TABLE: tuple[Row, ...] = (*_event_source(), *_with_dead_letter_triggers(_sensor()), *_event_bus())


# ---------------------------------------------------------------------------- rewriting


@dataclass(slots=True)
class Modern:
    """An object in today's shape."""

    raw: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)
    """A warning for each old shape, and an error for each that is refused."""
    moved: list[tuple[Path, Path]] = field(default_factory=list)
    """New path and old path of what was moved."""

    def origin(self, path: Path) -> Path:
        """Return where the user wrote what stands at a path now."""
        for new, old in reversed(self.moved):
            if path[: len(new)] == new:
                return (*old, *path[len(new) :])
        return path


def modernise(kind: str, raw: dict[str, Any]) -> Modern:
    """Rewrite an object; the given one is left as it is."""
    modern = Modern(raw)
    for row in TABLE:
        found = _old(row, modern.raw) if row.kind == kind else []
        if found and modern.raw is raw:
            modern.raw = copy.deepcopy(raw)
            found = _old(row, modern.raw)
        for path, value in found:
            _apply(row, path, value, modern)
    return modern


def _old(row: Row, raw: dict[str, Any]) -> list[tuple[Path, Any]]:
    matches = _matches(raw, tuple(row.at.split(".")), ())
    return [(path, value) for path, value in matches if row.when is None or row.when(value)]


def _matches(node: Any, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, node
        return
    step, rest = pattern[0], pattern[1:]
    if step == "*":
        items: list[tuple[Any, Any]] = []
        if isinstance(node, dict):
            items = list(node.items())
        elif isinstance(node, list):
            items = list(enumerate(node))
        for key, value in items:
            yield from _matches(value, rest, (*path, key))
    elif isinstance(node, dict) and step in node:
        yield from _matches(node[step], rest, (*path, step))


def _apply(row: Row, path: Path, value: Any, modern: Modern) -> None:
    shown = (*modern.origin(path), row.key) if row.key else modern.origin(path)
    say = row.say if isinstance(row.say, str) else row.say(value, modern.raw)
    era = "never valid here" if row.until == "never" else f"valid up to {row.until}"
    if row.refuse:
        modern.problems.append(Problem(shown, f"{era}: {say}"))
        _remove(modern.raw, (*path, row.key) if row.key else path)
        return
    if row.to is None and value == {}:  # what is left of something whose parts were moved
        _remove(modern.raw, path)
        return
    taken = row.convert(value) if row.convert else value
    if row.to == row.at:
        _put(modern.raw, path, taken)
    else:
        _remove(modern.raw, path)
        if row.to is not None:
            target = _fill(row.to, row.at, path)
            if not _put(modern.raw, target, taken, missing_only=True):
                say = f"ignored, because {dotted(target)} is there too"
            else:
                say = say or f"write {dotted(target)}"
                modern.moved.append((target, modern.origin(path)))
        else:
            say = f"ignored: {say}"
    modern.problems.append(Problem(shown, f"old shape, {era}: {say}", warning=True))


def _fill(to: str, at: str, path: Path) -> Path:
    """Put what the stars of `at` matched into the stars of `to`."""
    found = iter([step for step, part in zip(path, at.split("."), strict=True) if part == "*"])
    return tuple(next(found) if part == "*" else part for part in to.split("."))


def _parent(raw: Any, path: Path, *, create: bool = False) -> Any:
    for step in path[:-1]:
        if create and isinstance(raw, dict) and raw.get(step) is None:
            raw[step] = {}
        raw = raw[step]
    return raw


def _remove(raw: Any, path: Path) -> None:
    _parent(raw, path).pop(path[-1], None)


def _put(raw: Any, path: Path, value: Any, *, missing_only: bool = False) -> bool:
    parent = _parent(raw, path, create=True)
    if missing_only and (not isinstance(parent, dict) or path[-1] in parent):
        return False
    parent[path[-1]] = value
    return True
