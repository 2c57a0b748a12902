"""Regular expressions of jq: RE2, as gojq runs them."""

from collections.abc import Callable, Iterator
from typing import Any

from spine.errors import ConfigError
from spine.lang import EvaluationError, regex
from spine.lang.jq import arithmetic
from spine.lang.jq import nodes as n
from spine.lang.jq import values as v
from spine.lang.jq.code import Code, Variables, constant, several, single
from spine.lang.jq.scope import Scope


def _compiled(name: str, value: Any, pattern: Any, flags: Any) -> regex.Pattern:
    """Return the pattern of a call. Raises JqError."""
    known = isinstance(value, str) and isinstance(pattern, str)
    if not known or not isinstance(flags, str | None):
        arguments = f"{v.preview(pattern)}; {v.preview(flags)}"
        raise v.inapplicable(f"{name}({arguments})", value)
    if not set(flags or "") <= {"g", "i"}:
        raise v.JqError(f"unsupported regular expression flag: {v.preview(flags)}")
    try:
        return regex.compile(f"(?i){pattern}" if "i" in (flags or "") else pattern)
    except ConfigError as exc:
        why = exc.message.rpartition(": ")[2]
        raise v.JqError(f"invalid regular expression {v.preview(pattern)}: {why}") from None


def test(value: Any, pattern: Any, flags: Any) -> bool:
    """Say whether a text has a match."""
    return _compiled("test", value, pattern, flags).search(value)


def _matches(name: str, value: Any, pattern: Any, flags: Any) -> Iterator[dict[str, Any]]:
    compiled = _compiled(name, value, pattern, flags)
    for found in compiled.matches(value):
        yield {
            "offset": found.start,
            "length": found.end - found.start,
            "string": found.groups[0],
            "captures": [
                {
                    "offset": offset,
                    "length": len(text or ""),
                    "string": text,
                    "name": compiled.names[at] or None,
                }
                for at, (text, offset) in enumerate(zip(found.groups, found.offsets, strict=True))
                if at
            ],
        }
        if "g" not in (flags or ""):
            return


def _named(match: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one["string"] for one in match["captures"] if one["name"] is not None}


def _scanned(match: dict[str, Any]) -> Any:
    return [one["string"] for one in match["captures"]] or match["string"]


def split(value: Any, pattern: Any, flags: Any) -> list[str]:
    """Return the parts of a text between matches."""
    parts, done = list[str](), 0
    for match in _matches("match", value, pattern, _global(flags)):
        parts.append(value[done : match["offset"]])
        done = match["offset"] + match["length"]
    return [*parts, value[done:]]


def _for_each(make: Callable[[Any, Any, Any], Iterator[Any]]) -> Callable[..., Code]:
    """Return a function of a pattern and flags that gives any number of outputs."""

    def compile_call(arguments: tuple[n.Node, ...], scope: Scope) -> Code:
        pattern = scope.code(arguments[0])
        flags = scope.code(arguments[1]) if len(arguments) > 1 else constant(None)

        def many(value: Any, variables: Variables) -> Iterator[Any]:
            for flag in flags.many(value, variables):
                for one in pattern.many(value, variables):
                    yield from make(value, one, flag)

        return several(many)

    return compile_call


def _with(flags: Any, more: str) -> Any:
    """Return flags with more of them; what are no flags is left to be refused."""
    return f"{more}{flags or ''}" if isinstance(flags, str | None) else flags


def _global(flags: Any) -> Any:
    return _with(flags, "g")


def _all(make: Callable[[dict[str, Any]], Any]) -> Callable[[Any, Any, Any], Iterator[Any]]:
    return lambda value, pattern, flags: map(
        make, _matches("match", value, pattern, _global(flags))
    )


# ---------------------------------------------------------------------------- replacing


def _substitute(flags_before: str) -> Callable[[tuple[n.Node, ...], Scope], Code]:
    def compile_call(arguments: tuple[n.Node, ...], scope: Scope) -> Code:
        pattern, by = (scope.code(argument) for argument in arguments[:2])
        flags = scope.code(arguments[2]) if len(arguments) > 2 else constant(None)  # noqa: PLR2004 -- the third

        def many(value: Any, variables: Variables) -> Iterator[Any]:
            for one in pattern.many(value, variables):
                for flag in flags.many(value, variables):
                    chosen = _with(flag, flags_before) if flags_before else flag
                    yield from _replaced(value, one, chosen, by, variables)

        if pattern.one is not None and flags.one is not None and by.one is not None:
            return single(lambda value, variables: next(many(value, variables)))
        return several(many)

    return compile_call


def _replaced(
    value: Any, pattern: Any, flags: Any, by: Code, variables: Variables
) -> Iterator[str]:
    """Yield texts: the first has the first output for each match, the second the second..."""
    made: list[list[str]] = []
    done = size = 0
    for match in _matches("match", value, pattern, flags):
        gap = value[done : match["offset"]]
        for at, text in enumerate(by.many(_named(match), variables)):
            piece = arithmetic.add(gap, text)
            if at == len(made):
                made.append([])
            made[at].append(piece)
            size += len(piece)
            if size > v.MOST_TEXT:
                raise EvaluationError(f"it makes a text of more than {v.MOST_TEXT} letters")
        done = match["offset"] + match["length"]
    yield from ("".join([*parts, value[done:]]) for parts in made) if made else (value,)


def _split(arguments: tuple[n.Node, ...], scope: Scope) -> Code:
    pattern, flags = (scope.code(argument) for argument in arguments)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for one in pattern.many(value, variables):
            for flag in flags.many(value, variables):
                yield split(value, one, flag)

    return several(many)


CALLS: dict[str, Callable[[tuple[n.Node, ...], Scope], Code]] = {}
for _names, _call in (
    ("match/1 match/2", _for_each(lambda *a: _matches("match", *a))),
    ("capture/1 capture/2", _for_each(lambda *a: map(_named, _matches("match", *a)))),
    ("scan/1 scan/2", _for_each(_all(_scanned))),
    ("split/2", _split),
    ("splits/1 splits/2", _for_each(lambda *a: iter(split(*a)))),
    ("sub/2 sub/3", _substitute("")),
    ("gsub/2 gsub/3", _substitute("g")),
):
    CALLS |= dict.fromkeys(_names.split(), _call)
