"""Changing what a dead letter holds: the data of its event, or the content of its action."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from eventbus.bus import Bus
from spine.errors import ConfigError, EventError
from spine.event import Event, decode, encode
from spine.lang import EvaluationError, sjson

if TYPE_CHECKING:
    from delivery.dead import DeadLetter, Entry


async def changed(
    bus: Bus, entry: "Entry", sets: Sequence[str], content: str | None
) -> "DeadLetter | None":
    """Return a letter with something else in it; None where that is what it held.

    `sets` are texts `PATH=VALUE`; `content` is all of it. With neither, an editor is opened.
    Raises ConfigError for what cannot be read or edited.
    """
    letter, number = entry.letter, entry.sequence
    if letter.action is not None:
        if letter.cut:
            raise ConfigError(f"editing dead letter {number}: its content was too large to keep")
        now = _edited(number, letter.action.content, sets, content)
        if not isinstance(now, dict):
            raise ConfigError(f"editing dead letter {number}: an action's content is an object")
        if now == letter.action.content:
            return None
        action = msgspec.structs.replace(letter.action, content=now)
        return msgspec.structs.replace(letter, action=action, edited=number)
    event = await _event(bus, entry)
    now = _edited(number, _data(event), sets, content)
    if now == _data(event):
        return None
    data = encode(msgspec.structs.replace(event, data=_bytes(now)))
    return msgspec.structs.replace(letter, data=data, cut=False, edited=number)


async def _event(bus: Bus, entry: "Entry") -> Event:
    from delivery.dead import body

    try:
        return decode(await body(bus, entry.letter))
    except EventError as exc:
        raise ConfigError(f"editing dead letter {entry.sequence}: {exc}") from exc


def _data(event: Event) -> Any:
    try:
        return json.loads(event.data or b"null")
    except ValueError:
        return (event.data or b"").decode(errors="replace")


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _edited(number: int, value: Any, sets: Sequence[str], content: str | None) -> Any:
    """Return what a value becomes."""
    if sets and content is not None:
        raise ConfigError(f"editing dead letter {number}: give --set or --file, not both")
    if content is not None:
        return _read(number, content)
    if sets:
        for one in sets:
            value = _set(number, value, one)
        return value
    text = click.edit(json.dumps(value, indent=2, ensure_ascii=False) + "\n", extension=".json")
    return value if text is None else _read(number, text)


def _read(number: int, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise ConfigError(f"editing dead letter {number}: it is to hold no JSON: {exc}") from exc


def _set(number: int, value: Any, text: str) -> Any:
    path, equals, new = text.partition("=")
    if not equals or not path:
        raise ConfigError(f"editing dead letter {number}: --set {text!r} is no PATH=VALUE")
    try:
        raw = json.dumps(json.loads(new))
    except ValueError:
        raw = json.dumps(new)
    try:
        return _put(value, path, raw.encode())
    except (EvaluationError, ValueError) as exc:
        raise ConfigError(f"editing dead letter {number}: setting {path}: {exc}") from exc


def _put(value: Any, path: str, raw: bytes) -> Any:
    """Return a value with another one at a path, which may lead into a text of JSON."""
    first, dot, rest = path.partition(".")
    within = value.get(first) if isinstance(value, dict) and dot else None
    if isinstance(within, str) and within.lstrip()[:1] in {"{", "["}:
        inside = json.dumps(_put(json.loads(within), rest, raw), ensure_ascii=False)
        return {**value, first: inside}
    return json.loads(sjson.compile(path).set(json.dumps(value).encode(), raw))
