"""Takes paths apart, one component at a time.

What a component means depends on what it meets: `0` is a key of an object and an index of an
array, `#` is special for arrays only. So each is read twice, once for either.
"""

from dataclasses import dataclass
from functools import lru_cache

_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")

MODIFIERS = frozenset(
    "dig flatten fromstr group join keys pretty reverse this tostr ugly valid values".split()  # noqa: SIM905 -- readable
)
"""Names of what may stand after `@`; any other name is a plain key."""


@dataclass(frozen=True, slots=True)
class Key:
    """A component that meets an object."""

    name: str
    """The key; with `wild` a pattern, in which escapes are kept."""
    wild: bool
    rest: str | None
    """What applies to the member's value."""
    pipe: str | None
    """What applies to the result of all that is before it."""

    def matches(self, name: str) -> bool:
        """Say whether a member of that name is meant."""
        return glob(name, self.name) if self.wild else name == self.name


@dataclass(frozen=True, slots=True)
class Condition:
    """The inside of `#(...)`."""

    path: str
    operator: str
    """Empty when only existence counts."""
    operand: str
    every: bool
    """Whether it stands for all elements that match, written `#(...)#`."""


@dataclass(frozen=True, slots=True)
class Index:
    """A component that meets an array."""

    number: int | None
    """The element; None for a name, which no array has."""
    count: bool
    """Whether it is `#`: the number of elements or, with `each`, something of each."""
    each: str | None
    condition: Condition | None
    rest: str | None
    pipe: str | None


@lru_cache(maxsize=4096)
def key(path: str) -> Key:
    """Return the first component of a path as an object sees it."""
    text: list[str] = []
    wild, at, size = _is_wild(path), 0, len(path)
    while at < size:
        char = path[at]
        if char == "\\":
            escaped = path[at + 1 : at + 2]
            text.append(char + escaped if wild and escaped in {"*", "?", "\\"} else escaped)
            at += 2
            continue
        if char in "|.":
            rest, pipe = _split(path, at)
            return Key("".join(text), wild, rest, pipe)
        text.append(char)
        at += 1
    return Key("".join(text), wild, None, None)


@lru_cache(maxsize=4096)
def index(path: str) -> Index:
    """Return the first component of a path as an array sees it."""
    counts, every, condition, at, size = False, False, None, 0, len(path)
    while at < size:
        char = path[at]
        if char in "|.":
            break
        if char == "#":
            counts = True
            if at == 0 and path[1:2] == ".":
                each, pipe = split_pipe(path[2:])
                return Index(None, True, each, None, None, pipe)
            if at == 0 and path[1:2] in {"(", "["}:
                end = _query_end(path, 1)
                if end is None:
                    return Index(None, False, None, None, None, None)
                every = path[end : end + 1] == "#"
                condition = _condition(path[2 : end - 1], every=every)
                at = end
                continue
        at += 1
    rest, pipe = _split(path, at, dotted=counts) if at < size else (None, None)
    if condition is not None and rest is not None:
        rest, pipe = split_pipe(rest)
    part = path[:at]
    number = int(part) if part.isascii() and part.isdigit() and len(part) < 20 else None  # noqa: PLR2004 -- digits of 64 bits
    return Index(number, part == "#", None, condition, rest, pipe)


def split_pipe(path: str) -> tuple[str, str | None]:
    """Split a path at its first `|` that is not inside a query or a multipath at its start."""
    at, size = 0, len(path)
    if path[:1] in {"{", "["}:
        at = closing(path, 0)
    while at < size:
        char = path[at]
        if char == "\\":
            at += 2
        elif char == "|":
            return path[:at], path[at + 1 :]
        elif char == "#" and path[at + 1 : at + 2] in {"(", "["}:
            at = _query_end(path, at + 1) or size
        else:
            at += 1
    return path, None


def closing(path: str, start: int) -> int:
    """Return the position behind the bracket that closes the one at a position, else the end."""
    depth, at, size = 0, start, len(path)
    while at < size:
        char = path[at]
        if char == "\\":
            at += 1
        elif char == '"':
            at = string_end(path, at) - 1
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return size


def string_end(path: str, start: int) -> int:
    """Return the position behind the quote that closes the one at a position, else the end."""
    at, size = start + 1, len(path)
    while at < size:
        if path[at] == "\\":
            at += 1
        elif path[at] == '"':
            return at + 1
        at += 1
    return size


def modifier(path: str) -> tuple[str, str, str] | None:
    """Return name, argument and rest of a path that starts with a modifier."""
    end = 1
    while end < len(path) and path[end] not in ".|:":
        end += 1
    name = path[1:end]
    if name not in MODIFIERS:
        return None
    if path[end : end + 1] != ":":
        return name, "", path[end:]
    start = end + 1
    first = path[start : start + 1]
    if first in {"{", "["}:
        end = closing(path, start)
    elif first == '"':
        end = string_end(path, start)
    else:
        end = path.find("|", start)
        end = len(path) if end < 0 else end
    return name, path[start:end], path[end:]


def glob(text: str, pattern: str) -> bool:
    """Say whether a text matches a pattern of `*`, `?` and escaped characters.

    Takes at most the product of both lengths in steps.
    """
    at, spot, star, retry = 0, 0, -1, 0
    while at < len(text):
        char = pattern[spot : spot + 1]
        if char == "*":
            star, retry, spot = spot, at, spot + 1
        elif char == "?" or (char == "\\" and pattern[spot + 1 : spot + 2] == text[at]):
            at, spot = at + 1, spot + (1 if char == "?" else 2)
        elif char and char != "\\" and char == text[at]:
            at, spot = at + 1, spot + 1
        elif star >= 0:
            retry += 1
            at, spot = retry, star + 1
        else:
            return False
    return not pattern[spot:].strip("*")


def _is_wild(path: str) -> bool:
    """Say whether the first component has a wildcard that is not escaped."""
    at = 0
    while at < len(path) and path[at] not in ".|":
        if path[at] in "*?":
            return True
        at += 2 if path[at] == "\\" else 1
    return False


def _split(path: str, at: int, *, dotted: bool = False) -> tuple[str | None, str | None]:
    """Return rest and pipe behind a separator; before some components a dot pipes as well."""
    behind = path[at + 1 :]
    if path[at] == "|":
        return None, behind
    if not dotted and behind and (behind[0] in "[{" or (behind[0] == "@" and modifier(behind))):
        return None, behind
    return behind, None


def _query_end(path: str, start: int) -> int | None:
    """Return the position behind a query's closing bracket."""
    depth, at = 0, start
    while at < len(path):
        char = path[at]
        if char == "\\":
            at += 1
        elif char == '"':
            at = string_end(path, at) - 1
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return None


def _condition(text: str, *, every: bool) -> Condition:
    depth, at = 0, 0
    while at < len(text):
        char = text[at]
        if depth == 0 and char in "!=<>%":
            break
        if char == "\\":
            at += 1
        elif char == '"':
            at = string_end(text, at) - 1
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        at += 1
    path, behind = text[:at].strip(), text[at:].strip()
    size = 2 if behind[:2] in {"!=", "!%", "==", "<=", ">="} else 1
    return Condition(path, behind[:size], behind[size:].strip(), every)
