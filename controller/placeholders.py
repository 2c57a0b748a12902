"""Placeholders of Argo Workflows that name what nobody declares.

`{{inputs.parameters.Path}}` where `path` is declared makes a workflow that is refused when it is
submitted, or worse, one whose container gets the placeholder as its argument: far from the Sensor
in which it was written. So it is told where it was written.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from spine.model import Path

KINDS = {
    "Workflow": (),
    "WorkflowTemplate": (),
    "ClusterWorkflowTemplate": (),
    "CronWorkflow": ("workflowSpec",),
}
"""Where in the `spec` of a kind a workflow stands."""

Complaint = tuple[Path, str]
"""Where in the object, and what."""

_INPUT = re.compile(r"\{\{\s*(inputs\.(parameters|artifacts)\.([\w-]+))(?:\.path)?\s*\}\}")
_GLOBAL = re.compile(r"\{\{\s*(workflow\.parameters\.([\w-]+))\s*\}\}")


def complaints(made: Mapping[str, Any], dests: Sequence[str] = ()) -> Iterator[Complaint]:
    """Yield what is wrong with the placeholders of an object, if it is a workflow.

    `dests` are where parameters of the trigger put values, as in `spec.arguments`.
    """
    inner = KINDS.get(str(made.get("kind")))
    if inner is None:
        return
    path: Path = ("spec", *inner)
    spec = _at(made, path)
    if not isinstance(spec, dict):
        return
    below = ".".join(map(str, path))
    if not any(_may_declare(dest, f"{below}.templates") for dest in dests):
        for at, template in enumerate(_listed(spec, "templates")):
            yield from _template(template, (*path, "templates", at))
    given = any(_may_declare(dest, f"{below}.arguments") for dest in dests)
    if not given and "workflowTemplateRef" not in spec:
        yield from _globals(spec, path)


_VALUE = re.compile(r"\.parameters\.\d+\.value$")


def _may_declare(dest: str, place: str) -> bool:
    """Whether a value that is put somewhere may declare a name at a place."""
    near = dest.startswith(place) or place.startswith(f"{dest}.")
    return near and not _VALUE.search(dest)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _listed(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _names(entries: list[Any]) -> list[str]:
    return [str(entry.get("name")) for entry in entries if isinstance(entry, dict)]


# ---------------------------------------------------------------------------- scopes


def _template(template: Any, path: Path) -> Iterator[Complaint]:
    """Look at one template: its placeholders name its own inputs."""
    inputs = template.get("inputs") if isinstance(template, dict) else None
    known = {kind: _names(_listed(inputs, kind)) for kind in ("parameters", "artifacts")}
    title = f"template {str(template.get('name', ''))!r}" if isinstance(template, dict) else ""
    for at, text in _texts(template, path):
        for found in _INPUT.finditer(text):
            kind, name = found[2], found[3]
            if name not in known[kind]:
                yield at, f"{{{{{found[1]}}}}}: {_why(name, known[kind], title, kind)}"
    for at, inline in _inline(template, path):
        yield from _template(inline, at)


def _globals(spec: dict[str, Any], path: Path) -> Iterator[Complaint]:
    known = _names(_listed(spec.get("arguments"), "parameters"))
    for at, text in _texts(spec, path, inline=True):
        for found in _GLOBAL.finditer(text):
            if found[2] not in known:
                why = _why(found[2], known, "spec.arguments", "parameters")
                yield at, f"{{{{{found[1]}}}}}: {why}"


def _why(name: str, known: Collection[str], place: str, kind: str) -> str:
    folded = {other.lower(): other for other in known}
    if exact := folded.get(name.lower()):
        return f"{place} has it as {exact}, in other letters"
    near = difflib.get_close_matches(name, list(known), n=1)
    if near:
        return f"{place} has no {name} among its {kind} (did you mean {near[0]})"
    return f"{place} has no {name} among its {kind} ({', '.join(known) or 'it has none'})"


# ---------------------------------------------------------------------------- walking


def _texts(value: Any, path: Path, *, inline: bool = False) -> Iterator[tuple[Path, str]]:
    """Yield all texts below a value; templates within templates only where they are asked for."""
    if isinstance(value, str):
        yield path, value
        return
    for step, item in _entries(value):
        if inline or step != "inline":
            yield from _texts(item, (*path, step), inline=inline)


def _inline(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the templates that stand within a template, in its steps or tasks."""
    for step, item in _entries(value):
        if step == "inline":
            yield (*path, step), item
        else:
            yield from _inline(item, (*path, step))


def _entries(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []
