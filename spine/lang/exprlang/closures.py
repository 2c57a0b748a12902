"""The closures of which programs are made: access, calls, operators.

The common shapes have their own: a member of a map, a comparison with a literal.
"""

import inspect
from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError
from spine.lang.exprlang import access, comparing, nodes, operators
from spine.lang.exprlang.frame import BUDGET, ENV, Code, Frame
from spine.lang.exprlang.values import MissingValue, shown

SKIP: Any = object()
"""What a part of a chain gives where all of it is skipped."""


def nothing(frame: Frame) -> None:
    """Give nil."""
    del frame


def no_bool(value: Any, what: str) -> EvaluationError:
    """Return what is wrong with a value that should be a bool."""
    fault = MissingValue if value is None else EvaluationError
    return fault(f"{what} is {shown(value)}, not bool")


# ---------------------------------------------------------------------------- access


def named(node: nodes.Member, base: Code, key: str, *, chained: bool) -> Code:
    """Return the access to a member by its name, of which most programs are made."""
    optional, fetch = node.optional, access.fetch
    if chained:

        def link(frame: Frame) -> Any:
            value = base(frame)
            if value.__class__ is dict:
                return value.get(key)
            if value is SKIP or (optional and value is None):
                return SKIP
            return fetch(value, key)

        return link

    def run(frame: Frame) -> Any:
        value = base(frame)
        return value.get(key) if value.__class__ is dict else fetch(value, key)

    return run


def member_of(name: str, key: str) -> Code:
    """Return the access to a member of a variable of the environment."""
    fetch = access.fetch

    def run(frame: Frame) -> Any:
        value = frame[ENV].get(name)
        return value.get(key) if value.__class__ is dict else fetch(value, key)

    return run


def indexed(node: nodes.Member, base: Code, key: Code, *, chained: bool) -> Code:
    """Return the access to an element, or to a member whose name is computed."""
    optional, fetch = node.optional, access.fetch

    def run(frame: Frame) -> Any:
        value = base(frame)
        if chained and (value is SKIP or (optional and value is None)):
            return SKIP
        return fetch(value, key(frame))

    return run


# ---------------------------------------------------------------------------- calls


def applied(name: str, function: Callable[..., Any], args: list[Code]) -> Code:
    """Return the call of a function that is known."""

    def run(frame: Frame) -> Any:
        return invoke(name, function, [arg(frame) for arg in args], frame)

    return run


def called(callee: Code, args: list[Code]) -> Code:
    """Return the call of what is found when it runs."""

    def run(frame: Frame) -> Any:
        function = callee(frame)
        if function is SKIP:
            return SKIP
        values = [arg(frame) for arg in args]
        if function is None:
            raise MissingValue("cannot call nil")
        if not callable(function):
            raise EvaluationError(f"cannot call {shown(function)}")
        return invoke("it", function, values, frame)

    return run


def invoke(name: str, function: Callable[..., Any], values: list[Any], frame: Frame) -> Any:
    """Call a Python function. Raises EvaluationError, also for a wrong number of arguments."""
    frame[BUDGET].step()
    try:
        return function(*values)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as exc:
        if any(value is None for value in values):
            raise MissingValue(f"calling {name} with nil: {exc}") from exc
        if takes(function, values):
            raise EvaluationError(f"calling {name}: {exc}") from exc
        raise EvaluationError(f"calling {name} with {len(values)} arguments: {exc}") from exc


def takes(function: Callable[..., Any], values: list[Any]) -> bool:
    """Whether a function takes so many arguments."""
    try:
        inspect.signature(function).bind(*values)
    except (TypeError, ValueError):
        return False
    return True


# ---------------------------------------------------------------------------- operators


def negation(operand: Code) -> Code:
    """Return `not a`."""

    def run(frame: Frame) -> bool:
        value = operand(frame)
        if value is True:
            return False
        if value is False:
            return True
        raise no_bool(value, "not")

    return run


def both(left: Code, right: Code) -> Code:
    """Return `a and b`, whose right side is not looked at closely."""

    def run(frame: Frame) -> Any:
        value = left(frame)
        if value is True:
            return right(frame)
        if value is False:
            return False
        raise no_bool(value, "a side of and")

    return run


def either(left: Code, right: Code) -> Code:
    """Return `a or b`."""

    def run(frame: Frame) -> Any:
        value = left(frame)
        if value is True:
            return True
        if value is False:
            return right(frame)
        raise no_bool(value, "a side of or")

    return run


def coalesce(left: Code, right: Code) -> Code:
    """Return `a ?? b`."""

    def run(frame: Frame) -> Any:
        value = left(frame)
        return right(frame) if value is None else value

    return run


def span(left: Code, right: Code) -> Code:
    """Return `a..b`."""
    return lambda frame: operators.ranged(left(frame), right(frame), frame[BUDGET])


def total(left: Code, right: Code) -> Code:
    """Return `a + b`."""

    def run(frame: Frame) -> Any:
        made = operators.add(left(frame), right(frame))
        if made.__class__ is str:
            frame[BUDGET].make(len(made))
        return made

    return run


def computed(compute: Callable[[Any, Any], Any]) -> Callable[[Code, Code], Code]:
    """Return what builds the closure of an operator on two values."""
    return lambda left, right: lambda frame: compute(left(frame), right(frame))


BINARY: dict[str, Callable[[Code, Code], Code]] = {
    "and": both,
    "or": either,
    "??": coalesce,
    "..": span,
    "+": total,
    "-": computed(operators.subtract),
    "*": computed(operators.multiply),
    "/": computed(operators.divide),
    "%": computed(operators.modulo),
    "**": computed(operators.power),
    "<": computed(comparing.less),
    "<=": computed(comparing.less_or_equal),
    ">": computed(comparing.greater),
    ">=": computed(comparing.greater_or_equal),
}


def compared(equals: Callable[[Any, Any], bool], left: Code, right: Code, *, same: bool) -> Code:
    """Return `a == b` or `a != b`."""

    def run(frame: Frame) -> bool:
        a, b = left(frame), right(frame)
        if isinstance(a, list | dict):
            frame[BUDGET].weigh(a)
        return equals(a, b) is same

    return run


def in_texts(left: Code, texts: frozenset[str]) -> Code:
    """Look a text up in a set; nil counts as the empty text, as in the peer."""

    def run(frame: Frame) -> bool:
        item = left(frame)
        if item.__class__ is str:
            return item in texts
        if item is None:
            return "" in texts
        raise EvaluationError(f"{shown(item)} in a list of texts is not possible")

    return run
