"""Data filters: a value in the data of an event is compared with those that are wanted.

Comparisons follow Argo Events: texts are regular expressions that match anywhere, numbers are
doubles, and whatever stands at the path is taken for the type that the filter names. A value
that can never be compared is found when the filter is compiled.
"""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field, field_validator, model_validator

from sensor.fields import Name
from sensor.hints import hints_of_body, hints_of_path, hints_of_value, shortened
from sensor.reason import Check, Finding, Look, Reason, Test, all_of, any_of
from sensor.rendered import GoTemplate, compile_rendering
from spine.errors import ConfigError, FilterError
from spine.event import Event
from spine.lang import EvaluationError, gojson, paths, regex, slips
from spine.lang.gjson import Document, Result
from spine.lang.gonumber import parse_float
from spine.model import Model, warn, warn_of


class DataFilter(Model):
    """Compares a value in the data."""

    path: Name
    """gjson path of the value, such as `order.total`; a missing path does not pass."""
    type: Literal["string", "number", "bool"]
    """What the value is compared as."""
    value: Annotated[list[Name], Field(min_length=1)]
    """Wanted values, any of which will do: regular expressions for `string`."""
    comparator: Literal["", "=", "!=", "<", "<=", ">", ">=", "notIn"] = ""
    """How a value is compared; empty is `=`. On `bool` all but `notIn` are `=`. `notIn` is ours:
    it passes where none of the values matches."""
    template: GoTemplate = ""
    """Go template over the value, which is `.Input` as a text; what it gives is compared."""

    @field_validator("value", mode="before")
    @classmethod
    def _texts(cls, raw: Any) -> Any:
        """Take a bare value, and values that YAML did not read as texts."""
        if isinstance(raw, str | int | float | bool):
            warn(f"value: write a list: [{_literal(raw)}]")
            raw = [raw]
        if not isinstance(raw, list):
            return raw
        if any(isinstance(v, int | float) for v in raw):
            warn(f"value: write texts: [{', '.join(_literal(v) for v in raw)}]")
        return [_as_text(v) if isinstance(v, int | float) else v for v in raw]

    @model_validator(mode="after")
    def _slip(self) -> "DataFilter":
        warn_of("path", slips.of_path(self.path))
        return self

    @model_validator(mode="after")
    def _odd_combinations(self) -> "DataFilter":
        comparator = self.comparator
        if self.type == "bool" and comparator not in {"", "=", "notIn"}:
            other = " (write notIn)" if comparator == "!=" else ""
            warn(f"comparator: {comparator} is ignored for bool: it is compared as ={other}")
        if self.type == "string" and comparator[:1] in {"<", ">"}:
            warn(f"comparator: texts are not ordered: {comparator} never passes")
        if self.type != "bool" and comparator == "!=" and len(self.value) > 1:
            warn(
                "value: with != it is enough to differ from one of several values (write"
                " comparator: notIn to differ from all)"
            )
        return self


