"""Patterns of `group/Kind`: `*`, `?`, `[a-z]`, `{a,b}`; `*` goes over a slash, too."""

import re
from typing import NamedTuple

from spine.errors import ConfigError
from spine.lang import regex

_PART = re.compile(r"\\.|\*+|\?|\[[!^]?[^\]]+\]|[{},]|[^\\*?\[{},]+|.", re.DOTALL)
_LITERAL = re.compile(r"[^*?\[{\\]*")
_LONGEST = 253


class Glob(NamedTuple):
    """A compiled pattern."""

    source: str
    literal: int
    """Characters before the first that is not literal: the more, the closer it is."""
    pattern: regex.Pattern

    def matches(self, text: str) -> bool:
        """Say whether all of a text fits."""
        return self.pattern.search(text)


def is_glob(text: str) -> bool:
    """Say whether a key is a pattern, not a name."""
    return _LITERAL.fullmatch(text) is None


def glob(source: str) -> Glob:
    """Compile a pattern. Raises ValueError where it is none."""
    if len(source) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} characters")
    literal = _LITERAL.match(source)
    out, depth = "", 0
    for part in _PART.findall(source):
        if part == "{":
            depth, out = depth + 1, out + "(?:"
        elif part == "}" and depth:
            depth, out = depth - 1, out + ")"
        elif part == "," and depth:
            out += "|"
        else:
            out += _translated(part)
    if depth:
        raise ValueError("nothing closes {")
    try:
        pattern = regex.compile(f"(?s)^(?:{out})$")
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    return Glob(source, literal.end() if literal else 0, pattern)


def _translated(part: str) -> str:
    if part[0] == "*":
        return ".*"
    if part == "?":
        return "."
    if len(part) > 1 and part[0] == "[":
        inner = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]"
    return regex.quote(part[1:] if len(part) > 1 and part[0] == "\\" else part)
