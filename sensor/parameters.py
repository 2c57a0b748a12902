"""Parameters: values taken from events and put somewhere.

A source says which event and what of it; a destination is an sjson path into a trigger, or into
the message that a payload builds. All is compiled once to closures. The value of a missing
dependency (normal with `a || b`) is its default, or is left out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sensor.fields import Flag, Name
from sensor.firing import context_json, context_time, data_document, whole_json
from sensor.rendered import GoTemplate, compile_rendering
from spine.errors import ParameterError
from spine.event import Event
from spine.lang import EvaluationError, gjson, gojson, paths, sjson
from spine.lang.gjson import Document, Kind
from spine.model import Model

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


class PayloadEntry(Model):
    """A value and where it stands in the message."""

    src: ParameterSource
    """Where the value comes from."""
    dest: str = ""
    """sjson path in the message, such as `user.name`; empty makes the value the whole message."""
    operation: Literal["", "append", "overwrite", "prepend"] = ""
    """Has no meaning in a message."""


class Parameter(PayloadEntry):
    """A value and where it is put."""

    dest: Name
    """sjson path of what is changed, such as `http.url`."""
    operation: Literal["", "append", "overwrite", "prepend"] = ""
    """What happens to a text that is already there; empty overwrites it."""


class Value(NamedTuple):
    """What a source gave."""

    kind: Kind
    text: str


Resolve = Callable[[Events], Value | None]
"""Gives the value of a source, None where the dependency has no event and there is no default."""

Apply = Callable[[bytes, Events], bytes]
"""Puts parameters into a JSON document."""

Build = Callable[[Events], str]
"""Builds a message."""


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


# ---------------------------------------------------------------------------- sources


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
        return None if found is None else _value(found)

    return take


def _value(found: gjson.Result) -> Value:
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
        return None if found is None else _value(found)

    return take


def _time(events: Events, name: str) -> Value:
    time = context_time(events[name])
    return Value(Kind.NULL, "null") if time is None else Value(Kind.STRING, time)


# ---------------------------------------------------------------------------- destinations

_QUOTED = re.compile(r'[^\x20-\x7f]|["\\]')


def quoted(text: str) -> str:
    """Return a JSON string as sjson writes it: `<` stays unless something must be escaped."""
    return gojson.quote(text).decode() if _QUOTED.search(text) else f'"{text}"'


def _written(value: Value, raw: bool) -> str:
    return value.text if raw and value.kind is not Kind.STRING else quoted(value.text)


def compile_parameters(parameters: Sequence[Parameter]) -> Apply:
    """Compile parameters to a change of a JSON document. Raises ConfigError for a bad path."""
    steps = [_step(parameter) for parameter in parameters]

    def apply(document: bytes, events: Events) -> bytes:
        for step in steps:
            document = step(document, events)
        return document

    return apply


def _step(parameter: Parameter) -> Apply:
    resolve, raw = compile_source(parameter.src), parameter.src.use_raw_data
    put = compile_put(parameter.dest, parameter.operation)

    def step(document: bytes, events: Events) -> bytes:
        value = resolve(events)
        if value is None:
            return document
        return put(document, value.text, raw and value.kind is not Kind.STRING)

    return step


Put = Callable[[bytes, str, bool], bytes]
"""Puts a text into a JSON document, as it is where it is JSON itself (True), else as a string."""


def compile_put(dest: str, operation: str) -> Put:
    """Compile a destination. Raises ConfigError for a bad path; what it gives, ParameterError."""
    setter = sjson.compile(dest)
    current = gjson.compile(dest) if operation in {"append", "prepend"} else None
    prepends = operation == "prepend"

    def put(document: bytes, text: str, literal: bool) -> bytes:
        try:
            if current is not None and (there := current.get(Document(document))) is not None:
                joined = text + there.text if prepends else there.text + text
                return setter.set_text(document, joined)
            return setter.set(document, (text if literal else quoted(text)).encode())
        except EvaluationError as exc:
            raise ParameterError(f"setting parameter {dest!r}: {exc}") from exc

    return put


# ---------------------------------------------------------------------------- messages

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_ /-]*")
"""Destinations that are a member of the message and nothing else."""


def compile_payload(entries: Sequence[PayloadEntry]) -> Build:
    """Compile a payload to a builder of messages. Raises ConfigError for a bad path.

    An entry without a value is left out; no values at all make an empty message.
    """
    dests = [entry.dest for entry in entries]
    if len(set(dests)) == len(dests) and all(_PLAIN_KEY.fullmatch(d) for d in dests):
        return _flat(entries)
    return _nested(entries)


def _flat(entries: Sequence[PayloadEntry]) -> Build:
    """Build an object of distinct members: no document is parsed on the way."""
    parts = [(f'"{e.dest}":', compile_source(e.src), e.src.use_raw_data) for e in entries]

    def build(events: Events) -> str:
        members = []
        for key, resolve, raw in parts:
            value = resolve(events)
            if value is not None:
                text = value.text
                if not raw or value.kind is Kind.STRING:
                    text = quoted(text)
                members.append(key + text)
        return "{" + ",".join(members) + "}" if members else ""

    return build


def _nested(entries: Sequence[PayloadEntry]) -> Build:
    steps = [
        (compile_source(e.src), e.src.use_raw_data, sjson.compile(e.dest) if e.dest else None)
        for e in entries
    ]

    def build(events: Events) -> str:
        message = b""
        for resolve, raw, setter in steps:
            value = resolve(events)
            if value is None:
                continue
            if setter is None:
                return value.text
            try:
                message = setter.set(message, _written(value, raw).encode())
            except EvaluationError as exc:
                raise ParameterError(f"building the payload: {exc}") from exc
        return message.decode()

    return build
