"""Arithmetic and the operators of texts, of values that are only known when a program runs."""

import math
from collections.abc import Callable
from typing import Any

from spine.errors import ConfigError
from spine.lang import EvaluationError, govalue, regex
from spine.lang.exprlang.comparing import mismatch
from spine.lang.exprlang.values import (
    Budget,
    Byte,
    Duration,
    Int,
    Ints,
    MissingValue,
    Time,
    shown,
    wrap,
)

_NUMBERS = frozenset([int, float, Byte, Int])

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
