"""`tocsin run --watch`: follow the manifests while they are edited.

Only what an edit concerns is started again. A broken edit is reported, and what runs stays. The
kernel's notices only wake us up: what counts is whether a file is another one than when the
manifests were read last, so an edit that comes before the watch is not missed.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from spine.errors import ConfigError
from spine.manifest import STDIN, SUFFIXES
from tocsin.checks import Result
from tocsin.supervisor import Fleet

_DEBOUNCE = 300
"""Milliseconds without a change after which an edit counts as done."""
_LOOK = 2000
"""Milliseconds between looks of our own, where no notice comes (network folders)."""

Seen = dict[str, tuple[int, int, int]]
"""Files with their inode, time of change and size."""


class Following(Protocol):
    """What is brought to the manifests."""

    def load(self) -> Result:
        """Read and check the manifests."""
        ...

    async def change(self, result: Result, fleet: Fleet) -> list[str]:
        """Bring what runs to them; return what was done."""
        ...

    def print_rejected(self, exc: ConfigError) -> None:
        """Say that an edit is not taken."""
        ...

    def say(self, text: str) -> None:
        """Print a line."""
        ...


class Watched(Protocol):
    """Where the manifests and values come from."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Files and directories of manifests."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]:
        """Options --secret."""
        ...

    @property
    def config_maps(self) -> tuple[str, ...]:
        """Options --config."""
        ...


def look(options: Watched) -> Seen:
    """Return which files the manifests and values are in just now."""
    seen: Seen = {}
    for given in _files(options):
        for path in _inside(given) if given.is_dir() else (given,):
            with suppress(OSError):
                found = path.stat()
                seen[str(path)] = found.st_ino, found.st_mtime_ns, found.st_size
    return seen


def _inside(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        yield from (Path(parent, n) for n in names if n.endswith(SUFFIXES) and n[0] != ".")


async def watch(local: Following, options: Watched, fleet: Fleet, seen: Seen) -> None:
    """Follow the files until cancelled; `seen` are those that were read."""
    from watchfiles import awatch

    files = _files(options)
    # an editor may replace a file by another, so it is its folder that is watched
    folders = {f if f.is_dir() else f.parent for f in files}
    named = {str(f) for f in files}
    local.say(f"watching {', '.join(options.paths)}")
    changes = awatch(
        *folders,
        watch_filter=lambda _, path: path.endswith(SUFFIXES) or path in named,
        debounce=_DEBOUNCE,
        step=50,
        rust_timeout=_LOOK,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    async for _ in changes:
        now = look(options)
        if now != seen:
            seen = now
            await _follow(local, fleet)


async def _follow(local: Following, fleet: Fleet) -> None:
    try:
        done = await local.change(local.load(), fleet)
    except ConfigError as exc:
        local.print_rejected(exc)
        return
    if done:
        local.say(f"manifests changed: {', '.join(done)}")


def _files(options: Watched) -> list[Path]:
    values = (_file_of(o) for o in (*options.secrets, *options.config_maps))
    paths = (Path(p).absolute() for p in options.paths if p != STDIN)
    return [*paths, *(file for file in values if file is not None)]


def _file_of(option: str) -> Path | None:
    value = option.partition("=")[2]
    return Path(value[1:]).absolute() if value.startswith("@") else None
