"""A folder of this machine, as one look finds it. Everything here blocks: it is run in a thread."""

import os
import stat
from collections.abc import Iterable
from errno import ENOTDIR
from pathlib import Path
from typing import NamedTuple, Self

ITSELF = "."
"""The name under which a folder's own mark stands among those of its files."""


class Mark(NamedTuple):
    """What a file is known by; times in nanoseconds."""

    file: int
    """Its number in the file system (inode), which stays when it is renamed."""
    size: int
    written: int
    """When its content changed (mtime)."""
    changed: int
    """When anything of it changed (ctime)."""
    mode: int
    touched: int
    """1 where all its times are one, as after `touch`."""

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Return the mark of what `lstat` found."""
        touched = found.st_atime_ns == found.st_mtime_ns == found.st_ctime_ns
        return cls(
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_mode,
            int(touched),
        )

    @property
    def core(self) -> tuple[int, int]:
        """What stays when it is renamed; its number alone may be given to the next file."""
        return self.file, self.written

    @property
    def is_folder(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)


def identity(path: str) -> tuple[int, int]:
    """Return which directory a path leads to. Raises OSError, also where it is none."""
    found = Path(path).stat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), path)
    return found.st_dev, found.st_ino


def scan(path: str) -> dict[str, Mark]:
    """Return the mark of all that is in a directory, and its own. Raises OSError."""
    found = {ITSELF: Mark.of(Path(path).stat())}
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                mark = Mark.of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue  # gone since
            found[readable(entry.name)] = mark
    return found


def look(path: str, names: Iterable[str]) -> dict[str, Mark | None]:
    """Return the marks of some files; None for those that are not there."""
    found: dict[str, Mark | None] = {}
    for name in names:
        try:
            found[name] = Mark.of(os.lstat(f"{path}/{name}"))
        except (OSError, ValueError):
            found[name] = None
    return found


def homes(path: str, files: set[int]) -> dict[str, Mark]:
    """Return what is found where files of these numbers are now; other files are not looked at."""
    names = []
    try:
        with os.scandir(path) as entries:
            names = [readable(entry.name) for entry in entries if entry.inode() in files]
    except OSError:
        pass  # the folder has gone, and all names with it
    return {name: mark for name, mark in look(path, names).items() if mark is not None}


def readable(name: str) -> str:
    """Return a name with U+FFFD for what is no UTF-8, as events have it."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
