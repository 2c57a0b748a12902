"""Values that know where they came from, wherever they are put."""

from typing import Any

from spine.model import Path


class Map(dict[str, Any]):
    """A map that knows where it came from, wherever it is put."""

    origin: Path = ()


class List(list[Any]):
    """A list that knows where it came from."""

    origin: Path = ()


def traced(value: Any, path: Path = ()) -> Any:
    """Return a value of which every map and list knows where it stands."""
    out: Map | List
    if isinstance(value, dict):
        out = Map((key, traced(item, (*path, key))) for key, item in value.items())
    elif isinstance(value, list):
        out = List(traced(item, (*path, at)) for at, item in enumerate(value))
    else:
        return value
    out.origin = path
    return out


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, and not as 1 and true are."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)
