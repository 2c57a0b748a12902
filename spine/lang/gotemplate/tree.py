"""The parts of a parsed template."""

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Dot:
    """The value that the cursor is on."""


@dataclass(frozen=True, slots=True)
class Nil:
    """The word nil."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A text or a boolean."""

    value: str | bool


@dataclass(frozen=True, slots=True)
class Number:
    """A number: what it is as a whole one and as a float decides where it fits."""

    text: str
    ideal: object
    """What it is where nothing says what it should be."""
    whole: int | None = None
    real: float | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """Members of the cursor, `.a.b`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable and its members, `$x.a.b`."""

    slot: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A function."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Members of something else, `(f .x).a.b`."""

    node: "Operand"
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands of which each gives its value to the next."""

    commands: tuple[tuple["Operand", ...], ...]
    slots: tuple[int, ...] = ()
    """Variables that take the value."""
    assigns: bool = False
    """Whether they exist already."""


Operand: TypeAlias = Dot | Nil | Literal | Number | Field | Variable | Name | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    """What stands for itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A value that is printed, or put into a variable."""

    pipe: Pipe
    at: int


@dataclass(frozen=True, slots=True)
class Branch:
    """An if or a with."""

    pipe: Pipe
    body: tuple["Node", ...]
    other: tuple["Node", ...]
    moves: bool
    """Whether the value becomes the cursor: with."""
    at: int


@dataclass(frozen=True, slots=True)
class Range:
    """A loop."""

    pipe: Pipe
    body: tuple["Node", ...]
    other: tuple["Node", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """Another template put here."""

    name: str
    pipe: Pipe | None
    at: int


@dataclass(frozen=True, slots=True)
class Leave:
    """A break or a continue."""

    stops: bool


Node: TypeAlias = Text | Action | Branch | Range | Call | Leave


@dataclass(slots=True)
class Body:
    """One template: the text itself, or what a define holds."""

    nodes: tuple[Node, ...] = ()
    slots: int = 1
    """Number of variables; the first is `$`."""


@dataclass(slots=True)
class Tree:
    """All of a text."""

    main: Body = field(default_factory=Body)
    defined: dict[str, Body] = field(default_factory=dict)
