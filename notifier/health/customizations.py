"""Custom checks of health in a ConfigMap's data, under the keys that Argo CD has for them.

    resource.customizations.health.cert-manager.io_Certificate: a script
    resource.customizations.useOpenLibs.cert-manager.io_Certificate: "true"
    resource.customizations: |
      "*.example.com/*":
        health.lua: a script

What else is customized there is not ours and passed over. A key that cannot be used is a problem.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from notifier.health.custom import CustomCheck
from notifier.health.globs import Glob, glob, is_glob
from notifier.health.problems import HealthProblem
from spine.errors import ConfigError
from spine.lang.lua import checks
from spine.lang.lua.lexer import SyntaxFault
from spine.marked import Document, Malformed, documents

PREFIX = "resource.customizations"
_HEALTH, _OPEN = "health", "useOpenLibs"
_OTHERS = frozenset(
    {"actions", "ignoreDifferences", "ignoreResourceUpdates", "knownTypeFields", "ignoreExtra"}
)
_TYPES = {_HEALTH, _OPEN, *_OTHERS}
_SCRIPT, _SCRIPT_OPEN = "health.lua", "health.lua.useOpenLibs"
_FIELDS = {_SCRIPT, _SCRIPT_OPEN, *_OTHERS}
_ALIKE = 0.9
"""How alike a beginning must be to ours to be taken for a slip."""
_VERSION = re.compile(r"v[0-9]+((alpha|beta)[0-9]+)?")


@dataclass(slots=True)
class Customizations:
    """Checks that replace ours."""

    exact: dict[str, CustomCheck] = field(default_factory=dict)
    """By `group/Kind`, or `Kind` of the core group."""
    globs: list[tuple[Glob, CustomCheck]] = field(default_factory=list)
    """By patterns, the one with the longest literal beginning first."""
    problems: list[HealthProblem] = field(default_factory=list)


class _Script(NamedTuple):
    """A script and where it stands."""

    key: str
    """Key of the data."""
    name: str
    """`group/Kind`, `Kind`, or a pattern."""
    source: str
    libraries: bool
    line: int = 1
    """Line of its first line in the value of the key."""
    switch: str = ""
    """Key that gives it more libraries."""


def customizations(data: Mapping[str, str]) -> Customizations:
    """Read the checks in a ConfigMap's data."""
    made = Customizations()
    mapped = {one.name: one for one in _mapped(data.get(PREFIX, ""), made.problems)}
    split = {one.name: one for one in _split(data, made.problems)}
    for name, script in {**mapped, **split}.items():
        # each key overrides its own part only, as in Argo CD
        known = mapped.get(name, script)
        if not script.source.strip():
            script = known  # noqa: PLW2901 -- the one that has a source
        libraries = known.libraries
        if script.switch in data:
            libraries = data[script.switch].strip().lower() == "true"
        if script.source.strip():
            _add(made, script._replace(libraries=libraries))
        elif script.switch in data:
            problem = f"it says nothing without {PREFIX}.{_HEALTH}.{_key_of(name)}"
            made.problems.append(HealthProblem(script.switch, problem, severity="warning"))
    made.globs.sort(key=lambda pair: (-pair[0].literal, pair[0].source))
    return made


def _add(made: Customizations, script: _Script) -> None:
    try:
        check = checks.compile(script.source, libraries=script.libraries)
        pattern = glob(script.name) if is_glob(script.name) else None
    except ValueError as exc:
        problem = f"reading the pattern {script.name!r}: {exc}"
        made.problems.append(HealthProblem(script.key, problem, script.line))
        return
    except ConfigError as exc:
        fault = exc.__cause__
        at, why = (fault.line, fault.why) if isinstance(fault, SyntaxFault) else (1, str(exc))
        problem = f"compiling the health check of {script.name}: line {at}: {why}"
        made.problems.append(HealthProblem(script.key, problem, script.line + at - 1))
        return
    if check.absent:
        switch = _SCRIPT_OPEN if script.key == PREFIX else script.switch
        problem = (
            f"the health check of {script.name} uses {', '.join(check.absent)}, which it is not "
            f"given (add {switch}: true)"
        )
        made.problems.append(HealthProblem(script.key, problem, script.line, "warning"))
    if pattern is None:
        made.exact[script.name] = CustomCheck(check)
    else:
        made.globs.append((pattern, CustomCheck(check)))


