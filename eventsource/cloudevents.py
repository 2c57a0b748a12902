"""CloudEvents that are posted to us, in binary or structured mode.

Read only for what they call themselves: id, time, source, type, subject and extensions. The
payload of our event is the same as of any other request, so nothing of them is lost.
Binding: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from eventsource.source import Origin
from spine.errors import EventError
from spine.event import decode

STRUCTURED = b"application/cloudevents+json"
VERSION = b"ce-specversion"
"""The header that tells binary mode."""

_OWN = frozenset(
    {"specversion", "id", "source", "type", "subject", "time", "data"}
    | {"dataschema", "schemaurl", "datacontenttype", "datacontentencoding"}
)
_NAME = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Posted:
    """What a posted CloudEvent calls itself."""

    id: str
    time: datetime | None
    origin: Origin


def structured(body: bytes) -> Posted:
    """Read a CloudEvent that is the whole body. Raises ValueError saying what is wrong."""
    try:
        event = decode(body)
    except EventError as exc:
        raise ValueError(exc.message.partition(": ")[2]) from exc
    _demand(id=event.id, source=event.source, type=event.type)
    extensions = {k: v for k, v in event.extensions.items() if isinstance(v, str | int | bool)}
    return Posted(
        event.id,
        event.time,
        Origin(event.source, event.type, event.subject, extensions),
    )


def binary(fields: Mapping[bytes, bytes]) -> Posted:
    """Read a CloudEvent whose attributes are headers. Raises ValueError saying what is wrong."""
    found = {
        name[3:].decode("latin-1"): _text(value)
        for name, value in fields.items()
        if name.startswith(b"ce-")
    }
    if found["specversion"] not in {"1.0", "0.3"}:
        msg = f"ce-specversion is {found['specversion']!r}, not 1.0"
        raise ValueError(msg)
    _demand("ce-", id=found.get("id"), source=found.get("source"), type=found.get("type"))
    extensions: dict[str, Any] = {
        k: v for k, v in found.items() if k not in _OWN and _NAME.fullmatch(k)
    }
    time = found.get("time")
    try:
        moment = msgspec.convert(time, datetime) if time else None
    except msgspec.ValidationError as exc:
        msg = f"ce-time {time!r} is not a time of RFC 3339"
        raise ValueError(msg) from exc
    if moment is not None and moment.tzinfo is None:
        msg = f"ce-time {time!r} has no time zone"
        raise ValueError(msg)
    origin = Origin(found["source"], found["type"], found.get("subject", ""), extensions)
    return Posted(found["id"], moment, origin)


def _text(value: bytes) -> str:
    """Undo the percent-encoding that the binding has for what a header cannot carry."""
    return unquote_to_bytes(value).decode(errors="replace")


def _demand(prefix: str = "", **attributes: str | None) -> None:
    missing = [f"{prefix}{name}" for name, value in attributes.items() if not value]
    if missing:
        msg = f"a CloudEvent needs {' and '.join(missing)}"
        raise ValueError(msg)
