"""What jq does with JSON values: order, equality, text, access, and its error messages.

Numbers of an event are doubles; integers are kept as Python integers as long as a double holds
them exactly, which no program can tell apart.
"""

import math
from functools import cmp_to_key
from typing import Any

from spine.lang import EvaluationError, gojson

EXACT = 1 << 53
"""Integers up to this size are exact in a double."""

MOST_TEXT = 16 * 1024 * 1024
"""Characters of any text that a program makes."""
_PREVIEW = 30


class JqError(Exception):
    """What `error`, or something impossible, raises in a program; `catch` receives the value."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


def kind(value: Any) -> str:
    """Return the name of a type, as `type` gives it."""
    if value is None:
        return "null"
    return _KINDS[type(value)]


_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def shown(value: Any) -> str:
    """Return type and start of a value, for messages."""
    return "null" if value is None else f"{kind(value)} ({preview(value)})"


def preview(value: Any) -> str:
    """Return the start of a value's JSON."""
    text = to_json(value)
    if len(text.encode()) <= _PREVIEW:
        return text
    end = {"string": '"', "array": "]", "object": "}"}.get(kind(value), "")
    cut = text.encode()[: _PREVIEW - 4 - len(end)].decode(errors="ignore")
    return f"{cut} ...{end}"


def inapplicable(name: str, value: Any) -> JqError:
    """Return the error of a function that cannot take a value."""
    return JqError(f"{name} cannot be applied to: {shown(value)}")


def string(value: Any, name: str) -> str:
    """Return what a function of texts was given. Raises JqError for anything else."""
    if not isinstance(value, str):
        raise inapplicable(name, value)
    return value


def array(value: Any, name: str) -> list[Any]:
    """Return what a function of arrays was given. Raises JqError for anything else."""
    if not isinstance(value, list):
        raise inapplicable(name, value)
    return value


# ---------------------------------------------------------------------------- text


def to_json(value: Any) -> str:
    """Return a value as JSON with sorted keys."""
    try:
        return gojson.plain(value, finite=False).replace(b"\x7f", b"\\u007f").decode()
    except EvaluationError as exc:
        raise JqError(str(exc)) from None


def to_text(value: Any) -> str:
    """Return a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


# ---------------------------------------------------------------------------- order

_RANKS = {"null": 0, "boolean": 1, "number": 3, "string": 4, "array": 5, "object": 6}


def rank(value: Any) -> int:
    """Return the place of a value's type in jq's order of types."""
    if value is False:
        return 1
    return 2 if value is True else _RANKS[kind(value)]


def compare(left: Any, right: Any) -> int:
    """Return a negative number, 0 or a positive one, as jq orders two values."""
    left_rank = rank(left)
    right_rank = rank(right)
    if left_rank != right_rank:
        return left_rank - right_rank
    if left_rank == 3:  # noqa: PLR2004 -- number
        return _compare_numbers(left, right)
    if left_rank == 4:  # noqa: PLR2004 -- string
        return bool(left > right) - bool(left < right)
    if left_rank == 5:  # noqa: PLR2004 -- array
        return _compare_arrays(left, right)
    if left_rank == 6:  # noqa: PLR2004 -- object
        left_keys, right_keys = sorted(left), sorted(right)
        by_key = _compare_arrays(left_keys, right_keys)
        return by_key or _compare_arrays(
            [left[key] for key in left_keys], [right[key] for key in right_keys]
        )
    return 0


def _compare_numbers(left: float, right: float) -> int:
    if isinstance(left, float) or isinstance(right, float):
        left, right = as_double(left), as_double(right)
        if math.isnan(left):
            return -1
        if math.isnan(right):
            return 1
    return (left > right) - (left < right)


def _compare_arrays(left: list[Any], right: list[Any]) -> int:
    for one, other in zip(left, right, strict=False):
        if order := compare(one, other):
            return order
    return len(left) - len(right)


def equal(left: Any, right: Any) -> bool:
    """Say whether two values are the same."""
    if isinstance(left, str) or left is None:
        return bool(left == right)
    return compare(left, right) == 0


sort_key = cmp_to_key(compare)


def ordered(values: list[Any]) -> list[Any]:
    """Return values in order."""
    kinds = {type(value) for value in values}
    if kinds in ({str}, {int}):
        return sorted(values)
    return sorted(values, key=sort_key)


def truthy(value: Any) -> bool:
    """Say whether a value counts as true."""
    return value is not None and value is not False


# ---------------------------------------------------------------------------- numbers


def narrowed(value: float) -> float:
    """Return a result as a double would hold it."""
    return value if -EXACT <= value <= EXACT else as_double(value)


def as_double(value: float) -> float:
    """Return a number as a double, infinite beyond its range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def doubles(value: Any) -> Any:
    """Return a value with integers that a double cannot hold made doubles."""
    if isinstance(value, list):
        return [doubles(item) for item in value]
    if isinstance(value, dict):
        return {key: doubles(item) for key, item in value.items()}
    return narrowed(value) if isinstance(value, int) else value


