"""JSONPath, for paths that begin with `$`: `$.body.items[0].name`, `$..id`, `$.a[?(@.n > 1)]`.

Plain keys and indices are compiled to a walk over decoded levels; all else is done by jsonpath-ng
with its extensions. One match is the result; several are an array of them.
"""

import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import msgspec
from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError, gojson
from spine.lang.gjson.document import Document, Result

_STEP = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|\[(?P<index>0|[1-9][0-9]{0,8})\]"
    r"|\[(?P<quote>['\"])(?P<key>[^'\"\\]+)(?P=quote)\]"
)

_NEAR = re.compile(r"Parse error at \d+:(\d+) near token (.*) \(\w+\)", re.DOTALL)
"""What the library says; it counts columns from 0."""

Find = Callable[[Document], Result | None]


class _Expression(Protocol):
    def find(self, data: Any) -> list[Any]: ...


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
        """Return what is at this path, None if nothing is. Raises EvaluationError."""
        return self._find(document)


@lru_cache(maxsize=4096)
def compile(text: str) -> Path:  # noqa: A001 -- as re.compile
    """Compile a path. Raises ConfigError."""
    steps = _steps(text)
    if steps is not None:
        return Path(text, _walk(steps))
    return Path(text, _searched(text, _parse(text)))


def _steps(text: str) -> tuple[str | int, ...] | None:
    """Return keys and indices, None if the path has anything else."""
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            return None
        index = match["index"]
        steps.append(match["name"] or match["key"] if index is None else int(index))
        at = match.end()
    return tuple(steps)


def _walk(steps: tuple[str | int, ...]) -> Find:
    def find(document: Document) -> Result | None:
        value = document.root
        for step in steps:
            found = None
            if isinstance(step, str):
                found = value.member(step) if value.is_object else None
            elif value.is_array and step < len(elements := value.elements()):
                found = elements[step]
            if found is None:
                return None
            value = found
        return value if value.data else None

    return find


def _parse(text: str) -> _Expression:
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext.parser import parse

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of syntax; our version keeps it
            expression: _Expression = parse(text)
    except (JSONPathError, RecursionError, ValueError, TypeError, AttributeError, KeyError) as exc:
        raise ConfigError(
            f"compiling JSONPath {text!r}: {_why(exc)}", hint="quote odd names: $.body['my key']"
        ) from exc
    return expression


def _why(exc: Exception) -> str:
    """Return the library's reason in our words."""
    said = str(exc)
    if "near the end" in said or "EOF" in said:
        return "unexpected end"
    if found := _NEAR.match(said):
        return f"column {int(found[1]) + 1}: unexpected {found[2]!r}"
    return said


def _searched(text: str, expression: _Expression) -> Find:
    def find(document: Document) -> Result | None:
        try:
            matches = expression.find(msgspec.json.decode(document.data))
        except Exception as exc:  # jsonpath-ng raises what its Python operators raise
            raise EvaluationError(f"looking up {text!r}: {exc}") from exc
        values = [match.value for match in matches]
        if not values:
            return None
        return Result(gojson.dumps(values[0] if len(values) == 1 else values))

    return find
