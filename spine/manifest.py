"""Reads Kubernetes manifests, and remembers where everything in them stands.

Whoever gets a complaint about a manifest wants to jump to the line, so every key and list item
keeps its line and column (`spine.marked`). Nothing is raised for a bad file: it becomes a Finding,
and the others are read all the same.
"""

import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import override

from spine.errors import ConfigError
from spine.model import Path, dotted

if TYPE_CHECKING:
    from spine.marked import Document

Severity = Literal["error", "warning", "note"]
SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
TESTS = ".tocsin-test."
"""In the names of files beside manifests that are none: cases of `tocsin test`."""

ARGO = "argoproj.io/v1alpha1"
OURS = "tocsin.dev"
ARGO_KINDS = ("EventBus", "EventSource", "Sensor")
OUR_KINDS = ("Notifier",)
CORE_KINDS = ("Secret", "ConfigMap")
CHECKED_KINDS = (*ARGO_KINDS, *OUR_KINDS)
"""Kinds that have a model."""
_VERSIONS = {
    **dict.fromkeys(ARGO_KINDS, ARGO),
    **dict.fromkeys(OUR_KINDS, f"{OURS}/v1alpha1"),
    **dict.fromkeys(CORE_KINDS, "v1"),
}
NEIGHBOURS = frozenset(
    [
        "AnalysisRun",
        "AnalysisTemplate",
        "AppProject",
        "Application",
        "ApplicationSet",
        "ArgoCD",
        "ClusterAnalysisTemplate",
        "ClusterWorkflowTemplate",
        "CronWorkflow",
        "Experiment",
        "Rollout",
        "Workflow",
        "WorkflowArtifactGCTask",
        "WorkflowEventBinding",
        "WorkflowTaskResult",
        "WorkflowTaskSet",
        "WorkflowTemplate",
    ]
)
"""Kinds of the group argoproj.io that belong to other products."""
SUBSCRIBES = re.compile(
    r"(?i)notifications\.argoproj\.io/"
    r"|(^|\.)recipients\.argocd-notifications\.argoproj\.io$"
    r"|/(subscribe\.|subscriptions|mute$)"
)
"""Finds annotations that subscribe an object to notifications."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    @override
    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to say about a place in a manifest."""

    place: Place
    path: Path
    message: str
    severity: Severity = "error"
    excerpt: str = ""
    """Lines that show the place to a person: a part of a program, and a mark below it."""

    @override
    def __str__(self) -> str:
        path = f"{dotted(self.path)}: " if self.path else ""
        kind = "" if self.severity == "error" else f"{self.severity}: "
        return f"{self.place}: {path}{kind}{self.message}"


@dataclass(frozen=True, slots=True)
class Object:
    """One Kubernetes object of a kind that is ours, a Secret or a ConfigMap."""

    kind: str
    name: str
    namespace: str
    raw: dict[str, Any]
    file: str
    positions: dict[Path, tuple[int, int]] = field(repr=False)
    """Line and column of every key and item of the document, by path."""
    words: dict[Path, str] = field(repr=False)
    """Booleans written as a word such as `on`, by path."""
    base: Path = ()
    """Where in the document the object stands (in a List)."""
    texts: dict[Path, tuple[int, int]] = field(default_factory=dict, repr=False)
    """Line and column at which the text of a literal block (`key: |`) begins, by path."""

    def place(self, path: Path = ()) -> Place:
        """Return where a path stands, or the nearest thing around it that does."""
        full = (*self.base, *path)
        for end in range(len(full), -1, -1):
            if full[:end] in self.positions:
                return Place(self.file, *self.positions[full[:end]])
        return Place(self.file)

    def finding(self, path: Path, message: str, severity: Severity = "error") -> Finding:
        """Say something about a path of this object."""
        return Finding(self.place(path), path, message, severity)

    def place_in_text(self, path: Path, line: int, column: int) -> Place:
        """Return where a line and column, from 1, of a text stand in the file.

        Only a literal block keeps its lines; for other texts it is where their key stands.
        """
        begins = self.texts.get((*self.base, *path))
        if begins is None:
            return self.place(path)
        return Place(self.file, begins[0] + line - 1, begins[1] + column - 1)

    @classmethod
    def nowhere(cls, file: str, document: "Document") -> "Object":
        """Return an object without content, to say things about the document."""
        positions, words = document.positions, document.words
        return cls("", "", "", {}, file, positions, words, texts=document.texts)

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


