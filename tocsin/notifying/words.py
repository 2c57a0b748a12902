"""How times, values and columns are written by `tocsin notify`."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from spine.lang.gofmt import verb_v
from spine.lang.gotime import Duration, Time

WIDTH = 12
"""Columns of the left side."""
CUT = 100
"""Characters of a value that are shown."""


def row(label: str, text: str, *, depth: int = 0, word: str = "") -> str:
    """Return a line of two columns; more lines of the text stand below it.

    `word` is the outcome of a condition, which is coloured and stands before the text.
    """
    pad = "  " * depth
    head = f"{pad}{label}".ljust(WIDTH)
    if not head.endswith(" "):
        head += " "
    first, *more = safe(text).split("\n")
    if word:
        first = f"{click.style(word, fg=_COLOURS[word])}  {first}".rstrip()
    return "\n".join([f"{head}{first}", *(f"{' ' * len(head)}{line}".rstrip() for line in more)])


def block(text: str, depth: int) -> Iterator[str]:
    """Yield the lines of a text, moved in."""
    for line in safe(text).split("\n"):
        yield f"{'  ' * depth}{line}".rstrip()


def safe(text: str) -> str:
    """Return a text without what could move the cursor of a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "·" for letter in text)


def plain(value: Any) -> Any:
    """Return a value of an expression as JSON."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Time | Duration):
        return str(verb_v(value))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(verb_v(value))


def short(value: Any, *, whole: bool = False) -> str:
    """Return a value in one line."""
    if value is None:
        return "nil"
    if isinstance(value, Time | Duration):
        return str(verb_v(value))
    text = json.dumps(plain(value), ensure_ascii=False)
    return text if whole or len(text) <= CUT else text[: CUT - 1] + "…"


def moment(seconds: float) -> str:
    """Return a time for people, by their clock."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def stamp(seconds: float) -> str | None:
    """Return a time for JSON; None where there is none."""
    if not seconds:
        return None
    found = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    return found.replace("+00:00", "Z")


def lasting(seconds: float) -> str:
    """Return a duration as it is written in a configuration: `5m`, `1h30m`."""
    left, parts = round(seconds), []
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or f"{seconds:g}s"


def whom(service: str, recipient: str) -> str:
    """Return a destination in words."""
    return f"{service}:{recipient}" if recipient else service


_COLOURS = {"met": "green", "not met": "red", "error": "yellow"}


def warned(severity: str, text: str) -> str:
    """Return a problem, coloured by how bad it is."""
    colour = {"error": "red", "warning": "yellow"}.get(severity, "cyan")
    return f"{click.style(f'{severity}:', fg=colour)} {safe(text)}"