# ---------------------------------------------------------------------------- split keys


def _split(data: Mapping[str, str], problems: list[HealthProblem]) -> Iterator[_Script]:
    for key in sorted(data):
        if not key.startswith(f"{PREFIX}."):
            _meant(key, problems)
            continue
        kind, _, name = key.removeprefix(f"{PREFIX}.").partition(".")
        if kind not in _TYPES:
            near = difflib.get_close_matches(kind, _TYPES, n=1)
            hint = f" (did you mean {PREFIX}.{near[0]}.{name})" if near else ""
            problems.append(HealthProblem(key, f"no such customization: {kind!r}{hint}"))
        elif kind in {_HEALTH, _OPEN}:
            found = _group_kind(name)
            if not found:
                problem = f"{name!r} is no group and kind{_near_name(name)}"
                problems.append(HealthProblem(key, problem))
                continue
            script = f"{PREFIX}.{_HEALTH}.{name}"
            if kind == _HEALTH or script not in data:
                switch = f"{PREFIX}.{_OPEN}.{name}"
                yield _Script(script, found, data.get(script, ""), False, switch=switch)


def _meant(key: str, problems: list[HealthProblem]) -> None:
    """Complain about a key that was probably meant to be ours."""
    first, _, rest = key.partition(".")
    second, _, _ = rest.partition(".")
    given = f"{first}.{second}"
    if key != PREFIX and difflib.SequenceMatcher(None, given, PREFIX).ratio() > _ALIKE:
        problem = f"it is of no effect (did you mean {PREFIX}{key.removeprefix(given)})"
        problems.append(HealthProblem(key, problem, severity="warning"))


def _group_kind(name: str) -> str:
    """Return `group/Kind` of the end of a key; empty where it is none."""
    if name == "all":
        return "*/*"
    group, underscore, kind = name.partition("_")
    if not underscore:
        group, kind = "", name
    if not kind or "_" in kind or "." in kind or (underscore and not group):
        return ""
    return f"{group}/{kind}" if group else kind


def _key_of(name: str) -> str:
    """Return how a name ends a key."""
    return "all" if name == "*/*" else name.replace("/", "_")


def _near_name(name: str) -> str:
    """Suggest how a name was probably meant."""
    parts = [part for part in name.split("_") if part and not _VERSION.fullmatch(part)]
    if len(parts) == 1 and "." in name:
        parts = name.rsplit(".", 1)
    if len(parts) != 2:  # noqa: PLR2004 -- group and kind
        return " (write GROUP_Kind, or Kind for the core group)"
    return f" (did you mean {parts[0]}_{parts[1]})"


# ---------------------------------------------------------------------------- the mapping


def _mapped(text: str, problems: list[HealthProblem]) -> Iterator[_Script]:
    try:
        document = next(documents(text), Document())
    except Malformed as exc:
        problems.append(HealthProblem(PREFIX, str(exc), exc.line))
        return
    if not isinstance(document.value, dict):
        if document.value is not None:
            problems.append(
                HealthProblem(PREFIX, "it is no mapping of group/Kind to customizations")
            )
        return
    for name, given in document.value.items():
        line = document.positions[name,][0]
        if not isinstance(given, dict):
            problems.append(HealthProblem(PREFIX, f"{name}: it is no mapping", line))
            continue
        yield from _entry(document, name, given, problems)


def _entry(
    document: Document, name: str, given: dict[str, Any], problems: list[HealthProblem]
) -> Iterator[_Script]:
    for key in given:
        near = difflib.get_close_matches(key, _FIELDS, n=1)
        if key not in _FIELDS and near:
            line = document.positions[name, key][0]
            problem = f"{name}: no such customization: {key!r} (did you mean {near[0]})"
            problems.append(HealthProblem(PREFIX, problem, line))
    source = given.get(_SCRIPT) or ""
    libraries = str(given.get(_SCRIPT_OPEN)).lower() == "true"
    line = document.positions.get((name, _SCRIPT), (1, 1))[0]
    if not isinstance(source, str):
        problems.append(HealthProblem(PREFIX, f"{name}: {_SCRIPT}: it is no text", line))
        return
    line = document.texts.get((name, _SCRIPT), (line, 0))[0]
    name = name.removeprefix("/")
    switch = f"{PREFIX}.{_OPEN}.{_key_of(name)}"
    yield _Script(PREFIX, name, source, libraries, line, switch)