@dataclass(slots=True)
class Reading:
    """What a set of manifests contains."""

    objects: list[Object] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    subscribed: list[Object] = field(default_factory=list)
    """Objects of kinds that are not ours, of which something bears annotations of ours."""

    def of(self, kind: str) -> list[Object]:
        """Return the objects of a kind."""
        return [o for o in self.objects if o.kind == kind]


# ---------------------------------------------------------------------------- files


def read(paths: Iterable[str | FilePath]) -> Reading:
    """Read files, directories (recursively, hidden names left out) and `-` for stdin.

    Raises ConfigError for a path that is not there or cannot be read.
    """
    reading = Reading()
    for given in paths:
        if str(given) == STDIN:
            _read_text(sys.stdin.buffer.read(), "stdin", reading, named=True)
            continue
        path = FilePath(given)
        for file in _files(path):
            reading.files.append(str(file))
            _read_text(_content(file), str(file), reading, named=not path.is_dir())
    return reading


def _files(path: FilePath) -> Iterator[FilePath]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith(".") and TESTS not in name:
                yield FilePath(folder, name)


def _content(file: FilePath) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        hint = _there(file) if isinstance(exc, FileNotFoundError) else ""
        raise ConfigError(f"reading {file}: {exc.strerror}", hint=hint) from exc


def _there(file: FilePath) -> str:
    """Say what may be meant by a file that is not there."""
    folder = file.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = [one.name for one in folder.iterdir()]
    near = difflib.get_close_matches(file.name, names, n=1, cutoff=0.6)
    return f"did you mean {file.with_name(near[0])}" if near else f"{folder} has no such file"


def read_text(text: bytes, file: str) -> Reading:
    """Read manifests from memory; `file` is the name that findings bear."""
    reading = Reading()
    _read_text(text, file, reading, named=True)
    return reading


def _read_text(content: bytes, file: str, reading: Reading, *, named: bool) -> None:
    from spine.marked import Malformed, documents

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        why = f"byte 0x{content[exc.start]:02x} is not UTF-8"
        reading.findings.append(Finding(Place(file, line), (), why))
        return
    try:
        for document in documents(text, is_json=file.endswith(".json")):
            _take(document, document.value, Object.nowhere(file, document), reading, named=named)
    except Malformed as exc:
        reading.findings.append(Finding(Place(file, exc.line, exc.column), (), str(exc)))


# ---------------------------------------------------------------------------- objects


class _Not(Exception):
    """Why a document gives no object: message, field, severity."""

    def __init__(self, message: str, *path: str, severity: Severity = "error") -> None:
        super().__init__(message)
        self.path, self.severity = path, severity


def _take(document: "Document", value: Any, at: Object, reading: Reading, *, named: bool) -> None:
    """Add the object or objects of a document, or a finding that says why it is none."""
    if value is None:
        return
    if _is_list(value):
        for index, item in enumerate(value["items"]):
            inner = replace(at, base=(*at.base, "items", index))
            _take(document, item, inner, reading, named=named)
        return
    try:
        obj = _object(at, value, named=named)
        ours = obj.raw["apiVersion"] == _VERSIONS.get(obj.kind)
        (reading.objects if ours else reading.subscribed).append(obj)
    except _Not as exc:
        reading.findings.append(at.finding(exc.path, str(exc), exc.severity))


def _is_list(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list)


