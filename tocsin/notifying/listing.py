"""`tocsin notify trigger get` and `template get`: what there is, and what is wrong with it."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from notifier.config import Problem
from notifier.templates import Template
from notifier.triggers import Condition, Trigger
from spine.manifest import Severity
from spine.model import dotted
from tocsin.notifying.found import Found, unknown
from tocsin.notifying.words import block, lasting, row, warned

Family = Literal["trigger", "template"]


class Listed(NamedTuple):
    """One trigger or template of a configuration."""

    found: Found
    family: Family
    name: str

    @property
    def key(self) -> str:
        """Return its key in the ConfigMap."""
        return f"{self.family}.{self.name}"

    @property
    def broken(self) -> bool:
        """Whether an error disables it."""
        return self.key in self.found.configuration.broken

    @property
    def problems(self) -> list[Problem]:
        """Return what is wrong with it."""
        return [one for one in self.found.problems if one.key == self.key]

    @property
    def source(self) -> str:
        """Return what is written below its key; empty for the bundles of old."""
        text = self.found.current.texts.config.get(self.key, "")
        return self.found.configuration.redact(text)

    def json(self) -> dict[str, Any]:
        """Return it for a script."""
        shown: dict[str, Any] = {"name": self.name, "notifier": self.found.title}
        shown["broken"] = self.broken
        if not self.broken and self.family == "trigger":
            conditions = self.found.triggers[self.name].conditions
            shown["conditions"] = [_condition_json(one) for one in conditions]
        elif not self.broken:
            template = self.found.templates[self.name]
            shown |= {"blocks": sorted(template.blocks), "reads": _reads(template)}
            shown["triggers"] = _users(self.found, self.name)
        shown["problems"] = [
            {"severity": one.severity, "message": one.message, "line": one.line}
            for one in self.problems
        ]
        return shown

    def lines(self, *, full: bool) -> Iterator[str]:
        """Yield it for a person; `full`: with what is written."""
        yield from self._summary()
        for problem in self.problems:
            where = f"line {problem.line}: " if problem.line > 1 else ""
            yield f"  {warned(problem.severity, where + _told(problem))}"
        if full and self.source:
            yield row("written", self.key, depth=1)
            yield from block(self.source.rstrip("\n"), 2)

    def _summary(self) -> Iterator[str]:
        if self.broken:
            yield f"{self.name}  disabled by an error"
        elif self.family == "trigger":
            yield f"{self.name}"
            yield from _trigger(self.found.triggers[self.name])
        else:
            template = self.found.templates[self.name]
            parts = ["message", *sorted(template.blocks)]
            yield f"{self.name}"
            yield row("has", ", ".join(parts), depth=1)
            users = _users(self.found, self.name)
            yield row("sent by", ", ".join(users) or "no trigger", depth=1)


def listed(found: list[Found], family: Family, name: str) -> list[Listed]:
    """Return the triggers or templates of all configurations, or those of a name.

    Raises ConfigError where there are none of that name.
    """
    out = []
    for one in found:
        known = one.triggers if family == "trigger" else one.templates
        broken = [key for key in one.configuration.broken if key.startswith(f"{family}.")]
        names = {*known, *(key.removeprefix(f"{family}.") for key in broken)}
        out += [Listed(one, family, own) for own in sorted(names) if not name or own == name]
    if name and not out:
        raise unknown(found, f"{family}s", [name])
    return out


def others(found: list[Found]) -> Iterator[tuple[Severity, str]]:
    """Yield what is wrong beside triggers and templates."""
    for one in found:
        for note in one.notes:
            yield "warning", note
        for problem in one.problems:
            if problem.key.partition(".")[0] not in {"trigger", "template"}:
                where = f"{problem.key}:{problem.line}" if problem.line > 1 else problem.key
                yield problem.severity, f"{where}: {_told(problem)}"


def _told(problem: Problem) -> str:
    """Return what is wrong, after the field that it is about."""
    return f"{dotted(problem.path)}: {problem.message}" if problem.path else problem.message


def _trigger(trigger: Trigger) -> Iterator[str]:
    for index, one in enumerate(trigger.conditions):
        yield row(f"[{index}]", one.when or "(nothing: it is never met)", depth=1)
        yield row("", _manner(one), depth=1)


def _manner(one: Condition) -> str:
    parts = [f"sends {', '.join(one.send) or 'nothing'}"]
    if one.hold:
        parts.append(f"once it holds for {lasting(one.hold)}")
    if one.once_per:
        parts.append(f"once per {one.once_per}")
    if one.repeat_every:
        parts.append(f"again every {lasting(one.repeat_every)}")
    if one.resolved is not None:
        parts.append("and when it is over")
    return ", ".join(parts)


def _condition_json(one: Condition) -> dict[str, Any]:
    return {
        "id": one.id,
        "argoKey": one.legacy_key,
        "description": one.description,
        "when": one.when,
        "oncePer": one.once_per,
        "send": list(one.send),
        "for": one.hold,
        "repeatEvery": one.repeat_every,
        "sendResolved": None if one.resolved is None else list(one.resolved or one.send),
    }


def _reads(template: Template) -> list[str] | None:
    return None if template.reads is None else sorted(template.reads)


def _users(found: Found, template: str) -> list[str]:
    """Return the triggers that send a template."""
    return sorted(
        name
        for name, trigger in found.triggers.items()
        for one in trigger.conditions
        if template in (*one.send, *(one.resolved or ()))
    )
