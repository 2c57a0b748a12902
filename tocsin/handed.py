"""What a process is handed: an object and a bus, from a file or from the environment."""

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

from spine.errors import ConfigError
from spine.manifest import read


def object_from_file(path: str, kind: str) -> dict[str, Any]:
    """Return the only object of a kind in a file or stdin. Raises ConfigError."""
    reading = read([path])
    errors = [f for f in reading.findings if f.severity == "error"]
    if errors:
        raise ConfigError("; ".join(map(str, errors)))
    found = reading.of(kind)
    if len(found) != 1:
        names = ", ".join(o.name for o in found) or "none"
        raise ConfigError(f"reading {path}: one {kind} is wanted, and there is: {names}")
    return found[0].raw


def object_from_environment(variable: str) -> dict[str, Any]:
    """Return the object of a variable in base64 JSON. Raises ConfigError."""
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"looking for the object in {variable}: not set", hint="or give --file MANIFEST"
        )
    return _decoded(variable, value)


def _decoded(variable: str, value: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.b64decode(value, validate=True))
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise ConfigError(f"reading {variable} {value[:20]!r}: not base64: {exc}") from exc
    except ValueError as exc:
        raise ConfigError(f"reading {variable}: base64, but not of JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise ConfigError(f"reading {variable}: not an object but {type(found).__name__}")
    return found


def bus_from_options(url: str, file: str) -> dict[str, Any]:
    """Return the bus of an option or of EVENTBUS_CONFIG. Raises ConfigError."""
    if url:
        return {"jetstream": {"url": url}}
    if file:
        reading = Path(file)
        try:
            found = json.loads(reading.read_text())
        except OSError as exc:
            raise ConfigError(f"reading {file}: {exc.strerror}") from exc
        except ValueError as exc:
            raise ConfigError(f"reading {file}: not JSON: {exc}") from exc
        if not isinstance(found, dict):
            raise ConfigError(f"reading {file}: not an object")
        return found
    value = os.environ.get("EVENTBUS_CONFIG", "").strip()
    if not value:
        raise ConfigError(
            "looking for the event bus in EVENTBUS_CONFIG: not set",
            hint="or give --bus nats://HOST:PORT",
        )
    return _decoded("EVENTBUS_CONFIG", value)
