"""Sources: values taken from the event of a dependency.

A template is asked first, then a key, of the data or else of the attributes; where both give
nothing the default counts. All is compiled once to closures; `explain_source` tells which of these
ways gave the value, and why those before it did not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import model_validator

from sensor.fields import Flag, Name
from sensor.firing import context_json, context_time, data_document, whole_json
from sensor.rendered import GoTemplate, compile_rendering
from spine.errors import ParameterError
from spine.event import Event
from spine.lang import EvaluationError, gjson, paths, slips
from spine.lang.gjson import Document, Kind
from spine.model import Model, warn_of

Events = Mapping[str, Event]


class ParameterSource(Model):
    """Where a value comes from.

    With neither key nor template it is `value`, or else the whole event as JSON text.
    """

    dependency_name: Name
    """Dependency whose event is looked at."""
    context_key: str = ""
    """gjson path into the event's attributes, such as `subject`."""
    context_template: GoTemplate = ""
    """Go template over the attributes, which are `.Input`; wins over contextKey."""
    data_key: str = ""
    """gjson path into the data; `@this` is all of it. Wins over the context."""
    data_template: GoTemplate = ""
    """Go template over the data, which is `.Input`. Wins over dataKey, which is taken where the
    template fails, gives nothing or gives `<no value>`."""
    value: str | None = None
    """Default, taken where the event or the key is missing."""
    use_raw_data: Flag = False
    """Whether a number, boolean, object or array stays what it is; else it becomes a text."""

    @model_validator(mode="after")
    def _slips(self) -> "ParameterSource":
        warn_of("contextKey", slips.of_path(self.context_key))
        warn_of("dataKey", slips.of_path(self.data_key))
        return self


class Value(NamedTuple):
    """What a source gave."""

    kind: Kind
    text: str


Resolve = Callable[[Events], Value | None]
"""Gives the value of a source, None where the dependency has no event and there is no default."""


class Origin(NamedTuple):
    """A value and where it came from."""

    value: Value
    field: str
    """Field of the source that gave it, such as `dataTemplate`; `event` for the whole event."""
    notes: tuple[str, ...] = ()
    """Why the fields before gave none."""


_Look = Callable[[Events, str], Value | None]
"""Looks for a value in the event of a dependency, None where the key is missing."""

_Take = Callable[[Events, str], Value]
"""Takes a value from the event of a dependency. Raises ParameterError where it has none."""


class _Way(NamedTuple):
    """One of the ways of a source to a value."""

    field: str
    take: _Take


# ---------------------------------------------------------------------------- compiling


def compile_source(src: ParameterSource) -> Resolve:
    """Compile a source. Raises ConfigError for a path or a template that can never work."""
    name = src.dependency_name
    default = None if src.value is None else Value(Kind.STRING, src.value)
    ways = _ways(src)
    if not ways:
        return _whole(name, default)
    take = _first_of(ways)
    if default is not None:
        return _or_default(name, take, default)
    return lambda events: take(events, name) if name in events else None


class DataPath(NamedTuple):
    """A source that is nothing but a path into the data."""

    get: Callable[[Document], gjson.Result | None]
    """Finds its JSON. Raises EvaluationError."""
    missing: _Take
    """Raises the ParameterError that says why there is none."""


def data_path(src: ParameterSource) -> DataPath | None:
    """Compile a source that is nothing but a path into the data; None for any other."""
    if src.data_template or not src.data_key or src.value is not None:
        return None
    take = _found(_data(src.data_key), f"dataKey {src.data_key!r}")
    return DataPath(paths.compile(src.data_key).get, take)


def explain_source(src: ParameterSource) -> Callable[[Events], Origin | None]:
    """Compile a source to what says where its value comes from, and why from nowhere better.

    It gives None, and raises ParameterError, where resolving the source does.
    """
    name, ways = src.dependency_name, _ways(src)
    resolve = compile_source(src)

    def explain(events: Events) -> Origin | None:
        notes: list[str] = []
        for way in ways if name in events else ():
            try:
                return Origin(way.take(events, name), way.field, tuple(notes))
            except ParameterError as exc:
                notes.append(exc.message)
        value = resolve(events)
        if value is None:
            return None
        if name not in events:
            notes.append(f"there is no event of {name}")
        return Origin(value, "event" if src.value is None else "value", tuple(notes))

    return explain


