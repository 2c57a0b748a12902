"""Old shapes in the text of manifests, written in today's form.

What is written is what the table of old shapes makes of an object, so that it means the same. The
text is read again before it is given out: it holds exactly that and nothing else changed, or it
is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from spine.compat import FILE, Modern, modernise
from spine.errors import ConfigError
from spine.manifest import ARGO_KINDS, Finding, Object, read_text
from spine.marked import Malformed, documents
from spine.model import Path, load
from tocsin.layout import rewritten, same, traced


@dataclass(slots=True)
class Conversion:
    """A text in today's form."""

    text: str
    changes: list[Finding] = field(default_factory=list)
    errors: list[Finding] = field(default_factory=list)
    """What cannot be written in today's form; the text is as it was."""


def converted(text: str, file: str) -> Conversion:
    """Convert manifests; `file` is the name that findings bear. They can be read as they are."""
    out = Conversion(text)
    parts = []
    for line, part in _parts(text, is_json=file.endswith(".json")):
        padded = "\n" * line + part
        parts.append(_document(padded, file, out)[line:])
    if not out.errors:
        out.text = "".join(parts)
    return out


_START = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_SAYS_NOTHING = re.compile(r"(\s*([#%].*)?(\n|$))*")


def _parts(text: str, *, is_json: bool) -> Iterator[tuple[int, str]]:
    """Yield each document with the number of lines before it."""
    starts = [] if is_json else [found.start() for found in _START.finditer(text)]
    begin = 0
    for start in [*starts, len(text)]:
        if start > begin and (start == len(text) or not _SAYS_NOTHING.fullmatch(text[begin:start])):
            yield text.count("\n", 0, begin), text[begin:start]
            begin = start


def _document(text: str, file: str, out: Conversion) -> str:
    """Return the text of one document in today's form; findings are added to those that are."""
    objects = [o for o in read_text(text.encode(), file).objects if o.kind in ARGO_KINDS]
    moderns = [modernise(o.kind, traced(o.raw, o.base)) for o in objects]
    if not any(modern.problems for modern in moderns):
        return text
    errors = len(out.errors)
    for obj, modern in zip(objects, moderns, strict=True):
        _tell(obj, modern, out)
        _name_secrets(obj, modern, out)
    if len(out.errors) > errors:
        return text
    (value,) = [document.value for document in documents(text, is_json=file.endswith(".json"))]
    new = traced(value)
    for obj, modern in zip(objects, moderns, strict=True):
        new = _replaced(new, obj.base, modern.raw)
    found = _written(text, value, new, list(zip(objects, moderns, strict=True)))
    if found is None:
        why = "its anchors, or comments within braces, are too much for this: convert it by hand"
        out.errors.append(objects[0].finding((), why))
        return text
    return found


def _tell(obj: Object, modern: Modern, out: Conversion) -> None:
    for problem in modern.problems:
        if problem.warning:
            out.changes.append(obj.finding(problem.path, problem.message, "note"))
        else:
            out.errors.append(obj.finding(problem.path, problem.message))


def _replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return value


def _written(text: str, old: Any, new: Any, objects: list[tuple[Object, Modern]]) -> str | None:
    """Return the text of a new value; None where it does not say what it should."""

    def origin(path: Path) -> Path:
        for obj, modern in objects:
            depth = len(obj.base)
            if path[:depth] == obj.base:
                return (*obj.base, *modern.origin(path[depth:]))
        return path

    try:
        found = rewritten(text, old, new, origin)
        again = [document.value for document in documents(found)]
    except (Malformed, yaml.YAMLError):
        return None
    return found if len(again) == 1 and same(again[0], new) else None


# ---------------------------------------------------------------------------- files of Secrets


