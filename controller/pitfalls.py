"""What works, and hardly as it is meant: mistakes that many make and no program finds.

A regular expression whose dot was meant as a dot also matches what it was meant to; so it is only
a hint. A placeholder that names nothing can never be filled in, and that is a warning.
"""

import re
from collections.abc import Iterator
from typing import Any

from controller.objects import Checked
from controller.placeholders import complaints
from spine.manifest import Finding
from spine.marked import Malformed, documents
from spine.model import Path

_DOT = re.compile(r"(?<=[\w*+?)}\0])\.(\w+)(?![\w*+?{])")
"""A dot between other things, before a word that is not repeated."""
_ESCAPED_OR_SET = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""What is behind a backslash, and what stands in brackets."""
_SEVERAL = re.compile(r"[^\s,\[\]{}()#@|\"\\]+(,[^\s,\[\]{}()#@|\"\\]+)+")
"""Plain paths with commas between."""


def pitfalls(checked: Checked) -> Iterator[Finding]:
    """Yield what to say of one Sensor."""
    if checked.object.kind != "Sensor" or checked.spec is None:
        return
    spec = checked.modern.raw["spec"]
    for at, dependency in enumerate(spec.get("dependencies") or []):
        path: Path = ("spec", "dependencies", at, "filters", "data")
        filters = (dependency.get("filters") or {}).get("data") or []
        for number, one in enumerate(filters):
            yield from _data_filter(checked, one, (*path, number))
    for at, trigger in enumerate(spec.get("triggers") or []):
        yield from _trigger(checked, trigger, ("spec", "triggers", at))


# ---------------------------------------------------------------------------- data filters


def _data_filter(checked: Checked, one: dict[str, Any], path: Path) -> Iterator[Finding]:
    where = one.get("path")
    if isinstance(where, str) and _SEVERAL.fullmatch(where):
        say = f"this is one path with a comma in it: for several values write [{where}]"
        yield checked.finding((*path, "path"), say, "note")
    values = one.get("value")
    if one.get("type") != "string":
        return
    for number, value in enumerate(values if isinstance(values, list) else [values]):
        if isinstance(value, str) and (say := loose_dot(value)):
            at = (*path, "value", number) if isinstance(values, list) else (*path, "value")
            yield checked.finding(at, say, "note")


def loose_dot(pattern: str) -> str:
    r"""Return a hint where a dot of a regular expression was probably meant as a dot.

    As in `^.*.json$`, which `notjson` matches, too.
    """
    plain = _ESCAPED_OR_SET.sub(lambda found: "\0" * len(found[0]), pattern)
    found = _DOT.search(plain)
    if found is None:
        return ""
    better = f"{pattern[: found.start()]}\\{pattern[found.start() :]}"
    word = found[1]
    return (
        f"the dot before {word} matches any character: write \\.{word}, as in '{better}'"
        " (within double quotes \\\\.)"
    )


# ---------------------------------------------------------------------------- workflows


def _trigger(checked: Checked, trigger: dict[str, Any], path: Path) -> Iterator[Finding]:
    template = trigger.get("template") or {}
    for kind in ("k8s", "argoWorkflow"):
        one = template.get(kind)
        if isinstance(one, dict) and isinstance(one.get("source"), dict):
            yield from _object(checked, one, (*path, "template", kind))
    if isinstance(trigger.get("dlqTrigger"), dict):
        yield from _trigger(checked, trigger["dlqTrigger"], (*path, "dlqTrigger"))


def _object(checked: Checked, one: dict[str, Any], path: Path) -> Iterator[Finding]:
    """Look at the workflow that a trigger makes."""
    parameters = one.get("parameters") or []
    dests = [str(entry.get("dest", "")) for entry in parameters if isinstance(entry, dict)]
    if one.get("args"):  # they may declare what the object does not
        dests.append("spec.arguments")
    source = one["source"]
    path = (*path, "source")
    if isinstance(made := source.get("resource"), dict):
        for at, say in complaints(made, dests):
            yield checked.finding((*path, "resource", *at), say, "warning")
    elif isinstance(text := source.get("inline"), str):
        for say in dict.fromkeys(say for made in _read(text) for _, say in complaints(made, dests)):
            yield checked.finding((*path, "inline"), say, "warning")


def _read(text: str) -> list[dict[str, Any]]:
    try:
        found = [document.value for document in documents(text)]
    except Malformed:
        return []  # the plan complains of it
    return [value for value in found if isinstance(value, dict)]
