"""The versions of the server that Argo Events' controller was configured with, where there are any.

An installation that takes its images from a registry of its own says so in the ConfigMap
`argo-events-controller-config` beside that controller. Its buses name those versions, so they are
taken over. What else the ConfigMap says of all buses is not: limits that lose events by default
are no part of what is promised here, and whoever wants them writes them into the EventBus.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from controller.bus.versions import Settings, Version
from spine.errors import ConfigError

NAME, KEY = "argo-events-controller-config", "controller-config.yaml"
LEAST = (2, 10)
"""The oldest server that our processes can use."""
_STREAM: Mapping[str, object] = {
    "maxmsgs": 50000,
    "maxage": "168h",
    "maxbytes": -1,
    "replicas": 3,
    "duplicates": "300s",
    "retention": 0,
    "discard": 0,
}
"""What Argo Events ships there, of which nothing needs to be said."""
_NUMBER = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def configured(text: str, base: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings with the versions of a ConfigMap, and what is to be said of the rest.

    Raises ConfigError where it is not what Argo Events takes.
    """
    try:
        raw = _lower(yaml.safe_load(text))
        jetstream = (raw.get("eventbus") or {}).get("jetstream") or {}
        entries = [dict(one) for one in jetstream.get("versions") or ()]
        stream = _lower(yaml.safe_load(jetstream.get("streamconfig") or "") or {})
    except (yaml.YAMLError, AttributeError, TypeError, ValueError) as exc:
        raise ConfigError(
            f"reading {KEY} of ConfigMap {NAME!r}: it is not what Argo Events takes",
            hint="it has eventBus.jetstream.versions, each with version and natsImage",
        ) from exc
    found = dict(_versions(entries, base))
    notes = []
    if {**_STREAM, **stream} != _STREAM:
        notes.append(f"streamConfig of ConfigMap {NAME!r} is not used: write it into the EventBus")
    return replace(base, versions={**base.versions, **found}), tuple(notes)


def _lower(value: Any) -> Any:
    """Return maps with keys in small letters, as Argo Events takes any."""
    if isinstance(value, dict):
        return {str(key).lower(): _lower(one) for key, one in value.items()}
    return [_lower(one) for one in value] if isinstance(value, list) else value


def _versions(entries: list[dict[str, Any]], base: Settings) -> Iterator[tuple[str, Version]]:
    known = [(str(one.get("version") or ""), _version(one)) for one in entries]
    known = [(name, version) for name, version in known if name and version.image]
    usable = [(_number(name, one), one) for name, one in known if not _too_old(name, one)]
    least = min(usable, key=lambda one: one[0])[1] if usable else base.version("latest")
    for name, version in known:
        if _too_old(name, version):
            tag = least.image.rpartition(":")[2]
            note = f"nats-server {name} is too old for Tocsin; {tag} runs instead"
            yield name, replace(least, note=note)
        else:
            yield name, version


def _version(entry: Mapping[str, Any]) -> Version:
    given = {
        "metrics": entry.get("metricsexporterimage"),
        "reloader": entry.get("configreloaderimage"),
        "command": entry.get("startcommand"),
    }
    named = {key: str(value) for key, value in given.items() if value}
    return Version(str(entry.get("natsimage") or ""), **named)


def _number(name: str, version: Version) -> tuple[int, ...]:
    """Return the number of a release, by the tag of its image, else by its name."""
    tag = version.image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    found = _NUMBER.search(tag) or _NUMBER.search(name)
    return tuple(int(part or 0) for part in found.groups()) if found else (9999,)


def _too_old(name: str, version: Version) -> bool:
    return _number(name, version)[:2] < LEAST
