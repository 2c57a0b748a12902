"""Rewriting: what the rows of the table say is done to an object."""

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from spine.compat.row import NEVER, Row, steps
from spine.model import Path, Problem, dotted


@dataclass(slots=True)
class Modern:
    """An object in today's shape."""

    raw: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)
    """A warning for each old shape, and an error for each that is refused."""
    moved: dict[Path, Path] = field(default_factory=dict)
    """Old path of what was moved, by its new path."""

    def origin(self, path: Path) -> Path:
        """Return where the user wrote what stands at a path now."""
        for end in range(len(path), 0, -1):
            if (old := self.moved.get(path[:end])) is not None:
                return (*old, *path[end:])
        return path


def rewrite(raw: dict[str, Any], rows: Iterable[Row]) -> Modern:
    """Rewrite an object; the given one is left as it is."""
    modern = Modern(raw)
    for row in rows:
        found = _old(row, modern.raw)
        if found and modern.raw is raw:
            modern.raw = copy.deepcopy(raw)
            found = _old(row, modern.raw)
        for path, value in found:
            _apply(row, path, value, modern)
    return modern


def _old(row: Row, raw: dict[str, Any]) -> list[tuple[Path, Any]]:
    matches = _matches(raw, steps(row.at), ())
    return [(path, value) for path, value in matches if row.when is None or row.when(value)]


def _matches(node: Any, pattern: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, node
        return
    step, rest = pattern[0], pattern[1:]
    if step == "*":
        items: list[tuple[Any, Any]] = []
        if isinstance(node, dict):
            items = list(node.items())
        elif isinstance(node, list):
            items = list(enumerate(node))
        for key, value in items:
            yield from _matches(value, rest, (*path, key))
    elif isinstance(node, dict) and step in node:
        yield from _matches(node[step], rest, (*path, step))


def _apply(row: Row, path: Path, value: Any, modern: Modern) -> None:
    shown = (*modern.origin(path), row.key) if row.key else modern.origin(path)
    say = row.say if isinstance(row.say, str) else row.say(value, modern.raw)
    misplaced = row.until == NEVER
    era = "in the wrong place" if misplaced else f"valid up to {row.until}"
    if row.refuse:
        modern.problems.append(Problem(shown, f"{era}: {say}"))
        _remove(modern.raw, (*path, row.key) if row.key else path)
        return
    if row.to is None and value == {}:  # what is left of something whose parts were moved
        _remove(modern.raw, path)
        return
    taken = row.convert(value) if row.convert else value
    if row.to == row.at:
        _put(modern.raw, path, taken)
    else:
        _remove(modern.raw, path)
        if row.to is not None:
            target = _fill(row.to, row.at, path)
            if not _put(modern.raw, target, taken, missing_only=True):
                say = f"ignored, because {dotted(target)} is there too"
            else:
                say = say or f"write {dotted(target)}"
                modern.moved[target] = modern.origin(path)
        else:
            say = f"ignored: {say}"
    what = era if misplaced else f"old shape, {era}"
    modern.problems.append(Problem(shown, f"{what}: {say}", warning=True))


def _fill(to: str, at: str, path: Path) -> Path:
    """Put what the stars of `at` matched into the stars of `to`."""
    found = iter([step for step, part in zip(path, steps(at), strict=True) if part == "*"])
    return tuple(next(found) if part == "*" else part for part in steps(to))


def _parent(raw: Any, path: Path, *, create: bool = False) -> Any:
    for step in path[:-1]:
        if create and isinstance(raw, dict) and raw.get(step) is None:
            raw[step] = {}
        raw = raw[step]
    return raw


def _remove(raw: Any, path: Path) -> None:
    _parent(raw, path).pop(path[-1], None)


def _put(raw: Any, path: Path, value: Any, *, missing_only: bool = False) -> bool:
    parent = _parent(raw, path, create=True)
    if missing_only and (not isinstance(parent, dict) or path[-1] in parent):
        return False
    parent[path[-1]] = value
    return True
