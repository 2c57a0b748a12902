"""Conditions: which dependencies must have arrived before a trigger fires.

`(a || b) && c` is parsed once into a closure. Pure and without state: who has arrived is
passed in, so one implementation serves every bus. Any declared name works, whatever its
letters; the only words of the language are `&&`, `||` and parentheses.
"""

import difflib
import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from spine.errors import ConfigError

Met = Callable[[Container[str]], bool]
"""Tells from the names that have arrived whether the conditions hold."""

_TOKEN = re.compile(r"\s*(&&|\|\||[()]|&|\||[^\s()&|]+)")
_FOREIGN = {
    "and": "write && for and",
    "or": "write || for or",
    "&": "write && for and",
    "|": "write || for or",
}
_DEPTH = 100
"""Nested parentheses beyond which nobody reads an expression."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Compiled conditions of one trigger."""

    text: str
    """The expression without needless spaces."""
    names: tuple[str, ...]
    """Dependencies in it, in order of first mention."""
    stateful: bool
    """Whether events must be kept until others arrive: there is an `&&`."""
    met: Met
    warnings: tuple[str, ...] = ()


def compile_conditions(text: str, dependencies: Sequence[str]) -> Conditions:
    """Compile an expression over the names of dependencies; empty means all of them.

    Raises ConfigError for what is no expression and for a name that is not declared.
    """
    if not text.strip():
        return _all_of(dependencies)
    parser = _Parser(text, dependencies)
    met = parser.either(0)
    parser.end()
    return Conditions(
        text="".join(parser.written),
        names=tuple(dict.fromkeys(parser.names)),
        stateful="&&" in parser.written,
        met=met,
        warnings=tuple(parser.warnings),
    )


def _all_of(dependencies: Sequence[str]) -> Conditions:
    if not dependencies:
        raise ConfigError("compiling conditions: the Sensor has no dependencies")
    met = _name_met(dependencies[-1])
    for name in reversed(dependencies[:-1]):
        met = _both_met(_name_met(name), met)
    stateful = len(dependencies) > 1
    return Conditions("&&".join(dependencies), tuple(dependencies), stateful, met)


def _name_met(name: str) -> Met:
    return lambda arrived: name in arrived


def _both_met(left: Met, right: Met) -> Met:
    return lambda arrived: left(arrived) and right(arrived)


def _either_met(left: Met, right: Met) -> Met:
    return lambda arrived: left(arrived) or right(arrived)


class _Parser:
    """Recursive descent: either = both {|| both}, both = one {&& one}, one = name | (either)."""

    def __init__(self, text: str, dependencies: Sequence[str]) -> None:
        self.text = text
        self.dependencies = dependencies
        self.names: list[str] = []
        self.written: list[str] = []
        self.warnings: list[str] = []
        self._tokens = [match[1] for match in _TOKEN.finditer(text)]
        self._at = 0

    def either(self, depth: int) -> Met:
        met = self._both(depth)
        while self._take("||"):
            met = _either_met(met, self._both(depth))
        return met

    def _both(self, depth: int) -> Met:
        met = self._one(depth)
        while self._take("&&"):
            met = _both_met(met, self._one(depth))
        return met

    def _one(self, depth: int) -> Met:
        if depth > _DEPTH:
            raise self._problem(f"more than {_DEPTH} nested parentheses")
        if self._take("("):
            met = self.either(depth + 1)
            if not self._take(")"):
                raise self._unexpected("a parenthesis is not closed")
            return met
        token = self._peek()
        if token is None or token in {"&&", "||", ")", "&", "|"}:
            where = "at the end" if token is None else f"before {token!r}"
            raise self._problem(f"a name is missing {where}", _FOREIGN.get(token or "", ""))
        self._at += 1
        name = self._dependency(token)
        self.names.append(name)
        self.written.append(name)
        return _name_met(name)

    def end(self) -> None:
        """Refuse what is left over."""
        if self._peek() is not None:
            raise self._unexpected()

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._at += 1
        self.written.append(token)
        return True

    def _dependency(self, token: str) -> str:
        if token in self.dependencies:
            return token
        alike = [n for n in self.dependencies if n.replace("-", "_") == token.replace("-", "_")]
        if len(alike) == 1:  # Argo Events reads both as the same
            self.warnings.append(f"conditions {self.text!r}: write {alike[0]} for {token}")
            return alike[0]
        if token.startswith("!"):
            raise self._problem(
                "there is no negation", "list what must have arrived, with && and ||"
            )
        if token in _FOREIGN:
            raise self._problem(f"{token!r} is no operator", _FOREIGN[token])
        same = [name for name in self.dependencies if name.lower() == token.lower()]
        near = same or difflib.get_close_matches(token, self.dependencies, n=1)
        known = f"did you mean {near[0]}" if near else f"there are {', '.join(self.dependencies)}"
        raise self._problem(f"no dependency is called {token!r}", known)

    def _unexpected(self, at_the_end: str = "") -> ConfigError:
        token = self._peek()
        if token is None:
            return self._problem(at_the_end)
        hint = _FOREIGN.get(token.lower(), "join names with && or ||")
        return self._problem(f"unexpected {token!r}", hint)

    def _problem(self, why: str, hint: str = "") -> ConfigError:
        return ConfigError(f"compiling conditions {self.text!r}: {why}", hint=hint)
