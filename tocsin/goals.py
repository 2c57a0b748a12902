"""What `tocsin wait` can wait for, and what one look at an object says about it."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import click

from notifier.health import STATUSES, Health
from spine.lang import EvaluationError, gjson, paths

_OPENING, _CLOSING = "([{", ")]}"


class Look(NamedTuple):
    """What one look at an object says."""

    reached: bool
    state: str
    """The state in a few words, such as `Progressing` or `Ready=False`."""
    message: str = ""
    """Why, in words for people."""
    failed: bool = False
    """Whether there is no point in waiting on."""


class Seen(NamedTuple):
    """An object as it is now."""

    obj: dict[str, Any]
    raw: bytes
    health: Health | None


class Goal(Protocol):
    """Something to wait for."""

    @property
    def absent(self) -> bool:
        """Whether an object that is not there has reached it."""
        ...

    def look(self, seen: Seen) -> Look:
        """Say whether an object that is there has reached it, and how it is."""
        ...


def _health(seen: Seen) -> tuple[str, str]:
    """Return the health of an object in words, and its message."""
    if _without(seen):
        return "exists", "its kind has no health"
    if seen.health is None:
        return "no health", "nothing in its status says how it is"
    return seen.health.status or "no health", seen.health.message


def _without(seen: Seen) -> bool:
    """Say whether an object is of a kind without health, such as a ConfigMap."""
    return seen.health is None and "status" not in seen.obj


@dataclass(frozen=True, slots=True)
class HealthIs:
    """The health is this word; what has no health is as healthy as it can be."""

    status: str

    @property
    def absent(self) -> bool:
        """Whether an object that is not there has reached it."""
        return self.status == "Missing"

    def look(self, seen: Seen) -> Look:
        """Say whether an object has this health."""
        state, message = _health(seen)
        reached = state == self.status or (self.status == "Healthy" and _without(seen))
        return Look(reached, state, message, not reached and state == "Degraded")


@dataclass(frozen=True, slots=True)
class ConditionIs:
    """A condition of the status has this value."""

    name: str
    status: str
    absent = False

    def look(self, seen: Seen) -> Look:
        """Say whether the condition is so, for the specification as it is."""
        status = seen.obj.get("status")
        conditions = status.get("conditions") if isinstance(status, dict) else None
        for one in conditions if isinstance(conditions, list) else ():
            if str(one.get("type", "")).lower() != self.name.lower():
                continue
            found, message = str(one.get("status", "")), one.get("message") or one.get("reason")
            generation = seen.obj["metadata"].get("generation") or 0
            if (one.get("observedGeneration") or generation) < generation:
                return Look(False, f"{self.name}={found}", "of an older spec")
            reached = found.lower() == self.status.lower()
            return Look(reached, f"{self.name}={found}", message or "")
        return Look(False, f"no condition {self.name}", _health(seen)[1])


@dataclass(frozen=True, slots=True)
class FieldIs:
    """The value at a path is this one; None: there is one."""

    path: str
    lookup: paths.Lookup
    value: str | None
    absent = False

    def look(self, seen: Seen) -> Look:
        """Say whether the value is there."""
        try:
            found = self.lookup.get(gjson.Document(seen.raw))
        except EvaluationError as exc:
            return Look(False, f"{self.path} cannot be read", str(exc))
        if found is None:
            return Look(False, f"no {self.path}", _health(seen)[1])
        reached = bool(found.text) if self.value is None else found.text == self.value
        return Look(reached, f"{self.path}={found.text}", _health(seen)[1])


@dataclass(frozen=True, slots=True)
class Exists:
    """The object is there."""

    absent = False

    def look(self, seen: Seen) -> Look:
        """Say that it is there."""
        return Look(True, *_health(seen))


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object is not there, or has gone since."""

    absent = True

    def look(self, seen: Seen) -> Look:
        """Say that it is still there."""
        return Look(False, *_health(seen))


# ---------------------------------------------------------------------------- from the command line


def goal(text: str) -> Goal:
    """Return what a text such as `health=Healthy` stands for. Raises click.UsageError."""
    name, _, rest = text.partition("=")
    found = _GOALS.get(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), _GOALS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(_GOALS)}."
        raise click.UsageError(f"--for {text}: there is no {name!r} to wait for; {hint}")
    return found(rest)


def _health_goal(text: str) -> Goal:
    for status in STATUSES:
        if status.lower() == (text or "healthy").lower():
            return HealthIs(status)
    near = difflib.get_close_matches(text.capitalize(), STATUSES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(STATUSES)}."
    raise click.UsageError(f"--for health={text}: there is no such health; {hint}")


def _condition_goal(text: str) -> Goal:
    name, _, status = text.partition("=")
    if not name:
        raise click.UsageError("--for condition: write condition=NAME or condition=NAME=False.")
    return ConditionIs(name, status or "True")


def _field_goal(text: str) -> Goal:
    path, value = _parted(text)
    if not path:
        raise click.UsageError(
            "--for field: write field=PATH=VALUE, such as field=status.phase=Up."
        )
    return FieldIs(path, paths.compile(path), value)


def _parted(text: str) -> tuple[str, str | None]:
    """Return path and value, at the first `=` that is no part of a query."""
    depth, quoted = 0, False
    for at, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
        if quoted:
            continue
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "=" and not depth:
            return text[:at], text[at + 1 :].removeprefix("=")
    return text, None


def _alone(name: str, made: Goal) -> Callable[[str], Goal]:
    def build(text: str) -> Goal:
        if text:
            raise click.UsageError(f"--for {name}={text}: {name} takes no value.")
        return made

    return build


_GOALS: dict[str, Callable[[str], Goal]] = {
    "health": _health_goal,
    "condition": _condition_goal,
    "field": _field_goal,
    "exists": _alone("exists", Exists()),
    "deleted": _alone("deleted", Deleted()),
}
