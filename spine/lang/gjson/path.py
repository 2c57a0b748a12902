"""Paths, compiled to functions from a value to what is found in it.

Plain keys and indices, which nearly all paths are, take a short cut: a loop over decoded levels.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate

from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError, gojson
from spine.lang.gjson import grammar, scan
from spine.lang.gjson.document import (
    REPEATED,
    Document,
    Result,
    Step,
    follow,
    in_quotes,
    parse,
)
from spine.lang.gjson.modifiers import compile_modifier, descendants
from spine.lang.gjson.query import compile_test

Find = Callable[[Result], Result | None]
"""Looks something up in a value; None is missing."""

_NOTHING = Result(b"")
_NO_INDEX = 1 << 64
_MOST_NESTED = 250
"""Brackets inside of each other in a path."""
_MOST_TEXT = 4096
_WORD = re.compile(rb"[a-z]+")


class Path:
    """A compiled path."""

    __slots__ = ("_find", "text")

    def __init__(self, text: str, find: Find) -> None:
        self.text = text
        self._find = find

    @override
    def __repr__(self) -> str:
        return f"Path({self.text!r})"

    def get(self, document: Document) -> Result | None:
        """Return what is at this path, None if nothing is. Raises EvaluationError if too deep."""
        try:
            return self._find(document.root)
        except RecursionError as exc:
            raise EvaluationError(f"looking up {self.text!r}: nested too deeply") from exc

    def find(self, value: Result) -> Result | None:
        """Return what is at this path in a value. Raises EvaluationError if it is too deep."""
        try:
            return self._find(value)
        except RecursionError as exc:
            raise EvaluationError(f"looking up {self.text!r}: nested too deeply") from exc


@lru_cache(maxsize=4096)
def compile(text: str) -> Path:  # noqa: A001 -- as re.compile
    """Compile a path. Any text is one; one nested beyond reason raises ConfigError."""
    if len(text) > _MOST_TEXT:
        raise ConfigError(
            f"compiling path {text[:40]!r}...: longer than {_MOST_TEXT} characters",
            hint="take the value apart in a jq transform",
        )
    try:
        _check_depth(text)
        return Path(text, _compile(text))
    except RecursionError as exc:
        raise ConfigError(
            f"compiling path {text[:40]!r}...: nested too deeply",
            hint="use fewer brackets and pipes",
        ) from exc


def _check_depth(text: str) -> None:
    """Raise RecursionError where too many brackets are open: each reads all that are in it."""
    if text.count("[") + text.count("{") > _MOST_NESTED:
        depths = accumulate(1 if one in "[{" else -1 for one in text if one in "[]{}")
        if max(depths) > _MOST_NESTED:
            raise RecursionError


def _compile(text: str) -> Find:
    if len(text) > 1:
        first = text[0]
        if first == "@" and (parts := grammar.modifier(text)):
            return _modified(*parts)
        if first == "!":
            return _literal(text)
        if first in "[{" and (end := grammar.closing(text, 0)) and _ends(text, end):
            return _piped(_selection(text[:end]), text[end:])
    if text.startswith(".."):
        return _lines(text[2:])
    return _plain(text) or _general(text)


def _ends(text: str, at: int) -> bool:
    closed = text[at - 1] == {"[": "]", "{": "}"}[text[0]]
    return closed and (at == len(text) or text[at] in ".|")


def _piped(find: Find, rest: str) -> Find:
    """Return a function that looks the rest up in what another finds, be it nothing."""
    if rest[:1] not in {".", "|"}:
        return find
    then = _compile(rest[1:])

    def both(value: Result) -> Result | None:
        return then(find(value) or _NOTHING)

    return both


# ---------------------------------------------------------------------------- special components


def _modified(name: str, argument: str, rest: str) -> Find:
    if name == "dig":
        return _piped(_dig(argument), rest)
    modify = compile_modifier(name, argument)
    return _piped(lambda value: parse(modify(value.data)), rest)


def _dig(argument: str) -> Find:
    find = _compile(argument)

    def dig(value: Result) -> Result | None:
        found = (find(item) for item in descendants(value) if item.data)
        return Result(b"[%b]" % b",".join(item.data for item in found if item is not None))

    return dig


def _literal(text: str) -> Find:
    """Return the value written behind `!`; what follows an object, array or word is a path."""
    raw = text.encode()
    word = _WORD.match(raw, 1)
    end = word.end() if word else scan.value_end(raw, 1)
    value = parse(raw[1:end])
    if raw[1:2] in {b"{", b"["}:
        value = Result(raw[1:end])
    elif value is not None and not value.data[:1].isalpha():
        return lambda _: value
    return _piped(lambda _: value, raw[end:].decode("utf-8", "replace"))


def _lines(text: str) -> Find:
    """Read a text as lines of JSON, which are the elements of an array."""
    find = _general(text)

    def lines(value: Result) -> Result | None:
        data = value.data
        items = [data[start:end] for start, end in scan.values(data)]
        return find(Result(b"[%b]" % b",".join(items)))

    return lines


def _selection(text: str) -> Find:
    """Return the function of a multipath: an array or object of what several paths find."""
    named = text[0] == "{"
    parts = [_named(part) for part in _parts(text[1:-1])]
    finds = [(f"{name}:".encode() if named else b"", _compile(path)) for name, path in parts]
    frame = b"{%b}" if named else b"[%b]"

    def select(value: Result) -> Result:
        found = ((name, find(value)) for name, find in finds)
        return Result(frame % b",".join(name + item.data for name, item in found if item))

    return select


def _parts(text: str) -> list[str]:
    """Split at the commas that are outside of brackets and quotes."""
    parts, start, at = [], 0, 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
        elif char == '"':
            at = grammar.string_end(text, at)
        elif char in "([{":
            at = grammar.closing(text, at)
        elif char == ",":
            parts.append(text[start:at])
            start = at = at + 1
        else:
            at += 1
    return [*parts, text[start:]]


def _named(part: str) -> tuple[str, str]:
    """Return name (as JSON) and path of one part of a multipath."""
    at, modifier = 0, False
    while at < len(part):
        char = part[at]
        if char == "\\":
            at += 1
        elif char == '"':
            at = grammar.string_end(part, at) - 1
        elif char in "([{":
            at = grammar.closing(part, at) - 1
        elif char == "@":
            modifier = True
        elif char in ".|":
            modifier = False
        elif char == ":" and not modifier:
            name, path = part[:at], part[at + 1 :]
            quoted = name[:1] == '"' and gojson.valid(name.encode())
            return name if quoted else gojson.quote(name).decode(), path
        at += 1
    return gojson.quote(_last_name(part)).decode(), part


def _last_name(path: str) -> str:
    start, at = 0, 0
    while at < len(path):
        if path[at] == "\\":
            at += 1
        elif path[at] in ".|":
            start = at + 1
        at += 1
    name = path[start:]
    return "_" if any(char < " " or char in "[]{}()#|!" for char in name) else name


# ---------------------------------------------------------------------------- keys and indices


def _plain(text: str) -> Find | None:
    """Return a loop over keys and indices, None if the path has anything else."""
    steps: list[Step] = []
    rest: str | None = text
    while rest is not None:
        key, index = grammar.key(rest), grammar.index(rest)
        special = key.wild or key.pipe is not None or index.count or index.condition is not None
        if special or key.rest != index.rest:
            return None
        number = _NO_INDEX if index.number is None else index.number
        steps.append((key.name, in_quotes(key.name), number))
        rest = key.rest
    general, plain = _general(text), tuple(steps)

    def find(root: Result) -> Result | None:
        value = follow(root, plain)
        return value if value is not REPEATED else general(root)

    return find


def _general(text: str) -> Find:
    def find(value: Result) -> Result | None:
        walk = _Walk()
        found = walk.into(value, text)
        return found if walk.pipe is None else _compiled(walk.pipe)(found or _NOTHING)

    return find


_compiled = lru_cache(maxsize=4096)(_compile)


class _Walk:
    """One look-up of a path of keys, patterns, indices and queries.

    Where several members match, the first counts under which the rest of the path exists.
    """

    def __init__(self) -> None:
        self.pipe: str | None = None
        """The path that applies to the result, once it is known."""

    def into(self, value: Result, path: str) -> Result | None:
        if value.is_object:
            return self._object(value, grammar.key(path))
        if value.is_array:
            return self._array(value, grammar.index(path))
        return None

    def _object(self, value: Result, key: grammar.Key) -> Result | None:
        if key.rest is None and key.pipe is not None:
            self.pipe = key.pipe
        for child in _matching(value, key):
            found = child if key.rest is None else self.into(child, key.rest)
            if found is not None:
                return found
        return None

    def _array(self, value: Result, index: grammar.Index) -> Result | None:
        if index.rest is None and index.pipe is not None:
            self.pipe = index.pipe
        elements = value.elements()
        if index.condition is not None:
            return self._query(elements, index, index.condition)
        if index.each is not None:
            find = _compiled(index.each)
            return _collected(find(element) for element in elements)
        if index.count:
            return Result(str(len(elements)).encode())
        if index.number is None or index.number >= len(elements):
            return None
        element = elements[index.number]
        return element if index.rest is None else self.into(element, index.rest)

    def _query(
        self, elements: list[Result], index: grammar.Index, condition: grammar.Condition
    ) -> Result | None:
        test = matches(condition)
        chosen = (element for element in elements if test(element))
        found = self._rest(chosen, index)
        return _collected(found) if condition.every else next(found, None)

    def _rest(self, chosen: Iterator[Result], index: grammar.Index) -> Iterator[Result | None]:
        for element in chosen:
            if index.rest is None:
                yield element
            else:
                self.pipe = self.pipe if index.pipe is None else index.pipe
                yield _compiled(index.rest)(element)


def _matching(value: Result, key: grammar.Key) -> Iterator[Result]:
    if not key.wild:
        first = value.member(key.name)
        if first is not None and not value.repeats:
            yield first
            return
    for name, child in value.pairs():
        if key.matches(name):
            yield child


def _collected(found: Iterator[Result | None]) -> Result:
    return Result(b"[%b]" % b",".join(item.data for item in found if item is not None))


@lru_cache(maxsize=4096)
def matches(condition: grammar.Condition) -> Callable[[Result], bool]:
    """Return the test of a condition on an element."""
    if not condition.path and not condition.operator:
        return lambda _: False
    test = compile_test(condition.operator, condition.operand)
    if not condition.path:
        return test
    find = _compiled(condition.path)
    return lambda value: (value.is_object or value.is_array) and test(find(value))
