"""Filters: which events of a dependency are worth something.

Every kind is compiled once to a closure that says why an event does not pass; what can never
work is found there and then. The cheap kinds (attributes, time of day) look first, so that
most of the stream is refused before any body is read. A reason is a code and its particulars;
its text is made only when somebody reads it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import model_validator

from sensor.data_filter import DataFilter, compile_data
from sensor.expr_filter import ExprFilter, compile_exprs
from sensor.fields import LogicalOperator
from sensor.reason import Check, Reason
from sensor.script_filter import compile_script
from sensor.window import compile_window, local_time, time_of_day
from spine.errors import ConfigError, FilterError
from spine.event import Event
from spine.lang.gjson import Document
from spine.model import Model, warn

# ---------------------------------------------------------------------------- models


class ContextFilter(Model):
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


class TimeFilter(Model):
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


class Filters(Model):
    """What an event must be like; all of it, or with `filtersLogicalOperator: or` any of it."""

    exprs: list[ExprFilter] | None = None
    """Expressions over values in the data."""
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
    script: str = ""
    """Lua program over `event`, the data, which returns true where the event passes."""


# ---------------------------------------------------------------------------- all kinds


class CompiledFilters(NamedTuple):
    """Filters that are ready."""

    check: Check
    safe: bool
    """Whether all programs in them are known to end, without a guard."""
    context: Check | None = None
    """The comparison of attributes, where an event that fails it fails them all."""


def compile_filters(filters: Filters | None, operator: str = "") -> CompiledFilters | None:
    """Compile the filters of a dependency; None where every event passes.

    Raises ConfigError for what can never work.
    """
    if filters is None:
        return None
    script = compile_script(filters.script) if filters.script else None
    kinds = _kinds(filters)
    checks = [check for check in kinds if check is not None]
    if script is not None:
        checks.append(script.check)
    safe = script is None or script.safe
    if operator == "or":
        return CompiledFilters(_any_of(checks) if checks else _nothing, safe)
    return CompiledFilters(_all_of(checks), safe, kinds[0]) if checks else None


def _nothing(_event: Event, _document: Document) -> Reason:
    return Reason("NothingConfigured")


def _kinds(filters: Filters) -> list[Check | None]:
    """Compile each kind, cheapest first."""
    exprs = None
    if filters.exprs is not None:
        exprs = compile_exprs(filters.exprs, filters.expr_logical_operator)
    return [
        None if filters.context is None else _context(filters.context),
        None if filters.time is None else time_check(filters.time),
        exprs,
        None if filters.data is None else compile_data(filters.data, filters.data_logical_operator),
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


def attribute_check(name: str, value: str) -> Check:
    """Compile the comparison of one attribute."""

    def check(event: Event, _document: Document) -> Reason | None:
        got = getattr(event, name)
        return None if got == value else Reason("Context", name, value, got)

    return check


def compared(context: ContextFilter) -> list[tuple[str, str]]:
    """Return the attributes that are compared, with what is wanted of them."""
    names = ("type", "subject", "source", "datacontenttype")
    return [(name, getattr(context, name)) for name in names if getattr(context, name)]


def _context(context: ContextFilter) -> Check:
    return _all_of([attribute_check(name, value) for name, value in compared(context)])


def time_check(window: TimeFilter) -> Check:
    """Compile a window of the day."""
    within = compile_window(window.start, window.stop, window.timezone)
    wanted = hours(window)

    def check(event: Event, _document: Document) -> Reason | None:
        if within(event.time):
            return None
        return Reason("Time", "time", wanted, local_time(event.time, window.timezone))

    return check


def hours(window: TimeFilter) -> str:
    """Return what a window wants, for people."""
    return f"from {window.start} to {window.stop} {window.timezone or 'UTC'}"
