"""The bundles of old: `config.yaml` in the ConfigMap and `notifiers.yaml` in the Secret.

They hold all triggers, templates and services in one value each. Argo CD reads them still; what
a key of today says wins here.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from notifier.config.entry import Entry
from notifier.config.shapes import LegacyConfig, LegacyServices
from notifier.config.shaping import Shaping
from spine.model import Path

CONFIG, SERVICES = "config.yaml", "notifiers.yaml"
_OLD = "is the form of old: write one key for each trigger and template"


class Part(NamedTuple):
    """One trigger, template or service of a bundle."""

    name: str
    type: str
    """Type of a service."""
    value: Any
    path: Path


def read_config(entry: Entry) -> LegacyConfig:
    """Return `config.yaml`; empty after errors."""
    shaping = Shaping()
    config = shaping.model(LegacyConfig, entry.value, what=entry.key)
    entry.take(shaping)
    entry.say("note", (), f"{CONFIG} {_OLD}")
    return config or LegacyConfig()


def triggers(entry: Entry, config: LegacyConfig) -> Iterator[Part]:
    """Yield triggers, with values as they are written today."""
    for index, one in enumerate(config.triggers):
        path: Path = ("triggers", index)
        if not one.name:
            entry.error(path, "a trigger without a name")
            continue
        value = {"when": one.condition, "description": one.description}
        yield Part(one.name, "", [{**value, "send": [one.template]}], path)


def defaults(config: LegacyConfig) -> tuple[str, ...]:
    """Return the names of triggers that are enabled, which makes them default ones."""
    return tuple(one.name for one in config.triggers if one.name and one.enabled)


def templates(entry: Entry, config: LegacyConfig) -> Iterator[Part]:
    """Yield templates, with values as they are written today."""
    for index, raw in enumerate(config.templates):
        path: Path = ("templates", index)
        folded = {key.lower(): key for key in raw}
        own = {key: raw[folded[key]] for key in ("name", "subject", "body") if key in folded}
        name = own.get("name")
        if not isinstance(name, str) or not name:
            entry.error(path, "a template without a name")
            continue
        value = {key: item for key, item in raw.items() if key.lower() not in own}
        if own.get("body"):
            value["message"] = own["body"]
        if own.get("subject"):
            email = value.get("email")
            block = email if isinstance(email, dict) else {}
            value["email"] = {**block, "subject": own["subject"]}
        yield Part(name, "", value, path)


def services(entry: Entry) -> Iterator[Part]:
    """Yield the services of `notifiers.yaml`."""
    shaping = Shaping(private=True)
    found = shaping.model(LegacyServices, entry.value, what=entry.key)
    entry.take(shaping)
    entry.say("note", (), f"{SERVICES} is the form of old: write service.TYPE in the ConfigMap")
    if found is None:
        return
    for kind in ("email", "slack", "opsgenie", "grafana"):
        value = getattr(found, kind)
        if value is not None:
            yield Part(kind, kind, value, (kind,))
    for index, raw in enumerate(found.webhook):
        folded = {key.lower(): key for key in raw}
        name = raw.get(folded.get("name", ""))
        if isinstance(name, str) and name:
            value = {key: item for key, item in raw.items() if key.lower() != "name"}
            yield Part(name, "webhook", value, ("webhook", index))
        else:
            entry.error(("webhook", index), "a webhook without a name")
