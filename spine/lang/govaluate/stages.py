"""The operators of govaluate, as closures over the values of the variables."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from spine.errors import ConfigError
from spine.lang import EvaluationError, regex
from spine.lang.govaluate.grammar import Chain, Field, Literal, Node, Prefix, Variable

Values = Mapping[str, Any]
Run = Callable[[Values], Any]
Operator = Callable[[Any, Any], Any]

_MOST_TEXT = 16 * 1024 * 1024
"""Letters that joining texts may give."""


def compile_node(node: Node) -> Run:
    """Return the closure of a node, which raises EvaluationError."""
    match node:
        case Literal(value):
            return lambda _values: value
        case Variable(name):
            return _variable(name)
        case Field(text):
            return _field(text)
        case Prefix(sign, operand):
            return _prefixed(_PREFIXES[sign], compile_node(operand))
        case Chain(first, rest):
            return _chain(first, rest)


def _variable(name: str) -> Run:
    def run(values: Values) -> Any:
        try:
            return values[name]
        except KeyError:
            raise EvaluationError(f"there is no value {name}") from None

    return run


def _field(text: str) -> Run:
    def run(_values: Values) -> NoReturn:
        raise EvaluationError(f"{text}: values have no fields")

    return run


def _prefixed(function: Callable[[Any], Any], operand: Run) -> Run:
    return lambda values: function(operand(values))


def _chain(first: Node, rest: tuple[tuple[str, Node], ...]) -> Run:
    if len(rest) == 1:
        ((sign, last),) = rest
        if sign in _LAZY:
            return _lazy(compile_node(first), [(_LAZY[sign], compile_node(last))])
        return _pair(first, _OPERATORS[sign], last)
    if rest[0][0] in _LAZY:
        return _lazy(compile_node(first), [(_LAZY[sign], compile_node(one)) for sign, one in rest])
    return _eager(
        compile_node(first), [(_OPERATORS[sign], compile_node(one)) for sign, one in rest]
    )


def _pair(first: Node, operator: Operator, last: Node) -> Run:
    """Return one operator's closure; most compare a variable with what is written out."""
    left = compile_node(first)
    if isinstance(last, Literal):
        literal = last.value
        return lambda values: operator(left(values), literal)
    right = compile_node(last)
    return lambda values: operator(left(values), right(values))


def _eager(first: Run, rest: list[tuple[Operator, Run]]) -> Run:
    def run(values: Values) -> Any:
        made = first(values)
        for operator, right in rest:
            made = operator(made, right(values))
        return made

    return run


def _lazy(first: Run, rest: "list[tuple[_Lazy, Run]]") -> Run:
    def run(values: Values) -> Any:
        made = first(values)
        for operator, right in rest:
            made = operator(made, right, values)
        return made

    return run


# ---------------------------------------------------------------------------- right side if needed

_Lazy = Callable[[Any, Run, Values], Any]


def _and(left: Any, right: Run, values: Values) -> Any:
    if left is False:
        return False
    made = right(values)
    if left is not True or made.__class__ is not bool:
        raise _mismatch("&&", left, made)
    return made


def _or(left: Any, right: Run, values: Values) -> Any:
    if left is True:
        return True
    made = right(values)
    if left is not False or made.__class__ is not bool:
        raise _mismatch("||", left, made)
    return made


def _then(left: Any, right: Run, values: Values) -> Any:
    if left is False:
        return None
    made = right(values)
    if left is not True:
        raise EvaluationError(f"? cannot take {shown(left)}: it is not true or false")
    return made


def _otherwise(left: Any, right: Run, values: Values) -> Any:
    return right(values) if left is None else left


_LAZY: dict[str, _Lazy] = {
    "&&": _and,
    "||": _or,
    "?": _then,
    ":": _otherwise,
    "??": _otherwise,
}

# ---------------------------------------------------------------------------- comparing


def equal(left: Any, right: Any) -> bool:
    """Say whether two values are the same; those of different types are not."""
    if left.__class__ is not right.__class__:
        return False
    if left.__class__ is list:
        return len(left) == len(right) and all(map(equal, left, right))
    if left.__class__ is dict:
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right)


def _ordered(sign: str, holds: Callable[[Any, Any], bool]) -> Operator:
    def compare(left: Any, right: Any) -> bool:
        kind = left.__class__
        if kind is right.__class__ and (kind is float or kind is str):
            return holds(left, right)
        raise _mismatch(sign, left, right)

    return compare


def _within(left: Any, right: Any) -> bool:
    if right.__class__ is not list:
        raise EvaluationError(f"in cannot take {shown(right)} on its right: it is not a list")
    return any(equal(left, one) for one in right)


def _pattern(value: Any) -> regex.Pattern:
    if isinstance(value, regex.Pattern):
        return value
    try:
        return regex.compile(value)
    except ConfigError as exc:
        raise EvaluationError(exc.message) from exc


