"""The one event type that travels through the framework, and its form on the wire.

A CloudEvent in structured JSON, byte for byte as Argo Events writes it (members in a fixed
order, the payload always in `data_base64`), so that either side of an existing installation
can be replaced first. Reading also takes `data`, specversion 0.3 and extension attributes.
Format: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import hashlib
import json
import os
import re
from binascii import b2a_base64
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from spine.errors import EventError

JSON = "application/json"

ORIGIN_SOURCE = "originsource"
"""Extension attribute: the `source` of a CloudEvent that was posted to us."""
ORIGIN_TYPE = "origintype"
"""Extension attribute: the `type` of a CloudEvent that was posted to us."""
ORIGIN_SUBJECT = "originsubject"
"""Extension attribute: the `subject` of a CloudEvent that was posted to us."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent: the envelope decoded, the data as bytes.

    `source` is the name of the EventSource, `subject` the name of the event in it, `type` the
    kind of source. `data` is None where the event has no data at all.
    """

    id: str
    source: str
    type: str
    subject: str = ""
    time: datetime | None = None
    datacontenttype: str = JSON
    data: bytes | None = None
    specversion: str = "1.0"
    extensions: dict[str, Any] = {}


# ---------------------------------------------------------------------------- identity

_prefix = os.urandom(12).hex()
_counter: Iterator[int] = count(int.from_bytes(os.urandom(3), "big"))


def _reseed() -> None:
    global _prefix  # noqa: PLW0603 -- a forked child must not repeat the parent's ids
    _prefix = os.urandom(12).hex()


os.register_at_fork(after_in_child=_reseed)


def new_id() -> str:
    """Return 32 hex digits that no other process or call gives."""
    return f"{_prefix}{next(_counter) & 0xFFFFFFFF:08x}"


def message_id(event: Event) -> str:
    """Return the `Nats-Msg-Id` of an event: equal for equal events, and only for those.

    JetStream drops a repeated id for a whole stream, not for a subject, so the id alone would
    let one event of a sender swallow another one of a different source.
    """
    origin = event.extensions.get(ORIGIN_SOURCE, "") if event.extensions else ""
    text = f"{event.source}\x00{event.subject}\x00{origin}\x00{event.id}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


# ---------------------------------------------------------------------------- writing

_HTML = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
_UNSAFE = re.compile(r"[<>&\u2028\u2029]")
_URI = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]+")
_encode_json = msgspec.json.Encoder().encode


def _quoted(text: str) -> bytes:
    """Return a text as `_text` does; most hold letters and digits only."""
    return f'"{text}"'.encode() if text.isascii() and text.isalnum() else _text(text).encode()


def _text(value: Any) -> str:
    written = _encode_json(value).decode()
    return written.translate(_HTML) if _UNSAFE.search(written) else written


def _uri(text: str) -> str:
    return text if _URI.fullmatch(text) else quote(text, safe="._~:/?#[]@!$&'()*+,;=-%")


def _instant(moment: datetime) -> bytes:
    """RFC 3339 in UTC with trailing zeros of the fraction cut, in quotes."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    text = _encode_json(moment)
    return text[:-2].rstrip(b"0") + b'Z"' if b"." in text else text


@lru_cache(maxsize=1024)
def _names(source: str, type: str, subject: str, content_type: str) -> bytes:
    """Return the members that all events of one source share."""
    text = f',"source":{_text(_uri(source))},"type":{_text(type)}'
    if subject:
        text += f',"subject":{_text(subject)}'
    if content_type:
        text += f',"datacontenttype":{_text(content_type)}'
    return text.encode()


def encode(event: Event) -> bytes:
    """Return the structured JSON of an event as Argo Events would write it."""
    names = _names(event.source, event.type, event.subject, event.datacontenttype)
    parts = [b'{"specversion":"', event.specversion.encode(), b'","id":', _quoted(event.id), names]
    if event.time is not None:
        parts += (b',"time":', _instant(event.time))
    if event.data is not None:
        parts += (b',"data_base64":"', b2a_base64(event.data, newline=False), b'"')
    if event.extensions:
        for name in sorted(event.extensions):
            parts.append(f",{_text(name)}:{_text(event.extensions[name])}".encode())
    parts.append(b"}")
    return b"".join(parts)


# ---------------------------------------------------------------------------- reading


_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Wire(msgspec.Struct, forbid_unknown_fields=True):
    """The form that we and Argo Events write; anything else takes the slow way."""

    specversion: str
    id: str
    source: str
    type: str
    data_base64: bytes
    subject: str = ""
    time: _Instant | None = None
    datacontenttype: str = ""


