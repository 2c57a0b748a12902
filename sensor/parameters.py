"""Parameters: values taken from events and put somewhere.

A source says which event and what of it (sensor.sources); a destination is an sjson path into a
trigger, or into the message that a payload builds. All is compiled once to closures. The value of
a missing dependency (normal with `a || b`) is its default, or is left out.
"""

import re
from collections.abc import Callable, Sequence
from typing import Literal, Self

from pydantic import model_validator

from sensor.fields import Name
from sensor.firing import data_document
from sensor.sources import (
    Events,
    ParameterSource,
    Value,
    compile_source,
    data_path,
    value_of,
)
from spine.errors import ParameterError
from spine.lang import EvaluationError, gjson, gojson, sjson, slips
from spine.lang.gjson import Document, Kind, Result
from spine.model import Model, warn_of


class PayloadEntry(Model):
    """A value and where it stands in the message."""

    src: ParameterSource
    """Where the value comes from."""
    dest: str = ""
    """sjson path in the message, such as `user.name`; empty makes the value the whole message."""
    operation: Literal["", "append", "overwrite", "prepend"] = ""
    """Has no meaning in a message."""

    @model_validator(mode="after")
    def _slip(self) -> Self:
        warn_of("dest", slips.of_destination(self.dest))
        return self


class Parameter(PayloadEntry):
    """A value and where it is put."""

    dest: Name
    """sjson path of what is changed, such as `http.url`."""
    operation: Literal["", "append", "overwrite", "prepend"] = ""
    """What happens to a text that is already there; empty overwrites it."""


Apply = Callable[[bytes, Events], bytes]
"""Puts parameters into a JSON document."""

Build = Callable[[Events], str]
"""Builds a message."""


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

_QUOTE = ord('"')
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
    parts = [(f'"{entry.dest}":', *_text_of(entry)) for entry in entries]

    def build(events: Events) -> str:
        members, of, document = [], "", None
        for key, name, text_of in parts:
            if name and name != of:  # most have one dependency: its document is found once
                of, document = name, data_document(events, name) if name in events else None
            text = text_of(events, document)
            if text is not None:
                members.append(key + text)
        return "{" + ",".join(members) + "}" if members else ""

    return build


_TextOf = Callable[[Events, Document | None], str | None]
"""Gives the JSON of an entry, None where it is left out."""


def _text_of(entry: PayloadEntry) -> tuple[str, _TextOf]:
    """Return the dependency whose data an entry is found in, if it is, and what gives its JSON."""
    raw, name, path = entry.src.use_raw_data, entry.src.dependency_name, data_path(entry.src)
    if path is None:
        resolve = compile_source(entry.src)

        def written(events: Events, _document: Document | None) -> str | None:
            value = resolve(events)
            return None if value is None else _written(value, raw)

        return "", written
    get, missing = path

    def found_text(events: Events, document: Document | None) -> str | None:
        if document is None:
            return None
        try:
            found = get(document)
        except EvaluationError:
            found = None
        return _text(found.data, raw) if found is not None else _written(missing(events, name), raw)

    return name, found_text


def _text(data: bytes, raw: bool) -> str:
    """Return JSON as it is written into a message; most of it is copied."""
    if data[0] == _QUOTE:
        if b"\\" not in data:
            text = data.decode("utf-8", "replace")
            if text.isascii() and text.isprintable():
                return text  # as it would be written again
    elif data.isdigit():
        return data.decode() if raw else f'"{data.decode()}"'
    return _written(value_of(Result(data)), raw)


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
