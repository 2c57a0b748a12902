"""YAML of one key of the configuration, read as the Argo Notifications Engine reads it.

Scalars are those of YAML 1.1, of keys that stand twice the last counts, and only the first document
is read. Every value keeps its line, and numbers have the text that Go gives them: `1.50` for a
text is `1.5`. (Go rounds such a number to 32 bits first; digits that it loses are kept here.)
"""

import re
from dataclasses import dataclass, field
from typing import Any

from spine.errors import ConfigError
from spine.lang.gofmt import verb_v
from spine.marked import Document, Malformed, documents
from spine.model import Path, dotted

MOST = 1024 * 1024
"""Letters of one value; a whole ConfigMap has no more."""


DEEPEST = 100
"""Levels of maps and lists in a value."""


class Undecodable(ConfigError):
    """A value that is no YAML; line and column are within it, from 1."""

    def __init__(self, message: str, *, hint: str = "", line: int = 1, column: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.line, self.column = line, column


@dataclass(slots=True)
class Decoded:
    """The value of one key."""

    value: Any = None
    positions: dict[Path, tuple[int, int]] = field(default_factory=dict, repr=False)
    words: dict[Path, str] = field(default_factory=dict, repr=False)
    """Booleans written as a word such as `on`, by path."""
    warnings: list[tuple[Path, str]] = field(default_factory=list)

    def place(self, path: Path) -> tuple[int, int]:
        """Return line and column of a path, or of the nearest thing around it.

        The case of keys does not matter.
        """
        wanted = _folded(path)
        found, depth = (1, 1), -1
        for known, place in self.positions.items():
            if depth < len(known) <= len(path) and _folded(known) == wanted[: len(known)]:
                found, depth = place, len(known)
        return found


def _folded(path: Path) -> Path:
    return tuple(step.lower() if isinstance(step, str) else step for step in path)


def decode(text: str) -> Decoded:
    """Read a value. Raises Undecodable."""
    if len(text) > MOST:
        raise Undecodable(f"it has {len(text)} letters, at most {MOST} are read")
    found: list[Document] = []
    try:
        for document in documents(text, last_wins=True):
            found.append(document)
            if len(found) > 1:
                break
    except Malformed as exc:
        if not found:
            raise _explained(text, exc) from exc
    if not found:
        return Decoded()
    first = found[0]
    deep = next((path for path in first.positions if len(path) > DEEPEST), None)
    if deep is not None:
        line, column = first.positions[deep]
        message = f"nested more than {DEEPEST} levels deep"
        raise Undecodable(message, line=line, column=column)
    decoded = Decoded(first.value, first.positions, first.words)
    decoded.warnings += [
        (path, f"{dotted(path[-1:])!r} stands more than once: the last one counts")
        for path in dict.fromkeys(first.repeated)
    ]
    if len(found) > 1:
        decoded.warnings.append(((), "what follows the line --- is not read"))
    return decoded


_OPEN = re.compile(r"^(?:\s*-\s)*\s*(?:[\w.-]+\s*:\s+)?\{\{.*")
"""A line whose value begins with a template, outside of quotes."""
_INSIDE = re.compile(r"[:,\[{]\s+\{\{")


def _explained(text: str, exc: Malformed) -> Undecodable:
    """Tell of a template without quotes, which YAML takes for a map; else what YAML says."""
    lines = text.splitlines()
    for number in (exc.line, exc.line - 1):
        line = lines[number - 1] if 0 < number <= len(lines) else ""
        if _OPEN.match(line) or _INSIDE.search(line):
            return Undecodable(
                f"not YAML: {line.strip()[:60]!r} begins with {{{{, which is a map to YAML",
                hint='put the template in quotes: "{{ … }}", or behind >-',
                line=number,
                column=line.find("{{") + 1,
            )
    return Undecodable(str(exc), line=min(exc.line, len(lines) or 1), column=exc.column)


def text_of(value: Any) -> str:
    """Return the text of a scalar where a text is wanted: `true`, `5`, `1.5`, nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else verb_v(value)
