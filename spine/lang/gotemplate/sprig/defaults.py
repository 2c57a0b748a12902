"""Values for what is empty, choices, and the types of things."""

from collections.abc import Callable
from typing import Any, NoReturn

from spine.lang import EvaluationError
from spine.lang.govalue import kind_name, type_name


def _default(other: Any, *given: Any) -> Any:
    return given[0] if given and given[0] else other


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value), None)


def _ternary(yes: Any, no: Any, condition: bool) -> Any:
    return yes if condition else no


def _fail(text: str) -> NoReturn:
    raise EvaluationError(text)


def _is_like(name: str, value: Any) -> bool:
    found = type_name(value)
    return name == found or "*" + name == found


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("default", "any ...any", _default),
    ("empty", "any", lambda value: not value),
    ("coalesce", "...any", _coalesce),
    ("ternary", "any any bool", _ternary),
    ("all", "...any", lambda *values: all(values)),
    ("any", "...any", lambda *values: any(values)),
    ("fail", "string", _fail),
    ("typeOf", "any", type_name),
    ("typeIs", "string any", lambda name, value: name == type_name(value)),
    ("typeIsLike", "string any", _is_like),
    ("kindOf", "any", kind_name),
    ("kindIs", "string any", lambda name, value: name == kind_name(value)),
]
