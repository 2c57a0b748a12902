"""The grammar of govaluate: tokens to a tree.

Everything of one level groups from the left. A chain of operators of one level is one node,
so that a long list of alternatives is not a deep tree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spine.lang.govaluate.tokens import SyntaxFault, Token

_LEVELS = (
    frozenset([","]),
    frozenset(["?", ":", "??"]),
    frozenset(["||"]),
    frozenset(["&&"]),
    frozenset(["==", "!=", "<", "<=", ">", ">=", "=~", "!~", "in"]),
    frozenset(["&", "|", "^"]),
    frozenset(["<<", ">>"]),
    frozenset(["+", "-"]),
    frozenset(["*", "/", "%"]),
    frozenset(["**"]),
)
"""Operators, weakest first."""

_LEVEL_OF = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs}
_OPERATORS = frozenset(["comma", "ternary", "logic", "comparison", "sign"])
_DEPTH = 50
"""Nested parentheses beyond which nobody reads an expression."""


class Literal(NamedTuple):
    """A value that is written out; None where a value is missing."""

    value: Any


class Variable(NamedTuple):
    """A name."""

    name: str


class Field(NamedTuple):
    """`name.Field`: no value of an event has any."""

    text: str


class Prefix(NamedTuple):
    """A sign and what it stands before."""

    sign: str
    operand: "Node"


class Chain(NamedTuple):
    """Operators of one level, from the left."""

    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]


Node = Literal | Variable | Field | Prefix | Chain


@dataclass
class Tree:
    """A parsed expression."""

    root: Node
    names: list[str]
    warnings: list[str]


def parse(tokens: Sequence[Token]) -> Tree:
    """Return the tree of an expression. Raises SyntaxFault."""
    parser = _Parser(tokens)
    root = parser.chain(0)
    if parser.at < len(tokens):
        parser.warn_ignored()
    return Tree(root, parser.names, parser.warnings)


@dataclass
class _Parser:
    tokens: Sequence[Token]
    at: int = 0
    depth: int = 0
    names: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ignores: bool = False

    def chain(self, level: int) -> Node:
        """Return what operators of a level, or stronger ones, join."""
        first = self._value()
        while (found := self._level()) >= level:  # the next one is weaker than the one before
            rest: list[tuple[str, Node]] = []
            while self._level() == found:
                sign = self._take().value
                rest.append((sign, self.chain(found + 1)))
            first = Chain(first, tuple(rest))
        return first

    def _level(self) -> int:
        """Return the level of the operator that comes next, -1 if none does."""
        if self.at >= len(self.tokens):
            return -1
        token = self.tokens[self.at]
        return _LEVEL_OF[token.value] if token.kind in _OPERATORS else -1

    def _take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def _value(self) -> Node:
        if self.at >= len(self.tokens) or self.tokens[self.at].kind == "close":
            return Literal(None)  # as in `()`
        token = self._take()
        match token.kind:
            case "open":
                node: Node = self._group(token)
            case "name":
                self.names.append(token.value)
                node = Variable(token.value)
            case "field":
                self._pass_arguments()
                node = Field(token.value)
            case "prefix":
                node = Prefix(token.value, self._value())
            case "date":
                node = Literal(self._date(token))
            case _:
                node = Literal(token.value)
        return node

    def _date(self, token: Token) -> float:
        text, moment = token.value
        self.warnings.append(
            f'"{text}" is read as a date, the number {moment:.0f}: no text equals it'
        )
        return float(moment)

    def _group(self, token: Token) -> Node:
        if self.depth == _DEPTH:
            raise SyntaxFault(token.at, f"it is nested deeper than {_DEPTH} parentheses")
        self.depth += 1
        inner = self.chain(0)
        self.depth -= 1
        if self.at < len(self.tokens) and self._take().kind != "close":
            self.at -= 1  # the peer takes whatever stands there for the parenthesis
            self.warn_ignored()
            self.at += 1
        return inner

    def _pass_arguments(self) -> None:
        """Pass over the arguments of a method, which no value has."""
        depth = 0
        while self.at < len(self.tokens):
            kind = self.tokens[self.at].kind
            if depth == 0 and kind != "open":
                return
            depth += {"open": 1, "close": -1}.get(kind, 0)
            self.at += 1

    def warn_ignored(self) -> None:
        """Warn that what comes next is not looked at."""
        if not self.ignores:
            column = self.tokens[self.at].at + 1
            self.warnings.append(f"column {column}: an operator is missing: the rest is ignored")
        self.ignores = True


_MAYBE = frozenset(["&&", "||", "?", ":", "??"])


def needed(node: Node) -> frozenset[str]:
    """Return the variables that every evaluation reads."""
    return frozenset(_needed(node))


def _needed(node: Node) -> Iterator[str]:
    match node:
        case Variable(name):
            yield name
        case Prefix(_, operand):
            yield from _needed(operand)
        case Chain(first, rest):
            yield from _needed(first)
            for sign, part in rest:
                if sign in _MAYBE:
                    return
                yield from _needed(part)
