"""Patterns in `eventSourceName` and `eventName`: `*`, `?`, `[a-z]`, `[!a-z]` and `{one,other}`.

Argo Events has them on NATS Streaming, and nowhere else. A bus knows only `*` for a whole name,
so more is read where a pattern stands for a part of one, and what does not fit is done at once.
Matching takes time in proportion to the name, whatever the pattern.
"""

import fnmatch
import re
from functools import lru_cache

from spine.errors import ConfigError

ANY = "*"
"""Stands for any name."""
MOST = 100
"""Names without braces that one pattern may stand for."""

_SPECIAL = re.compile(r"[*?\[\]{}]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_CLASS = re.compile(r"\[!?[^\[\]]+\]")


def is_pattern(text: str) -> bool:
    """Return whether a name stands for several."""
    return _SPECIAL.search(text) is not None


def fits(pattern: str, name: str) -> bool:
    """Return whether a name is one that a pattern means. Raises ConfigError for a bad pattern."""
    return pattern in {ANY, name} or _compiled(pattern).fullmatch(name) is not None


def check(pattern: str) -> None:
    """Raise ConfigError for what is no pattern."""
    _compiled(pattern)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    alternatives = _expand(pattern)
    for text in alternatives:
        rest = _CLASS.sub("", text)
        if "[" in rest or "]" in rest:
            raise _bad(pattern, "a bracket has no partner, or nothing between")
    return re.compile("|".join(fnmatch.translate(text) for text in alternatives))


def _expand(pattern: str) -> list[str]:
    """Return patterns without braces."""
    done, left = [], [pattern]
    while left:
        text = left.pop()
        found = _BRACES.search(text)
        if found is None:
            done.append(text)
        else:
            parts = found[1].split(",")
            left += [f"{text[: found.start()]}{part}{text[found.end() :]}" for part in parts]
        if len(done) + len(left) > MOST:
            raise _bad(pattern, f"its braces mean more than {MOST} names")
    if any("{" in text or "}" in text for text in done):
        raise _bad(pattern, "a brace has no partner")
    return done


def _bad(pattern: str, why: str) -> ConfigError:
    hint = "patterns are *, ?, [a-z], [!a-z] and {one,other}"
    return ConfigError(f"reading pattern {pattern!r}: {why}", hint=hint)
