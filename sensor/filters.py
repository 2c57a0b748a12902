"""Filters: which events of a dependency are worth something.

Every kind is compiled once to a closure that says why an event does not pass; what can never
work is found there and then. The cheap kinds (attributes, time of day) look first, so that
most of the stream is refused before any body is read. A reason is a code and its particulars;
its text is made only when somebody reads it.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from sensor.record import LogicalOperator, Name, Record, not_built
from sensor.window import compile_window, time_of_day
from spine.errors import ConfigError, FilterError
from spine.event import Event
from spine.lang import EvaluationError, paths
from spine.lang.gjson import Document, Result
from spine.lang.gonumber import parse_float
from spine.model import warn


class Reason(NamedTuple):
    """Why an event does not pass."""

    code: str
    """Stable word, the label of metrics: Context, Time, Data, PathMissing or NothingConfigured."""
    where: str = ""
    wanted: str = ""
    got: str = ""

    @property
    def text(self) -> str:
        """One line for people."""
        if self.code == "PathMissing":
            return f"data has no {self.where}"
        if self.code == "NothingConfigured":
            return "filtersLogicalOperator is or, and no filter is configured"
        return f"{self.where} is {self.got}, not {self.wanted}"


Check = Callable[[Event, Document], Reason | None]
"""Returns why an event does not pass, None if it does. Raises FilterError."""


# ---------------------------------------------------------------------------- models


class ExprField(Record):
    """A name in an expression."""

    path: Name
    """gjson path of its value in the data."""
    name: Name
    """Name in the expression."""


class ExprFilter(Record):
    """An expression over fields of the data; comes with a later release."""

    expr: Name
    """The expression."""
    fields: Annotated[list[ExprField], Field(min_length=1)]
    """Its variables."""


class DataFilter(Record):
    """Compares a value in the data."""

    path: Name
    """gjson path of the value, such as `order.total`; a missing path does not pass."""
    type: Literal["string", "number", "bool"]
    """What the value is compared as."""
    value: Annotated[list[Name], Field(min_length=1)]
    """Wanted values, any of which will do: regular expressions for `string`."""
    comparator: Literal["", "=", "!=", "<", "<=", ">", ">="] = ""
    """How a value is compared; empty is `=`. Of no effect on `bool`."""
    template: Annotated[str, not_built("template")] = ""
    """Go template over the value; comes with a later release."""

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
    def _odd_combinations(self) -> "DataFilter":
        comparator = self.comparator
        if self.type == "bool" and comparator not in {"", "="}:
            warn(f"comparator: {comparator} is ignored for bool: it is compared as =")
        if self.type == "string" and comparator[:1] in {"<", ">"}:
            warn(f"comparator: texts are not ordered: {comparator} never passes")
        if self.type != "bool" and comparator == "!=" and len(self.value) > 1:
            warn("value: with != it is enough to differ from one of several values")
        return self


def _as_text(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _literal(value: Any) -> str:
    return f'"{value if isinstance(value, str) else _as_text(value)}"'


class ContextFilter(Record):
    """Compares attributes of the event, letter by letter."""

    type: str = ""
    """Kind of event source, such as `webhook`."""
    subject: str = ""
    """Event name."""
    source: str = ""
    """EventSource."""
    datacontenttype: str = ""
    """Content type of the data."""
    id: str = ""
    """Of no effect."""
    specversion: str = ""
    """Of no effect."""
    time: str = ""
    """Of no effect."""

    @model_validator(mode="after")
    def _compares_something(self) -> "ContextFilter":
        if not (self.type or self.subject or self.source or self.datacontenttype):
            raise ValueError("set type, subject, source or datacontenttype")
        for name in ("id", "specversion", "time"):
            if getattr(self, name):
                warn(f"{name}: ignored: events are not compared by it")
        return self


class TimeFilter(Record):
    """A window of the day, compared with the event's own time."""

    start: str
    """Time of day from which events pass, such as `09:00:00`."""
    stop: str
    """Time of day from which they no longer pass; before `start` it means the next day."""
    timezone: str = ""
    """IANA name of the zone of both; empty is UTC."""

    @model_validator(mode="after")
    def _can_be_read(self) -> "TimeFilter":
        try:
            compile_window(self.start, self.stop, self.timezone)
            same = time_of_day(self.start) == time_of_day(self.stop)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        if same:
            raise ValueError("start and stop are equal")
        return self


class Filters(Record):
    """What an event must be like; all of it, or with `filtersLogicalOperator: or` any of it."""

    exprs: Annotated[list[ExprFilter] | None, not_built("exprs")] = None
    """Expressions; come with a later release."""
    expr_logical_operator: LogicalOperator = ""
    """How several expressions are joined; empty is `and`."""
    data: list[DataFilter] | None = None
    """Comparisons of values in the data."""
    data_logical_operator: LogicalOperator = ""
    """How several comparisons are joined; empty is `and`."""
    context: ContextFilter | None = None
    """Comparison of attributes."""
    time: TimeFilter | None = None
    """Window of the day."""
    script: Annotated[str, not_built("script (Lua)")] = ""
    """Lua program; comes with a later release."""


# ---------------------------------------------------------------------------- all kinds


def compile_filters(filters: Filters | None, operator: str = "") -> Check | None:
    """Compile the filters of a dependency; None where every event passes.

    Raises ConfigError for what can never work.
    """
    if filters is None:
        return None
    checks = [check for check in _kinds(filters, operator) if check is not None]
    if operator == "or":
        return _any_of(checks) if checks else _nothing
    return _all_of(checks) if checks else None