def _as_text(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _literal(value: Any) -> str:
    return f'"{value if isinstance(value, str) else _as_text(value)}"'


# ---------------------------------------------------------------------------- compiling


def passes(_event: Event, _document: Document) -> None:
    """Pass every event."""


_Get = Callable[[Document], Result | None]
_Match = Callable[[Result], bool]


def compile_data(filters: Sequence[DataFilter], operator: str) -> Check:
    """Compile data filters. Raises ConfigError for a value or a path that can never work."""
    if not filters:
        return passes
    tests = [test for _, test in _numbered(filters)]
    joined = any_of(tests) if operator == "or" and len(tests) > 1 else all_of(tests)

    def check(event: Event, document: Document) -> Reason | None:
        if event.data is None:
            return None
        if not document.valid:
            require_json(event, document)
        return joined(document)

    return check


def require_json(event: Event, document: Document) -> None:
    """Raise FilterError where the data of an event is not JSON."""
    if not document.valid:
        raise FilterError(
            f"filtering event {event.id!r} of {event.source}/{event.subject} by its data: "
            "not valid JSON",
            hint="see what was sent with: tocsin dlq show",
        )


def look_at_data(filters: Sequence[DataFilter]) -> list[Look]:
    """Return what asks each data filter alone, by the tests that decide."""
    tests = zip(filters, _numbers(filters), _numbered(filters), strict=True)
    return [_look(one, number, *test) for one, number, test in tests]


def _look(one: DataFilter, number: int, get: "_Get", test: Test) -> Look:
    def look(event: Event, document: Document) -> Finding:
        finding = Finding("data", True, number, one.path, _wanted(one))
        if event.data is None:
            return msgspec.structs.replace(finding, hints=("without data every event passes",))
        try:
            require_json(event, document)
            found, reason = get(document), test(document)
        except FilterError as exc:
            hints = hints_of_body(event)
            return msgspec.structs.replace(
                finding, passed=False, detail=exc.message, error=True, hints=hints
            )
        except EvaluationError as exc:
            return msgspec.structs.replace(finding, passed=False, detail=str(exc), error=True)
        if found is None:
            hints = hints_of_path(one.path, document)
        else:
            hints = hints_of_value(one, found, reason is None)
        return msgspec.structs.replace(
            finding,
            passed=reason is None,
            found="" if found is None else shortened(found.raw),
            detail="" if reason is None else reason._replace(number=0).text,
            hints=hints,
        )

    return look


def _numbers(filters: Sequence[DataFilter]) -> Sequence[int]:
    return [0] if len(filters) == 1 else range(1, len(filters) + 1)


def _numbered(filters: Sequence[DataFilter]) -> list[tuple["_Get", Test]]:
    """Compile each of several filters, with its number for people where there are several."""
    return [_test(one, n) for one, n in zip(filters, _numbers(filters), strict=True)]


def _test(one: DataFilter, number: int) -> tuple[_Get, Test]:
    """Return what gives the value that is compared, and the comparison."""
    get, matches, wanted = paths.compile(one.path).get, _match(one), _wanted(one)
    rendered = _rendered(one) if one.template else None
    missing = Reason("PathMissing", one.path, number=number)

    def test(document: Document) -> Reason | None:
        try:
            found = get(document)
        except EvaluationError as exc:
            raise FilterError(f"filtering by data path {one.path!r}: {exc}") from exc
        if found is None:
            return missing
        if rendered is not None:
            found = rendered(found)
        if matches(found):
            return None
        return Reason("Data", one.path, wanted, shortened(found.raw), number)

    return get, test


def _rendered(one: DataFilter) -> Callable[[Result], Result]:
    """Return what puts the text that a template makes of a value in the place of the value."""
    render = compile_rendering(one.template)

    def rendered(found: Result) -> Result:
        try:
            return Result(gojson.quote(render(found.text)))
        except EvaluationError as exc:
            raise FilterError(f"rendering the template of data path {one.path!r}: {exc}") from exc

    return rendered


def _wanted(one: DataFilter) -> str:
    comparator = "none of" if one.comparator == "notIn" else one.comparator or "="
    joined = " or ".join(one.value) if one.comparator != "notIn" else ", ".join(one.value)
    return f"{comparator} {joined} ({one.type})"


def _match(one: DataFilter) -> _Match:
    none = one.comparator == "notIn"
    comparator = "=" if none else one.comparator
    try:
        matches = [_comparison(one.type, value, comparator) for value in one.value]
    except (ValueError, ConfigError) as exc:
        raise ConfigError(
            f"reading value of data filter {one.path!r} as {one.type}: {exc}"
        ) from exc
    matched = _any_match(matches)
    return (lambda found: not matched(found)) if none else matched


def _comparison(kind: str, value: str, comparator: str) -> _Match:
    if kind == "string":
        return _string(value, comparator)
    return _number(value, comparator) if kind == "number" else _bool(value)


def _any_match(matches: Sequence[_Match]) -> _Match:
    if len(matches) == 1:
        return matches[0]
    return lambda found: any(one(found) for one in matches)


def _string(pattern: str, comparator: str) -> _Match:
    search = regex.compile(pattern).search
    if comparator in {"", "="}:
        return lambda found: search(found.text)
    if comparator == "!=":
        return lambda found: not search(found.text)
    return lambda _: False  # texts have no order here; the plan warns


def _number(text: str, comparator: str) -> _Match:
    wanted = parse_float(text)
    if wanted is None:
        raise ValueError(f"{text!r} is no number")
    if math.isinf(wanted) and "inf" not in text.lower():
        raise ValueError(f"{text!r} is out of range")
    match comparator:
        case "!=":
            return lambda found: found.number != wanted
        case "<":
            return lambda found: found.number < wanted
        case "<=":
            return lambda found: found.number <= wanted
        case ">":
            return lambda found: found.number > wanted
        case ">=":
            return lambda found: found.number >= wanted
    return lambda found: found.number == wanted


_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def _bool(text: str) -> _Match:
    if text not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    wanted = text in _TRUE
    return lambda found: found.boolean is wanted