def _ways(src: ParameterSource) -> list[_Way]:
    """Return how a value is looked for: first the template, then the key, of data or context."""
    ways = []
    if src.data_key or src.data_template:
        if src.data_template:
            ways.append(_Way("dataTemplate", _rendered(src.data_template, "dataTemplate", _input)))
        if src.data_key:
            ways.append(_Way("dataKey", _found(_data(src.data_key), f"dataKey {src.data_key!r}")))
        return ways
    if src.context_template:
        render = _rendered(src.context_template, "contextTemplate", _context_input)
        ways.append(_Way("contextTemplate", render))
    if src.context_key:
        take = _found(_context(src.context_key), f"contextKey {src.context_key!r}")
        ways.append(_Way("contextKey", take))
    return ways


def _first_of(ways: Sequence[_Way]) -> _Take:
    if len(ways) == 1:
        return ways[0].take
    first, second = ways[0].take, ways[1].take

    def take(events: Events, name: str) -> Value:
        try:
            return first(events, name)
        except ParameterError as exc:
            reason = exc
        try:
            return second(events, name)
        except ParameterError as exc:
            raise ParameterError(f"{exc.message}; before, {reason.message}", hint=exc.hint) from exc

    return take


def _whole(name: str, default: Value | None) -> Resolve:
    def resolve(events: Events) -> Value | None:
        event = events.get(name)
        if default is not None or event is None:
            return default
        return Value(Kind.STRING, whole_json(event))

    return resolve


def _or_default(name: str, take: _Take, default: Value) -> Resolve:
    def resolve(events: Events) -> Value:
        if name not in events:
            return default
        try:
            return take(events, name)
        except ParameterError:
            return default

    return resolve


def _rendered(text: str, field: str, read: Callable[[Events, str], Any]) -> _Take:
    render = compile_rendering(text)

    def take(events: Events, name: str) -> Value:
        try:
            return Value(Kind.STRING, render(read(events, name)))
        except EvaluationError as exc:
            raise ParameterError(f"rendering {field} of {name!r}: {exc}") from exc

    return take


def _input(events: Events, name: str) -> Any:
    return data_document(events, name).decoded


def _context_input(events: Events, name: str) -> Any:
    return Document(context_json(events[name]).encode()).decoded


def _found(look: _Look, what: str) -> _Take:
    def take(events: Events, name: str) -> Value:
        value = look(events, name)
        if value is None:
            raise ParameterError(
                f"resolving {what} of dependency {name!r}: event {events[name].id!r} has none",
                hint="give a default in value",
            )
        return value

    return take


def _data(key: str) -> _Look:
    get = paths.compile(key).get

    def take(events: Events, name: str) -> Value | None:
        try:
            found = get(data_document(events, name))
        except EvaluationError as exc:
            raise ParameterError(f"resolving dataKey {key!r} of {name!r}: {exc}") from exc
        return None if found is None else value_of(found)

    return take


def value_of(found: gjson.Result) -> Value:
    """Return what a parameter gets of JSON that was found."""
    kind = found.kind
    return Value(kind, "null" if kind is Kind.NULL else found.text)


_ATTRIBUTES = frozenset({"id", "source", "specversion", "type", "datacontenttype", "subject"})


def _context(key: str) -> _Look:
    if key in _ATTRIBUTES:
        return lambda events, name: Value(Kind.STRING, getattr(events[name], key))
    if key == "time":
        return _time
    get = paths.compile(key).get

    def take(events: Events, name: str) -> Value | None:
        try:
            found = get(Document(context_json(events[name]).encode()))
        except EvaluationError as exc:
            raise ParameterError(f"resolving contextKey {key!r} of {name!r}: {exc}") from exc
        return None if found is None else value_of(found)

    return take


def _time(events: Events, name: str) -> Value:
    time = context_time(events[name])
    return Value(Kind.NULL, "null") if time is None else Value(Kind.STRING, time)
