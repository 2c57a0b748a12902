"""Arithmetic: whole numbers of 64 bits, and decimals where fractions matter."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation
from functools import reduce
from typing import Any

from spine.lang import EvaluationError
from spine.lang.gofmt import verb_v
from spine.lang.gonumber import parse_float
from spine.lang.gotemplate.numbers import whole
from spine.lang.gotemplate.runtime import bounded
from spine.lang.gotime import Duration
from spine.lang.gotime.durations import LARGEST, SMALLEST, wrap
from spine.lang.govalue import Int, Ints

_LONGEST_LIST = 1_000_000
_CONTEXT = Context(prec=800, rounding=ROUND_HALF_UP, Emin=-99999, Emax=99999)
_PLACES = 16
"""Decimals of a division."""


def to_whole(value: Any) -> int:
    """Return a value as 64 bits: what is no number is 0, a fraction is cut off."""
    if isinstance(value, float):
        return int(value) if SMALLEST <= value < LARGEST else SMALLEST
    if isinstance(value, int) and not isinstance(value, Duration):
        return int(value)
    if isinstance(value, str):
        return _parsed(value)
    return 0


def _parsed(text: str) -> int:
    head, point, zeros = text.rpartition(".")
    number = whole(head if point and zeros and not zeros.strip("0") else text)
    return number if number is not None and SMALLEST <= number <= LARGEST else 0


def to_float(value: Any) -> float:
    """Return a value as a float: what is no number is 0."""
    if isinstance(value, str):
        number = parse_float(value)
        return (
            0.0 if number is None or (math.isinf(number) and "i" not in value.lower()) else number
        )
    if isinstance(value, int | float) and not isinstance(value, Duration):
        return float(value)
    return 0.0


# ---------------------------------------------------------------------------- whole numbers


def _add(*values: Any) -> int:
    return wrap(sum(map(to_whole, values)))


def _mul(*values: Any) -> int:
    return reduce(lambda product, value: wrap(product * to_whole(value)), values, 1)


def _divided(first: Any, second: Any) -> tuple[int, int]:
    """Return quotient and rest, both cut towards zero."""
    one, two = to_whole(first), to_whole(second)
    if two == 0:
        raise EvaluationError("integer divide by zero")
    quotient = abs(one) // abs(two)
    if (one < 0) is not (two < 0):
        quotient = -quotient
    return wrap(quotient), one - quotient * two


def _max(*values: Any) -> int:
    return max(map(to_whole, values))


def _min(*values: Any) -> int:
    return min(map(to_whole, values))


def _atoi(text: str) -> Int:
    sign = -1 if text.startswith("-") else 1
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit()):
        return Int(0)
    size = int(digits) if len(digits.lstrip("0")) < 20 else 2**64  # noqa: PLR2004 -- 64 bits
    return Int(max(SMALLEST, min(LARGEST, sign * size)))


def _octal(value: Any) -> int:
    text = verb_v(value)
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not digits or len(digits) > 40 or digits.strip("01234567"):  # noqa: PLR2004 -- 64 bits
        return 0
    number = int(digits, 8) * (-1 if text[0] == "-" else 1)
    return number if SMALLEST <= number <= LARGEST else 0


# ---------------------------------------------------------------------------- fractions


def _decimal(value: Any) -> Decimal:
    number = to_float(value)
    if not math.isfinite(number):
        raise EvaluationError(f"cannot create a Decimal from {verb_v(number)}")
    return Decimal(repr(number))


def _quotient(one: Decimal, two: Decimal) -> Decimal:
    try:
        exact = _CONTEXT.divide(one, two)
        return exact.quantize(Decimal(1).scaleb(-_PLACES), context=_CONTEXT)
    except (DivisionByZero, InvalidOperation) as exc:
        raise EvaluationError("decimal division by 0") from exc


_Operation = Callable[[Decimal, Decimal], Decimal]


def _folded(operation: _Operation) -> Callable[..., float]:
    def fold(*values: Any) -> float:
        return float(reduce(operation, map(_decimal, values))) + 0.0  # no decimal is -0

    return fold


def _addf(*values: Any) -> float:
    return float(reduce(_CONTEXT.add, map(_decimal, values), Decimal(0))) + 0.0


def _whole_float(value: Any, rounded: Callable[[float], int]) -> float:
    number = to_float(value)
    if not math.isfinite(number) or abs(number) >= 2**53:
        return number
    return math.copysign(rounded(number), number)


def _round(value: Any, places: int, *least: float) -> float:
    number, limit = to_float(value), least[0] if least else 0.5
    if abs(places) > 400 or not math.isfinite(number):  # noqa: PLR2004 -- beyond every float
        return math.nan if places > 0 else 0.0
    power = math.pow(10, places) if places < 309 else math.inf  # noqa: PLR2004 -- largest float
    digit = power * number
    if not math.isfinite(digit):
        return math.nan if math.isinf(power) else digit / power
    up = math.modf(digit)[0] >= limit
    whole_digit = float(math.ceil(digit) if up else math.floor(digit))
    return (whole_digit or math.copysign(0.0, digit)) / power


# ---------------------------------------------------------------------------- ranges


def _until_step(start: int, stop: int, step: int) -> Ints:
    if (stop < start and step >= 0) or (stop >= start and step <= 0):
        return Ints()
    numbers = range(start, stop, step)
    if len(numbers) > _LONGEST_LIST:
        raise EvaluationError(f"{len(numbers)} numbers are more than {_LONGEST_LIST}")
    return Ints(map(Int, numbers))


def _until(count: int) -> Ints:
    return _until_step(0, count, -1 if count < 0 else 1)


def _seq(*given: int) -> str:
    if not 1 <= len(given) <= 3:  # noqa: PLR2004 -- start, step, end
        return ""
    start, end = (1, given[0]) if len(given) == 1 else (given[0], given[-1])
    one = -1 if end < start else 1
    step = given[1] if len(given) == 3 else one  # noqa: PLR2004 -- start, step, end
    if one < 0 and step > 0:
        return ""
    text = " ".join(map(str, _until_step(start, end + one, step)))
    bounded(len(text))
    return text


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("add", "...any", _add),
    ("add1", "any", lambda value: wrap(to_whole(value) + 1)),
    ("sub", "any any", lambda one, two: wrap(to_whole(one) - to_whole(two))),
    ("mul", "any ...any", _mul),
    ("div", "any any", lambda one, two: _divided(one, two)[0]),
    ("mod", "any any", lambda one, two: _divided(one, two)[1]),
    ("max", "any ...any", _max),
    ("biggest", "any ...any", _max),
    ("min", "any ...any", _min),
    ("addf", "...any", _addf),
    ("add1f", "any", lambda value: _addf(value, 1)),
    ("subf", "any ...any", _folded(_CONTEXT.subtract)),
    ("mulf", "any ...any", _folded(_CONTEXT.multiply)),
    ("divf", "any ...any", _folded(_quotient)),
    ("maxf", "any ...any", lambda *values: max(map(to_float, values))),
    ("minf", "any ...any", lambda *values: min(map(to_float, values))),
    ("floor", "any", lambda value: _whole_float(value, math.floor)),
    ("ceil", "any", lambda value: _whole_float(value, math.ceil)),
    ("round", "any int ...float64", _round),
    ("int", "any", lambda value: Int(to_whole(value))),
    ("int64", "any", to_whole),
    ("float64", "any", to_float),
    ("atoi", "string", _atoi),
    ("toDecimal", "any", _octal),
    ("until", "int", _until),
    ("untilStep", "int int int", _until_step),
    ("seq", "...int", _seq),
]