def _object(at: Object, value: Any, *, named: bool) -> Object:
    if not isinstance(value, dict) or not ({"kind", "apiVersion"} & value.keys()):
        if named:
            raise _Not("not a Kubernetes object: it has no apiVersion and no kind")
        raise _Not("not a Kubernetes object: ignored", severity="note")
    version, kind = _required(value, "apiVersion"), _required(value, "kind")
    refusal = _refusal(kind, version)
    if refusal is not None:
        raise _Not(*refusal)
    metadata = value.get("metadata")
    if _VERSIONS.get(kind) != version:
        if any(_subscribes(one) for _, one in metadata_of(value)):
            given = metadata if isinstance(metadata, dict) else {}
            name, namespace = (str(given.get(key) or "") for key in ("name", "namespace"))
            place = namespace or "default"
            return replace(at, kind=kind, name=name, namespace=place, raw=value)
        raise _Not(f"{kind} of {version} is not for this program: ignored", severity="note")
    if not isinstance(metadata, dict):
        raise _Not("required field is missing" if metadata is None else "not a map", "metadata")
    name = _name(metadata, "name", "")
    namespace = _name(metadata, "namespace", "default")
    labels = metadata.get("labels")
    if kind == "ConfigMap" and isinstance(labels, dict) and _SOURCE_LABEL in labels:
        raise _Not(_SOURCE_MAP, "metadata", "labels", _SOURCE_LABEL)
    spec = value.get("spec")
    if kind in CHECKED_KINDS and not isinstance(spec, dict):
        raise _Not("required field is missing" if spec is None else "not a map", "spec")
    return replace(at, kind=kind, name=name, namespace=namespace, raw=value)


_TEMPLATES: tuple[Path, ...] = (
    (),
    ("spec", "template"),
    ("spec", "jobTemplate"),
    ("spec", "jobTemplate", "spec", "template"),
)


def metadata_of(value: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the metadata of an object, and of the objects that it makes from templates."""
    for path in _TEMPLATES:
        node: Any = value
        for step in (*path, "metadata"):
            node = node.get(step) if isinstance(node, dict) else None
        if isinstance(node, dict):
            yield (*path, "metadata"), node


def _subscribes(metadata: dict[str, Any]) -> bool:
    annotations = metadata.get("annotations")
    return isinstance(annotations, dict) and any(map(SUBSCRIBES.search, annotations))


def _required(value: dict[str, Any], key: str) -> str:
    if key not in value:
        raise _Not("required field is missing", key)
    if not isinstance(value[key], str):
        raise _Not(f"{value[key]!r}: input should be a valid string", key)
    return str(value[key])


_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME = 253


def _name(metadata: dict[str, Any], key: str, default: str) -> str:
    text = metadata.get(key)
    if text is None or text == "":
        if default:
            return default
        raise _Not("required field is missing", "metadata", key)
    if not isinstance(text, str):
        shown = str(text).lower() if isinstance(text, bool) else repr(text)
        raise _Not(f"{shown}: YAML reads no text there: put it in quotes", "metadata", key)
    if len(text) > _LONGEST_NAME or not _NAME.fullmatch(text):
        why = "use lower-case letters, digits and hyphens"
        raise _Not(f"{text!r}: not a name in Kubernetes ({why})", "metadata", key)
    return text


_GATEWAY = (
    "Gateway objects ended with v0.17 of Argo Events (what a Gateway did, an EventSource does by"
    " itself, over an EventBus: write those two, and in the Sensor eventSourceName in place of"
    " gatewayName)"
)

_SOURCE_LABEL = "argo-events-event-source-version"
_SOURCE_MAP = (
    "event sources in ConfigMaps ended with v0.10 of Argo Events (write an EventSource with the"
    " same entries below the key of their kind)"
)


def _refusal(kind: str, version: str) -> tuple[str, str] | None:
    """Return message and field for an object that nobody can mean as it stands."""
    group = version.partition("/")[0]
    if kind == "Gateway" and group == "argoproj.io":
        return _GATEWAY, "kind"
    if kind in CHECKED_KINDS and version != _VERSIONS[kind]:
        return f"{version!r}: {kind} is of apiVersion {_VERSIONS[kind]}", "apiVersion"
    if group == "argoproj.io" and kind not in ARGO_KINDS and kind not in NEIGHBOURS:
        return f"{kind!r}: unknown kind{_near(kind, ARGO_KINDS)}", "kind"
    if group == OURS and kind not in OUR_KINDS:
        return f"{kind!r}: unknown kind in {version}{_near(kind, CHECKED_KINDS)}", "kind"
    if version != "v1" and kind in CORE_KINDS and "/" not in version:
        return f"{version!r}: {kind} is of apiVersion v1", "apiVersion"
    return None


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]})" if near else ""
