"""Functions of numbers, as Go's math has them: out of range is infinity or NaN, never a fault."""

import math
from collections.abc import Callable
from typing import Any

from spine.lang.jq import values as v
from spine.lang.jq.nodes import words

Number = Callable[..., float]


def _guarded(name: str, function: Number, *, poles: float = math.nan) -> Callable[..., Any]:
    """Return a function that takes JSON numbers; `poles` is its result where it has none."""

    def apply(value: Any, *arguments: Any) -> Any:
        numbers = arguments or (value,)
        for one in numbers:
            if v.kind(one) != "number":
                raise v.inapplicable(name, one)
        try:
            made = function(*(v.as_double(one) for one in numbers))
        except OverflowError:
            made = math.inf
        except (ValueError, ZeroDivisionError):
            made = poles
        return _whole(made)

    return apply


def _whole(made: Any) -> Any:
    """Return a number as an integer where it is one, which are written alike."""
    if isinstance(made, list):
        return [_whole(one) for one in made]
    whole = isinstance(made, float) and made.is_integer() and abs(made) <= v.EXACT
    return int(made) if whole and (made or math.copysign(1, made) > 0) else made


def _log(function: Number, pole: float = 0.0) -> Number:
    return lambda x: -math.inf if x == pole else math.inf if x == math.inf else function(x)


def _power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and math.fmod(y, 2) in {1, -1} else math.inf
    except ValueError:
        return math.nan if x else math.copysign(math.inf, x) if y % 2 == 1 else math.inf


def _modulo(x: float, y: float) -> float:
    return math.nan if y == 0 or math.isinf(x) else math.fmod(x, y)


def _remainder(x: float, y: float) -> float:
    return math.nan if y == 0 or math.isinf(x) else math.remainder(x, y)


def _significand(x: float) -> float:
    if x == 0 or not math.isfinite(x):
        return x
    return math.frexp(x)[0] * 2


def _exponent(x: float) -> float:
    if x == 0:
        return -math.inf
    return abs(x) if not math.isfinite(x) else math.frexp(x)[1] - 1


def _gamma(x: float) -> float:
    if x == -math.inf or math.isnan(x) or (x < 0 and x.is_integer()):
        return math.nan
    if x == 0:
        return math.copysign(math.inf, x)
    return math.gamma(x)


def _log_gamma(x: float) -> float:
    if x == -math.inf or (x <= 0 and x.is_integer()):
        return x if x == -math.inf else math.inf
    return math.lgamma(x)


def _frexp(x: float) -> Any:
    mantissa, exponent = (x, 0) if not math.isfinite(x) else math.frexp(x)
    return [mantissa, exponent]


def _modf(x: float) -> Any:
    if math.isinf(x):
        return [math.copysign(0.0, x) if x > 0 else 0.0, x]
    fraction, whole = math.modf(x)
    return [fraction, whole]


def _scaled(x: float, y: float) -> float:
    if not math.isfinite(y):
        return math.nan if math.isnan(y) else x * (math.inf if y > 0 else 0.0)
    return math.ldexp(x, int(max(min(y, 10_000), -10_000)))


def _toward_even(x: float) -> float:
    return float(round(x)) if math.isfinite(x) and abs(x) < v.EXACT else x


def _truncated(x: float) -> float:
    return float(int(x)) if math.isfinite(x) and abs(x) < v.EXACT else x


def _least(x: float, y: float) -> float:
    return math.nan if math.isnan(x) or math.isnan(y) else min(x, y)


def _most(x: float, y: float) -> float:
    return math.nan if math.isnan(x) or math.isnan(y) else max(x, y)


def _hyperbolic(x: float) -> float:
    return math.copysign(math.inf, x) if abs(x) == 1 else math.atanh(x)


_OF_ONE: dict[str, Number] = {
    **{
        name: getattr(math, name)
        for name in words(
            "acos acosh asin asinh atan cbrt cos cosh erf erfc exp exp2 expm1 fabs sin "
            "sqrt tan tanh"
        )
    },
    "sinh": lambda x: math.sinh(x) if abs(x) < 700 else math.copysign(math.inf, x),  # noqa: PLR2004 -- a double ends there
    "atanh": _hyperbolic,
    "exp10": lambda x: _power(10, x),
    "log": _log(math.log),
    "log2": _log(math.log2),
    "log10": _log(math.log10),
    "log1p": _log(math.log1p, -1),
    "gamma": _gamma,
    "tgamma": _gamma,
    "lgamma": _log_gamma,
    "significand": _significand,
    "logb": _exponent,
    "frexp": _frexp,
    "modf": _modf,
    "rint": _toward_even,
    "nearbyint": _toward_even,
    "trunc": _truncated,
}
_OF_SEVERAL: dict[str, Number] = {
    "atan2/2": math.atan2,
    "copysign/2": math.copysign,
    "drem/2": _remainder,
    "remainder/2": _remainder,
    "fdim/2": lambda x, y: x - y if x > y else math.nan if math.isnan(x - y) else 0.0,
    "fma/3": lambda x, y, z: x * y + z,
    "fmax/2": _most,
    "fmin/2": _least,
    "fmod/2": _modulo,
    "hypot/2": math.hypot,
    "ldexp/2": _scaled,
    "scalb/2": _scaled,
    "scalbln/2": _scaled,
    "nextafter/2": math.nextafter,
    "nexttoward/2": math.nextafter,
    "pow/2": _power,
}


def _is(test: Callable[[float], bool]) -> Callable[[Any], bool]:
    return lambda value: v.kind(value) == "number" and test(v.as_double(value))


def _is_nan(value: Any) -> bool:
    if value is not None and v.kind(value) != "number":
        raise v.inapplicable("isnan", value)
    return value is not None and math.isnan(v.as_double(value))


def is_normal(value: float) -> bool:
    """Say whether a number is neither 0, nor endless, nor too small for all its digits."""
    return math.isfinite(value) and abs(value) >= 2.0**-1022


def _rounded(function: Callable[[float], float], name: str) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if v.kind(value) != "number":
            raise v.inapplicable(name, value)
        if isinstance(value, int) or not math.isfinite(value):
            return value
        whole = v.narrowed(int(function(value)))
        return whole or math.copysign(0.0, value)

    return apply


def _absolute(value: Any) -> Any:
    if v.kind(value) != "number":
        raise v.inapplicable("abs", value)
    return abs(value)


def _plus(_value: Any, number: Any) -> Any:
    if v.kind(number) != "number":
        raise v.JqError(f"cannot plus: {v.shown(number)}")
    return number


OF_INPUT: dict[str, Callable[[Any], Any]] = {
    **{name: _guarded(name, function) for name, function in _OF_ONE.items()},
    "floor": _rounded(math.floor, "floor"),
    "ceil": _rounded(math.ceil, "ceil"),
    "round": _rounded(lambda x: math.copysign(math.floor(abs(x) + 0.5), x), "round"),
    "abs": _absolute,
    "nan": lambda _value: math.nan,
    "infinite": lambda _value: math.inf,
    "isnan": _is_nan,
    "isinfinite": _is(math.isinf),
    "isfinite": _is(lambda x: not math.isinf(x)),
    "isnormal": _is(is_normal),
}
OF_ARGUMENT: dict[str, Callable[[Any, Any], Any]] = {
    "_plus": _plus,
}
OF_ARGUMENTS: dict[str, Callable[..., Any]] = {
    name: _guarded(name.partition("/")[0], function) for name, function in _OF_SEVERAL.items()
}
