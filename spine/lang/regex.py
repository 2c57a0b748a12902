"""Regular expressions of manifests: RE2, as Go's regexp runs them.

    pattern = regex.compile("^v[0-9]+$")
    pattern.search("v12")  # True

Whoever takes a pattern from a user takes it from here. RE2 needs time that grows with the text
only, where Python's `re` can hang; what it has not (look-around, back-references) is refused when
the pattern is compiled. Plain texts, which most patterns are, need no engine at all. Finding,
replacing and splitting follow Go, which ignores an empty match that touches the one before.
"""

import re
import time
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError

_LITERAL = re.compile(r"(\^?)([^\\.+*?()|\[\]{}^$]*)(\$?)")
_ANY_BYTE = re.compile(r"\\Q.*?(?:\\E|$)|\\(?P<letter>.)", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:\$|\{(?P<braced>\w+)\}|(?P<bare>\w+))")
_MOST_SECONDS = 1.0
"""Time to look for all matches: many short ones in a long text may each look at all of it."""
_MOST_MADE = 16 * 1024 * 1024
"""Characters that replacing may give: a short text can be told to become a huge one."""


class Match(NamedTuple):
    """One place where a pattern matches."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset behind its last character."""
    groups: tuple[str | None, ...]
    """The whole match and its groups; None for those that took no part."""
    offsets: tuple[int, ...]
    """Offset of each group's first character, -1 for those that took no part."""


class Pattern:
    """A compiled pattern."""

    search: Callable[[str], bool]
    """Says whether a text has a match anywhere."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.search = _literal(text) or self._matcher()

    @override
    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def _matcher(self) -> Callable[[str], bool]:
        search = _engine(self.text, capture=False).search
        return lambda text: search(_encoded(text)) is not None

    @cached_property
    def engine(self) -> Any:
        """The pattern of the library; it takes and gives bytes."""
        return _engine(self.text, capture=True)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the groups, the whole match first; empty for those without."""
        names = [""] * (self.engine.groups + 1)
        for name, at in self.engine.groupindex.items():
            names[at] = name.decode()
        return tuple(names)

    def find(self, text: str) -> Match | None:
        """Return the first match. Raises EvaluationError."""
        return next(self.matches(text), None)

    def matches(self, text: str) -> Iterator[Match]:
        """Yield all matches, as Go finds them. Raises EvaluationError when it takes too long."""
        data = _encoded(text)
        characters = _Characters(data)
        for found in self._found(data):
            spans = [found.span(group) for group in range(self.engine.groups + 1)]
            whole = spans[0]
            start = characters.before(whole[0])
            end = start + len(data[whole[0] : whole[1]].decode())
            yield Match(
                start,
                end,
                tuple(None if at < 0 else data[at:to].decode() for at, to in spans),
                tuple(-1 if at < 0 else characters.after(start, whole[0], at) for at, _ in spans),
            )

    def replace(self, text: str, by: str | Callable[[Match], str]) -> str:
        """Return a text with every match replaced; `$1` and `${name}` in `by` are groups.

        Raises EvaluationError where it takes too long, or gives too much.
        """
        make = by if callable(by) else self._expander(by)
        parts: list[str] = []
        done = size = 0
        for match in self.matches(text):
            part = make(match)
            size += len(part)
            if size > _MOST_MADE:
                raise EvaluationError(f"replacing {self.text!r} gives more than {_MOST_MADE} bytes")
            parts += (text[done : match.start], part)
            done = match.end
        return "".join([*parts, text[done:]])

    def split(self, text: str, most: int = -1) -> list[str]:
        """Return the parts of a text between matches, as Go's Split. Raises EvaluationError."""
        if most == 0:
            return []
        if not text and self.text:
            return [""]
        parts: list[str] = []
        done = last = 0
        for match in self.matches(text):
            if len(parts) == most - 1:
                break
            last = match.start
            if match.end:
                parts.append(text[done:last])
            done = match.end
        return parts if last == len(text) else [*parts, text[done:]]

    def _found(self, data: bytes) -> Iterator[Any]:
        """Yield the library's matches in encoded text."""
        at, before, search = 0, -1, self.engine.search
        deadline = time.monotonic() + _MOST_SECONDS
        while at <= len(data):
            found = search(data, at)
            if found is None:
                return
            start, end = found.span()
            if end > at or start != before:
                yield found
            before = end
            at = end if end > at else at + _width(data, at)
            if time.monotonic() > deadline:
                raise EvaluationError(f"looking for {self.text!r}: took over {_MOST_SECONDS} s")

    def _expander(self, template: str) -> Callable[[Match], str]:
        if "$" not in template:
            return lambda _match: template

        def group(match: Match, reference: re.Match[str]) -> str:
            name = reference["braced"] or reference["bare"]
            if name is None:
                return "$"
            if name.isascii() and name.isdigit():
                at = int(name) if len(name) < 9 else -1  # noqa: PLR2004 -- no such group
            else:
                at = self.names.index(name) if name in self.names else -1
            return match.groups[at] or "" if 0 <= at < len(match.groups) else ""

        return lambda match: _REFERENCE.sub(lambda reference: group(match, reference), template)


class _Characters:
    """Counts characters in UTF-8 on the way through it, so that all of it is read once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = self._count = 0

    def before(self, at: int) -> int:
        """Return how many characters stand before a place; places only grow."""
        self._count += len(self._data[self._at : at].decode())
        self._at = at
        return self._count

    def after(self, count: int, known: int, at: int) -> int:
        """Return how many stand before a place behind a known one."""
        return count + len(self._data[known:at].decode())


@lru_cache(maxsize=256)
def compile(pattern: str) -> Pattern:  # noqa: A001 -- as re.compile
    """Compile a pattern, which is searched for anywhere. Raises ConfigError."""
    return Pattern(pattern)


def quote(text: str) -> str:
    """Return a pattern that matches a text and nothing else."""
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", text)


def _literal(pattern: str) -> Callable[[str], bool] | None:
    """Return the search for a plain text, None where an engine is needed."""
    match = _LITERAL.fullmatch(pattern)
    if match is None:
        return None
    start, text, end = match.groups()
    if start and end:
        return lambda value: value == text
    if start:
        return lambda value: value.startswith(text)
    if end:
        return lambda value: value.endswith(text)
    return lambda value: text in value


def _engine(pattern: str, *, capture: bool) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = not capture
    try:
        if any(found["letter"] == "C" for found in _ANY_BYTE.finditer(pattern)):
            raise re2.error("invalid escape sequence: \\C")  # noqa: TRY301 -- one way out for both
        return re2.compile(pattern.encode(), options=options)
    except UnicodeEncodeError:
        why = "it is not valid Unicode"
    except re2.error as exc:
        why = exc.args[0].decode(errors="replace") if exc.args[0].__class__ is bytes else str(exc)
    glob = pattern[:1] in {"*", "?", "+"}
    raise ConfigError(
        f"compiling regular expression {pattern!r}: {why}", hint=_GLOB if glob else _RE2
    )


_RE2 = "it is RE2: no look-around, no back-references"
_GLOB = "it is RE2 and no glob: .* stands for any text, \\* for a star"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair is U+FFFD in Go
        return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()


def _width(data: bytes, at: int) -> int:
    """Return how many bytes the character at a place has."""
    first = data[at] if at < len(data) else 0
    return 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)  # noqa: PLR2004 -- of UTF-8
