"""Writes what came into a file of golden cases, and leaves every other line as it was."""

from typing import Any

import yaml

from spine.errors import ConfigError
from spine.marked import documents
from tocsin.cases import File

_PARTS = ("want", "refused")


def rewritten(file: File, found: dict[int, dict[str, Any]]) -> str:
    """Return the text of a file with other wants of some cases, by their number.

    Raises ConfigError where the text is written so that a part of it cannot be replaced.
    """
    lines = file.text.splitlines()
    for number in sorted(found, reverse=True):  # from the end, so that lines keep their numbers
        lines = _case(file, lines, number, found[number])
    text = "\n".join(lines) + "\n"
    _require_same(file, text, found)
    return text


def _case(file: File, lines: list[str], number: int, parts: dict[str, Any]) -> list[str]:
    positions = file.document.positions
    keys = {p[2]: at for p, at in positions.items() if len(p) == 3 and p[:2] == ("cases", number)}  # noqa: PLR2004 -- cases, number, key
    column = min(at[1] for at in keys.values()) - 1
    spans = [_span(lines, keys[key][0] - 1, column) for key in _PARTS if key in keys]
    if spans:
        start = min(span[0] for span in spans)
        kept = [n for span in spans for n in range(*span)]
    else:
        start = max(_span(lines, at[0] - 1, column)[1] for at in keys.values())
        kept = []
    written = yaml.safe_dump(parts, sort_keys=False, allow_unicode=True, width=100)
    block = [f"{' ' * column}{line}" for line in written.splitlines()]
    before = [line for n, line in enumerate(lines[:start]) if n not in kept]
    after = [line for n, line in enumerate(lines[start:], start) if n not in kept]
    return [*before, *block, *after]


def _span(lines: list[str], start: int, column: int) -> tuple[int, int]:
    """Return the lines of a key and its value, from the first up to but without the last."""
    end = start + 1
    while end < len(lines) and _belongs(lines[end], column):
        end += 1
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip()[0] == "#"):
        end -= 1
    return start, end


def _belongs(line: str, column: int) -> bool:
    text = line.lstrip(" ")
    indent = len(line) - len(text)
    return not text or indent > column or (indent == column and text.startswith("- "))


def _require_same(file: File, text: str, found: dict[int, dict[str, Any]]) -> None:
    """Refuse a text in which anything but those parts is another."""
    old = file.document.value["cases"]
    wanted = [
        {k: v for k, v in case.items() if number not in found or k not in _PARTS}
        | found.get(number, {})
        for number, case in enumerate(old)
    ]
    new = [d for d in documents(text, is_json=False) if d.value is not None]
    if len(new) != 1 or new[0].value != {**file.document.value, "cases": wanted}:
        raise ConfigError(
            f"updating {file.path}: its cases are not written line by line",
            hint="write each key of a case on a line of its own",
        )
