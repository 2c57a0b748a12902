"""Functions that run a piece of program for each element of a list."""

from collections.abc import Callable
from typing import Any, NamedTuple

from spine.lang import EvaluationError, govalue
from spine.lang.exprlang.builtins.collections import in_order
from spine.lang.exprlang.frame import BUDGET, Code, Frame
from spine.lang.exprlang.operators import add
from spine.lang.exprlang.values import Byte, Groups, MissingValue, key_of, shown


class Places(NamedTuple):
    """Where in a frame a closure finds what it looks at."""

    item: int
    position: int
    total: int


Test = Callable[[Frame, int, Any], bool]
"""Runs the closure on an element."""
Run = Callable[[Frame, Any], Any]
"""A function of the language, given its list."""


def compile_predicate(
    name: str, items: Code, body: Code | None, more: Code | None, places: Places
) -> Code:
    """Return the closure of a call such as `any(items, body)`."""
    if name in _TESTED:
        run = _TESTED[name](_test(name, body, places))
    else:
        assert body is not None or name == "sum"
        run = _MADE[name](_value(body, places), more, places)
    return lambda frame: run(frame, _list(name, items(frame)))


def _list(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return value
    if isinstance(value, str | bytes):  # of which nobody knew before that it is one
        data = govalue.encode(value) if isinstance(value, str) else value
        return list(map(Byte, data))
    fault = MissingValue if value is None else EvaluationError
    raise fault(f"{name} takes a list, not {shown(value)}")


def _value(body: Code | None, places: Places) -> Callable[[Frame, int, Any], Any]:
    """Return what runs the closure on an element, and takes a step for it."""
    item_place, index_place, _ = places

    def run(frame: Frame, index: int, item: Any) -> Any:
        frame[BUDGET].step()
        frame[item_place], frame[index_place] = item, index
        return item if body is None else body(frame)

    return run


def _test(name: str, body: Code | None, places: Places) -> Test:
    value = _value(body, places)

    def run(frame: Frame, index: int, item: Any) -> bool:
        found = value(frame, index, item)
        if found is True or found is False:
            return found
        fault = MissingValue if found is None else EvaluationError
        raise fault(f"the closure of {name} gives {shown(found)}, not bool")

    return run


# ---------------------------------------------------------------------------- tests


def _any(test: Test) -> Run:
    def run(frame: Frame, items: Any) -> bool:
        return any(test(frame, at, item) for at, item in enumerate(items))

    return run


def _all(test: Test) -> Run:
    def run(frame: Frame, items: Any) -> bool:
        return all(test(frame, at, item) for at, item in enumerate(items))

    return run


def _none(test: Test) -> Run:
    def run(frame: Frame, items: Any) -> bool:
        return not any(test(frame, at, item) for at, item in enumerate(items))

    return run


def _one(test: Test) -> Run:
    def run(frame: Frame, items: Any) -> bool:
        return sum(test(frame, at, item) for at, item in enumerate(items)) == 1

    return run


def _count(test: Test) -> Run:
    def run(frame: Frame, items: Any) -> int:
        return sum(test(frame, at, item) for at, item in enumerate(items))

    return run


def _filter(test: Test) -> Run:
    def run(frame: Frame, items: Any) -> list[Any]:
        kept = [item for at, item in enumerate(items) if test(frame, at, item)]
        frame[BUDGET].allocate(len(kept))
        return kept

    return run


def _found(*, last: bool, index: bool) -> Callable[[Test], Run]:
    """Return what looks for the first or last element that passes; nil if none does."""

    def build(test: Test) -> Run:
        def run(frame: Frame, items: Any) -> Any:
            size = len(items)
            for at in reversed(range(size)) if last else range(size):
                if test(frame, at, items[at]):
                    return at if index else items[at]
            return None

        return run

    return build


# ---------------------------------------------------------------------------- values


def _map(value: Callable[[Frame, int, Any], Any], more: Code | None, places: Places) -> Run:
    del more, places

    def run(frame: Frame, items: Any) -> list[Any]:
        frame[BUDGET].allocate(len(items))
        return [value(frame, at, item) for at, item in enumerate(items)]

    return run


def _sum(value: Callable[[Frame, int, Any], Any], more: Code | None, places: Places) -> Run:
    del more, places

    def run(frame: Frame, items: Any) -> Any:
        total: Any = 0
        for at, item in enumerate(items):
            total = add(total, value(frame, at, item))
        return total

    return run


def _group_by(value: Callable[[Frame, int, Any], Any], more: Code | None, places: Places) -> Run:
    del more, places

    def run(frame: Frame, items: Any) -> Groups:
        made = Groups()
        frame[BUDGET].allocate(len(items))
        for at, item in enumerate(items):
            made.setdefault(key_of(value(frame, at, item)), []).append(item)
        return made

    return run


def _sort_by(value: Callable[[Frame, int, Any], Any], more: Code | None, places: Places) -> Run:
    del places

    def run(frame: Frame, items: Any) -> list[Any]:
        keys = [value(frame, at, item) for at, item in enumerate(items)]
        order = "asc" if more is None else more(frame)
        return in_order(items, keys, order, frame[BUDGET])

    return run


def _reduce(value: Callable[[Frame, int, Any], Any], more: Code | None, places: Places) -> Run:
    def run(frame: Frame, items: Any) -> Any:
        start = 0
        if more is not None:
            total = more(frame)
        elif len(items):
            total, start = items[0], 1
        else:
            raise MissingValue("reduce of an empty list without a first value")
        for at in range(start, len(items)):
            frame[places.total] = total
            total = value(frame, at, items[at])
        return total

    return run


_TESTED: dict[str, Callable[[Test], Run]] = {
    "any": _any,
    "all": _all,
    "none": _none,
    "one": _one,
    "count": _count,
    "filter": _filter,
    "find": _found(last=False, index=False),
    "findIndex": _found(last=False, index=True),
    "findLast": _found(last=True, index=False),
    "findLastIndex": _found(last=True, index=True),
}
_MADE: dict[str, Callable[..., Run]] = {
    "map": _map,
    "sum": _sum,
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}
