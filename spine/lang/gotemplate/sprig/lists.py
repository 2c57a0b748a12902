"""Lists: made, cut, searched and joined. What is given stays as it is."""

from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError
from spine.lang.gotemplate.runtime import bounded
from spine.lang.gotemplate.sprig.numbers import to_whole
from spine.lang.govalue import NIL_LIST, Lists, type_name


def _listed(value: Any, what: str) -> list[Any]:
    """Return a value that is a list. Raises EvaluationError."""
    if isinstance(value, list):
        return value
    if value is None:
        raise EvaluationError(f"cannot find {what} of nil")
    raise EvaluationError(f"cannot find {what} on type {type_name(value)}")


def equal(one: Any, two: Any) -> bool:
    """Say whether two values are the same in type and in depth, as reflect.DeepEqual does."""
    if type(one) is not type(two):
        return False
    if isinstance(one, list):
        return len(one) == len(two) and all(map(equal, one, two))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(equal(one[key], two[key]) for key in one)
    return bool(one == two)


def _list(*values: Any) -> list[Any]:
    return list(values)


def _append(value: Any, item: Any) -> list[Any]:
    items = _listed(value, "push")
    bounded(len(items))
    return [*items, item]


def _prepend(value: Any, item: Any) -> list[Any]:
    items = _listed(value, "prepend")
    bounded(len(items))
    return [item, *items]


def _chunk(size: int, value: Any) -> Lists:
    items = _listed(value, "chunk")
    if size == 0 and items:
        raise EvaluationError("chunks of 0 elements are without end")
    if size <= 0:
        return Lists()
    return Lists(list(items[at : at + size]) for at in range(0, len(items), size))


def _first(value: Any) -> Any:
    items = _listed(value, "first")
    return items[0] if items else None


def _last(value: Any) -> Any:
    items = _listed(value, "last")
    return items[-1] if items else None


def _uniq(value: Any) -> list[Any]:
    seen: set[Any] = set()
    out: list[Any] = []
    for item in _listed(value, "uniq"):
        key = _frozen(item)
        if key not in seen:
            seen.add(key)
            out.append(item)
    return out


def _frozen(value: Any) -> Any:
    """Return what is equal for values that are the same in type and in depth."""
    if isinstance(value, list):
        return type(value), tuple(map(_frozen, value))
    if isinstance(value, dict):
        return type(value), frozenset((key, _frozen(item)) for key, item in value.items())
    return type(value), value


def _without(value: Any, *omitted: Any) -> list[Any]:
    items = _listed(value, "without")
    return [item for item in items if not any(equal(item, other) for other in omitted)]


def _has(needle: Any, haystack: Any) -> bool:
    if haystack is None:
        return False
    items = _listed(haystack, "has")
    return any(equal(needle, item) for item in items)


def _none(value: Any) -> list[Any]:
    """Return what is left of a list without elements. Raises EvaluationError."""
    _listed(value, "the rest")
    return NIL_LIST


def _slice(value: Any, *bounds: Any) -> Any:
    items = _listed(value, "slice")
    if not items:
        return None
    start = to_whole(bounds[0]) if bounds else 0
    end = to_whole(bounds[1]) if len(bounds) > 1 else len(items)
    if not 0 <= start <= end <= len(items):
        raise EvaluationError(f"slice bounds out of range [{start}:{end}]")
    return type(items)(items[start:end])


def _concat(*lists: Any) -> list[Any]:
    out: list[Any] = []
    for value in lists:
        out.extend(_listed(value, "concat"))
        bounded(len(out))
    return out or NIL_LIST


def _compact(value: Any) -> list[Any]:
    return [item for item in _listed(value, "compact") if item]


_PLAIN: list[tuple[str, str, Callable[..., Any]]] = [
    ("append", "any any", _append),
    ("push", "any any", _append),
    ("prepend", "any any", _prepend),
    ("chunk", "int any", _chunk),
    ("compact", "any", _compact),
    ("first", "any", _first),
    ("has", "any any", _has),
    (
        "initial",
        "any",
        lambda value: list(_listed(value, "initial")[:-1]) if value else _none(value),
    ),
    ("last", "any", _last),
    ("rest", "any", lambda value: list(_listed(value, "rest")[1:]) if value else _none(value)),
    ("reverse", "any", lambda value: list(reversed(_listed(value, "reverse")))),
    ("slice", "any ...any", _slice),
    ("uniq", "any", _uniq),
    ("without", "any ...any", _without),
]

ALL: list[tuple[str, str, Callable[..., Any]]] = [
    *_PLAIN,
    *((f"must{name[0].upper()}{name[1:]}", kinds, call) for name, kinds, call in _PLAIN),
    ("concat", "...any", _concat),
    ("deepEqual", "any any", equal),
    ("list", "...any", _list),
    ("tuple", "...any", _list),
]
