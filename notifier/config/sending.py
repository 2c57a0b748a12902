"""`trigger.NAME` and `template.NAME`, compiled; what the compilers say gets its line."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from notifier.config.entry import Entry, split_place
from notifier.config.shapes import ConditionShape
from notifier.config.shaping import near
from notifier.templates import Template, compile_template
from notifier.triggers import Trigger, compile_trigger
from spine.errors import ConfigError
from spine.model import Path

if TYPE_CHECKING:
    from spine.manifest import Severity

_CLOCK = "reads the clock"
"""In a warning of which nobody needs to do anything about: it becomes a note."""


def read_trigger(
    entry: Entry, name: str, value: Any, path: Path, variables: Collection[str]
) -> Trigger | None:
    """Return a compiled trigger, None after an error was noted."""
    conditions = entry.shaped(list[ConditionShape], [] if value is None else value, path)
    if conditions is None:
        return None
    if not conditions:
        entry.warn(path, "it has no conditions, so it is never met")
    single = not isinstance(value, list)
    try:
        trigger = compile_trigger(name, conditions, variables=variables)
    except ConfigError as exc:
        at, message = split_place(exc.message)
        hint = f" ({exc.hint})" if exc.hint else ""
        entry.error((*path, *(at[1:] if single else at)), f"{message}{hint}")
        return None
    for warning in trigger.warnings:
        at, message = split_place(warning)
        severity: Severity = "note" if _CLOCK in message else "warning"
        entry.say(severity, (*path, *(at[1:] if single else at)), message)
    return trigger


def sendable(
    entry: Entry,
    trigger: Trigger,
    path: Path,
    templates: Collection[str],
    broken: Collection[str],
) -> Trigger:
    """Return a trigger without the conditions whose templates are not there, after errors."""
    kept = []
    for index, condition in enumerate(trigger.conditions):
        missing = [
            (key, number, name)
            for key, names in (("send", condition.send), ("sendResolved", condition.resolved or ()))
            for number, name in enumerate(names)
            if name not in templates
        ]
        for key, number, name in missing:
            if f"template.{name}" in broken:
                message = f"template {name!r} is disabled by an error of its own"
            else:
                hint = near(name, list(templates)) or f" (add template.{name})"
                message = f"there is no template {name!r}{hint}"
            entry.error((*path, index, key, number), message)
        if not missing:
            kept.append(condition)
    return (
        trigger
        if len(kept) == len(trigger.conditions)
        else replace(trigger, conditions=tuple(kept))
    )


def read_template(entry: Entry, name: str, value: Any, path: Path) -> Template | None:
    """Return a compiled template, None after an error was noted."""
    if value is None:
        entry.warn(path, "it is empty, and so are its messages")
    elif not isinstance(value, Mapping):
        entry.error(path, "a map with message, or blocks of services, is needed")
        return None
    try:
        template = compile_template(name, value or {})
    except ConfigError as exc:
        entry.fault(path, exc)
        return None
    for warning in template.warnings:
        at, message = split_place(warning)
        entry.warn((*path, *at), message)
    return template
