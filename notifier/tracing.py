"""What the parts of a condition gave: for those who ask why it is not met.

Each part is a program of its own, run with the same variables, so what is shown is what the
condition itself saw. Sides that `and`, `or` and `?:` did not look at are named as such; of `any`
and its like each element is shown with what its closure read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from notifier.expressions import FUNCTIONS
from spine.lang import EvaluationError, exprlang
from spine.lang.exprlang import nodes
from spine.lang.exprlang.nodes import Node
from spine.lang.exprlang.writing import written

MOST = 40
"""Parts that are shown of one condition."""
ELEMENTS = 8
"""Elements that are shown of one list."""
_SPACES = frozenset(("time", "strings", "repo", "$env"))
"""Variables that are no data."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a condition."""

    depth: int
    """How deep it stands in the condition, from 0."""
    text: str
    value: Any = None
    error: str = ""
    """Why it has no value; empty where it has one."""
    skipped: bool = False
    """Whether it was not looked at."""
    reads: tuple[tuple[str, Any], ...] = ()
    """Of an element: what its closure read, and what that was."""


class Traced(NamedTuple):
    """A condition with its parts."""

    value: Any
    """What all of it gave; None where it failed."""
    error: str
    parts: tuple[Part, ...]


def trace(text: str, variables: Mapping[str, Any]) -> Traced:
    """Return what a condition gave, and what its parts did. Raises ConfigError."""
    tree = exprlang.compile(text, "1.17", FUNCTIONS).tree
    tracing = _Tracing(variables)
    value, error = tracing.value(tree)
    tracing.inside(tree, 0)
    return Traced(value, error, tuple(tracing.parts))


class _Tracing:
    """One condition."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._lets: list[nodes.Let] = []
        self.parts: list[Part] = []

    def value(self, node: Node) -> tuple[Any, str]:
        """Return the value of a part, and why it has none."""
        for let in reversed(self._lets):
            node = nodes.Let(let.at, let.name, let.value, node)
        try:
            return exprlang.part(node, "1.17", FUNCTIONS).run(self._variables), ""
        except EvaluationError as exc:
            return None, str(exc)

    def show(self, node: Node, depth: int) -> Any:
        """Add a part and what it is made of; return its value."""
        if len(self.parts) >= MOST:
            return None
        value, error = self.value(node)
        if _literal(node):
            return value
        self.parts.append(Part(depth, written(node), value, error))
        self.inside(node, depth + 1)
        return value

    def skip(self, node: Node, depth: int) -> None:
        """Add a part that was not looked at."""
        if len(self.parts) < MOST and not _literal(node):
            self.parts.append(Part(depth, written(node), skipped=True))

    # ------------------------------------------------------------------------ by kind

    def inside(self, node: Node, depth: int) -> None:
        """Add what a part is made of."""
        match node:
            case nodes.Binary(operator="and" | "or" | "??"):
                self._logical(node, depth)
            case nodes.Conditional():
                self._conditional(node, depth)
            case nodes.Let():
                self.show(node.value, depth)
                self._lets.append(node)
                self.inside(node.body, depth)
                self._lets.pop()
            case nodes.Predicate():
                self.show(node.items, depth)
                self._elements(node, depth)
            case _:
                for one in _operands(node):
                    self.show(one, depth)

    def _logical(self, node: nodes.Binary, depth: int) -> None:
        value = self.show(node.left, depth)
        goes_on = {"and": value is True, "or": value is False, "??": value is None}
        failed = bool(self.value(node.left)[1])
        look = self.show if goes_on[node.operator] and not failed else self.skip
        look(node.right, depth)

    def _conditional(self, node: nodes.Conditional, depth: int) -> None:
        value = self.show(node.test, depth)
        for branch, wanted in ((node.then, True), (node.other, False)):
            if value is wanted:
                self.show(branch, depth)
            else:
                self.skip(branch, depth)

    def _elements(self, node: nodes.Predicate, depth: int) -> None:
        """Add what a closure gave for each element, up to some of them."""
        if node.body is None:
            return
        outcomes = self._each(node, node.body)
        leaves = list({written(leaf): leaf for leaf in _leaves(node.body)}.items())
        read = self._each(node, nodes.Array(node.at, [leaf for _, leaf in leaves]))
        for index, outcome in enumerate(outcomes[:ELEMENTS]):
            found = read[index] if index < len(read) else []
            reads = tuple((text, value) for (text, _), value in zip(leaves, found, strict=False))
            if len(self.parts) < MOST:
                self.parts.append(Part(depth, f"element {index}", outcome, reads=reads))

    def _each(self, node: nodes.Predicate, body: Node) -> list[Any]:
        found, error = self.value(nodes.Predicate(node.at, "map", node.items, body))
        return [] if error else list(found)


def _literal(node: Node) -> bool:
    """Return whether a part is what it says, so that nobody has to be told its value."""
    plain = isinstance(node, nodes.Const | nodes.Array | nodes.Map | nodes.Unary)
    return plain and all(map(_literal, nodes.parts(node)))


def _operands(node: Node) -> Iterator[Node]:
    """Yield the parts of a part that have a value of their own."""
    match node:
        case nodes.Name() | nodes.Pointer() | nodes.Const() | nodes.Chain():
            return
        case nodes.Member():
            if isinstance(_root(node), nodes.Call | nodes.Builtin | nodes.Predicate):
                yield _root(node)
        case nodes.Call(callee=nodes.Member(base=base)):
            if not (isinstance(base, nodes.Name) and base.name in _SPACES):
                yield base
            yield from node.args
        case nodes.Call():
            yield from node.args
        case _:
            yield from nodes.parts(node)


def _root(node: Node) -> Node:
    """Return what a chain of members begins with."""
    while isinstance(node, nodes.Member):
        node = node.base
    return node


def _leaves(body: Node) -> Iterator[Node]:
    """Yield what a closure reads of its element: sides of comparisons, and the like."""
    match body:
        case nodes.Const() | nodes.Predicate() | nodes.Let() | nodes.Sequence():
            return
        case nodes.Binary() | nodes.Unary() | nodes.Conditional() | nodes.Builtin():
            for one in nodes.parts(body):
                yield from _leaves(one)
        case nodes.Array() | nodes.Map():
            return
        case _:
            yield body
