"""Expression filters: a govaluate expression over values in the data of an event.

As in Argo Events an event passes where the expression gives exactly true. What its values do not
allow (a text compared with a number) does not pass either, and the reason says why: events of
other shapes are no faults. What can never work is found when the filter is compiled.
"""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, model_validator

from sensor.data_filter import require_json
from sensor.fields import Name
from sensor.hints import shortened
from sensor.reason import Check, Reason, Test, all_of, any_of
from spine.errors import ConfigError
from spine.event import Event
from spine.lang import EvaluationError, govaluate, paths, slips
from spine.lang.gjson import Document, Kind, Result
from spine.model import Model, warn, warn_of


class ExprField(Model):
    """A name in an expression."""

    path: Name
    """gjson path of its value in the data."""
    name: Name
    """Name in the expression; `[…]` around it there, unless it is a letter with letters, digits
    and `_` behind it."""

    @model_validator(mode="after")
    def _slip(self) -> "ExprField":
        warn_of("path", slips.of_path(self.path))
        return self


class ExprFilter(Model):
    """An expression over fields of the data."""

    expr: Name
    """govaluate expression; an event passes where it gives true."""
    fields: Annotated[list[ExprField], Field(min_length=1)]
    """Its variables; a missing path does not pass."""

    @model_validator(mode="after")
    def _slips(self) -> "ExprFilter":
        try:
            expression = govaluate.compile(self.expr)
        except ConfigError:
            return self  # told with its place when it is planned
        for warning in expression.warnings:
            warn(f"expr: {warning}")
        names = {one.name for one in self.fields}
        for name in expression.names:
            if name not in names and name not in expression.needed:
                warn(f"expr: {name} has no value where it is looked at{_guess(name, names)}")
        for name in sorted(names.difference(expression.names)):
            warn(f"fields: {name} is not in the expression")
        return self


def _guess(name: str, names: set[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {near[0]}?" if near else ""


# ---------------------------------------------------------------------------- compiling


_NOTHING = Reason("Expr", "exprs", "true", "empty, with exprLogicalOperator or")


def compile_exprs(exprs: Sequence[ExprFilter], operator: str) -> Check:
    """Compile expression filters. Raises ConfigError for what can never work."""
    tests = [_test(one) for one in exprs]
    joined = any_of(tests, _NOTHING) if operator == "or" else all_of(tests)

    def check(event: Event, document: Document) -> Reason | None:
        if event.data is None:
            return None
        require_json(event, document)
        return joined(document)

    return check


def _test(one: ExprFilter) -> Test:
    run = _compiled(one).run
    fields = [
        (field.name, paths.compile(field.path).get, Reason("PathMissing", field.path))
        for field in one.fields
    ]

    def where(document: Document) -> str:
        found = ((name, get(document)) for name, get, _ in fields)
        return ", ".join(f"{name} = {shortened(at.raw)}" for name, at in found if at is not None)

    def test(document: Document) -> Reason | None:
        values: dict[str, Any] = {}
        try:
            for name, get, missing in fields:
                found = get(document)
                if found is None:
                    return missing
                values[name] = _value(found)
        except (EvaluationError, RecursionError) as exc:
            return Reason("Expr", one.expr, "true", f"impossible: {exc}")
        try:
            result = run(values)
        except EvaluationError as exc:
            return Reason("Expr", one.expr, "true", f"impossible where {where(document)}: {exc}")
        if result is True:
            return None
        given = "false" if result is False else govaluate.shown(result)
        return Reason("Expr", one.expr, "true", f"{given} where {where(document)}")

    return test


def _compiled(one: ExprFilter) -> govaluate.Expression:
    """Compile an expression whose variables are bound where they are surely read."""
    expression = govaluate.compile(one.expr)
    names = {field.name for field in one.fields}
    for name in expression.names:
        if name in expression.needed and name not in names:
            guess = _guess(name, names)
            raise ConfigError(
                f"compiling expression {one.expr!r}: no field is named {name!r}{guess}",
                hint=f"add to fields: {{name: {name}, path: …}}, or quote it if it is a text",
            )
    return expression


# ---------------------------------------------------------------------------- values


def _value(found: Result) -> Any:
    """Return a value as govaluate has it: numbers are float, the first of equal keys counts."""
    match found.kind:
        case Kind.STRING:
            return found.text
        case Kind.NUMBER:
            return found.number
        case Kind.JSON:
            return _container(found)
        case Kind.NULL:
            return None
    return found.kind is Kind.TRUE


def _container(found: Result) -> Any:
    if found.is_array:
        return [_value(element) for element in found.elements()]
    members: dict[str, Any] = {}
    for key, member in found.pairs():
        members.setdefault(key, _value(member))
    return members
