"""Notifications among manifests: Notifiers, their ConfigMaps and Secrets, and who subscribes.

A ConfigMap of notifications that no Notifier names gets one, if it can be told what it is about.
Then each is read as the process will read it, and every annotation is held against what the
Notifiers of its kind of object know.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.objects import Checked, check_object
from notifier.config import Configuration, Problem, load
from notifier.config.shaping import near
from notifier.current import aliases
from notifier.health import HealthRules
from notifier.notifiers import VARIABLES, Annotated, implied, is_configuration
from notifier.spec import PREFIX, NotifierSpec
from notifier.subscriptions import problems_of
from notifier.variables import ALWAYS
from spine.errors import ConfigError
from spine.manifest import OURS, SUBSCRIBES, Finding, Object, Reading, Severity, metadata_of
from spine.model import Path
from tocsin.values import Key, Values


@dataclass(slots=True)
class Notifications:
    """What manifests hold of notifications."""

    implied: list[Checked] = field(default_factory=list)
    """Notifiers that nobody wrote."""
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Subscriber:
    """An object, or a template of one, that bears annotations."""

    object: Object
    path: Path
    """Where its metadata is."""
    api_version: str
    kind: str
    annotations: Mapping[str, str]


def check_notifications(
    reading: Reading, notifiers: list[Checked], values: Values, *, alone: bool
) -> Notifications:
    """Check all that has to do with notifications; `notifiers` are those that are written.

    `alone` says that there is nothing but these manifests, so that what is missing is an error.
    """
    found = Notifications()
    subscribers = [one for obj in _bearers(reading) for one in _subscribers(obj, found.findings)]
    missing: Severity = "error" if alone else "warning"
    for config_map in _unnamed(reading, notifiers):
        made, findings = _imply(config_map, reading, subscribers, missing)
        found.implied += made
        found.findings += findings
    known: list[tuple[Checked, Configuration | None]] = []
    for checked in (*notifiers, *found.implied):
        if checked.spec is not None:
            look = _Look(checked, reading, values, missing)
            known.append((checked, look.configuration()))
            found.findings += look.findings
    for subscriber in subscribers:
        found.findings += _annotations(subscriber, known, alone=alone)
    return found


# ---------------------------------------------------------------------------- implied


def _data(obj: Object) -> dict[str, str]:
    data = obj.raw.get("data")
    if not isinstance(data, dict):
        return {}
    return {key: text for key, text in data.items() if isinstance(text, str)}


def _unnamed(reading: Reading, notifiers: list[Checked]) -> Iterator[Object]:
    """Yield ConfigMaps of notifications that no Notifier names."""
    named = {
        (checked.object.namespace, checked.spec.config_map)
        for checked in notifiers
        if checked.spec is not None
    }
    everywhere = {
        checked.spec.config_map
        for checked in notifiers
        if checked.spec is not None and checked.spec.self_service
    }
    for obj in reading.of("ConfigMap"):
        known = (obj.namespace, obj.name) in named or obj.name in everywhere
        if not known and is_configuration(obj.name, _data(obj)):
            yield obj


def _imply(
    config_map: Object, reading: Reading, subscribers: list[_Subscriber], missing: Severity
) -> tuple[list[Checked], list[Finding]]:
    secrets = [o.name for o in reading.of("Secret") if o.namespace == config_map.namespace]
    annotated = [Annotated(one.api_version, one.kind, one.annotations) for one in subscribers]
    try:
        spec = implied(config_map.name, _data(config_map), annotated, secrets)
    except ConfigError as exc:
        unclear = config_map.finding(("metadata", "name"), str(exc), missing)
        return [], [unclear, *_wrong_in_itself(config_map)]
    watched = ", ".join(f"{one.kind} of {one.api_version}" for one in spec.watches)
    note = f"no Notifier names it, so one is taken for it: {watched}, Secret {spec.secret!r}"
    raw = {
        "apiVersion": f"{OURS}/v1alpha1",
        "kind": "Notifier",
        "metadata": {"name": config_map.name, "namespace": config_map.namespace},
        "spec": spec.model_dump(by_alias=True, exclude_unset=True, mode="json"),
    }
    checked, findings = check_object(replace(config_map, kind="Notifier", raw=raw))
    findings.append(config_map.finding(("metadata", "name"), note, "note"))
    return [replace(checked, implied=True)], findings


def _wrong_in_itself(config_map: Object) -> Iterator[Finding]:
    """Yield what is wrong with a configuration, whatever it is about."""
    loaded = load(
        _data(config_map),
        None,
        name=config_map.name,
        namespace=config_map.namespace,
        variables=ALWAYS | VARIABLES.keys(),
    )
    for problem in loaded.problems:
        if problem.severity == "error":
            yield _finding(config_map, ("data", problem.key), problem)


# ---------------------------------------------------------------------------- configuration


class _Look:
    """Reads the configuration of one Notifier."""

    def __init__(
        self, checked: Checked, reading: Reading, values: Values, missing: Severity
    ) -> None:
        self._checked, self._reading, self._values = checked, reading, values
        self._missing: Severity = missing
        self.findings: list[Finding] = []

    def configuration(self) -> Configuration | None:
        """Return the configuration, None where it is not among the manifests.

        `findings` has what is wrong with it and with the Notifier.
        """
        spec: NotifierSpec = self._checked.spec
        config = self._found("ConfigMap", spec.config_map, "configMap")
        if config is None:
            return None
        secret = self._found("Secret", spec.secret, "secret", quiet=not _refers(config))
        loaded = load(
            config,
            secret,
            name=spec.config_map,
            namespace=self._checked.object.namespace,
            variables=aliases(spec),
        )
        for problem in loaded.problems:
            self._say(spec.secret if problem.secret else spec.config_map, problem)
        self._health(spec, config)
        return loaded

    def _finding(self, path: Path, message: str, severity: Severity = "error") -> None:
        self.findings.append(self._checked.finding(path, message, severity))

    def _found(
        self, kind: str, name: str, field: str, *, quiet: bool = False
    ) -> dict[str, str] | None:
        """Return the texts of a ConfigMap or Secret; None where there is none."""
        known: dict[Key, str] = self._values.find(kind, self._checked.object.namespace)
        texts = {key: text for (one, key), text in known.items() if one == name}
        if texts or self._object(kind, name) is not None:
            return texts
        if not quiet:
            names = list(dict.fromkeys(one for one, _ in known))
            message = f"no {kind} {name!r} in these manifests{near(name, names)}"
            self._finding(("spec", field), message, self._missing)
        return None

    def _object(self, kind: str, name: str) -> Object | None:
        namespace = self._checked.object.namespace
        here = (o for o in self._reading.of(kind) if (o.namespace, o.name) == (namespace, name))
        return next(here, None)

    def _say(self, name: str, problem: Problem) -> None:
        """Add a finding at the line of a ConfigMap or Secret."""
        obj = self._object("Secret" if problem.secret else "ConfigMap", name)
        if obj is None:
            self._finding(("spec",), f"ConfigMap {name!r}: {problem}", problem.severity)
            return
        part = "stringData" if "stringData" in obj.raw and problem.secret else "data"
        path = (part, problem.key)
        self.findings.append(_finding(obj, path, problem))

    def _health(self, spec: NotifierSpec, config: Mapping[str, str]) -> None:
        name = spec.health_config_map or spec.config_map
        data = self._found("ConfigMap", name, "healthConfigMap", quiet=True)
        rules = HealthRules.of_config(data or config, generic=spec.generic_health)
        for problem in rules.problems:
            severity: Severity = "warning" if problem.severity == "warning" else "error"
            self._say(name, Problem(problem.key, problem.message, severity, line=problem.line))


def _finding(obj: Object, path: Path, problem: Problem) -> Finding:
    """Return a problem of a text that stands at a path of an object."""
    whole = not problem.path and (problem.line, problem.column) == (1, 1)
    place = obj.place_in_text(path, problem.line, problem.column)
    full = (*path, *problem.path)
    return Finding(obj.place(path) if whole else place, full, problem.message, problem.severity)


_REFERENCE = re.compile(r"\$[A-Za-z0-9_{-]|\.secrets\b")


def _refers(config: Mapping[str, str]) -> bool:
    """Return whether something of a Secret is asked for."""
    return any(
        _REFERENCE.search(text) if key.startswith("service.") else ".secrets." in text
        for key, text in config.items()
    )


# ---------------------------------------------------------------------------- annotations


def _bearers(reading: Reading) -> Iterator[Object]:
    yield from reading.objects
    yield from reading.subscribed


def _subscribers(obj: Object, findings: list[Finding]) -> Iterator[_Subscriber]:
    for path, metadata in metadata_of(obj.raw):
        annotations = metadata.get("annotations")
        if not isinstance(annotations, dict) or not any(map(SUBSCRIBES.search, annotations)):
            continue
        texts = {}
        for key, value in annotations.items():
            if isinstance(value, str):
                texts[key] = value
            elif SUBSCRIBES.search(key):
                message = "an annotation is a text: write it in quotes"
                findings.append(obj.finding((*path, "annotations", key), message))
        version, kind = _made(obj, path)
        yield _Subscriber(obj, path, version, kind, texts)


def _made(obj: Object, path: Path) -> tuple[str, str]:
    """Return version and kind of what bears the metadata: the object, or what it makes."""
    if len(path) == 1:
        return str(obj.raw.get("apiVersion", "")), obj.kind
    return ("batch/v1", "Job") if path[-2] == "jobTemplate" else _TEMPLATED.get(obj.kind, _POD)


_POD = ("v1", "Pod")
_TEMPLATED = {
    "ApplicationSet": ("argoproj.io/v1alpha1", "Application"),
    "Certificate": ("v1", "Secret"),
}


def _annotations(
    one: _Subscriber, notifiers: list[tuple[Checked, Configuration | None]], *, alone: bool
) -> Iterator[Finding]:
    watching = [
        (checked, configuration)
        for checked, configuration in notifiers
        if _watched(checked.spec, one)
    ]
    prefixes = {checked.spec.annotation_prefix for checked, _ in watching} or {PREFIX}
    for prefix in sorted(prefixes):
        suited = [c for checked, c in watching if checked.spec.annotation_prefix == prefix]
        seen = [] if None in suited else [c for c in suited if c is not None]
        for problem in problems_of(one.annotations, seen, prefix=prefix):
            path = (*one.path, "annotations", problem.key)
            yield _finding(one.object, path, problem)
    if not watching and (alone or notifiers):
        severity: Severity = "warning" if alone else "note"
        message = f"no Notifier in these manifests watches {one.kind} of {one.api_version}"
        yield one.object.finding((*one.path, "annotations"), message, severity)


def _watched(spec: Any, one: _Subscriber) -> bool:
    namespace = one.object.namespace
    return any(
        (watch.api_version, watch.kind) == (one.api_version, one.kind)
        and (not watch.namespaces or namespace in watch.namespaces)
        for watch in spec.watches
    )
