"""Triggers: conditions on an object, each with what is sent once it is met.

A condition has three outcomes: met, not met, and an error, which is neither. It is known by an id
that stays where it is moved or spaced differently, and by the key that Argo has for it.
"""

import base64
import difflib
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notifier import lints
from notifier.expressions import Expression, compile_expression
from notifier.reads import NOTHING, Path, Reads, together
from spine.errors import ConfigError
from spine.lang import EvaluationError
from spine.lang.exprlang.lexer import tokens
from spine.lang.gofmt import verb_v
from spine.lang.gotime import parse_duration


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a trigger."""

    id: str
    """Its identity with us: written out, or made of its expressions; unique in the trigger."""
    legacy_key: str
    """Its identity in what Argo writes to objects: `[0].` and a hash of `when` as it is written."""
    when: str
    """What is to be true; empty: never."""
    send: tuple[str, ...]
    """Names of templates, in order."""
    description: str = ""
    """For people."""
    once_per: str = ""
    """It is told once for each value of this; empty: once each time the condition turns true."""
    hold: float = 0.0
    """Seconds for which it must stay true."""
    repeat_every: float = 0.0
    """Seconds after which it is told again while it is true; 0: never."""
    resolved: tuple[str, ...] | None = None
    """Templates for the news that it is over; empty: those of `send`; None: no such news."""
    reads: Reads = NOTHING
    """What its expressions read."""
    warnings: tuple[str, ...] = ()
    """What is likely not meant, a line each."""
    _when: Expression | None = None
    _once: Expression | None = None

    @property
    def fields(self) -> frozenset[Path] | None:
        """Members of the object that it reads, `*` for any element; None: it may be all."""
        return self.reads.fields

    @property
    def reads_clock(self) -> bool:
        """Whether its outcome changes as time passes."""
        return self.reads.clock

    def look(self, variables: Mapping[str, Any]) -> bool | str:
        """Return whether it is met, or as a text why that cannot be said."""
        if self._when is None:
            return False
        try:
            return self._when.value(variables) is True
        except EvaluationError as exc:
            return str(exc)

    def once(self, variables: Mapping[str, Any]) -> str:
        """Return `oncePer` as Go prints it, empty where there is none. Raises EvaluationError."""
        if self._once is None:
            return ""
        return verb_v(self._once.value(variables))


@dataclass(frozen=True, slots=True)
class Trigger:
    """Conditions under one name; each that is met is told."""

    name: str
    conditions: tuple[Condition, ...]
    warnings: tuple[str, ...] = ()
    """What is likely not meant, with the place of the condition in front."""


def compile_trigger(
    name: str, conditions: Sequence[Mapping[str, Any]], *, variables: Collection[str]
) -> Trigger:
    """Compile a trigger for an environment of these variables. Raises ConfigError.

    A mapping instead of a list is taken for the only condition.
    """
    warnings: list[str] = []
    if isinstance(conditions, Mapping):
        warnings.append("a trigger is a list of conditions: begin it with -")
        conditions = [conditions]
    if not isinstance(conditions, list | tuple):
        raise ConfigError(f"compiling trigger {name!r}: it is no list of conditions")
    made: list[Condition] = []
    for index, raw in enumerate(conditions):
        try:
            condition = _Reading(raw, variables).condition(index, [one.id for one in made])
        except ConfigError as exc:
            at = f"compiling trigger {name!r}: [{index}]"
            raise ConfigError(f"{at}{exc.message}", hint=exc.hint) from exc
        made.append(condition)
        warnings += [f"[{index}]{text}" for text in condition.warnings]
    return Trigger(name, tuple(made), tuple(warnings))


def legacy_key(index: int, when: str) -> str:
    """Return the identity that Argo's engine gives a condition."""
    digest = hashlib.sha1(when.encode(), usedforsecurity=False).digest()
    return f"[{index}].{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def identity(when: str, once_per: str) -> str:
    """Return an identity that white space and comments do not change."""
    text = "\n".join(map(_normal, (when, once_per)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _normal(text: str) -> str:
    return " ".join(f"{word.kind}:{word.value!r}" for word in tokens(text, "1.17"))


_KEYS = {
    key.lower(): key
    for key in (
        *("when", "oncePer", "send", "description"),
        *("id", "for", "repeatEvery", "sendResolved"),
    )
}


class _Reading:
    """One condition as it is written."""

    def __init__(self, raw: object, variables: Collection[str]) -> None:
        if not isinstance(raw, Mapping):
            raise ConfigError(f": a condition is a mapping, not {type(raw).__name__}")
        self._variables = variables
        self._warnings: list[str] = []
        self._values: dict[str, Any] = {}
        for key, value in raw.items():
            known = _KEYS.get(str(key).lower())
            if known is None:
                self._warnings.append(f".{key}: unknown field ignored{_meant(str(key))}")
            else:
                self._values[known] = value

    def condition(self, index: int, taken: Collection[str]) -> Condition:
        when, once = self._text("when"), self._text("oncePer")
        compiled, limit = self._compiled("when", when), self._compiled("oncePer", once)
        self._warnings += self._doubts(compiled, limit)
        own = self._text("id")
        if own and own in taken:
            raise ConfigError(f".id: {own!r} is the id of another condition")
        parts = [one.reads for one in (compiled, limit) if one is not None]
        return Condition(
            id=own or _unique(identity(when, once), taken),
            legacy_key=legacy_key(index, when),
            when=when,
            send=self._send(),
            description=self._text("description"),
            once_per=once,
            hold=self._seconds("for"),
            repeat_every=self._seconds("repeatEvery"),
            resolved=self._resolved(),
            reads=together(parts),
            warnings=tuple(self._warnings),
            _when=compiled,
            _once=limit,
        )

    def _doubts(self, when: Expression | None, once: Expression | None) -> Iterator[str]:
        if when is None:
            hint = "; begin only the first line of a condition with -" if once is not None else ""
            yield f": without when it is never met{hint}"
        elif when.reads.clock:
            yield ".when: it reads the clock, so it is evaluated every few seconds as well"
        for key, one in (("when", when), ("oncePer", once)):
            if one is not None:
                yield from (f".{key}: {text}" for text in one.warnings)
        if once is not None:
            yield from (f".oncePer: {text}" for text in lints.volatile(once.tree))

    def _compiled(self, key: str, text: str) -> Expression | None:
        if not text.strip():
            return None
        try:
            return compile_expression(text, variables=self._variables)
        except ConfigError as exc:
            raise ConfigError(f".{key}: {exc.message}", hint=exc.hint) from exc

    def _text(self, key: str) -> str:
        """Return a text; a scalar of another type is written as in JSON, null is empty."""
        value = self._values.get(key)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        raise ConfigError(f".{key}: it is a text, not a {type(value).__name__}")

    def _names(self, key: str) -> tuple[str, ...]:
        value = self._values.get(key)
        if isinstance(value, str):
            self._warnings.append(f".{key}: Argo wants a list here: write [{value}]")
            value = [value]
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ConfigError(f".{key}: it is a list of names of templates")
        return tuple(value)

    def _send(self) -> tuple[str, ...]:
        names = self._names("send")
        if not names:
            self._warnings.append(".send: it names no template, so nothing is sent")
        return names

    def _resolved(self) -> tuple[str, ...] | None:
        value = self._values.get("sendResolved")
        if value is None or value is False:
            return None
        return () if value is True else self._names("sendResolved") or None

    def _seconds(self, key: str) -> float:
        text = self._text(key)
        if not text:
            return 0.0
        try:
            seconds = parse_duration(text).seconds()
        except EvaluationError as exc:
            raise ConfigError(f".{key}: {exc}", hint="write it as 5m or 1h30m") from exc
        if seconds < 0:
            raise ConfigError(f".{key}: {text} is less than nothing")
        return float(seconds)


def _unique(made: str, taken: Collection[str]) -> str:
    """Return an id with a number where equal conditions stand in one trigger."""
    number, found = 1, made
    while found in taken:
        number += 1
        found = f"{made}-{number}"
    return found


def _meant(key: str) -> str:
    near = difflib.get_close_matches(key.lower(), _KEYS, n=1)
    return f" (did you mean {_KEYS[near[0]]})" if near else ""
