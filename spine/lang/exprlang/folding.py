"""What is computed before a program runs, as far as one sees it in the results.

The peer drops literal `true` and `false` out of `and` and `or`, so `x and true` is x itself, and
looks a value up in a set where `in` is followed by a list of texts. Sums of literals are a gain
of speed only. A fault in them is a fault of the program.
"""

from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError
from spine.lang.exprlang import nodes, operators
from spine.lang.exprlang.nodes import BOOL, FLOAT, INT, STRING, Node, SyntaxFault

_COMPUTED: dict[str, Callable[[Any, Any], Any]] = {
    "+": operators.add,
    "-": operators.subtract,
    "*": operators.multiply,
    "/": operators.divide,
    "%": operators.modulo,
    "**": operators.power,
}
_COMPARED = frozenset([int, str, bool])
_KINDS = {int: INT, float: FLOAT, str: STRING, bool: BOOL}


def fold(node: Node) -> Node:
    """Return a part with what is literal in it computed. Raises SyntaxFault."""
    for name in nodes.PARTS.get(type(node), ()):
        part = getattr(node, name)
        if isinstance(part, list):
            setattr(node, name, [fold(one) for one in part])
        elif part is not None:
            setattr(node, name, fold(part))
    if isinstance(node, nodes.Map):
        node.pairs = [(fold(key), fold(value)) for key, value in node.pairs]
    if isinstance(node, nodes.Unary):
        return _unary(node)
    return _binary(node) if isinstance(node, nodes.Binary) else node


def _unary(node: nodes.Unary) -> Node:
    operand = node.operand
    if not isinstance(operand, nodes.Const):
        return node
    if node.operator == "not" and operand.value.__class__ is bool:
        return nodes.Const(node.at, not operand.value, kind=BOOL)
    if node.operator == "-" and operand.value.__class__ in {int, float}:
        return nodes.Const(node.at, operators.negate(operand.value), kind=operand.kind)
    return operand if node.operator == "+" else node


def _binary(node: nodes.Binary) -> Node:
    left, right, operator = node.left, node.right, node.operator
    if operator in {"and", "or"}:
        return _logical(node, left, right, neutral=operator == "and")
    computed = _COMPUTED.get(operator)
    if not isinstance(left, nodes.Const) or not isinstance(right, nodes.Const):
        return node
    kind = left.value.__class__
    if operator == "==" and kind in _COMPARED and right.value.__class__ is kind:
        return nodes.Const(node.at, left.value == right.value, kind=BOOL)
    if (
        computed is None
        or left.value.__class__ not in _KINDS
        or right.value.__class__ not in _KINDS
    ):
        return node
    try:
        value = computed(left.value, right.value)
    except EvaluationError as exc:
        raise SyntaxFault(str(exc), node.at) from exc
    return nodes.Const(node.at, value, kind=_KINDS[value.__class__])


def _logical(node: Node, left: Node, right: Node, *, neutral: bool) -> Node:
    """Drop a side that does not matter: `x and true` is x, `x or true` is true."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, nodes.Const) and one.value.__class__ is bool:
            return other if one.value is neutral else one
    return node
