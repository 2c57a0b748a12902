"""Label selectors of Kubernetes, as texts: `team in (a, b),!silenced`.

Global subscriptions say by them which objects they are about. A selector is compiled once and
asked for every object, so that it needs no API server.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from typing_extensions import override

from spine.errors import ConfigError

Labels = Mapping[str, str]
Requirement = Callable[[Labels], bool]


@dataclass(frozen=True, slots=True)
class Selector:
    """A compiled selector; all its requirements must hold."""

    text: str = ""
    """As it was written."""
    requirements: tuple[Requirement, ...] = field(default=(), repr=False, compare=False)

    def matches(self, labels: Labels) -> bool:
        """Return whether an object with such labels is selected; an empty selector selects all."""
        return all(holds(labels) for holds in self.requirements)

    def __bool__(self) -> bool:
        """Return whether it asks for anything."""
        return bool(self.requirements)

    @override
    def __str__(self) -> str:
        return self.text


ALL = Selector()
"""Selects every object."""

_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)\s*")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LONGEST_WORD, _LONGEST_PREFIX = 63, 253
_DIGITS = re.compile(r"[0-9]{1,19}")
_INT64 = re.compile(r"[-+]?[0-9]{1,19}")
_LARGEST = 2**63 - 1


def compile_selector(text: str) -> Selector:
    """Compile a selector: `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`, `k>1`, `k<1`.

    A comma is an and. `!=` and `notin` hold for an object without the label, too. Raises
    ConfigError.
    """  # noqa: E501 -- one line for the summary
    words = _Words(text)
    requirements: list[Requirement] = []
    while words.peek():
        requirements.append(words.requirement())
        if not words.peek():
            break
        words.take(",")
        if not words.peek():
            raise words.error("it ends with a comma")
    return Selector(text.strip(), tuple(requirements))


class _Words:
    """The words of a selector, one after the other."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._words: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:  # pragma: no cover -- every letter is part of some word
                raise self.error(f"{text[position]!r} is not understood")
            self._words.append(match[1])
            position = match.end()

    def peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def next(self) -> str:
        word = self.peek()
        self._at += 1
        return word

    def take(self, wanted: str) -> None:
        word = self.next()
        if word != wanted:
            got = repr(word) if word else "the end"
            raise self.error(f"{wanted!r} is missing before {got}")

    def error(self, why: str) -> ConfigError:
        return ConfigError(
            f"reading selector {self._text!r}: {why}",
            hint="write for example: team in (payments, search),!silenced",
        )

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.next()
            key = self._key()
            return lambda labels: key not in labels
        key = self._key()
        operator = self.peek()
        if operator in {"", ","}:
            return lambda labels: key in labels
        self.next()
        if operator in {">", "<"}:
            return self._compared(key, operator)
        if operator in {"in", "notin"}:
            values = self._values()
        elif operator in {"=", "==", "!="}:
            values = frozenset([self._value()])
        else:
            raise self.error(f"{operator!r} is no operator")
        wanted = operator in {"in", "=", "=="}
        return lambda labels: (labels.get(key) in values) is wanted

    def _compared(self, key: str, operator: str) -> Requirement:
        word = self.next()
        if not _DIGITS.fullmatch(word) or int(word) > _LARGEST:
            raise self.error(f"{operator} takes a whole number, not {word!r}")
        limit = int(word)

        def holds(labels: Labels) -> bool:
            value = labels.get(key, "")
            if not _INT64.fullmatch(value):
                return False
            return int(value) > limit if operator == ">" else int(value) < limit

        return holds

    def _key(self) -> str:
        key = self.next()
        prefix, slash, name = key.rpartition("/")
        if slash and not (len(prefix) <= _LONGEST_PREFIX and _PREFIX.fullmatch(prefix)):
            raise self.error(f"{key!r} is no name of a label")
        if not (len(name) <= _LONGEST_WORD and _WORD.fullmatch(name)):
            raise self.error(f"{key!r} is no name of a label" if key else "a label is missing")
        return key

    def _value(self) -> str:
        if self.peek() in {"", ","}:
            return ""
        word = self.next()
        if not (len(word) <= _LONGEST_WORD and _WORD.fullmatch(word)):
            raise self.error(f"{word!r} is no value of a label")
        return word

    def _values(self) -> frozenset[str]:
        self.take("(")
        values: list[str] = []
        while True:
            if self.peek() in {",", ")"}:
                values.append("")
            else:
                values.append(self._value())
            if self.peek() == ")":
                self.next()
                return frozenset(values)
            self.take(",")