# ---------------------------------------------------------------------------- access


def index(target: Any, key: Any) -> Any:
    """Return `target[key]`, null for what is not there. Raises JqError."""
    if isinstance(key, str):
        if isinstance(target, dict):
            return target.get(key)
        if target is None:
            return None
        raise JqError(f"expected an object but got: {shown(target)}")
    if kind(key) == "number":
        return _element(target, key)
    if isinstance(key, dict) and isinstance(target, list | str | None):
        return None if target is None else cut(target, *limits(key))
    if isinstance(key, list) and isinstance(target, list):
        return positions(target, key)
    what = "an array" if isinstance(target, list) else "an object"
    if isinstance(target, list):
        raise JqError(f"expected a number for indexing {what} but got: {shown(key)}")
    raise JqError(f"expected a string for object key but got: {shown(key)}")


def _element(target: Any, key: float) -> Any:
    if target is None:
        return None
    if not isinstance(target, list | str):
        raise JqError(f"expected an array but got: {shown(target)}")
    if math.isnan(key) or math.isinf(key):
        return None
    at = int(key)
    return target[at] if -len(target) <= at < len(target) else None


def positions(target: list[Any], part: list[Any]) -> list[int] | None:
    """Return where a list occurs in another."""
    if not part:
        return None
    size = len(part)
    found = range(len(target) - size + 1)
    return [at for at in found if equal(target[at : at + size], part)]


def cut(target: Any, start: Any, end: Any) -> Any:
    """Return `target[start:end]`. Raises JqError."""
    if target is None:
        return None
    if not isinstance(target, list | str):
        raise JqError(f"expected an array but got: {shown(target)}")
    low, high = bounds(target, start, end)
    return target[low:high]


def limits(key: dict[str, Any]) -> tuple[Any, Any]:
    """Return start and end of a slice that is written as an object. Raises JqError."""
    if "start" not in key or "end" not in key:
        raise JqError(f'expected "start" and "end" for slicing but got: {shown(key)}')
    return key["start"], key["end"]


def bounds(target: Any, start: Any, end: Any) -> tuple[int, int]:
    """Return the indices that a slice means, within the target."""
    for limit in (start, end):
        if limit is not None and kind(limit) != "number":
            what = "a string" if isinstance(target, str) else "an array"
            raise JqError(f"expected a number for indexing {what} but got: {shown(limit)}")
    size = len(target)
    low = 0 if start is None else math.floor(start)
    high = size if end is None else math.ceil(end)
    low = min(max(low + size if low < 0 else low, 0), size)
    high = min(max(high + size if high < 0 else high, 0), size)
    return low, max(low, high)


def items(value: Any) -> list[Any]:
    """Return what `.[]` gives: elements, or values in the order of keys. Raises JqError."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    raise JqError(f"cannot iterate over: {shown(value)}")


def checked_text(text: str) -> str:
    """Return a text that was made. Raises EvaluationError for one that is too large."""
    if len(text) > MOST_TEXT:
        raise EvaluationError(f"it makes a text of more than {MOST_TEXT} letters")
    return text
