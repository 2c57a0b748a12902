"""Operators between values that are only known when a program runs."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from spine.errors import ConfigError
from spine.lang import EvaluationError, govalue, regex
from spine.lang.exprlang.values import (
    AnyMap,
    Budget,
    Byte,
    Duration,
    Groups,
    Int,
    Ints,
    MissingValue,
    Pair,
    Pairs,
    Time,
    key_of,
    shown,
    wrap,
)
from spine.lang.gotime import method

_NUMBERS = frozenset([int, float, Byte, Int])


def mismatch(name: str, left: Any, right: Any) -> EvaluationError:
    """Return what is wrong with two operands."""
    fault = MissingValue if left is None or right is None else EvaluationError
    return fault(f"{shown(left)} {name} {shown(right)} is not possible")


# ---------------------------------------------------------------------------- equality


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


# ---------------------------------------------------------------------------- arithmetic


def add(left: Any, right: Any) -> Any:
    """Return a sum, a joined text or a later time. Raises EvaluationError."""
    a, b = left.__class__, right.__class__
    if a in _NUMBERS and b in _NUMBERS:
        if a is float or b is float:
            return float(left) + float(right)
        return wrap(int(left) + int(right))
    if a is str and b is str:
        return left + right
    if a is Time and b is Duration:
        return left.add(right)
    if a is Duration and b is Time:
        return right.add(left)
    if a is Duration and b is Duration:
        return Duration(wrap(int(left) + int(right)))
    raise mismatch("+", left, right)


def subtract(left: Any, right: Any) -> Any:
    """Return a difference. Raises EvaluationError."""
    a, b = left.__class__, right.__class__
    if a in _NUMBERS and b in _NUMBERS:
        if a is float or b is float:
            return float(left) - float(right)
        return wrap(int(left) - int(right))
    if a is Time and b is Time:
        return left.sub(right)
    if a is Time and b is Duration:
        return left.add(Duration(wrap(-int(right))))
    if a is Duration and b is Duration:
        return Duration(wrap(int(left) - int(right)))
    raise mismatch("-", left, right)


def multiply(left: Any, right: Any) -> Any:
    """Return a product. Raises EvaluationError."""
    a, b = left.__class__, right.__class__
    if a in _NUMBERS and b in _NUMBERS:
        if a is float or b is float:
            return float(left) * float(right)
        return wrap(int(left) * int(right))
    if (a is Duration or b is Duration) and a in _SCALED and b in _SCALED:
        if a is float or b is float:
            return float(left) * float(right)
        return Duration(wrap(int(left) * int(right)))
    raise mismatch("*", left, right)


_SCALED = frozenset([int, float, Byte, Int, Duration])


def _floats(name: str, left: Any, right: Any) -> tuple[float, float]:
    if left.__class__ not in _NUMBERS or right.__class__ not in _NUMBERS:
        raise mismatch(name, left, right)
    above: Any = left
    below: Any = right
    return float(above), float(below)


def divide(left: Any, right: Any) -> float:
    """Return a quotient, which is never whole. Raises EvaluationError."""
    above, below = _floats("/", left, right)
    if below:
        return above / below
    if above == 0 or math.isnan(above) or math.isnan(below):
        return math.nan
    return math.copysign(math.inf, above) * math.copysign(1.0, below)


def modulo(left: Any, right: Any) -> int:
    """Return a remainder, which has the sign of what is divided. Raises EvaluationError."""
    if left.__class__ not in _WHOLE or right.__class__ not in _WHOLE:
        raise mismatch("%", left, right)
    if not right:
        raise EvaluationError("integer divide by zero")
    rest = abs(int(left)) % abs(int(right))
    return -rest if left < 0 else rest


_WHOLE = frozenset([int, Byte, Int])


def power(left: Any, right: Any) -> float:
    """Return a power, which is never whole. Raises EvaluationError."""
    base, exponent = _floats("**", left, right)
    odd = exponent.is_integer() and math.fmod(exponent, 2) != 0
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base == 0:  # and the exponent is negative
            return math.copysign(math.inf, base) if odd else math.inf
        return math.nan


def whole(value: Any) -> int:
    """Return a number as an int, cut. Raises EvaluationError."""
    if value.__class__ is int:
        return int(value)
    if value.__class__ is float:
        if not -(2.0**63) <= value < 2.0**63:  # also what is no number
            return -(2**63)
        return int(value)
    if value.__class__ is Byte or value.__class__ is Int:
        return int(value)
    fault = MissingValue if value is None else EvaluationError
    raise fault(f"{shown(value)} is no number")


def ranged(left: Any, right: Any, budget: Budget) -> Ints:
    """Return the whole numbers from one to another. Raises EvaluationError."""
    start, stop = whole(left), whole(right)
    size = stop - start + 1
    if size <= 0:
        return Ints()
    budget.allocate(size)
    return Ints(range(start, stop + 1))


def negate(value: Any) -> Any:
    """Return a number with its sign turned. Raises EvaluationError."""
    kind = value.__class__
    if kind is float:
        return -value
    if kind is int:
        return wrap(-value)
    if kind is Byte:
        return Byte(-int(value) % 256)
    if kind is Int:
        return wrap(-int(value))
    fault = MissingValue if value is None else EvaluationError
    raise fault(f"-{shown(value)} is not possible")


# ---------------------------------------------------------------------------- texts


def text_operator(name: str, *, lenient: bool) -> Callable[[Any, Any], bool]:
    """Return contains, startsWith or endsWith; nil is false where it is lenient."""
    test = {"contains": str.__contains__, "startsWith": str.startswith, "endsWith": str.endswith}
    holds = test[name]

    def run(left: Any, right: Any) -> bool:
        if left.__class__ is str and right.__class__ is str:
            return bool(holds(left, right))
        if lenient and (left is None or right is None):
            return False
        raise mismatch(name, left, right)

    return run


def matches(text: Any, pattern: Any, *, lenient: bool) -> bool:
    """Return whether a pattern that is computed matches anywhere. Raises EvaluationError."""
    if lenient and (text is None or pattern is None):
        return False
    if text.__class__ is bytes:
        text = govalue.decode(text)
    if text.__class__ is not str or pattern.__class__ is not str:
        raise mismatch("matches", text, pattern)
    try:
        return regex.compile(pattern).search(text)
    except ConfigError as exc:
        raise EvaluationError(str(exc)) from None


# ---------------------------------------------------------------------------- access


def fetch(base: Any, key: Any) -> Any:
    """Return a member or an element. Raises EvaluationError, MissingValue for those of nil."""
    if base is None:
        raise MissingValue(f"cannot fetch {_key_text(key)} from <nil>")
    if isinstance(base, list | bytes | str):
        return _element(base, key)
    if isinstance(base, Groups | AnyMap):
        found = base.get(key_of(key))
        return [] if found is None and isinstance(base, Groups) else found
    if isinstance(base, Mapping):
        if key.__class__ is str:
            return base.get(key)
        if key is None:
            return base.get("")
        raise EvaluationError(f"{shown(key)} cannot be a key of this map")
    if key.__class__ is str:
        found = method(base, key)
        if found is not None:
            return lambda *args: found(base, *args)
    raise EvaluationError(f"cannot fetch {_key_text(key)} from {shown(base)}")


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else shown(key) if key is None else str(key)


def _element(base: Any, key: Any) -> Any:
    if key is None or key.__class__ in {str, bool}:
        raise EvaluationError(f"cannot fetch {_key_text(key)} from {shown(base)}")
    at = whole(key)
    data = govalue.encode(base) if isinstance(base, str) else base
    size = len(data)
    if not -size <= at < size:
        raise MissingValue(f"index out of range: {at} (length is {size})")
    return data[at] if isinstance(base, list) else Byte(data[at])


def sliced(base: Any, start: Any, stop: Any) -> Any:
    """Return a part of a list or of the bytes of a text; None is an end that is not said."""
    if isinstance(base, str):
        part = _part(govalue.encode(base), start, stop)
        return govalue.decode(part)
    if isinstance(base, list | bytes):
        return type(base)(_part(base, start, stop))
    fault = MissingValue if base is None else EvaluationError
    raise fault(f"cannot slice {shown(base)}")


def _part(data: Any, start: Any, stop: Any) -> Any:
    size = len(data)
    first = _bound(0 if start is None else start, size)
    last = _bound(size if stop is None else stop, size)
    return data[min(first, last) : last]


def _bound(at: Any, size: int) -> int:
    if at.__class__ is bool or not isinstance(at, int | float):
        raise EvaluationError(f"cannot slice at {shown(at)}")
    number = whole(at)
    return max(0, size + number if number < 0 else min(number, size))
