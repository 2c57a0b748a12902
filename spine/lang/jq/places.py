"""Values at paths: got, put, deleted. A path's steps are names, indices and slices."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from spine.lang.jq import values as v

Path = Sequence[Any]

_MOST_ELEMENTS = 1 << 20


def copied(value: Any) -> Any:
    """Return a copy that shares no container with the value."""
    if value.__class__ is dict:
        return {key: copied(item) for key, item in value.items()}
    if value.__class__ is list:
        return [copied(item) for item in value]
    return value


def get_at(value: Any, path: Path) -> Any:
    """Return what is at a path, null if nothing is. Raises JqError."""
    found = value
    try:
        for key in path:
            if not isinstance(found, dict | list | None):
                raise v.inapplicable(f"getpath({v.preview(list(path))})", value)
            found = _step(found, key)
    except _Impassable as exc:
        raise _failed("getpath", f"({v.preview(list(path))})", value, exc) from None
    return found


class _Impassable(v.JqError):
    """A step of a path does not fit what it comes to."""


def _step(value: Any, key: Any) -> Any:
    try:
        return v.index(value, key)
    except v.JqError as exc:
        raise _Impassable(exc.value) from None


def get_path(value: Any, path: Any) -> Any:
    """Return what is at a path that a program made. Raises JqError."""
    if not isinstance(path, list):
        raise v.inapplicable(f"getpath({v.preview(path)})", value)
    return get_at(value, path)


def set_path(value: Any, path: Any, new: Any) -> Any:
    """Return a value with something at a path that a program made. Raises JqError."""
    if not isinstance(path, list):
        raise v.inapplicable(f"setpath({v.preview(path)})", value)
    return set_at(value, path, new)


def put_at(value: Any, path: Path, new: Any, shown: Any) -> Any:
    """Put something into a value, which is changed; return it. Raises JqError."""
    try:
        return _put(value, path, new)
    except v.JqError as exc:
        what = f"({v.preview(list(path))}; {v.preview(new)})"
        raise _failed("setpath", what, shown, exc) from None


def set_at(value: Any, path: Path, new: Any) -> Any:
    """Return a value with something at a path. Raises JqError."""
    return put_at(copied(value), path, copied(new), value)


def delete_paths(value: Any, paths: Any) -> Any:
    """Return a value without what is at paths. Raises JqError."""
    what = f"({v.preview(paths)})"
    if not isinstance(paths, list):
        raise v.inapplicable(f"delpaths{what}", value)
    wrong: Any = next((path for path in paths if not isinstance(path, list)), [])
    if not isinstance(wrong, list):
        reason = v.JqError(f"expected an array but got: {v.shown(wrong)}")
        raise _failed("delpaths", what, value, reason)
    try:
        return without(copied(value), paths)
    except v.JqError as exc:
        raise _failed("delpaths", what, value, exc) from None


def _failed(name: str, arguments: str, value: Any, exc: v.JqError) -> v.JqError:
    return v.JqError(f"{name}{arguments} cannot be applied to {v.preview(value)}: {exc.value}")


# ---------------------------------------------------------------------------- putting


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    key, rest = path[0], path[1:]
    if isinstance(key, str):
        made = {} if value is None else value
        if not isinstance(made, dict):
            raise v.JqError(f"expected an object but got: {v.shown(value)}")
        made[key] = _put(made.get(key), rest, new)
        return made
    if isinstance(key, dict):
        return _put_slice(value, key, rest, new)
    if v.kind(key) != "number":
        raise v.JqError(f"expected a string for object key but got: {v.shown(key)}")
    return _put_element(value, key, rest, new)


def _put_element(value: Any, key: float, rest: Path, new: Any) -> Any:
    made = _list(value)
    at = int(key) if math.isfinite(key) else _MOST_ELEMENTS
    if at < -len(made):
        raise v.JqError(f"array index should not be negative: {at}")
    if at >= _MOST_ELEMENTS:
        raise v.JqError(f"array index too large: {at}")
    made += [None] * (at + 1 - len(made))
    made[at] = _put(made[at], rest, new)
    return made


def _put_slice(value: Any, key: dict[str, Any], rest: Path, new: Any) -> Any:
    made = _list(value)
    low, high = v.bounds(made, *v.limits(key))
    part = _put(made[low:high], rest, new)
    if not isinstance(part, list):
        raise v.JqError(f"expected an array but got: {v.shown(part)}")
    made[low:high] = part
    return made


def _list(value: Any) -> list[Any]:
    made = [] if value is None else value
    if not isinstance(made, list):
        raise v.JqError(f"expected an array but got: {v.shown(value)}")
    return made


# ---------------------------------------------------------------------------- deleting

_GONE = object()


def without(value: Any, paths: Sequence[Path]) -> Any:
    """Delete what is at paths from a value, which is changed; return it. Raises JqError."""
    lists: dict[int, list[Any]] = {}
    longest = paths if len(paths) < 2 else sorted(paths, key=len, reverse=True)  # noqa: PLR2004 -- one needs no order
    for path in longest:  # inner ones while outer ones still exist
        if not path:
            return None
        _delete(value, path, lists)
    for holder in lists.values():
        holder[:] = [item for item in holder if item is not _GONE]
    return value


def _delete(value: Any, path: Path, lists: dict[int, list[Any]]) -> None:
    last = path[-1]
    if len(path) == 1 and value.__class__ is dict and last.__class__ is str:  # most are that plain
        value.pop(last, None)
        return
    for holder, key in _holders(value, path):
        if isinstance(holder, dict) and isinstance(key, str):
            holder.pop(key, None)
        elif isinstance(holder, list) and isinstance(key, range):
            for at in key:
                holder[at] = _GONE
            lists[id(holder)] = holder
        elif holder is not None and holder is not _GONE:
            v.index(holder, key)
            raise v.JqError(f"cannot delete {v.to_json(key)} of: {v.shown(holder)}")


def _holders(value: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the container of what is at a path, with its name there or its indices."""
    for step, key in enumerate(path):
        last = step == len(path) - 1
        if value is _GONE:
            return
        if not isinstance(value, list) or not isinstance(key, dict | int | float):
            if last:
                yield value, key
            else:
                value = v.index(value, key)
            continue
        indices = _indices(value, key)
        if last:
            yield value, indices
        elif isinstance(key, dict):
            yield from _of_slice(value, indices, path[step + 1 :])
            return
        else:
            value = value[indices[0]] if indices else None


def _of_slice(value: list[Any], indices: range, rest: Path) -> Iterator[tuple[Any, Any]]:
    """Go on from a slice: what is deleted of it is deleted of the whole."""
    if isinstance(rest[0], dict | int | float):
        inner = _indices(value[indices.start : indices.stop], rest[0])
        moved = range(indices.start + inner.start, indices.start + inner.stop)
        if len(rest) == 1:
            yield value, moved
        elif isinstance(rest[0], dict):
            yield from _of_slice(value, moved, rest[1:])
        elif moved:
            yield from _holders(value[moved.start], rest[1:])
    else:
        v.index(value, rest[0])


def _indices(value: list[Any], key: Any) -> range:
    if isinstance(key, dict):
        return range(*v.bounds(value, *v.limits(key)))
    at = int(key) if math.isfinite(key) else len(value)
    if not -len(value) <= at < len(value):
        return range(0)
    at %= len(value)
    return range(at, at + 1)
