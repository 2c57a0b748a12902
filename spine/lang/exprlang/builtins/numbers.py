"""Functions on numbers."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from spine.lang import EvaluationError
from spine.lang.exprlang.builtins.signature import (
    LISTS,
    NUMBER,
    TEXT,
    WHOLE,
    Signature,
    function,
    unfit,
)
from spine.lang.exprlang.comparing import less
from spine.lang.exprlang.nodes import FLOAT, INT, UNKNOWN, Kind
from spine.lang.exprlang.operators import add
from spine.lang.exprlang.operators import whole as cut
from spine.lang.exprlang.values import (
    Budget,
    Byte,
    Duration,
    Int,
    Month,
    Weekday,
    wrap,
)

_REAL = frozenset([int, float, Byte, Int])


def _number(name: str, value: Any) -> Any:
    if value.__class__ not in _REAL:
        raise unfit(name, value)
    return value


def _abs(budget: Budget, value: Any) -> Any:
    del budget
    found = abs(_number("abs", value))
    return found if isinstance(found, float) else wrap(int(found))


def _rounded(name: str, how: Callable[[float], float]) -> Signature:
    def run(budget: Budget, value: Any) -> float:
        del budget
        number = float(_number(name, value))
        return how(number) if math.isfinite(number) else number

    return function(run, NUMBER, gives=FLOAT)


def _half_away(number: float) -> float:
    """Return the nearest whole number, halves away from zero."""
    size = abs(number)
    below = math.floor(size)
    return math.copysign(below + (size - below >= 0.5), number)  # noqa: PLR2004 -- a half


def _signed(how: Callable[[float], int]) -> Callable[[float], float]:
    """Keep the sign of zero."""
    return lambda number: math.copysign(float(how(number)), number) if number else number


_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_LIMIT = 2**63


def _int(budget: Budget, value: Any, *, later: bool) -> int:
    del budget
    if value.__class__ is str:
        match = _INTEGER.fullmatch(value)
        number = int(value) if match else _LIMIT
        if not -_LIMIT <= number < _LIMIT:
            raise EvaluationError(f"int does not take {value!r:.100}")
        return number
    if value.__class__ in _REAL:
        return cut(value)
    if later and value.__class__ in {Duration, Month, Weekday}:
        return int(value)
    raise unfit("int", value)


def _int_old(budget: Budget, value: Any) -> int:
    return _int(budget, value, later=False)


def _int_new(budget: Budget, value: Any) -> int:
    return _int(budget, value, later=True)


_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")
_WORDS = frozenset(["inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", "nan"])


def _float(budget: Budget, value: Any) -> float:
    del budget
    if value.__class__ is str:
        number = _read_float(value)
        if number is None:
            raise EvaluationError(f"float does not take {value!r:.100}")
        return number
    return float(_number("float", value))


def _read_float(value: str) -> float | None:
    """Return a number as Go reads it, None where it does not."""
    try:
        if value.lower() in _WORDS:
            return float(value)
        if _HEX_FLOAT.fullmatch(value):
            return float.fromhex(value)
        number = float(value) if _FLOAT.fullmatch(value) else None
    except (ValueError, OverflowError):
        return None
    return None if number is None or math.isinf(number) else number


# ---------------------------------------------------------------------------- of several


def _most(name: str, *, least: bool, later: bool) -> Signature:
    """Return max or min: of equal ones the first counts."""

    def run(budget: Budget, *args: Any) -> Any:
        if len(args) == 1 and not (later and isinstance(args[0], list | bytes)):
            return args[0]
        best: Any = None
        for value in _flat(name, args, budget, later=later) if later else args:
            if best is None or (less(value, best) if least else less(best, value)):
                best = value
        return best

    def gives(kinds: list[Kind]) -> Kind:
        return kinds[0] if set(kinds) in ({INT}, {FLOAT}) else UNKNOWN

    wanted = NUMBER | LISTS if later else NUMBER
    return Signature(run, (wanted,), gives, most=None, careless=True)


def _flat(name: str, args: Any, budget: Budget, *, later: bool) -> Iterator[Any]:
    """Yield the numbers of arguments and of the lists among them."""
    waiting = [iter(args)]
    while waiting:
        for value in waiting[-1]:
            budget.step()
            if isinstance(value, list | bytes) and later:
                waiting.append(iter(value))
                break
            yield _number(name, value)
        else:
            waiting.pop()


def _numbers(name: str, args: tuple[Any, ...], budget: Budget, *, later: bool) -> list[float]:
    """Return the numbers that are averaged."""
    if not later:
        items = args[0]
        if not isinstance(items, list):
            raise unfit(name, items)
        budget.step(len(items))
        return [float(_number(name, item)) for item in items]
    if args[0] is None:
        raise unfit(name, None)
    return [float(number) for number in _flat(name, args, budget, later=True)]


def _mean(*, later: bool) -> Signature:
    def run(budget: Budget, *args: Any) -> float:
        found = _numbers("mean", args, budget, later=later)
        return _total(found) / len(found) if found else 0.0

    wanted = NUMBER | LISTS if later else LISTS
    return Signature(run, (wanted,), FLOAT, most=None if later else 1, careless=True)


def _total(found: list[float]) -> float:
    """Add up from left to right, as the peer rounds."""
    total = 0.0
    for number in found:
        total += number
    return total


def _median(*, later: bool) -> Signature:
    def run(budget: Budget, *args: Any) -> float:
        found = sorted(_numbers("median", args, budget, later=later))
        if not found:
            return 0.0
        middle = len(found) // 2
        return found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2

    wanted = NUMBER | LISTS if later else LISTS
    return Signature(run, (wanted,), FLOAT, most=None if later else 1, careless=True)


def _sum(budget: Budget, items: Any) -> Any:
    """Add up a list; in 1.15 a duration counts its nanoseconds."""
    if not isinstance(items, list):
        raise unfit("sum", items)
    total: Any = 0
    for item in items:
        budget.step()
        total = add(total, int(item) if item.__class__ is Duration else _number("sum", item))
    return total


# ---------------------------------------------------------------------------- bits


def _bits(name: str, how: Callable[[int, int], int]) -> Signature:
    def run(budget: Budget, left: Any, right: Any) -> int:
        del budget
        return wrap(how(_whole(name, left), _whole(name, right)))

    return function(run, WHOLE, WHOLE, gives=INT)


def _whole(name: str, value: Any) -> int:
    if value.__class__ not in {int, Int, Byte}:
        raise unfit(name, value)
    return int(value)


def _bitnot(budget: Budget, value: Any) -> int:
    del budget
    return ~_whole("bitnot", value)


def _shift(how: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def run(value: int, count: int) -> int:
        if count < 0:
            raise EvaluationError(f"shifting by {count}, which is negative, is not possible")
        return how(value, min(count, 64))

    return run


BOTH: dict[str, Signature] = {
    "abs": function(_abs, NUMBER, gives=lambda kinds: kinds[0]),
    "ceil": _rounded("ceil", _signed(math.ceil)),
    "floor": _rounded("floor", _signed(math.floor)),
    "round": _rounded("round", _half_away),
    "float": function(_float, NUMBER | TEXT, gives=FLOAT),
}
OLD: dict[str, Signature] = {
    "int": function(_int_old, NUMBER | TEXT, gives=INT),
    "max": _most("max", least=False, later=False),
    "min": _most("min", least=True, later=False),
    "mean": _mean(later=False),
    "median": _median(later=False),
    "sum": function(_sum, LISTS),
}
NEW: dict[str, Signature] = {
    "int": function(_int_new, NUMBER | TEXT | {"duration", "month", "weekday"}, gives=INT),
    "max": _most("max", least=False, later=True),
    "min": _most("min", least=True, later=True),
    "mean": _mean(later=True),
    "median": _median(later=True),
    "bitand": _bits("bitand", lambda a, b: a & b),
    "bitor": _bits("bitor", lambda a, b: a | b),
    "bitxor": _bits("bitxor", lambda a, b: a ^ b),
    "bitnand": _bits("bitnand", lambda a, b: a & ~b),
    "bitshl": _bits("bitshl", _shift(lambda a, n: a << n)),
    "bitshr": _bits("bitshr", _shift(lambda a, n: a >> n)),
    "bitushr": _bits("bitushr", _shift(lambda a, n: (a % 2**64) >> n)),
    "bitnot": function(_bitnot, WHOLE, gives=INT),
}
