"""Regular expressions (RE2)."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from spine.errors import ConfigError
from spine.lang import EvaluationError, regex
from spine.lang.govalue import NIL_STRINGS, Strings, clean


def _compiled(pattern: str) -> regex.Pattern:
    try:
        return regex.compile(pattern)
    except ConfigError as exc:
        raise EvaluationError(str(exc)) from exc


def _match(pattern: str, text: str) -> bool:
    try:
        return _must_match(pattern, text)
    except EvaluationError:
        return False


def _must_match(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(clean(text))


def _find(pattern: str, text: str) -> str:
    found = _compiled(pattern).find(clean(text))
    return "" if found is None else found.groups[0] or ""


def _find_all(pattern: str, text: str, count: int) -> Strings:
    matches = _compiled(pattern).matches(clean(text))
    most = None if count < 0 else int(count)
    return Strings(m.groups[0] or "" for m in islice(matches, most)) or NIL_STRINGS


def _replace(pattern: str, text: str, by: str) -> str:
    return _compiled(pattern).replace(clean(text), by)


def _replace_literal(pattern: str, text: str, by: str) -> str:
    return _compiled(pattern).replace(clean(text), lambda _match: by)


def _split(pattern: str, text: str, count: int) -> Strings:
    return Strings(_compiled(pattern).split(clean(text), count)) or NIL_STRINGS


_BOTH: list[tuple[str, str, Callable[..., Any]]] = [
    ("Find", "string string", _find),
    ("FindAll", "string string int", _find_all),
    ("ReplaceAll", "string string string", _replace),
    ("ReplaceAllLiteral", "string string string", _replace_literal),
    ("Split", "string string int", _split),
]

ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("regexMatch", "string string", _match),
    ("mustRegexMatch", "string string", _must_match),
    ("regexQuoteMeta", "string", regex.quote),
    *(("regex" + name, kinds, call) for name, kinds, call in _BOTH),
    *(("mustRegex" + name, kinds, call) for name, kinds, call in _BOTH),
]
