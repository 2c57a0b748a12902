"""Whether values that are only known when a program runs are equal, contained, or in order."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from spine.lang import EvaluationError
from spine.lang.exprlang.values import (
    AnyMap,
    Byte,
    Duration,
    Groups,
    Int,
    MissingValue,
    Pair,
    Pairs,
    Time,
    key_of,
    shown,
)

_NUMBERS = frozenset([int, float, Byte, Int])


def mismatch(name: str, left: Any, right: Any) -> EvaluationError:
    """Return what is wrong with two operands."""
    fault = MissingValue if left is None or right is None else EvaluationError
    return fault(f"{shown(left)} {name} {shown(right)} is not possible")


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal as 1.17 has it: numbers by value, also in lists."""
    a, b = left.__class__, right.__class__
    if a is b and a in _SIMPLE:
        return bool(left == right)
    if a in _NUMBERS and b in _NUMBERS:
        return float(left) == float(right) if float in {a, b} else int(left) == int(right)
    if a is str or b is str or left is None or right is None:
        return False
    if isinstance(left, list | bytes) and isinstance(right, list | bytes) and not {a, b} & _ARRAYS:
        return len(left) == len(right) and all(map(equal, left, right))
    return same(left, right)


_ARRAYS = frozenset([Pair, Pairs])
"""Lists that are compared type for type."""
_SIMPLE = frozenset([int, str, bool, float, type(None)])


def equal_strictly(left: Any, right: Any) -> bool:
    """Return whether two values are equal as 1.15 has it: types matter within lists."""
    a, b = left.__class__, right.__class__
    if a in _NUMBERS and b in _NUMBERS:
        return equal(left, right)
    return same(left, right)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal at all depths, type for type."""
    if left.__class__ is not right.__class__:
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            key in right and same(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, Mapping) or callable(left):
        return left is right
    return bool(left == right)


def contained(item: Any, items: Any, equals: Callable[[Any, Any], bool]) -> bool:
    """Return whether a list has an element, or a map a key."""
    if items is None:
        return False
    if isinstance(items, list | bytes):
        return any(equals(one, item) for one in items)
    if isinstance(items, Groups | AnyMap):
        return key_of(item) in items
    if isinstance(items, Mapping):
        if item is None:  # the zero value of a key
            return "" in items
        if item.__class__ is not str:
            raise EvaluationError(f"{shown(item)} cannot be a key of this map")
        return item in items
    raise EvaluationError(f"{shown(item)} in {shown(items)} is not possible (text has contains)")


# ---------------------------------------------------------------------------- order


_ORDERED = frozenset([str, Time, Duration])


def _ordering(name: str, holds: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    """Return an operator on numbers, texts, times or durations. It raises EvaluationError."""

    def run(left: Any, right: Any) -> bool:
        a, b = left.__class__, right.__class__
        if a is b and (a in _NUMBERS or a in _ORDERED):
            return bool(holds(left, right))
        if a in _NUMBERS and b in _NUMBERS:
            return bool(holds(float(left), float(right)))
        raise mismatch(name, left, right)

    return run


less = _ordering("<", operator.lt)
less_or_equal = _ordering("<=", operator.le)
greater = _ordering(">", operator.gt)
greater_or_equal = _ordering(">=", operator.ge)
