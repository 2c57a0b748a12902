"""OBJECT of `tocsin notify`: a file, standard input, or KIND/NAME of the cluster."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import orjson

from notifier.evaluate import Seen
from spine.errors import ConfigError
from spine.kube import Kube
from spine.kube.watch import Meta
from spine.marked import Malformed, documents
from tocsin.cluster import fetch

STDIN = "-"
ENDINGS = (".yaml", ".yml", ".json")
Change = Literal["ADDED", "MODIFIED", "DELETED"]


class Subject(NamedTuple):
    """An object that is looked at."""

    seen: Seen
    where: str
    """Where it comes from: a file, or the cluster."""

    @property
    def api_version(self) -> str:
        """Return group and version."""
        return str(self.seen.body["apiVersion"])

    @property
    def kind(self) -> str:
        """Return its kind."""
        return str(self.seen.body["kind"])

    @property
    def name(self) -> str:
        """Return kind, namespace and name, for people."""
        meta = self.seen.meta
        place = f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
        return f"{self.kind} {place}"


def is_file(text: str) -> bool:
    """Return whether a text means a file rather than the name of an object."""
    return text == STDIN or Path(text.partition("#")[0]).is_file() or text.endswith(ENDINGS)


async def in_cluster(kube: Kube, text: str, namespace: str, change: Change) -> Subject:
    """Return the object that KIND/NAME stands for. Raises ConfigError, KubeError."""
    found = await fetch(kube, text, namespace)
    head = {"apiVersion": found.resource.api_version, "kind": found.resource.kind}
    return _subject({**head, **orjson.loads(found.raw)}, "cluster", "", change)


def in_file(text: str, namespace: str, change: Change) -> Subject:
    """Return the object in `FILE`, `FILE#KIND/NAME` or `-`. Raises ConfigError.

    `namespace` is for an object that names none.
    """
    file, _, wanted = text.partition("#")
    found = list(_objects(file))
    chosen = [one for one in found if not wanted or _name(one).lower() == wanted.lower()]
    if len(chosen) == 1:
        return _subject(chosen[0], file, namespace, change)
    names = ", ".join(map(_name, found)) or "none"
    hint = f"choose one: {file}#{_name(found[0])}" if found else "it has apiVersion, kind, metadata"
    which = f"called {wanted!r} " if wanted else ""
    raise ConfigError(
        f"reading object {file}: one {which}is wanted, and there is: {names}", hint=hint
    )


def _objects(file: str) -> Iterator[dict[str, Any]]:
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        text = data.decode("utf-8-sig")
        for document in documents(text, is_json=file.endswith(".json")):
            yield from _listed(file, document.value)
    except OSError as exc:
        raise ConfigError(f"reading object {file}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"reading object {file}: it is not UTF-8") from exc
    except Malformed as exc:
        raise ConfigError(f"reading object {file}:{exc.line}:{exc.column}: {exc}") from exc


def _listed(file: str, value: Any) -> Iterator[dict[str, Any]]:
    """Yield an object, or all of a list."""
    if value is None:
        return
    if isinstance(value, dict) and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _listed(file, item)
        return
    missing = [
        key
        for key, kind in (("apiVersion", str), ("kind", str), ("metadata", dict))
        if not isinstance(value, dict) or not isinstance(value.get(key), kind)
    ]
    if missing:
        raise ConfigError(
            f"reading object {file}: no Kubernetes object: it has no {missing[0]}",
            hint="kubectl get KIND NAME -o yaml",
        )
    yield value


def _name(found: dict[str, Any]) -> str:
    return f"{found['kind']}/{found['metadata'].get('name', '')}"


def _subject(found: dict[str, Any], where: str, namespace: str, change: Change) -> Subject:
    if namespace and not found["metadata"].get("namespace"):
        found = {**found, "metadata": {**found["metadata"], "namespace": namespace}}
    try:
        meta = msgspec.convert(found["metadata"], Meta)
    except msgspec.ValidationError as exc:
        raise ConfigError(
            f"reading metadata of {_name(found)} in {where}: {exc}",
            hint="labels and annotations are texts: write them in quotes",
        ) from exc
    return Subject(Seen(change, meta, found), where)