_decode_wire = msgspec.json.Decoder(_Wire).decode
_STANDARD = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"}
    | {"schemaurl", "data", "data_base64", "datacontentencoding"}
)
_EXTENSION = re.compile(r"[A-Za-z0-9]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SPACE = re.compile(r"[ \t\r\n]*")


def decode(message: bytes) -> Event:
    """Read an event from the bus.

    Raises EventError for whatever is not a CloudEvent, with the start of the message.
    """
    try:
        wire = _decode_wire(message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_any(message)
    if wire.specversion != "1.0" or not wire.source or _URI.fullmatch(wire.source) is None:
        return _decode_any(message)
    return Event(
        id=wire.id,
        source=wire.source,
        type=wire.type,
        subject=wire.subject,
        time=wire.time,
        datacontenttype=wire.datacontenttype,
        data=wire.data_base64,
    )


def _refuse(message: bytes, why: str) -> EventError:
    head = message[:80].decode(errors="replace")
    return EventError(
        f"reading CloudEvent {head!r}: {why}",
        hint="the bus carries CloudEvents 1.0 in structured JSON",
    )


def _decode_any(message: bytes) -> Event:
    try:
        members = dict(_members(message.decode()))
    except (ValueError, RecursionError) as exc:
        raise _refuse(message, str(exc)) from exc
    try:
        return _assemble(members)
    except ValueError as exc:
        raise _refuse(message, str(exc)) from exc


def _members(text: str) -> Iterator[tuple[str, tuple[Any, str]]]:
    """Yield name, value and the value's own text of each member of a JSON object."""
    decoder = json.JSONDecoder()
    start = _skip(text, 0)
    if not text.startswith("{", start):
        raise ValueError("no specversion: not a JSON object")
    at = _skip(text, start + 1)
    if text.startswith("}", at):
        return
    while True:
        name, at = decoder.raw_decode(text, at)
        if not isinstance(name, str) or not text.startswith(":", at := _skip(text, at)):
            raise ValueError("not a JSON object")
        value, end = decoder.raw_decode(text, _skip(text, at + 1))
        yield name, (value, text[at + 1 : end])
        at = _skip(text, end)
        if text.startswith("}", at):
            break
        if not text.startswith(",", at):
            raise ValueError(f"expected a comma at character {at}")
        at = _skip(text, at + 1)
    if _skip(text, at + 1) != len(text):
        raise ValueError("more text after the JSON object")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _assemble(members: dict[str, tuple[Any, str]]) -> Event:
    version = members.get("specversion", ("", ""))[0]
    if version not in {"1.0", "0.3"}:
        raise ValueError(f"specversion is {version!r}, not 1.0")
    words = {}
    for name in ("id", "source", "type", "subject", "datacontenttype", "time"):
        value = members.get(name, ("", ""))[0]
        if not isinstance(value, str):
            raise ValueError(f"{name} is not a string")  # noqa: TRY004 -- one error for bad input
        words[name] = value
    if "source" in members and not words["source"]:
        raise ValueError("cannot parse an empty source")
    if _BAD_ESCAPE.search(words["source"]):
        raise ValueError(f"cannot parse source {words['source']!r} as a URI")
    time = words.pop("time")
    return Event(
        **words | {"source": _uri(words["source"]) if words["source"] else ""},
        time=msgspec.convert(time, _Instant) if time else None,
        data=_data(members, words["datacontenttype"]),
        specversion=version,
        extensions=dict(_extensions(members)),
    )


def _data(members: dict[str, tuple[Any, str]], content_type: str) -> bytes | None:
    encoded = members.get("data_base64")
    plain = members.get("data")
    if encoded is None and plain is None:
        return None
    if encoded is not None and plain is not None:
        raise ValueError("both data and data_base64 are given")
    if encoded is not None:
        return msgspec.convert(encoded[0], bytes)
    assert plain is not None
    value, text = plain
    if members.get("datacontentencoding", ("",))[0] == "base64":
        return msgspec.convert(value, bytes)
    if content_type in {"", JSON, "text/json", "application/cloudevents+json"}:
        return text.encode()
    if not isinstance(value, str):
        raise ValueError(f"data of content type {content_type!r} is not a string")  # noqa: TRY004 -- one error for bad input
    return value.encode()


def _extensions(members: dict[str, tuple[Any, str]]) -> Iterator[tuple[str, Any]]:
    for name, (value, _) in members.items():
        if name in _STANDARD:
            continue
        if name.lower() in _STANDARD or not _EXTENSION.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of an attribute")
        yield name.lower(), value
