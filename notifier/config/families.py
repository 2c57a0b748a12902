"""Which part of the configuration a key of the ConfigMap is."""

from typing import NamedTuple

from notifier.config.shaping import near
from spine.errors import ConfigError

NAMED = ("trigger", "template", "service", "defaultTriggers")
"""Families of keys with a name after the first dot."""
SINGLE = (
    *("defaultTriggers", "subscriptions", "context", "config.yaml"),
    *("directory", "groups", "quietHours", "digests", "limits"),
)
HEALTH = "resource.customizations"
"""What keys of checks of health begin with; they are read elsewhere."""
_MOST_PARTS = 3


class Kind(NamedTuple):
    """What a key is."""

    family: str
    """Such as `trigger`; `health` for keys that are read elsewhere."""
    name: str = ""
    """Such as `on-down`; for a service its own name, else its type."""
    type: str = ""
    """Type of a service."""


def kind_of(key: str) -> Kind:
    """Tell what a key is. Raises ConfigError; it is of no effect then."""
    if key in SINGLE:
        return Kind(key)
    if key == HEALTH or key.startswith(f"{HEALTH}."):
        return Kind("health")
    family, _, name = key.partition(".")
    if family not in NAMED:
        raise ConfigError(f"unknown key, of no effect{_meant(family, name)}")
    if not name:
        raise ConfigError("it has no name", hint=f"write {family}.NAME")
    if family != "service":
        return Kind(family, name)
    parts = key.split(".")
    if len(parts) > _MOST_PARTS:
        raise ConfigError(
            "a service is service.TYPE or service.TYPE.NAME, and a name has no dots",
            hint=f"write service.{parts[1]}.{'-'.join(parts[2:])}",
        )
    if not all(parts):
        raise ConfigError("a part of it is empty", hint="write service.TYPE or service.TYPE.NAME")
    return Kind("service", parts[-1], parts[1])


def _meant(family: str, name: str) -> str:
    if not name:
        return near(family, [*SINGLE, *(f"{one}.NAME" for one in NAMED)])
    found = near(family, NAMED)
    return found.replace(")", f".{name})") if found else near(f"{family}.{name}", SINGLE)
