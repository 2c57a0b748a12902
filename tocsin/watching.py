"""`tocsin run --watch`: follow the manifests while they are edited.

Only what an edit concerns is started again. A broken edit is reported, and what runs stays.
"""

from functools import partial
from pathlib import Path
from typing import Protocol

from spine.errors import ConfigError
from spine.manifest import STDIN, SUFFIXES
from tocsin.checks import Result
from tocsin.supervisor import Fleet

_DEBOUNCE = 300
"""Milliseconds without a change after which an edit counts as done."""


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


async def watch(local: Following, options: Watched, fleet: Fleet) -> None:
    """Follow the files until cancelled."""
    from watchfiles import awatch

    files = _files(options)
    # an editor may replace a file by another, so it is its folder that is watched
    folders = {f if f.is_dir() else f.parent for f in files}
    local.say(f"watching {', '.join(options.paths)}")
    async for _ in awatch(
        *folders, watch_filter=partial(_concerned, files), debounce=_DEBOUNCE, step=50
    ):
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


def _concerned(files: list[Path], _: object, path: str) -> bool:
    """Whether a changed file is one of those that are read."""
    changed = Path(path)
    for file in files:
        if changed == file:
            return True
        if changed.suffix in SUFFIXES and changed.is_relative_to(file):
            return not any(part.startswith(".") for part in changed.relative_to(file).parts)
    return False


def _file_of(option: str) -> Path | None:
    value = option.partition("=")[2]
    return Path(value[1:]).absolute() if value.startswith("@") else None
