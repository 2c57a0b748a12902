"""What combines filters: pipes, commas, arithmetic, comparisons, `and`, `or`, `//`."""

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

from spine.lang.jq import arithmetic
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, Variables, combined, constant, counted, several, single
from spine.lang.jq.scope import Compilers, Scope


def _negate(node: n.Negate, scope: Scope) -> Code:
    written = _integer(node.body)
    if written is not None:
        return constant(-written)
    return combined(_negative, constant(None), scope.code(node.body))


def _negative(_nothing: None, value: Any) -> Any:
    if v.kind(value) != "number":
        raise v.JqError(f"cannot negate: {v.shown(value)}")
    return -value if value else -0.0 * math.copysign(1, value)


def _pipe(node: n.Pipe, scope: Scope) -> Code:
    left, right = scope.code(node.left), scope.code(node.right)
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one
        return single(lambda value, variables: second(first(value, variables), variables))

    is_counted = scope.counted

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        outputs = counted(left, value, variables) if is_counted else left.many(value, variables)
        for item in outputs:
            yield from right.many(item, variables)

    return several(many)


def _comma(node: n.Comma, scope: Scope) -> Code:
    left, right = scope.code(node.left), scope.code(node.right)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        yield from left.many(value, variables)
        yield from right.many(value, variables)

    return several(many)


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": arithmetic.add,
    "-": arithmetic.subtract,
    "*": arithmetic.multiply,
    "/": arithmetic.divide,
    "%": arithmetic.modulo,
    "==": v.equal,
    "!=": lambda left, right: not v.equal(left, right),
    "<": lambda left, right: v.compare(left, right) < 0,
    "<=": lambda left, right: v.compare(left, right) <= 0,
    ">": lambda left, right: v.compare(left, right) > 0,
    ">=": lambda left, right: v.compare(left, right) >= 0,
}


def _binary(node: n.Binary, scope: Scope) -> Code:
    exact = _exact(node)
    if exact is not None:
        return constant(exact)
    left, right = scope.code(node.left), scope.code(node.right)
    match node.operator:
        case "//":
            return alternative(left, right)
        case "and" | "or":
            return _logic(left, right, stop=node.operator == "or")
    return combined(OPERATIONS[node.operator], left, right)


def _exact(node: n.Binary) -> int | None:
    """Return what two integers of the program give, with all digits as in gojq."""
    operation = _EXACT.get(node.operator)
    left = _exact(node.left) if isinstance(node.left, n.Binary) else _integer(node.left)
    right = _integer(node.right)
    if operation is None or left is None or right is None:
        return None
    return operation(left, right)


def _integer(node: n.Node) -> int | None:
    while isinstance(node, n.Group):
        node = node.body
    value = node.value if isinstance(node, n.Literal) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_EXACT: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def alternative(left: Code, right: Code) -> Code:
    """Return `left // right`: the true outputs of one, or else the outputs of the other."""
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one

        def one(value: Any, variables: Variables) -> Any:
            found = first(value, variables)
            return found if v.truthy(found) else second(value, variables)

        return single(one)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        found = False
        for item in left.many(value, variables):
            if v.truthy(item):
                found = True
                yield item
        if not found:
            yield from right.many(value, variables)

    return several(many)


def _logic(left: Code, right: Code, *, stop: bool) -> Code:
    if left.one is not None and right.one is not None:
        first, second = left.one, right.one

        def one(value: Any, variables: Variables) -> bool:
            if v.truthy(first(value, variables)) is stop:
                return stop
            return v.truthy(second(value, variables))

        return single(one)

    def many(value: Any, variables: Variables) -> Iterator[bool]:
        for item in left.many(value, variables):
            if v.truthy(item) is stop:
                yield stop
            else:
                yield from map(v.truthy, right.many(value, variables))

    return several(many)


CODES: Compilers[Code] = {
    n.Negate: _negate,
    n.Pipe: _pipe,
    n.Comma: _comma,
    n.Binary: _binary,
}
