"""Members, elements and parts of values that are only known when a program runs."""

from collections.abc import Mapping
from typing import Any

from spine.lang import EvaluationError, govalue
from spine.lang.exprlang.operators import whole
from spine.lang.exprlang.values import (
    AnyMap,
    Byte,
    Groups,
    MissingValue,
    key_of,
    shown,
)
from spine.lang.gotime import method


def fetch(base: Any, key: Any) -> Any:
    """Return a member or an element. Raises EvaluationError, MissingValue for those of nil."""
    if base is None:
        raise MissingValue(f"cannot fetch {_key_text(key)} from <nil>")
    if isinstance(base, list | bytes | str):
        return _element(base, key)
    if isinstance(base, Groups | AnyMap):
        found = base.get(key_of(key))
        return [] if found is None and isinstance(base, Groups) else found
    if isinstance(base, Mapping):
        if key.__class__ is str:
            return base.get(key)
        if key is None:
            return base.get("")
        raise EvaluationError(f"{shown(key)} cannot be a key of this map")
    if key.__class__ is str:
        found = method(base, key)
        if found is not None:
            return lambda *args: found(base, *args)
    raise EvaluationError(f"cannot fetch {_key_text(key)} from {shown(base)}")


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else shown(key) if key is None else str(key)


def _element(base: Any, key: Any) -> Any:
    if key is None or key.__class__ in {str, bool}:
        raise EvaluationError(f"cannot fetch {_key_text(key)} from {shown(base)}")
    at = whole(key)
    data = govalue.encode(base) if isinstance(base, str) else base
    size = len(data)
    if not -size <= at < size:
        raise MissingValue(f"index out of range: {at} (length is {size})")
    return data[at] if isinstance(base, list) else Byte(data[at])


def sliced(base: Any, start: Any, stop: Any) -> Any:
    """Return a part of a list or of the bytes of a text; None is an end that is not said."""
    if isinstance(base, str):
        part = _part(govalue.encode(base), start, stop)
        return govalue.decode(part)
    if isinstance(base, list | bytes):
        return type(base)(_part(base, start, stop))
    fault = MissingValue if base is None else EvaluationError
    raise fault(f"cannot slice {shown(base)}")


def _part(data: Any, start: Any, stop: Any) -> Any:
    size = len(data)
    first = _bound(0 if start is None else start, size)
    last = _bound(size if stop is None else stop, size)
    return data[min(first, last) : last]


def _bound(at: Any, size: int) -> int:
    if at.__class__ is bool or not isinstance(at, int | float):
        raise EvaluationError(f"cannot slice at {shown(at)}")
    number = whole(at)
    return max(0, size + number if number < 0 else min(number, size))
