"""One row of the table: an old shape, and how it is written today."""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from spine.compat.files import FILE

SENSOR = "Sensor"

NEVER = "never"
"""The `until` of what was never valid where it stands, though many write it there."""


@dataclass(frozen=True, slots=True)
class Row:
    r"""One old shape. In a path `*` stands for any key or index, and `\.` for a dot in a key."""

    kind: str
    at: str
    to: str | None
    """Where its value goes, with the same `*`; None: nowhere."""
    until: str
    """When it was last valid."""
    say: str | Callable[[Any, dict[str, Any]], str] = ""
    """What to write today, or a function of the value and the whole object that tells."""
    refuse: bool = False
    """Whether the shape is an error, because ignoring it would change what the object does."""
    when: Callable[[Any], bool] | None = None
    """Which values are old; all of them where it is None."""
    convert: Callable[[Any], Any] | None = None
    key: str = ""
    """Part of the value that the complaint is about."""


@functools.cache
def steps(path: str) -> tuple[str, ...]:
    """Return the steps of a path of the table."""
    return tuple(step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", path))


def file_ref(path: Any) -> Any:
    """Return the key of a Secret that stands for a file."""
    return {"name": FILE, "key": path}


def key_files(kind: str, parent: str, until: str, *names: str) -> Iterator[Row]:
    """Yield rows for paths of files, such as `caCertPath`, that are Secrets today."""
    for name in names:
        new = name.removesuffix("Path") + "Secret"
        say = f"write {new} with name and key of a Secret"
        yield Row(kind, f"{parent}.{name}", f"{parent}.{new}", until, say, convert=file_ref)


def dropped(kind: str, parent: str, until: str, say: str, *names: str) -> Iterator[Row]:
    """Yield rows for fields that mean nothing any more."""
    for name in names:
        yield Row(kind, f"{parent}.{name}", None, until, say)


def moved(kind: str, old: str, new: str, until: str, *names: str) -> Iterator[Row]:
    """Yield rows for fields that stand elsewhere today, under the same name."""
    for name in names:
        yield Row(kind, f"{old}.{name}", f"{new}.{name}", until)
