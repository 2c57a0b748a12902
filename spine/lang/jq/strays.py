"""Where values stand in the input: their paths, and values that were made and so have none.

As in gojq a filter's paths are followed while it runs: from a value that is not what its path
leads to nothing can be reached.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from spine.lang.jq import values as v
from spine.lang.jq.code import BUDGET, Code, Paths, Variables

Path = tuple[Any, ...]


class Stray(NamedTuple):
    """The path of a value that is not what stands there."""

    path: Path
    at: Any
    """What stands there."""


def straight(paths: Paths, value: Any, variables: Variables) -> Iterator[Path]:
    """Yield paths from a value on. Raises JqError for a Stray."""
    for path, found in paths((), value, variables):
        if isinstance(path, Stray):
            raise v.JqError(f"invalid path against: {v.shown(found)}")
        yield path


def astray(code: Code, path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
    """Yield the outputs of a filter that makes values; one that stands there has its path."""
    base, at = path if isinstance(path, Stray) else (path, value)
    for made in code.many(value, variables):
        yield (base if same(made, at) else Stray(base, at)), made


def same(made: Any, at: Any) -> bool:
    """Say whether a value is what stands there; of equal texts and numbers none can tell."""
    if made is at:
        return True
    return not isinstance(at, list | dict) and v.kind(made) == v.kind(at) and v.equal(made, at)


def onward(path: Any, found: Any, how: str = "against") -> Any:
    """Return a path that one may go on from. Raises JqError for a Stray."""
    if isinstance(path, Stray):
        raise v.JqError(f"invalid path {how}: {v.shown(found)}")
    return path


def members(place: Path, found: Any) -> Iterator[tuple[Path, Any]]:
    """Yield what is in a value, with its path."""
    names = sorted(found) if isinstance(found, dict) else range(len(v.items(found)))
    for name in names:
        yield (*place, name), found[name]


def recursed(body: Paths) -> Paths:
    """Return the paths of `recurse(body)`."""

    def paths(path: Any, value: Any, variables: Variables) -> Iterator[tuple[Any, Any]]:
        step, waiting = variables[BUDGET].step, [iter([(path, value)])]
        while waiting:
            for place, found in waiting[-1]:
                step()
                yield place, found
                waiting.append(body(place, found, variables))
                break
            else:
                waiting.pop()

    return paths
