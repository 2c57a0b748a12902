"""Functions on lists and maps."""

import functools
from collections.abc import Mapping
from typing import Any

from spine.lang import EvaluationError, govalue
from spine.lang.exprlang.access import fetch
from spine.lang.exprlang.builtins.signature import (
    LISTS,
    MAPS,
    TEXT,
    WHOLE,
    Signature,
    function,
    text,
    unfit,
)
from spine.lang.exprlang.comparing import equal, less
from spine.lang.exprlang.nodes import ANY_MAP, INT, UNKNOWN, Kind, array
from spine.lang.exprlang.operators import whole
from spine.lang.exprlang.values import (
    AnyMap,
    Budget,
    Byte,
    Int,
    MissingValue,
    Pair,
    Pairs,
    key_of,
    shown,
    value_of,
)


def _list(name: str, value: Any) -> Any:
    if not isinstance(value, list | bytes):
        raise unfit(name, value)
    return value


def _map(name: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise unfit(name, value)
    return value


# ---------------------------------------------------------------------------- parts


def _len(*, later: bool) -> Signature:
    def run(budget: Budget, value: Any) -> int:
        if value.__class__ is str:
            if value.isascii():
                return len(value)
            budget.read(value)
            return len(value if later else govalue.encode(value))
        if isinstance(value, list | bytes | Mapping):
            return len(value)
        raise unfit("len", value)

    return function(run, TEXT | LISTS | MAPS | {"bytes"}, gives=INT)


def _first(budget: Budget, value: Any) -> Any:
    return _end(value, 0, budget)


def _last(budget: Budget, value: Any) -> Any:
    return _end(value, -1, budget)


def _end(value: Any, at: int, budget: Budget) -> Any:
    """Return the first or last element, nil of what has none; of a text it is a byte."""
    del budget
    if not isinstance(value, list | bytes | str):
        return None
    return fetch(value, at) if len(value) else None


def _get(budget: Budget, value: Any, key: Any) -> Any:
    """Return a member or an element, nil where there is none."""
    if isinstance(value, list | str | bytes):
        whole(key)
    elif type(value) is dict:
        fetch(value, key)
    return _get_whatever(budget, value, key)


def _get_whatever(budget: Budget, value: Any, key: Any) -> Any:
    """Return a member or an element, nil where there is none for whatever reason."""
    del budget
    try:
        return fetch(value, key)
    except EvaluationError:
        return None


def _take(budget: Budget, items: Any, count: Any) -> Any:
    found = _list("take", items)
    if count.__class__ not in {int, Int, Byte}:
        raise unfit("take", count)
    number = whole(count)
    if number < 0:
        raise EvaluationError(f"take does not take {number}, which is negative")
    budget.step(min(number, len(found)))
    return type(found)(found[:number])


# ---------------------------------------------------------------------------- maps


def _keys(budget: Budget, value: Any) -> list[Any]:
    found = _map("keys", value)
    budget.allocate(len(found))
    return [value_of(key) for key in found]


def _values(budget: Budget, value: Any) -> list[Any]:
    found = _map("values", value)
    budget.allocate(len(found))
    return list(found.values())


def _to_pairs(budget: Budget, value: Any) -> Pairs:
    found = _map("toPairs", value)
    budget.allocate(len(found))
    return Pairs(Pair([value_of(key), item]) for key, item in found.items())


def _from_pairs(budget: Budget, value: Any) -> AnyMap:
    made = AnyMap()
    pairs = _list("fromPairs", value)
    budget.allocate(len(pairs))
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 -- key and value
            raise EvaluationError(f"fromPairs takes pairs, not {shown(pair)}")
        made[key_of(pair[0])] = pair[1]
    return made


# ---------------------------------------------------------------------------- order


def in_order(items: Any, keys: list[Any], order: Any, budget: Budget) -> list[Any]:
    """Return items sorted by keys; equal ones keep their places. Raises EvaluationError."""
    if order.__class__ is not str or order not in {"asc", "desc"}:
        raise EvaluationError(f"the order {shown(order)} is unknown: write asc or desc")
    budget.allocate(len(keys))
    budget.step(len(keys) * max(1, len(keys).bit_length() // 4))

    def compare(a: int, b: int) -> int:
        if less(keys[a], keys[b]):
            return -1
        return 1 if less(keys[b], keys[a]) else 0

    def reverse(a: int, b: int) -> int:
        return compare(b, a)

    how = functools.cmp_to_key(compare if order == "asc" else reverse)
    return [items[at] for at in sorted(range(len(keys)), key=how)]


def _sort(*, later: bool) -> Signature:
    def run(budget: Budget, items: Any, order: Any = "asc") -> list[Any]:
        if later and items is None:
            return []
        found = _list("sort", items)
        if not later:
            _one_type(found)
        return in_order(found, list(found), order, budget)

    return function(run, LISTS, TEXT, gives=array(), least=1)


def _sort_by_name(budget: Budget, items: Any, name: Any, order: Any = "asc") -> list[Any]:
    """Sort by a member, as sortBy of 1.15 does."""
    found = _list("sortBy", items)
    member = text("sortBy", name)
    keys = [_sorted_by(item, member) for item in found] if len(found) > 1 else found
    _one_type(keys)
    return in_order(found, list(keys), order, budget)


def _sorted_by(item: Any, member: str) -> Any:
    """Return what an element is sorted by: its member, or itself where it has none at all."""
    if isinstance(item, Mapping):
        if member not in item:
            raise MissingValue(f"cannot fetch {member} from an element")
        return item[member]
    return item


def _one_type(keys: Any) -> None:
    """Refuse to compare unlike values, as sort of 1.15 does."""
    for key in keys[1:]:
        if shown(key) != shown(keys[0]):
            raise EvaluationError(f"cannot sort {shown(keys[0])} with {shown(key)}")


def _reverse(budget: Budget, items: Any) -> list[Any]:
    found = _list("reverse", items)
    budget.allocate(len(found))
    return list(reversed(found))


# ---------------------------------------------------------------------------- lists of lists


def _uniq(budget: Budget, items: Any) -> list[Any]:
    kept: list[Any] = []
    plain: set[Any] = set()
    for item in _list("uniq", items):
        budget.step()
        if item.__class__ in _PLAIN:
            key = (item.__class__ is bool, item)
            if key in plain:
                continue
            plain.add(key)
        else:
            size = budget.weigh(item) if isinstance(item, list | dict) else 1
            budget.step(size * len(kept))
            if any(equal(one, item) for one in kept):
                continue
        kept.append(item)
    budget.allocate(len(kept))
    return kept


_PLAIN = frozenset([str, int, float, bool, type(None)])


def _concat(budget: Budget, *lists: Any) -> list[Any]:
    made: list[Any] = []
    for items in lists:
        found = _list("concat", items)
        budget.allocate(len(found))
        made.extend(found)
    return made


def _flatten(budget: Budget, items: Any) -> list[Any]:
    made: list[Any] = []
    waiting = [iter(_list("flatten", items))]
    while waiting:
        for item in waiting[-1]:
            budget.allocate(1)
            if isinstance(item, list):
                waiting.append(iter(item))
                break
            made.append(item)
        else:
            waiting.pop()
    return made


def _element(kinds: list[Kind]) -> Kind:
    """Return the kind of a member."""
    return (kinds[0].elem or UNKNOWN) if kinds[0].name == "array" else UNKNOWN


BOTH: dict[str, Signature] = {
    "first": function(_first, LISTS),
    "last": function(_last, LISTS),
    "take": function(_take, LISTS, WHOLE, gives=array()),
    "keys": function(_keys, MAPS, gives=array()),
    "values": function(_values, MAPS, gives=array()),
    "toPairs": function(_to_pairs, MAPS, gives=array()),
    "fromPairs": function(_from_pairs, LISTS, gives=ANY_MAP),
}
OLD: dict[str, Signature] = {
    "get": function(_get_whatever, LISTS | MAPS, None, gives=_element),
    "len": _len(later=False),
    "sort": _sort(later=False),
    "sortBy": function(_sort_by_name, LISTS, TEXT, TEXT, gives=array(), least=2),
}
NEW: dict[str, Signature] = {
    "get": function(_get, LISTS | MAPS, None, gives=_element),
    "len": _len(later=True),
    "sort": _sort(later=True),
    "reverse": function(_reverse, LISTS, gives=array()),
    "uniq": function(_uniq, LISTS, gives=array()),
    "flatten": function(_flatten, LISTS, gives=array()),
    "concat": Signature(_concat, (LISTS,), array(), most=None),
}
