"""What happened to files, found by comparing how they were with how they are. Pure.

The file system's own notices tell which names to look at, without order or number: a file that
came and went between two looks, one that was replaced. What they leave open is told by the marks:

- a file that appears with content is CREATE and WRITE, unless it was here under another name;
- a name that went is RENAME if its file is still here, else REMOVE (moved elsewhere, too);
- a new time of writing is WRITE, anything else about a file CHMOD.
"""

from collections.abc import Container, Iterable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from eventsource.files.folder import ITSELF, Mark
from eventsource.files.happening import CHMOD, CREATE, REMOVE, RENAME, WRITE

M = TypeVar("M", bound=tuple[int, ...])

ADDED, MODIFIED, DELETED = 1, 2, 4
"""What the file system said of a name, as bits."""


class Change(NamedTuple, Generic[M]):
    """What happened to one file."""

    name: str
    ops: tuple[int, ...]
    """One event each, in this order."""
    mark: M | None
    """How it is now; None: it is gone."""
    stamp: M | None
    """What the ids of its events are made of; None where another such change may look the same."""


# ---------------------------------------------------------------------------- by notices


def noticed(
    notices: Mapping[str, int],
    known: Mapping[str, Mark],
    now: Mapping[str, Mark | None],
    moved: Container[str] = (),
) -> list[Change[Mark]]:
    """Return what notices of names come down to; `moved` are the names that went elsewhere."""
    cores = {mark.core for mark in now.values() if mark is not None}
    before = _names(known, cores)
    found: list[Change[Mark]] = []
    for name, notice in notices.items():
        was, mark = known.get(name), now[name]
        gone = RENAME if name in moved else REMOVE
        old = mark is not None and any(other != name for other in before.get(mark.core, ()))
        ops, after = _of_notice(notice, was, mark, gone=gone, old=old)
        if ops or after != was:
            stamp = None if after == was else after or was
            found.append(Change(name, tuple(ops), after, stamp))
    found.sort(key=_moment)
    return found


def moved(
    gone: Mapping[str, Mark], known: Mapping[str, Mark], here: Mapping[str, Mark]
) -> set[str]:
    """Return which of the names that went have their file under a name that it did not have."""
    new = {mark.core for name, mark in here.items() if not _same(known.get(name), mark)}
    return {name for name, mark in gone.items() if mark.core in new}


def _same(was: Mark | None, mark: Mark) -> bool:
    return was is not None and was.core == mark.core


def _names(marks: Mapping[str, Mark], cores: Container[tuple[int, int]]) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for name, mark in marks.items():
        if mark.core in cores:
            found.setdefault(mark.core, []).append(name)
    return found


def _of_notice(
    notice: int, was: Mark | None, mark: Mark | None, *, gone: int, old: bool
) -> tuple[list[int], Mark | None]:
    """Return the operations on one name, and the mark that is known from then on."""
    ops: list[int] = []
    if notice & DELETED:
        if was is None and notice & ADDED:
            ops += [CREATE, WRITE] if notice & MODIFIED else [CREATE]
        ops.append(gone)
        if not notice & ADDED or mark is None:
            return ops, None  # if it is there again, its notice is on the way
        return [*ops, *_appeared(mark, old=old)], mark
    if mark is None:  # it went, and the notice of that is on the way
        if notice & ADDED:
            ops.append(CREATE)
        if notice & MODIFIED:
            ops.append(WRITE)
        return ops, was
    if was is None or was.file != mark.file:
        return _appeared(mark, old=old), mark
    if notice & ADDED and not notice & MODIFIED and was == mark:
        return [], mark  # found by a scan that was faster
    return _altered(was, mark) or ([WRITE] if notice & MODIFIED else []), mark


def _appeared(mark: Mark, *, old: bool) -> list[int]:
    if old or mark.is_folder or not mark.size or _is_link(mark):
        return [CREATE]
    return [CREATE, WRITE]


def _is_link(mark: Mark) -> bool:
    return mark.mode & 0o170000 == 0o120000  # noqa: PLR2004 -- S_ISLNK


def _altered(was: Mark, mark: Mark) -> list[int]:
    """Return what happened to a file that is still the same one."""
    if mark.is_folder:
        return [CHMOD] if was.mode != mark.mode else []
    ops = []
    if was.size != mark.size or (was.written != mark.written and not mark.touched):
        ops.append(WRITE)
    if was.mode != mark.mode or (not ops and was.changed != mark.changed):
        ops.append(CHMOD)
    return ops


def _moment(change: Change[Mark]) -> tuple[int, str]:
    """Order by when things happened, as far as that can be known: what went comes first."""
    return (change.mark.changed if change.mark is not None else 0, change.name)


# ---------------------------------------------------------------------------- by a scan


def compared(known: Mapping[str, Mark], now: Mapping[str, Mark]) -> list[Change[Mark]]:
    """Return what differs, as notices would have told it."""
    gone = {name: known[name] for name in known.keys() - now.keys() - {ITSELF}}
    elsewhere = moved(gone, known, now)
    found = [
        Change(name, (RENAME if name in elsewhere else REMOVE,), None, was)
        for name, was in gone.items()
    ]
    cores = {mark.core for mark in known.values()}
    for name, mark in now.items():
        was_there = known.get(name)
        if name == ITSELF or was_there == mark:
            continue
        if was_there is None or was_there.file != mark.file:
            ops = _appeared(mark, old=mark.core in cores)
        else:
            ops = _altered(was_there, mark)
        found.append(Change(name, tuple(ops), mark, mark))
    found.sort(key=_moment)
    return found


def polled(known: Mapping[str, Mark], now: Mapping[str, Mark]) -> list[Change[Mark]]:
    """Return what differs, as the polling of Argo Events tells it.

    A file that was renamed is one RENAME with the old name; a file that is replaced or whose time
    changed is WRITE; the folder itself is among its files.
    """
    found: list[Change[Mark]] = []
    for name in sorted(known.keys() & now.keys()):
        was, mark = known[name], now[name]
        if was != mark:
            ops = (WRITE,) * (was.written != mark.written) + (CHMOD,) * (was.mode != mark.mode)
            found.append(Change(name, ops, mark, mark))
    new = {now[name].core: name for name in sorted(now.keys() - known.keys(), reverse=True)}
    for name in sorted(known.keys() - now.keys()):
        was = known[name]
        if (other := new.pop(was.core, None)) is None:
            found.append(Change(name, (REMOVE,), None, was))
        else:
            found.append(Change(name, (RENAME,), None, was))
            found.append(Change(other, (), now[other], None))
    paired = {change.name for change in found}
    came = sorted(now.keys() - known.keys() - paired)
    return [*found, *(Change(name, (CREATE,), now[name], now[name]) for name in came)]


# ---------------------------------------------------------------------------- by a listing


def listed(known: Mapping[str, M], now: Mapping[str, M]) -> list[Change[M]]:
    """Return what differs between two listings: what is gone first, then what is new or other."""
    gone: Iterable[Change[M]] = (
        Change(name, (REMOVE,), None, known[name]) for name in sorted(known.keys() - now.keys())
    )
    new: Iterable[Change[M]] = (
        Change(name, (CREATE,), mark, mark)
        for name, mark in sorted(now.items())
        if known.get(name) != mark
    )
    return [*gone, *new]