def _nothing(_event: Event, _document: Document) -> Reason:
    return Reason("NothingConfigured")


def _passes(_event: Event, _document: Document) -> None:
    return None


def _kinds(filters: Filters, operator: str) -> list[Check | None]:
    """Compile each kind, cheapest first."""
    exprs: Check | None = None
    if filters.exprs is not None and operator == "or" and filters.expr_logical_operator != "or":
        exprs = _passes  # an empty list counts as configured, and all of nothing is true
    return [
        None if filters.context is None else _context(filters.context),
        None if filters.time is None else _time(filters.time),
        exprs,
        None if filters.data is None else _data(filters.data, filters.data_logical_operator),
    ]


def _all_of(checks: Sequence[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(event: Event, document: Document) -> Reason | None:
        for one in checks:
            reason = one(event, document)
            if reason is not None:
                return reason
        return None

    return check


def _any_of(checks: Sequence[Check]) -> Check:
    """Pass what one check passes; a check that fails counts as false, as documented."""
    if len(checks) == 1:
        return checks[0]

    def check(event: Event, document: Document) -> Reason | None:
        first: Reason | None = None
        error: FilterError | None = None
        for one in checks:
            try:
                reason = one(event, document)
            except FilterError as exc:
                error = error or exc
                continue
            if reason is None:
                return None
            first = first or reason
        if error is not None:
            raise error
        return first

    return check


def _context(context: ContextFilter) -> Check:
    names = ("type", "subject", "source", "datacontenttype")
    wanted = [(name, getattr(context, name)) for name in names if getattr(context, name)]

    def check(event: Event, _document: Document) -> Reason | None:
        for name, value in wanted:
            got = getattr(event, name)
            if got != value:
                return Reason("Context", name, value, got)
        return None

    return check


def _time(window: TimeFilter) -> Check:
    within = compile_window(window.start, window.stop, window.timezone)
    wanted = f"from {window.start} to {window.stop} {window.timezone or 'UTC'}"

    def check(event: Event, _document: Document) -> Reason | None:
        if within(event.time):
            return None
        return Reason("Time", "time", wanted, event.time.isoformat() if event.time else "absent")

    return check


# ---------------------------------------------------------------------------- data

_Test = Callable[[Document], Reason | None]
_Match = Callable[[Result], bool]


def _data(filters: Sequence[DataFilter], operator: str) -> Check:
    if not filters:
        return _passes
    tests = [_test(one) for one in filters]
    joined = _any_test(tests) if operator == "or" and len(tests) > 1 else _all_tests(tests)

    def check(event: Event, document: Document) -> Reason | None:
        if event.data is None:
            return None
        if not document.valid:
            raise FilterError(
                f"filtering event {event.id!r} of {event.source}/{event.subject} by its data: "
                "not valid JSON",
                hint="see what was sent with: tocsin dlq show",
            )
        return joined(document)

    return check


def _all_tests(tests: Sequence[_Test]) -> _Test:
    if len(tests) == 1:
        return tests[0]

    def test(document: Document) -> Reason | None:
        for one in tests:
            reason = one(document)
            if reason is not None:
                return reason
        return None

    return test


def _any_test(tests: Sequence[_Test]) -> _Test:
    def test(document: Document) -> Reason | None:
        first: Reason | None = None
        for one in tests:
            reason = one(document)
            if reason is None:
                return None
            first = first or reason
        return first

    return test


def _test(one: DataFilter) -> _Test:
    get, matches = paths.compile(one.path).get, _match(one)
    wanted = f"{one.comparator or '='} {' or '.join(one.value)} ({one.type})"
    missing = Reason("PathMissing", one.path)

    def test(document: Document) -> Reason | None:
        try:
            found = get(document)
        except EvaluationError as exc:
            raise FilterError(f"filtering by data path {one.path!r}: {exc}") from exc
        if found is None:
            return missing
        if matches(found):
            return None
        return Reason("Data", one.path, wanted, found.raw[:80])

    return test


def _match(one: DataFilter) -> _Match:
    try:
        match one.type:
            case "string":
                return _any_match([_string(v, one.comparator) for v in one.value])
            case "number":
                return _any_match([_number(v, one.comparator) for v in one.value])
            case "bool":
                return _any_match([_bool(v) for v in one.value])
    except ValueError as exc:
        raise ConfigError(
            f"reading value of data filter {one.path!r} as {one.type}: {exc}"
        ) from exc


def _any_match(matches: Sequence[_Match]) -> _Match:
    if len(matches) == 1:
        return matches[0]
    return lambda found: any(one(found) for one in matches)


def _string(pattern: str, comparator: str) -> _Match:
    search = _search(pattern)
    if comparator in {"", "="}:
        return lambda found: search(found.text)
    if comparator == "!=":
        return lambda found: not search(found.text)
    return lambda _: False  # texts have no order here; the plan warns


_LITERAL = re.compile(r"(\^?)([^\\.+*?()|\[\]{}^$]*)(\$?)")


def _search(pattern: str) -> Callable[[str], bool]:
    """Compile a regular expression that is searched for anywhere; plain texts need no engine."""
    if match := _LITERAL.fullmatch(pattern):
        start, text, end = match[1], match[2], match[3]
        if start and end:
            return lambda value: value == text
        if start:
            return lambda value: value.startswith(text)
        if end:
            return lambda value: value.endswith(text)
        return lambda value: text in value
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern, options=options).search
    except re2.error as exc:
        why = exc.args[0].decode() if isinstance(exc.args[0], bytes) else str(exc)
        raise ValueError(f"{pattern!r} is no regular expression (RE2): {why}") from exc
    return lambda value: search(value) is not None


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
