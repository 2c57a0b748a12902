"""The parts of a jq program, as the parser makes them."""

from dataclasses import dataclass
from typing import Any


def words(text: str) -> frozenset[str]:
    """Return the words of a text: a table that reads like one."""
    return frozenset(text.split())


class Node:
    """Any part of a program: a filter from one input to any number of outputs."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Identity(Node):
    """`.`."""


@dataclass(frozen=True, slots=True)
class Recurse(Node):
    """`..`."""


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number, a string without interpolation, `null`, `true` or `false`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Text(Node):
    r"""A string with `\(...)` in it; `format` is the name behind `@`, or empty."""

    parts: tuple[str | Node, ...]
    format: str


@dataclass(frozen=True, slots=True)
class Format(Node):
    """`@name` on its own."""

    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`target.name` or `target[key]`."""

    target: Node
    key: Node
    optional: bool = False
    """Whether `?` stands behind it, which silences this step and not the ones before."""


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`target[start:end]`."""

    target: Node
    start: Node | None
    end: Node | None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Iterate(Node):
    """`target[]`."""

    target: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Group(Node):
    """`(body)`: the same as its body, but one term to what follows."""

    body: Node


@dataclass(frozen=True, slots=True)
class Array(Node):
    """`[body]`."""

    body: Node | None


@dataclass(frozen=True, slots=True)
class Object(Node):
    """`{key: value, ...}`."""

    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Negate(Node):
    """`-body`."""

    body: Node


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """`left | right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comma(Node):
    """`left, right`."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, comparison, `and`, `or`, `//`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Update(Node):
    """`left = right`, `|=`, `+=` and the like."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if test then body else other end`; without `else`, `other` is the identity."""

    test: Node
    body: Node
    other: Node


@dataclass(frozen=True, slots=True)
class Try(Node):
    """`try body catch handler`, and `body?`."""

    body: Node
    handler: Node | None


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class NamePattern(Node):
    """`$name`: takes the whole value."""

    name: str


@dataclass(frozen=True, slots=True)
class ArrayPattern(Node):
    """`[pattern, ...]`."""

    elements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ObjectPattern(Node):
    """`{key: pattern, $name, $name: pattern}`: key, name that it is bound to, pattern."""

    members: tuple[tuple[Node, str | None, Node | None], ...]


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """`source as pattern ?// pattern ... | body`."""

    source: Node
    patterns: tuple[Node, ...]
    body: Node

    @property
    def name(self) -> str | None:
        """The variable's name where nothing is taken apart."""
        first = self.patterns[0]
        plain = len(self.patterns) == 1 and isinstance(first, NamePattern)
        return first.name if plain and isinstance(first, NamePattern) else None


@dataclass(frozen=True, slots=True)
class Reduce(Node):
    """`reduce source as pattern (start; update)`."""

    source: Node
    pattern: Node
    start: Node
    update: Node


@dataclass(frozen=True, slots=True)
class Foreach(Node):
    """`foreach source as pattern (start; update; extract)`."""

    source: Node
    pattern: Node
    start: Node
    update: Node
    extract: Node


@dataclass(frozen=True, slots=True)
class Label(Node):
    """`label $name | body`."""

    name: str
    body: Node


@dataclass(frozen=True, slots=True)
class Break(Node):
    """`break $name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Define(Node):
    """`def name(parameter; ...): body; rest`; a parameter `$x` is a value, and a filter `x` too."""

    name: str
    parameters: tuple[str, ...]
    body: Node
    rest: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`name(argument; ...)`."""

    name: str
    arguments: tuple[Node, ...]
