"""Maps: made, read and changed. Those that change one say so, so that an event is copied first."""

from collections.abc import Callable
from typing import Any

from spine.lang import EvaluationError
from spine.lang.gotemplate.functions import mismatch
from spine.lang.gotemplate.runtime import bounded
from spine.lang.gotemplate.sprig.words import text_of
from spine.lang.govalue import Strings

Map = dict[str, Any]


def _dict(*values: Any) -> Map:
    made: Map = {}
    for at in range(0, len(values), 2):
        made[text_of(values[at])] = values[at + 1] if at + 1 < len(values) else ""
    return made


def _get(given: Map | None, key: str) -> Any:
    return (given or {}).get(key, "")


def _set(given: Map | None, key: str, value: Any) -> Map:
    if given is None:
        raise EvaluationError("assignment to entry in nil map")
    bounded(len(given))
    given[key] = value
    return given


def _unset(given: Map | None, key: str) -> Map | None:
    if given is not None:
        given.pop(key, None)
    return given


def _pluck(key: str, *given: Map | None) -> list[Any]:
    return [one[key] for one in given if one is not None and key in one]


def _keys(*given: Map | None) -> Strings:
    return Strings(key for one in given for key in sorted(one or {}))


def _values(given: Map | None) -> list[Any]:
    return [] if given is None else [given[key] for key in sorted(given)]


def _pick(given: Map | None, *keys: str) -> Map:
    return {key: given[key] for key in keys if given is not None and key in given}


def _omit(given: Map | None, *keys: str) -> Map:
    return {key: value for key, value in (given or {}).items() if key not in keys}


def _dig(*given: Any) -> Any:
    """Return what is at a path of keys; the last two arguments are the default and the map."""
    if len(given) < 3:  # noqa: PLR2004 -- a key, a default, a map
        raise EvaluationError("dig needs at least three arguments")
    *keys, default, value = given
    for index, key in enumerate(keys):
        if type(value) is not dict:
            raise mismatch("map", value)
        if not isinstance(key, str):
            raise mismatch("string", key)
        if key not in value:
            return _checked(keys[index:], default)
        value = value[key]
    return value


def _checked(keys: list[Any], default: Any) -> Any:
    for key in keys:
        if not isinstance(key, str):
            raise mismatch("string", key)
    return default


def _merged(into: Map, given: Map, *, overwrite: bool) -> None:
    for key, value in list(given.items()):  # one may be part of the other
        there = into.get(key)
        if isinstance(there, dict) and isinstance(value, dict) and (there or overwrite):
            _merged(there, value, overwrite=overwrite)
        elif overwrite or not there:
            into[key] = value


def _merging(*, overwrite: bool) -> Callable[..., Any]:
    def merge(into: Map | None, *given: Map | None) -> Any:
        for one in given:
            if one:
                if into is None:
                    raise EvaluationError("assignment to entry in nil map")
                _merged(into, one, overwrite=overwrite)
        return into

    return merge


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return type(value)((key, _copied(item)) for key, item in value.items())
    if isinstance(value, list):
        return type(value)(map(_copied, value))
    return value


def _deep_copy(value: Any) -> Any:
    if value is None:
        raise EvaluationError("nil has no copy")
    return _copied(value)


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("dict", "...any", _dict),
    ("get", "map string", _get),
    ("hasKey", "map string", lambda given, key: key in (given or {})),
    ("pluck", "string ...map", _pluck),
    ("keys", "...map", _keys),
    ("values", "map", _values),
    ("pick", "map ...string", _pick),
    ("omit", "map ...string", _omit),
    ("dig", "...any", _dig),
    ("deepCopy", "any", _deep_copy),
    ("mustDeepCopy", "any", _deep_copy),
]

CHANGING: list[tuple[str, str, Callable[..., Any]]] = [
    ("set", "map string any", _set),
    ("unset", "map string", _unset),
    ("merge", "map ...map", _merging(overwrite=False)),
    ("mustMerge", "map ...map", _merging(overwrite=False)),
    ("mergeOverwrite", "map ...map", _merging(overwrite=True)),
    ("mustMergeOverwrite", "map ...map", _merging(overwrite=True)),
]
"""Those that change their first argument."""
