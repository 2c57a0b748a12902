"""Filters asked one by one: what each of them sees in an event, also where one was enough.

For those who ask why, never while events run. Each look asks the very check that decides, compiled
by the same function, and adds what stood at its place and what its author may have meant.
"""

from collections.abc import Sequence
from datetime import UTC

import msgspec

from sensor.data_filter import look_at_data
from sensor.expr_filter import ExprFilter, compile_exprs
from sensor.filters import Filters, TimeFilter, attribute_check, compared, hours, time_check
from sensor.hints import hints_of_body, hints_of_path, shortened
from sensor.reason import Check, Finding, Look
from sensor.script_filter import compile_script
from sensor.window import compile_window, local_time
from spine.errors import FilterError
from spine.event import Event
from spine.lang import EvaluationError, paths
from spine.lang.gjson import Document


def compile_looks(filters: Filters | None) -> tuple[Look, ...]:
    """Return what asks each filter alone, in the order in which they decide.

    Raises ConfigError for what can never work.
    """
    if filters is None:
        return ()
    looks: list[Look] = []
    if filters.context is not None:
        looks += [_look_at_attribute(*one) for one in compared(filters.context)]
    if filters.time is not None:
        looks.append(_look_at_time(filters.time))
    looks += _look_at_exprs(filters.exprs or [])
    looks += look_at_data(filters.data or [])
    if filters.script:
        looks.append(_look_at_script(filters.script))
    return tuple(looks)


def _look_at_attribute(name: str, value: str) -> Look:
    check = attribute_check(name, value)

    def look(event: Event, document: Document) -> Finding:
        finding = asked(check, event, document, Finding("context", True, 0, name, f"= {value}"))
        return msgspec.structs.replace(finding, found=str(getattr(event, name)))

    return look


def _look_at_time(window: TimeFilter) -> Look:
    check, wanted = time_check(window), hours(window)

    def look(event: Event, document: Document) -> Finding:
        finding = asked(check, event, document, Finding("time", True, 0, "time", wanted))
        found = local_time(event.time, window.timezone)
        hints = () if finding.passed else hints_of_time(window, event)
        return msgspec.structs.replace(finding, found=found, hints=hints)

    return look


def hints_of_time(window: TimeFilter, event: Event) -> tuple[str, ...]:
    """Guess what was meant by a window that a moment misses."""
    if event.time is None:
        return ("the event bears no time",)
    if not window.timezone:
        return ("without a timezone the window is in UTC: write timezone: Europe/Oslo, say",)
    if compile_window(window.start, window.stop, "UTC")(event.time):
        return (f"in UTC it is {event.time.astimezone(UTC):%H:%M:%S}, which would pass",)
    return ()


def _look_at_exprs(exprs: Sequence[ExprFilter]) -> list[Look]:
    several = len(exprs) > 1
    return [_look_at_expr(one, n if several else 0) for n, one in enumerate(exprs, 1)]


def _look_at_expr(one: ExprFilter, number: int) -> Look:
    check = compile_exprs([one], "")
    fields = [(field.name, field.path, paths.compile(field.path).get) for field in one.fields]

    def look(event: Event, document: Document) -> Finding:
        finding = asked(check, event, document, Finding("exprs", True, number, one.expr, "true"))
        values, hints = [], list(finding.hints)
        for name, path, get in fields:
            try:
                found = get(document)
            except EvaluationError:
                found = None
            values.append(f"{name} = {'missing' if found is None else shortened(found.raw)}")
            if found is None and event.data is not None:
                hints += hints_of_path(path, document)
        return msgspec.structs.replace(finding, found=", ".join(values), hints=tuple(hints))

    return look


def _look_at_script(script: str) -> Look:
    check = compile_script(script).check
    shown = shortened(" ".join(script.split()))

    def look(event: Event, document: Document) -> Finding:
        return asked(check, event, document, Finding("script", True, 0, shown, "true"))

    return look


def asked(check: Check, event: Event, document: Document, finding: Finding) -> Finding:
    """Ask a check; return the finding with its answer."""
    try:
        reason = check(event, document)
    except FilterError as exc:
        hints = () if document.valid else hints_of_body(event)
        return msgspec.structs.replace(
            finding, passed=False, detail=exc.message, error=True, hints=hints
        )
    detail = "" if reason is None else reason._replace(number=0).text
    return msgspec.structs.replace(finding, passed=reason is None, detail=detail)
