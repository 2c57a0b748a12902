"""`jsonpath(text, path)` of filter expressions.

A path of names and indices gives the value there, and it is an error where there is none; all
others (`*`, `..`, slices, several names, filters) give a list of what they match.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from spine.lang import EvaluationError
from spine.lang.exprlang import MissingValue
from spine.lang.exprlang.json import read_json

_TOKEN = re.compile(
    r"(?P<deep>\.\.(?=$|[^.]))"
    r"|\.?\[\s*(?P<inside>'(?:[^'\\]|\\.)*'(?:\s*,\s*'(?:[^'\\]|\\.)*')*"
    r'|"(?:[^"\\]|\\.)*"(?:\s*,\s*"(?:[^"\\]|\\.)*")*'
    r"|[-0-9:,\s]+|\*)\s*\]"
    r"|\[\s*(?P<filter>\?.*?\))\s*\]"
    r"|\[\s*\(@\.length\s*-\s*(?P<last>[0-9]{1,9})\)\s*\]"
    r"|\.?(?P<name>\*|[^.\[\]*'\"()\s][^.\[\]'\"()]*)"
)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_MOST = 100_000
"""Values that a path may match."""


class _Step(NamedTuple):
    kind: str
    """key, index, keys, indices, slice, all, deep or filter."""
    value: Any = None


def query(text: Any, path: Any) -> Any:
    """Return what a path finds in JSON text. Raises EvaluationError."""
    if text is None or path is None:
        raise MissingValue("jsonpath does not take nil")
    if not isinstance(text, str) or not isinstance(path, str):
        raise EvaluationError("jsonpath takes two texts, the JSON and the path")
    steps = _steps(path)
    found = [read_json(text)]
    single = True
    for step in steps:
        if single and step.kind in {"key", "index"}:
            found = [_only(found[0], step, path)]
            continue
        if single and step.kind in {"all", "slice", "indices", "keys", "filter"}:
            _container(found[0], step, path)
        single = False
        found = [match for value in found for match in _matches(value, step, path)]
        if len(found) > _MOST:
            raise EvaluationError(f"jsonpath {path!r} matches more than {_MOST} values")
    return found[0] if single else found


def _steps(path: str) -> list[_Step]:
    """Return the steps of a path. Raises EvaluationError."""
    if path[:1] not in {"$", "@"}:
        raise EvaluationError(f"jsonpath {path!r} does not begin with $")
    steps: list[_Step] = []
    at = 1
    while at < len(path):
        match = _TOKEN.match(path, at)
        if match is None or match.end() == at:
            raise EvaluationError(f"jsonpath {path!r} cannot be read from {path[at:]!r} on")
        steps.append(_step(match, path))
        at = match.end()
    return steps


def _step(match: re.Match[str], path: str) -> _Step:
    if match["deep"]:
        return _Step("deep")
    if match["filter"]:
        return _Step("filter", match["filter"])
    if match["last"]:
        return _Step("index", -int(match["last"]))
    name = match["name"]
    if name is not None:
        if match[0][0] not in ".[" and match.start() == 1:
            raise EvaluationError(f"jsonpath {path!r} cannot be read from {name!r} on")
        return _Step("all") if name == "*" else _Step("key", name)
    return _inside(match["inside"].strip(), path)


def _inside(inside: str, path: str) -> _Step:
    if inside == "*":
        return _Step("all")
    if inside[0] in "'\"":
        names = [re.sub(r"\\(.)", r"\1", a or b) for a, b in _QUOTED.findall(inside)]
        return _Step("key", names[0]) if len(names) == 1 else _Step("keys", names)
    try:
        if ":" in inside:
            bounds = [int(part) if part.strip() else None for part in inside.split(":")]
            if len(bounds) <= 3 and (len(bounds) < 3 or bounds[2] != 0):  # noqa: PLR2004 -- with a step
                return _Step("slice", slice(*bounds))
            raise ValueError  # noqa: TRY301 -- one way out
        numbers = [int(part) for part in inside.split(",")]
    except ValueError:
        raise EvaluationError(f"jsonpath {path!r} cannot be read at [{inside}]") from None
    return _Step("index", numbers[0]) if len(numbers) == 1 else _Step("indices", numbers)


def _only(value: Any, step: _Step, path: str) -> Any:
    """Return the one value of a step. Raises MissingValue where there is none."""
    for match in _matches(value, step, path):
        return match
    if step.kind == "key" and step.value == "length" and isinstance(value, list | str):
        return len(value)
    raise MissingValue(f"jsonpath {path!r} finds no {step.value!r}")


def _container(value: Any, step: _Step, path: str) -> None:
    """Refuse to look into what holds nothing."""
    wanted = dict if step.kind == "keys" else list if step.kind in {"slice", "indices"} else object
    if not isinstance(value, dict | list) or not isinstance(value, wanted):
        raise MissingValue(f"jsonpath {path!r} finds nothing to look into")


def _matches(value: Any, step: _Step, path: str) -> Iterator[Any]:
    """Yield what a step finds in a value."""
    kind, wanted = step
    if kind == "deep":
        yield from _descendants(value)
    elif kind == "filter":
        yield from _filtered(value, wanted, path)
    elif kind == "all":
        yield from _children(value)
    elif isinstance(value, dict):
        names = [wanted] if kind == "key" else wanted if kind == "keys" else []
        yield from (value[name] for name in names if name in value)
    elif isinstance(value, list) and kind == "slice":
        yield from value[wanted]
    elif isinstance(value, list):
        places = [wanted] if kind == "index" else wanted if kind == "indices" else []
        yield from (value[at] for at in places if -len(value) <= at < len(value))


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (value[name] for name in sorted(value))
    elif isinstance(value, list):
        yield from value


def _descendants(value: Any) -> Iterator[Any]:
    """Yield a value and all that it holds, before what these hold."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, dict | list):
            waiting.extend(reversed(list(_children(one))))


def _filtered(value: Any, text: str, path: str) -> Iterator[Any]:
    """Yield the elements that a filter such as `?(@.n > 1)` lets pass."""
    from jsonpath_ng.exceptions import JSONPathError
    from jsonpath_ng.ext.parser import parse

    wrapped = [{"at": child} for child in _children(value)]
    try:
        found = parse("$[" + text.replace("@", "@.at") + "]").find(wrapped)
    except (JSONPathError, TypeError, ValueError, AttributeError, KeyError) as exc:
        raise EvaluationError(f"jsonpath {path!r} cannot be read at [{text}]: {exc}") from exc
    yield from (match.value["at"] for match in found)
