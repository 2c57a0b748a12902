"""Limits of the event stream: those of `streamConfig` in an EventBus, and ours.

Argo Events hands `streamConfig` on as YAML text whose keys may have any case, and reads
`maxBytes: 1GB` as unlimited. Here every value is read for what it says or refused.
"""

import logging
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from spine.errors import ConfigError
from spine.runtime import seconds

log = logging.getLogger(__name__)

_SIZE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")
_UNITS = {
    unit + suffix: factor**power
    for power, unit in enumerate("kmgtp", start=1)
    for suffix, factor in (("", 1000), ("b", 1024), ("i", 1024), ("ib", 1024))
} | {"": 1, "b": 1}
_NAMES = {
    key.lower(): key
    for key in ("maxMsgs", "maxAge", "maxBytes", "replicas", "duplicates", "retention", "discard")
}
_SHORTEST = 0.1
"""Seconds; the server refuses less."""
_MOST_REPLICAS = 5


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Limits of the stream of events."""

    max_msgs: int = -1
    """Messages kept; -1 is without limit, so that one noisy source cannot evict the others'."""
    max_bytes: int = -1
    """Bytes kept; -1 is without limit."""
    max_age: float = 168 * 3600.0
    """Seconds that a message is kept; 0 is for ever. A week, as Argo Events has it."""
    replicas: int = 1
    """Servers that keep a copy."""
    duplicates: float = 300.0
    """Seconds within which a repeated message id is dropped."""
    retention: Literal["limits", "interest"] = "limits"
    discard: Literal["old", "new"] = "old"
    """What goes when a limit is reached."""

    @classmethod
    def for_disk(cls, folder: Path, *, share: float = 0.5) -> "StreamSettings":
        """Return our defaults with a share of what is free, or already used by us, on the disk."""
        used = 0
        for file in folder.rglob("*"):
            with suppress(OSError):  # the server removes files of its own
                used += file.stat().st_size
        return cls(max_bytes=int((shutil.disk_usage(folder).free + used) * share))

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        defaults: "StreamSettings | None" = None,
        on_warning: Callable[[str], None] = log.warning,
    ) -> "StreamSettings":
        """Read the YAML of `streamConfig`; what it does not say is as in `defaults`.

        Raises ConfigError for a value that cannot be meant.
        """
        if not text.strip():
            return defaults or cls()
        import yaml

        from spine import safe_yaml

        try:
            raw = safe_yaml.load(text)
        except yaml.YAMLError as exc:
            raise ConfigError(f"reading streamConfig {text!r}: not YAML: {exc}") from exc
        if not isinstance(raw, Mapping):
            raise ConfigError(f"reading streamConfig {text!r}: not a list of `key: value`")
        values: dict[str, Any] = {}
        for key, value in raw.items():
            name = _NAMES.get(str(key).lower())
            if name is None:
                known = ", ".join(_NAMES.values())
                on_warning(f"streamConfig: unknown key {key!r} ignored (known: {known})")
            elif value is not None:
                field, convert = _FIELDS[name]
                values[field] = convert(f"streamConfig.{name}", value)
        if values.get("retention") == "workqueue":
            on_warning(
                "streamConfig.retention: 2 (work queue) lets only one Sensor see an event; 0"
            )
            values["retention"] = "limits"
        return replace(defaults or cls(), **values)


def _limit(what: str, value: Any) -> int:
    """Return a number where 0 and below are without limit."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"reading {what} {value!r}: not a whole number")
    return value if value > 0 else -1


def size(what: str, value: Any) -> int:
    """Return the bytes of `1073741824`, `1GB`, `1Gi` or `500M`; -1 for 0 and below.

    As in the server's configuration, `GB` is 1024^3 and `G` is 1000^3. Raises ConfigError.
    """
    match = _SIZE.fullmatch(str(value)) if not isinstance(value, bool) else None
    unit = match[2].lower() if match else None
    if match is None or unit not in _UNITS:
        raise ConfigError(f"reading {what} {value!r}: not a size", hint="write 1GB, 512Mi or bytes")
    number = (
        int(float(match[1]) * _UNITS[unit]) if "." in match[1] else int(match[1]) * _UNITS[unit]
    )
    return number if number > 0 else -1


def _duration(what: str, value: Any) -> float:
    """Return seconds; a bare number is nanoseconds, as Go has it. 0 is without limit."""
    if isinstance(value, str) and not re.fullmatch(r"[+-]?\d+", value.strip()):
        try:
            found = seconds(value.strip())
        except ConfigError as exc:
            why = exc.message.rpartition(": ")[2]
            raise ConfigError(f"reading {what} {value!r}: {why}", hint=exc.hint) from exc
    elif isinstance(value, bool) or not isinstance(value, int | str):
        raise ConfigError(f"reading {what} {value!r}: not a duration", hint="write 168h")
    else:
        found = int(value) / 1e9
    if 0 < found < _SHORTEST:
        raise ConfigError(
            f"reading {what} {value!r}: {found:g} s is less than the server takes (100 ms)",
            hint="a number without a unit is nanoseconds; write 168h, 5m or 300s",
        )
    return max(found, 0.0)


def _replicas(what: str, value: Any) -> int:
    number = _limit(what, value)
    if number > _MOST_REPLICAS:
        raise ConfigError(f"reading {what} {value!r}: JetStream keeps 1, 3 or 5 replicas")
    return max(number, 1)


def _choice(*names: str) -> Callable[[str, Any], str]:
    """Return a reader of one of several names, or of its number."""

    def read(what: str, value: Any) -> str:
        text = str(value).strip().lower()
        if text.isdigit() and int(text) < len(names):
            return names[int(text)]
        if text in names:
            return text
        allowed = ", ".join(f"{i} ({name})" for i, name in enumerate(names))
        raise ConfigError(f"reading {what} {value!r}: not one of {allowed}")

    return read


_FIELDS = cast(
    "dict[str, tuple[str, Callable[[str, Any], Any]]]",
    {
        "maxMsgs": ("max_msgs", _limit),
        "maxBytes": ("max_bytes", size),
        "maxAge": ("max_age", _duration),
        "duplicates": ("duplicates", _duration),
        "replicas": ("replicas", _replicas),
        "retention": ("retention", _choice("limits", "interest", "workqueue")),
        "discard": ("discard", _choice("old", "new")),
    },
)
