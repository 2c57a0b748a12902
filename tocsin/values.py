"""Secrets and ConfigMaps as manifests and options give them."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spine.errors import ConfigError
from spine.manifest import Finding, Object

Key = tuple[str, str]
"""Name of a Secret or ConfigMap, and a key of it."""


@dataclass(slots=True)
class Values:
    """What `tocsin run` can hand to its processes, by namespace."""

    secrets: dict[str, dict[Key, str]] = field(default_factory=dict)
    config_maps: dict[str, dict[Key, str]] = field(default_factory=dict)

    def find(self, kind: str, namespace: str) -> dict[Key, str]:
        """Return the keys of all Secrets or ConfigMaps that a namespace sees."""
        table = self.secrets if kind == "Secret" else self.config_maps
        return table.get(namespace, {}) | table.get("", {})


def read_values(
    objects: Iterable[Object], secrets: Iterable[str] = (), config_maps: Iterable[str] = ()
) -> tuple[Values, list[Finding]]:
    """Collect the values of manifests, and of options `NAME.KEY=VALUE` or `NAME.KEY=@FILE`.

    Options hold in every namespace and win. Raises ConfigError for an option that is wrong.
    """
    values, findings = Values(), []
    for obj in objects:
        if obj.kind in {"Secret", "ConfigMap"}:
            table = values.secrets if obj.kind == "Secret" else values.config_maps
            found, bad = _contents(obj)
            table.setdefault(obj.namespace, {}).update(
                {(obj.name, key): value for key, value in found.items()}
            )
            findings += bad
    values.secrets[""] = dict(_option("--secret", text) for text in secrets)
    values.config_maps[""] = dict(_option("--config", text) for text in config_maps)
    for table in (values.secrets, values.config_maps):
        for namespace in table:
            table[namespace] |= table[""]
    return values, findings


def _contents(obj: Object) -> tuple[dict[str, str], list[Finding]]:
    plain, encoded = ("stringData", "data") if obj.kind == "Secret" else ("data", "binaryData")
    out: dict[str, str] = {}
    findings = []
    for part in (encoded, plain):
        entries = obj.raw.get(part)
        if entries is not None and not isinstance(entries, dict):
            findings.append(obj.finding((part,), "input should be a map of texts"))
            continue
        for key, value in (entries or {}).items():
            try:
                out[key] = _text(value, decode=part == encoded)
            except ValueError as exc:
                findings.append(obj.finding((part, key), str(exc)))
    return out, findings


def _text(value: Any, *, decode: bool) -> str:
    """Return a value as text. Raises ValueError, without the value: it may be a credential."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("input should be a valid string (write it in quotes)")  # noqa: TRY004 -- one error for bad input
    if not decode:
        return value
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode()
    except binascii.Error:
        raise ValueError(
            "not base64 (plain text goes into stringData, or use: base64 < FILE)"
        ) from None
    except UnicodeDecodeError:
        raise ValueError("not a text in UTF-8: binary values are not taken") from None


def _option(option: str, text: str) -> tuple[Key, str]:
    target, equals, value = text.partition("=")
    name, dot, key = target.partition(".")
    if not (equals and dot and name and key):
        raise ConfigError(
            f"reading {option} {target!r}: not of the form NAME.KEY=VALUE",
            hint=f"for example {option} hub-token.token=@token.txt",
        )
    if value.startswith("@"):
        try:
            value = Path(value[1:]).read_text()
        except OSError as exc:
            raise ConfigError(
                f"reading {option} {target}: file {value[1:]}: {exc.strerror}"
            ) from exc
    return (name, key), value