def _name_secrets(obj: Object, modern: Modern, out: Conversion) -> None:
    """Write the Secret whose volume a file is in, in the place of the file."""
    _keep_subscriptions(obj, modern, out)
    template = modern.raw.get("spec", {}).get("template")
    mounted = list(_mounted(template)) if isinstance(template, dict) else []
    for path, ref in _files(modern.raw, ()):
        name, key = _secret_of(str(ref["key"]), mounted)
        at = modern.origin(path)
        if name:
            ref.update(name=name, key=key)
            say = f"that file is key {key!r} of Secret {name!r}, as it is mounted"
            out.changes.append(obj.finding(at, say, "note"))
        else:
            say = (
                f"no volume of a Secret is mounted where {ref['key']} is (put the file into a"
                f" Secret, and write {path[-1]} with its name and key)"
            )
            out.errors.append(obj.finding(at, say))


def _keep_subscriptions(obj: Object, modern: Modern, out: Conversion) -> None:
    """Write the names of subscriptions where made-up ones would be others from now on."""
    from eventsource.sources.pub_sub import PubSub

    for path, _ in list(_files(modern.raw, ())):
        if path[:2] != ("spec", "pubSub") or path[-1] != "credentialSecret":
            continue
        event = modern.raw["spec"]["pubSub"][path[2]]
        try:
            source = load(PubSub, event, lenient=True)
        except ConfigError:
            continue  # it has no subscription
        if source.subscription_id:
            continue
        if source.project_id:
            name = event["subscriptionID"] = source.subscription(str(path[2]), source.project_id)
            say = f"subscriptionID {name} is written, too: a made-up name would be another from now"
        else:
            say = "write subscriptionID, too: a made-up name is another from now on"
        out.changes.append(obj.finding(modern.origin(path), say, "note"))


def _files(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield what stands for files of the process."""
    entries: Any = ()
    if isinstance(value, dict):
        if value.get("name") == FILE:
            yield path, value
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, item in entries:
        yield from _files(item, (*path, key))


@dataclass(frozen=True, slots=True)
class _Mount:
    """A Secret in a folder."""

    folder: PurePosixPath
    secret: str
    keys: Mapping[str, str]
    """Key by file, where the volume says so."""
    below: str
    """What of the volume is mounted; empty for all of it."""

    def key_of(self, file: str) -> str:
        """Return the key that a file is; empty where it is not in there."""
        path = PurePosixPath(file)
        if not path.is_relative_to(self.folder):
            return ""
        inner = str(PurePosixPath(self.below) / path.relative_to(self.folder))
        if self.keys:
            return self.keys.get(inner, "")
        return inner if "/" not in inner else ""


def _mounted(template: dict[str, Any]) -> Iterator[_Mount]:
    """Yield the Secrets that are mounted, those in the deepest folders first."""
    volumes = dict(_volumes(template.get("volumes")))
    container = template.get("container")
    mounts = container.get("volumeMounts") if isinstance(container, dict) else None
    found = [m for m in mounts or [] if isinstance(m, dict) and m.get("name") in volumes]
    for mount in sorted(found, key=lambda m: -len(str(m.get("mountPath", "")))):
        folder = PurePosixPath(str(mount.get("mountPath", "")))
        for secret, keys in volumes[mount["name"]]:
            yield _Mount(folder, secret, keys, str(mount.get("subPath", "")))


def _volumes(volumes: Any) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Yield the Secrets of each volume, and their keys by file."""
    for volume in volumes if isinstance(volumes, list) else []:
        if isinstance(volume, dict):
            parts = [volume.get("secret")]
            parts += [s.get("secret") for s in (volume.get("projected") or {}).get("sources", [])]
            secrets = [
                (str(part.get("secretName") or part.get("name")), _keys(part.get("items")))
                for part in parts
                if isinstance(part, dict)
            ]
            yield str(volume.get("name")), secrets


def _keys(items: Any) -> dict[str, str]:
    entries = items if isinstance(items, list) else []
    return {str(i.get("path")): str(i.get("key")) for i in entries if isinstance(i, dict)}


def _secret_of(file: str, mounts: list[_Mount]) -> tuple[str, str]:
    """Return Secret and key of a file; two empty texts where it is in none."""
    for mount in mounts:
        if key := mount.key_of(file):
            return mount.secret, key
    return "", ""
