"""Traces: everything that was looked at on the way to a decision, for those who ask why.

`evaluate(..., trace=True)` puts them into its verdicts; `explain`, `why` and `test` show them. A
trace asks the compiled parts that decided, one by one; it decides nothing itself. While events
run nothing of this is called.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from pydantic import BaseModel

from sensor.dependencies import PlannedDependency
from sensor.firing import Firing
from sensor.globs import fits
from sensor.hints import hints_of_body, hints_of_path, is_there
from sensor.looks import compile_looks
from sensor.parameters import Parameter, PayloadEntry
from sensor.plan import Plan, PlannedTrigger
from sensor.reason import Finding
from sensor.sources import ParameterSource, explain_source
from sensor.spec import Dependency, SensorTrigger
from sensor.state import TriggerState
from spine.errors import EventError, ParameterError
from spine.event import Event
from spine.lang.gjson import Document
from spine.model import Path, dotted

# ---------------------------------------------------------------------------- dependencies


class Mismatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dependency that does not mean the event."""

    name: str
    source: str
    """EventSource that it names."""
    event: str
    """Event name that it names."""
    differs: tuple[str, ...]
    """What is another: eventSourceName, eventName."""


class DependencyTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a dependency saw."""

    source: str
    event: str
    before: str | None = None
    """Data as it came; None where there is none."""
    transform: str = ""
    """Program that was run on it, such as `jq: .body`."""
    after: str | None = None
    """Data as the filters and parameters see it."""
    fault: str = ""
    """Why the transform could not be done; then no filter was asked."""
    operator: str = "and"
    """How the kinds of filters are joined."""
    operators: dict[str, str] = {}
    """Kind -> how several filters of it are joined, where there are several."""
    filters: tuple[Finding, ...] = ()


def mismatches(plan: Plan, event: Event) -> list[Mismatch]:
    """Return the dependencies that do not mean an event, the most alike first."""
    found = [
        Mismatch(d.name, d.topic.source, d.topic.name, _differing(d, event))
        for d in plan.dependencies.values()
        if not d.takes(event.source, event.subject)
    ]
    return sorted(found, key=lambda one: -_likeness(one, event))


def _differing(dependency: PlannedDependency, event: Event) -> tuple[str, ...]:
    topic, out = dependency.topic, []
    if not fits(topic.source, event.source):
        out.append("eventSourceName")
    if not fits(topic.name, event.subject):
        out.append("eventName")
    return tuple(out)


def _likeness(one: Mismatch, event: Event) -> float:
    pairs = ((one.source, event.source), (one.event, event.subject))
    return sum(1.0 if fits(a, b) else difflib.SequenceMatcher(None, a, b).ratio() for a, b in pairs)


def trace_dependency(
    plan: Plan, dependency: PlannedDependency, event: Event, document: Document
) -> DependencyTrace:
    """Ask the transform and each filter of a dependency what they make of an event."""
    written = next(d for d in plan.spec.dependencies if d.name == dependency.name)
    filters = written.filters
    trace = DependencyTrace(
        source=dependency.topic.source,
        event=dependency.topic.name,
        before=_text(event.data),
        transform=_program(written),
        operator=written.filters_logical_operator or "and",
        operators=_operators(written),
    )
    seen, before = event, document
    if dependency.transform is not None:
        try:
            seen = dependency.transform(event)
        except EventError as exc:
            return msgspec.structs.replace(trace, fault=str(exc))
        document = Document(seen.data or b"")
    findings = [look(seen, document) for look in compile_looks(filters)]
    if dependency.transform is not None:
        findings = [_taken_away(one, before) for one in findings]
    return msgspec.structs.replace(trace, after=_text(seen.data), filters=tuple(findings))


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="replace")


def _program(written: Dependency) -> str:
    transform = written.transform
    if transform is None:
        return ""
    if transform.jq:
        return f"jq: {' '.join(transform.jq.split())}"
    return f"script: {' '.join(transform.script.split())}" if transform.script else ""


def _operators(written: Dependency) -> dict[str, str]:
    filters = written.filters
    out: dict[str, str] = {}
    if filters is not None and len(filters.exprs or []) > 1:
        out["exprs"] = filters.expr_logical_operator or "and"
    if filters is not None and len(filters.data or []) > 1:
        out["data"] = filters.data_logical_operator or "and"
    return out


def _taken_away(one: Finding, before: Document) -> Finding:
    """Say of a path that finds nothing where it stood before the transform."""
    if one.kind != "data" or one.passed or one.found or one.error:
        return one
    for path in (one.where, f"body.{one.where}"):
        if is_there(path, before):
            hint = f"before the transform the data has {path}"
            return msgspec.structs.replace(one, hints=(hint,))
    return one


# ---------------------------------------------------------------------------- triggers


class Present(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that conditions have."""

    dependency: str
    id: str
    since: float = 0.0
    """Unix seconds at which the bus took it; 0 where that is not known."""


class ParameterTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value taken from an event."""

    place: str
    """Where it is written, such as `template.http.payload[0]`."""
    dest: str
    source: str
    """What was asked for, such as `dataKey body.id of order`."""
    value: str | None = None
    """None: it is left out."""
    note: str = ""
    """Such as that the default was taken, and why."""
    fault: str = ""
    """Why there is none; then the action cannot be made."""
    hints: tuple[str, ...] = ()
    """What its author may have meant."""


class TriggerTrace(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a trigger had before it."""

    conditions: str
    present: tuple[Present, ...] = ()
    """Events that its conditions have now; of a firing those that took part."""
    parameters: tuple[ParameterTrace, ...] = ()
    hints: tuple[str, ...] = ()
    """What its author may have meant."""


def trace_trigger(
    plan: Plan, planned: PlannedTrigger, state: TriggerState, events: Mapping[str, Event] | None
) -> TriggerTrace:
    """Tell what a trigger waits with or, given the events of a firing, what it took of them."""
    text = planned.conditions.text
    entry = next(t for t in plan.spec.triggers if t.template.name == planned.name)
    if events is None:
        saved = state.saved.items()
        present = [Present(name, one.event.id, one.mark.stored) for name, one in saved]
        return TriggerTrace(text, tuple(present), hints=_of_conditions(entry, planned))
    names = [d.name for d in plan.spec.dependencies]
    taken = [_parameter(path, one, events, names) for path, one in _entries(entry, ())]
    present = [Present(name, event.id) for name, event in events.items()]
    return TriggerTrace(text, tuple(present), tuple(taken), _of_when(entry.if_, events))


_DATA = re.compile(r"\bdata((?:\??\.[A-Za-z_]\w*)+)")
"""A path into the data of an event, in an `if`."""


def _of_when(text: str, events: Mapping[str, Event]) -> tuple[str, ...]:
    """Guess where a value is that an `if` asks for in vain."""
    documents = [Document(event.data or b"") for event in events.values()]
    for match in _DATA.finditer(text):
        path = match[1].replace("?", "").removeprefix(".")
        if not any(is_there(path, document) for document in documents):
            found = [hint for document in documents for hint in hints_of_path(path, document)]
            return tuple(f"data has no {path}: {hint}" for hint in found[:1])
    return ()


def _of_conditions(entry: SensorTrigger, planned: PlannedTrigger) -> tuple[str, ...]:
    """Guess what was meant by conditions that nobody wrote."""
    if entry.template.conditions.strip() or not planned.stateful:
        return ()
    either = " || ".join(planned.conditions.names)
    return (f"without conditions it needs all dependencies: for any of them write {either}",)


def _entries(value: Any, path: Path) -> Iterator[tuple[Path, PayloadEntry]]:
    """Yield what takes values from events, in the order of the manifest."""
    if isinstance(value, PayloadEntry):
        yield path, value
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _entries(item, (*path, at))
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            if name in value.model_fields_set and not isinstance(value, Parameter):
                if isinstance(value, SensorTrigger) and name == "dlq_trigger":
                    continue
                yield from _entries(getattr(value, name), (*path, info.alias or name))


def _parameter(
    path: Path, entry: PayloadEntry, events: Mapping[str, Event], names: Sequence[str]
) -> ParameterTrace:
    src = entry.src
    trace = ParameterTrace(place=dotted(path), dest=entry.dest, source=_source(src))
    try:
        origin = explain_source(src)(events if isinstance(events, Firing) else Firing(events))
    except ParameterError as exc:
        return msgspec.structs.replace(trace, fault=exc.message, hints=_of_source(src, events))
    if origin is None:
        note = f"left out: there is no event of {_near(src.dependency_name, names)}"
        return msgspec.structs.replace(trace, note=note)
    taken = {"value": "the default", "event": "the whole event"}.get(origin.field, origin.field)
    note = f"{taken}, as {'; '.join(origin.notes)}" if origin.notes else ""
    hints = _of_source(src, events) if origin.notes else _of_text(origin.value.text)
    return msgspec.structs.replace(trace, value=origin.value.text, note=note, hints=hints)


def _of_text(text: str) -> tuple[str, ...]:
    if "<no value>" in text:
        return ("a template prints <no value> for a key that is not there: see default",)
    return ()


def _of_source(src: ParameterSource, events: Mapping[str, Event]) -> tuple[str, ...]:
    """Guess where in the data a value is that is not at its key."""
    event = events.get(src.dependency_name)
    if event is None or not src.data_key:
        return ()
    document = Document(event.data or b"")
    return hints_of_path(src.data_key, document) if document.valid else hints_of_body(event)


def _near(name: str, names: Sequence[str]) -> str:
    """Return the name of a dependency, with the one that was meant if there is none of it."""
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    return f"{name}, which no dependency is called" + (f" (did you mean {near[0]})" if near else "")


def _source(src: ParameterSource) -> str:
    asked = [
        f"{name} {text}"
        for name, text in (
            ("dataTemplate", src.data_template),
            ("dataKey", src.data_key),
            ("contextTemplate", src.context_template),
            ("contextKey", src.context_key),
        )
        if text
    ]
    what = ", then ".join(asked) or ("value" if src.value is not None else "the whole event")
    return f"{what} of {src.dependency_name}"
