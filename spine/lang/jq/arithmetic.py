"""What `+`, `-`, `*`, `/` and `%` of jq give, for values of any kind."""

import math
from typing import Any

from spine.lang import EvaluationError
from spine.lang.jq.values import MOST_TEXT, JqError, kind, narrowed, shown, to_json

_MOST_TEXT = 1024 * 1024
"""Characters that repeating a string may give: a bound on what a small program can make."""
_MOST_ELEMENTS = 4 * 1024 * 1024
"""Elements of any array that a program makes."""


_A = {str: "a text", list: "an array"}


def _are_numbers(left: Any, right: Any) -> bool:
    return kind(left) == "number" and kind(right) == "number"


def add(left: Any, right: Any) -> Any:
    """Return `left + right`. Raises JqError."""
    if left is None:
        return right
    if right is None:
        return left
    if _are_numbers(left, right):
        return narrowed(left + right)
    if isinstance(left, str | list) and type(left) is type(right):
        most = MOST_TEXT if isinstance(left, str) else _MOST_ELEMENTS
        if len(left) + len(right) > most:
            raise EvaluationError(f"it makes {_A[type(left)]} of more than {most}")
        return left + right  # type: ignore[operator]  # of one type
    if isinstance(left, dict) and isinstance(right, dict):
        return {**left, **right}
    raise JqError(f"cannot add: {shown(left)} and {shown(right)}")


def subtract(left: Any, right: Any) -> Any:
    """Return `left - right`. Raises JqError."""
    if _are_numbers(left, right):
        return narrowed(left - right)
    if isinstance(left, list) and isinstance(right, list):
        gone = {to_json(item) for item in right}
        return [item for item in left if to_json(item) not in gone]
    raise JqError(f"cannot subtract: {shown(left)} and {shown(right)}")


def multiply(left: Any, right: Any) -> Any:
    """Return `left * right`. Raises JqError."""
    if _are_numbers(left, right):
        return _signed(narrowed(left * right), left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return _merged(left, right)
    if isinstance(left, str) and kind(right) == "number":
        return _repeated(left, right)
    if isinstance(right, str) and kind(left) == "number":
        return _repeated(right, left)
    raise JqError(f"cannot multiply: {shown(left)} and {shown(right)}")


def _repeated(text: str, times: float) -> str | None:
    if times < 0 or math.isnan(times):
        return None
    if len(text) * times > _MOST_TEXT:
        raise JqError("repeat string result too long")
    return text * int(times)


def _signed(value: float, left: float, right: float) -> float:
    """Return a product, or a quotient, with the sign that zero has as a double."""
    return value or 0.0 * math.copysign(1, left) * math.copysign(1, right)


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = dict(left)
    for key, value in right.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]  # by `both`
    return merged


def divide(left: Any, right: Any) -> Any:
    """Return `left / right`. Raises JqError."""
    if _are_numbers(left, right):
        if right == 0:
            raise JqError(f"cannot divide {shown(left)} by: {shown(right)}")
        whole = isinstance(left, int) and isinstance(right, int) and left % right == 0
        return _signed(left // right if whole else left / right, left, right)
    if isinstance(left, str) and isinstance(right, str):
        return split(left, right)
    raise JqError(f"cannot divide: {shown(left)} and {shown(right)}")


def modulo(left: Any, right: Any) -> Any:
    """Return the remainder of whole numbers, with the sign of the left one. Raises JqError."""
    if not _are_numbers(left, right):
        raise JqError(f"cannot modulo: {shown(left)} and {shown(right)}")
    if math.isnan(left) or math.isnan(right):
        return math.nan
    whole, by = _whole(left), _whole(right)
    if by == 0:
        raise JqError(f"cannot modulo {shown(left)} by: {shown(right)}")
    rest = abs(whole) % abs(by)
    return narrowed(-rest if whole < 0 else rest)


def _whole(value: float) -> int:
    limit = 1 << 63
    return int(max(min(value, limit - 1), -limit))


def split(text: str, by: str) -> list[str]:
    """Return the parts of a text between separators."""
    if not text:
        return []
    return text.split(by) if by else list(text)