def _matches(sign: str, *, wanted: bool) -> Operator:
    def match(left: Any, right: Any) -> bool:
        if left.__class__ is not str or right.__class__ not in (str, regex.Pattern):
            raise _mismatch(sign, left, right)
        return _pattern(right).search(left) is wanted

    return match


# ---------------------------------------------------------------------------- calculating


def _plus(left: Any, right: Any) -> Any:
    if left.__class__ is float and right.__class__ is float:
        return left + right
    if left.__class__ is not str and right.__class__ is not str:
        raise _mismatch("+", left, right)
    made = _text(left) + _text(right)
    if len(made) > _MOST_TEXT:
        raise EvaluationError(f"+ gives a text of more than {_MOST_TEXT} letters")
    return made


def _text(value: Any) -> str:
    if value.__class__ is str:
        return str(value)
    if value.__class__ is regex.Pattern:
        return str(value.text)
    from spine.lang.gofmt import verb_v

    return verb_v(value)


def _of_numbers(sign: str, calculate: Callable[[float, float], float]) -> Operator:
    def operate(left: Any, right: Any) -> float:
        if left.__class__ is not float or right.__class__ is not float:
            raise _mismatch(sign, left, right)
        return calculate(left, right)

    return operate


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: float, right: float) -> float:
    if right == 0 or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        odd = math.fmod(right, 2) in (1, -1)
        return -math.inf if left < 0 and odd else math.inf
    except ValueError:
        if left != 0:
            return math.nan
        odd = math.fmod(right, 2) == -1
        return math.copysign(math.inf, left) if odd else math.inf


_SIGN = 1 << 63
_MASK = (1 << 64) - 1


def _signed(value: float) -> int:
    """Return a number as 64 bits with a sign, as amd64 converts it."""
    return int(value) if -_SIGN <= value < _SIGN else -_SIGN


def _unsigned(value: float) -> int:
    """Return a number as 64 bits, as Go converts it on amd64."""
    return int(value) if _SIGN <= value < 2 * _SIGN else _signed(value) & _MASK


def _left_shift(left: float, right: float) -> float:
    by = _unsigned(right)
    return float(_unsigned(left) << by & _MASK) if by < 64 else 0.0  # noqa: PLR2004 -- bits


def _right_shift(left: float, right: float) -> float:
    by = _unsigned(right)
    return float(_unsigned(left) >> by) if by < 64 else 0.0  # noqa: PLR2004 -- bits


def _listed(left: Any, right: Any) -> list[Any]:
    return [*left, right] if left.__class__ is list else [left, right]


_OPERATORS: dict[str, Operator] = {
    ",": _listed,
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _ordered("<", lambda left, right: left < right),
    "<=": _ordered("<=", lambda left, right: left <= right),
    ">": _ordered(">", lambda left, right: left > right),
    ">=": _ordered(">=", lambda left, right: left >= right),
    "=~": _matches("=~", wanted=True),
    "!~": _matches("!~", wanted=False),
    "in": _within,
    "+": _plus,
    "-": _of_numbers("-", lambda left, right: left - right),
    "*": _of_numbers("*", lambda left, right: left * right),
    "/": _of_numbers("/", _divided),
    "%": _of_numbers("%", _remainder),
    "**": _of_numbers("**", _power),
    "&": _of_numbers("&", lambda left, right: float(_signed(left) & _signed(right))),
    "|": _of_numbers("|", lambda left, right: float(_signed(left) | _signed(right))),
    "^": _of_numbers("^", lambda left, right: float(_signed(left) ^ _signed(right))),
    "<<": _of_numbers("<<", _left_shift),
    ">>": _of_numbers(">>", _right_shift),
}


def _not(value: Any) -> bool:
    if value.__class__ is not bool:
        raise EvaluationError(f"! cannot take {shown(value)}: it is not true or false")
    return not value


def _of_number(sign: str, calculate: Callable[[float], float]) -> Callable[[Any], float]:
    def operate(value: Any) -> float:
        if value.__class__ is not float:
            raise EvaluationError(f"{sign} cannot take {shown(value)}: it is not a number")
        return calculate(value)

    return operate


_PREFIXES: dict[str, Callable[[Any], Any]] = {
    "!": _not,
    "-": _of_number("-", lambda value: -value),
    "~": _of_number("~", lambda value: float(~_signed(value))),
}

# ---------------------------------------------------------------------------- messages

_MOST_SHOWN = 40


def shown(value: Any) -> str:  # noqa: PLR0911 -- one for each type
    """Return type and start of a value, for messages."""
    if value is None:
        return "null"
    if isinstance(value, regex.Pattern):
        return f"pattern {value.text!r}"
    if isinstance(value, list):
        return f"array of {len(value)}"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"number {value:g}"
    text = value if len(value) <= _MOST_SHOWN else f"{value[: _MOST_SHOWN - 1]}…"
    return f'string "{text}"'


def _mismatch(sign: str, left: Any, right: Any) -> EvaluationError:
    return EvaluationError(f"{sign} cannot take {shown(left)} and {shown(right)}")
