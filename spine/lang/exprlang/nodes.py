"""The tree of an expression, and what a fault in it is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import override

Dialect = Literal["1.15", "1.17"]
"""1.15 is what event sources of Argo Events speak, 1.17 what its notifications do."""


class SyntaxFault(Exception):
    """An expression that can never work: why, and the offset where."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a value before it is computed."""

    name: str
    elem: "Kind | None" = None
    """Of an array: what its elements are."""

    @override
    def __str__(self) -> str:
        return self.name


UNKNOWN, NIL, BOOL, INT, FLOAT = map(Kind, ["unknown", "nil", "bool", "int", "float"])
STRING, BYTES, FUNC = map(Kind, ["string", "bytes", "function"])
MAP, ANY_MAP = Kind("map"), Kind("any-map")
TIME, DURATION = Kind("time"), Kind("duration")
MONTH, WEEKDAY, ZONE = Kind("month"), Kind("weekday"), Kind("zone")


def array(elem: Kind = UNKNOWN) -> Kind:
    """Return the kind of an array."""
    return Kind("array", elem)


@dataclass(slots=True)
class Node:
    """A part of an expression."""

    at: int
    """Offset in the text."""
    kind: Kind = field(default=UNKNOWN, kw_only=True)


@dataclass(slots=True)
class Const(Node):
    """A literal, or what was computed of literals."""

    value: Any


@dataclass(slots=True)
class Name(Node):
    """A variable of `let`, or of the environment."""

    name: str


@dataclass(slots=True)
class Pointer(Node):
    """`#`, `#index` or `#acc`."""

    name: str


@dataclass(slots=True)
class Member(Node):
    """`a.b`, `a?.b`, `a[b]`."""

    base: Node
    key: Node
    optional: bool = False
    named: bool = False
    """Whether it was written with a point."""


@dataclass(slots=True)
class Slice(Node):
    """`a[b:c]`."""

    base: Node
    start: Node | None
    stop: Node | None


@dataclass(slots=True)
class Chain(Node):
    """All that is skipped where an `a?.` in it is nil."""

    inner: Node


@dataclass(slots=True)
class Call(Node):
    """A call of a function of the environment or of a method."""

    callee: Node
    args: list[Node]


@dataclass(slots=True)
class Builtin(Node):
    """A call of a function of the language."""

    name: str
    args: list[Node]


@dataclass(slots=True)
class Predicate(Node):
    """A function of the language that takes a piece of program for each element."""

    name: str
    items: Node
    body: Node | None
    more: Node | None = None
    """First value of `reduce`, order of `sortBy`."""


@dataclass(slots=True)
class Unary(Node):
    """`-a`, `+a`, `not a`."""

    operator: str
    operand: Node


@dataclass(slots=True)
class Binary(Node):
    """`a + b`."""

    operator: str
    left: Node
    right: Node


@dataclass(slots=True)
class Conditional(Node):
    """`a ? b : c`."""

    test: Node
    then: Node
    other: Node


@dataclass(slots=True)
class Let(Node):
    """`let a = b; c`."""

    name: str
    value: Node
    body: Node


@dataclass(slots=True)
class Sequence(Node):
    """`a; b`: the last is the value."""

    steps: list[Node]


@dataclass(slots=True)
class Array(Node):
    """`[a, b]`."""

    items: list[Node]


@dataclass(slots=True)
class Map(Node):
    """`{a: b}`."""

    pairs: list[tuple[Node, Node]]


PARTS: dict[type, tuple[str, ...]] = {
    Member: ("base", "key"),
    Slice: ("base", "start", "stop"),
    Chain: ("inner",),
    Call: ("callee", "args"),
    Builtin: ("args",),
    Predicate: ("items", "body", "more"),
    Unary: ("operand",),
    Binary: ("left", "right"),
    Conditional: ("test", "then", "other"),
    Let: ("value", "body"),
    Sequence: ("steps",),
    Array: ("items",),
}
"""Names of the attributes of a node that are nodes, lists of them, or None."""


def parts(node: Node) -> list[Node]:
    """Return the nodes that a node is directly made of."""
    found: list[Node] = []
    if isinstance(node, Map):
        found += [part for pair in node.pairs for part in pair]
    for name in PARTS.get(type(node), ()):
        part = getattr(node, name)
        found += part if isinstance(part, list) else [] if part is None else [part]
    return found


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += parts(one)
