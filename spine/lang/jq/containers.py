"""The built-in functions of jq on arrays and objects: what is in them, in what order, where."""

import math
from collections.abc import Callable
from itertools import groupby
from typing import Any

from spine.lang import EvaluationError
from spine.lang.jq import arithmetic
from spine.lang.jq import values as v


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return sorted(value)
    return list(range(len(v.array(value, "keys"))))


def _add(value: Any) -> Any:
    if not isinstance(value, list | dict):
        raise v.inapplicable("add", value)
    return total(v.items(value))


def total(items: list[Any]) -> Any:
    """Return the sum of items, as `add` gives it. Raises JqError."""
    kinds = {type(item) for item in items} - {type(None)}
    if kinds == {str}:
        return "".join(item for item in items if item)
    if kinds == {list}:
        return [part for item in items if item for part in item]
    if kinds == {dict}:
        return {key: part for item in items if item for key, part in item.items()}
    total = None
    for item in items:
        total = arithmetic.add(total, item)
    return total


def to_entries(value: Any) -> list[Any]:
    """Return members as `{key, value}`. Raises JqError."""
    if isinstance(value, list):
        return [{"key": at, "value": item} for at, item in enumerate(value)]
    if not isinstance(value, dict):
        raise v.inapplicable("keys", value)  # as gojq says
    return [{"key": key, "value": value[key]} for key in sorted(value)]


def from_entries(value: Any) -> dict[str, Any]:
    """Return an object of such entries. Raises JqError."""
    made: dict[str, Any] = {}
    for entry in v.items(value):
        if not isinstance(entry, dict):
            raise v.JqError(f"expected an object but got: {v.shown(entry)}")
        key = next((entry[name] for name in _KEY_NAMES if v.truthy(entry.get(name))), None)
        if not isinstance(key, str):
            raise v.JqError(f"expected a string for object key but got: {v.shown(key)}")
        made[key] = next((entry[name] for name in _VALUE_NAMES if name in entry), None)
    return made


_KEY_NAMES = ("key", "name", "Key", "Name")
_VALUE_NAMES = ("value", "Value")


def _flatten(value: Any, depth: Any = math.inf) -> list[Any]:
    if v.kind(depth) != "number" or depth < 0:
        raise v.JqError(f"flatten depth should not be negative: {v.to_json(depth)}")
    if not isinstance(value, list | dict):
        raise v.inapplicable("flatten", value)
    flat: list[Any] = []
    for item in v.items(value):
        if isinstance(item, list) and depth >= 1:
            flat += _flatten(item, depth - 1)
        else:
            flat.append(item)
    return flat


def _transpose(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise v.inapplicable("transpose", value)
    width = max(map(len, value), default=0)
    if width * len(value) > _MOST_CELLS:
        raise EvaluationError(f"transpose makes more than {_MOST_CELLS} elements")
    return [[row[at] if at < len(row) else None for row in value] for at in range(width)]


_MOST_CELLS = 2_000_000


def _distinct(items: list[Any]) -> list[Any]:
    return [next(group) for _, group in groupby(items, key=v.sort_key)]


def _has(value: Any, key: Any) -> bool:
    if isinstance(value, dict) and isinstance(key, str):
        return key in value
    if isinstance(value, list) and v.kind(key) == "number":
        return bool(0 <= key < len(value))
    if value is None:
        return False
    raise v.inapplicable(f"has({v.preview(key)})", value)


def _contains(value: Any, part: Any) -> bool:
    if isinstance(value, dict) and isinstance(part, dict):
        return all(key in value and _contains_in(value[key], item) for key, item in part.items())
    if isinstance(value, list) and isinstance(part, list):
        return all(any(_contains_in(item, wanted) for item in value) for wanted in part)
    if isinstance(value, str) and isinstance(part, str):
        return part in value
    if v.kind(value) == v.kind(part):
        return v.equal(value, part)
    raise v.inapplicable(f"contains({v.preview(part)})", value)


def _contains_in(value: Any, part: Any) -> bool:
    """Say whether a part contains another; parts of different types do not."""
    return v.kind(value) == v.kind(part) and _contains(value, part)


def _indices(value: Any, part: Any, name: str = "indices") -> Any:
    if value is None:
        return None
    if isinstance(value, str) and isinstance(part, str):
        return _found_in(value, part) if part else []
    if isinstance(value, list):
        return v.positions(value, part if isinstance(part, list) else [part]) or []
    raise v.inapplicable(f"{name}({v.preview(part)})", value)


def _found_in(text: str, part: str) -> list[int]:
    found, at = list[int](), text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def _at_one(name: str, at: int) -> Callable[[Any, Any], Any]:
    def find(value: Any, part: Any) -> Any:
        found = _indices(value, part, name)
        return found[at] if found else None

    return find


def _search(value: Any, wanted: Any) -> int:
    """Return where something stands in an ordered list, or -1 less where it would have to."""
    if not isinstance(value, list):
        raise v.inapplicable(f"bsearch({v.preview(wanted)})", value)
    low, high = 0, len(value)
    while low < high:
        middle = (low + high) // 2
        if v.compare(value[middle], wanted) < 0:
            low = middle + 1
        else:
            high = middle
    return low if low < len(value) and v.equal(value[low], wanted) else -1 - low


OF_INPUT: dict[str, Callable[[Any], Any]] = {
    "keys": _keys,
    "add": _add,
    "any": lambda value: any(map(v.truthy, v.items(value))),
    "all": lambda value: all(map(v.truthy, v.items(value))),
    "first": lambda value: v.index(value, 0),
    "last": lambda value: v.index(value, -1),
    "reverse": lambda value: v.array(value, "reverse")[::-1],
    "sort": lambda value: v.ordered(v.array(value, "sort")),
    "unique": lambda value: _distinct(v.ordered(v.array(value, "unique"))),
    "min": lambda value: min(v.array(value, "min"), key=v.sort_key, default=None),
    "max": lambda value: max(reversed(v.array(value, "max")), key=v.sort_key, default=None),
    "flatten": _flatten,
    "to_entries": to_entries,
    "from_entries": from_entries,
    "transpose": _transpose,
}
OF_ARGUMENT: dict[str, Callable[[Any, Any], Any]] = {
    "indices": _indices,
    "index": _at_one("index", 0),
    "rindex": _at_one("rindex", -1),
    "bsearch": _search,
    "has": _has,
    "in": lambda value, container: _has(container, value),
    "contains": _contains,
    "inside": lambda value, whole: _contains(whole, value),
    "flatten": _flatten,
    "nth": v.index,
}
