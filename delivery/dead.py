"""Dead letters: what can never pass by itself, kept with its reason until somebody decides.

An event that no filter, transform or rendering can take, and an action whose attempts are used
up, are set aside here instead of being dropped or blocking what comes after them. `tocsin dlq`
shows them, puts them back on their way once the cause is mended, or drops them.
"""

import hashlib
import time
import traceback
from collections.abc import AsyncIterator
from typing import Literal

import msgspec

from delivery.action import Action
from delivery.subjects import (
    NOTIFIER,
    Component,
    dead_subject,
    notifier_owner,
    redrive_subject,
    token,
)
from eventbus.bus import ACTIONS, DEAD, EVENTS, Bus, Message
from spine.errors import ConfigError, EventError, Fault
from spine.event import decode

REDRIVEN = "Tocsin-Redriven"
"""Header, within the process only, of an event that is retried: the position of the retry."""
MAX_DELIVERIES = 5
"""Deliveries of a message without an outcome after which it is set aside."""
KEPT = 256 * 1024
"""Bytes of the events that are kept beside an action."""
SPARE = 1024
"""Bytes of `max_payload` left for what travels beside a dead letter."""


class NoOutcome(EventError):
    """Something was handed out again and again, and nobody lived to tell what came of it."""

    code = "NoOutcome"

    def __init__(self, deliveries: int) -> None:
        super().__init__(
            f"{deliveries - 1} deliveries without an outcome",
            hint="it may have brought the process down; see the logs of that time",
        )


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was set aside."""

    kind: Literal["event", "action"]
    component: Component
    object: str
    """Name of the EventSource, Sensor or Notifier."""
    place: str
    """The event of an EventSource; the dependency or the trigger of a Sensor, empty for all; the
    service of a Notifier."""
    code: str
    """Stable reason: the code of an error, `Bug`, or `NoOutcome`."""
    message: str
    time: float
    """Unix seconds."""
    traceback: str = ""
    """Where a bug was met."""
    subject: str = ""
    """Subject of the message that it came from."""
    sequence: int = 0
    """Position of that message in its stream."""
    data: bytes = b""
    """The message of an event, as it was read."""
    events: dict[str, bytes] = {}
    """Dependency -> event: of an action as the bus has it, so that its decision can be looked at
    again; of a firing whose action could not be made, after its transform."""
    action: Action | None = None
    lane: str = ""
    """Token of the trigger, or of its `dlqTrigger`, whose action it is."""
    cut: bool = False
    """Whether `data` or the action's content was too large to be kept."""
    redriven: int = 0
    """Position of the retry that failed too; 0 where there was none."""
    edited: int = 0
    """Number of the letter of which this one is an edited copy; 0 where it was never edited."""


class Entry(msgspec.Struct, frozen=True):
    """A dead letter where it lies."""

    sequence: int
    """Its position in the stream, by which it is shown, retried and dropped."""
    letter: DeadLetter


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeadLetter).decode


def reason(error: BaseException) -> tuple[str, str, str]:
    """Return code, message and traceback of what went wrong; the last for bugs only."""
    if isinstance(error, Fault):
        return error.code, str(error), ""
    text = f"{type(error).__name__}: {error}"
    return "Bug", text, "".join(traceback.format_exception(error))


def of_event(
    error: BaseException, *, component: Component, object: str, place: str, message: Message
) -> DeadLetter:
    """Return the dead letter of an event that was read from the bus."""
    code, text, trace = reason(error)
    return DeadLetter(
        kind="event",
        component=component,
        object=object,
        place=place,
        code=code,
        message=text,
        time=time.time(),
        traceback=trace,
        subject=message.subject,
        sequence=message.sequence,
        data=message.data,
        redriven=int(message.headers.get(REDRIVEN, "0")),
    )


def _identity(letter: DeadLetter) -> str:
    """Equal for the same death told twice; not for a second one after a retry."""
    action = letter.action
    died = (action.key, action.attempt, action.redriven) if action else letter.data
    where = (letter.component, letter.object, letter.place, letter.lane)
    parts = (where, letter.subject, letter.sequence, letter.redriven, letter.edited, died)
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


async def dead_letter(bus: Bus, letter: DeadLetter) -> int:
    """Store a dead letter and return its sequence. Raises BusError.

    Told twice within the bus's window for duplicates, it is stored once.
    """
    identity = _identity(letter)
    data = _encode(letter)
    if len(data) > bus.max_payload - SPARE:
        data = _encode(_cut(letter, bus.max_payload - SPARE))
    subject = dead_subject(letter.component, letter.object, letter.place)
    return await bus.append(DEAD, subject, data, message_id=identity)


def _cut(letter: DeadLetter, size: int) -> DeadLetter:
    """Return a letter without what makes it too large: what can be had elsewhere goes first."""
    letter = msgspec.structs.replace(letter, message=letter.message[:SPARE])
    if letter.action is not None:
        letter = msgspec.structs.replace(letter, events={})
        if len(_encode(letter)) <= size:
            return letter
    action = msgspec.structs.replace(letter.action, content={}) if letter.action else None
    return msgspec.structs.replace(letter, data=b"", action=action, cut=True)


async def events_of(bus: Bus, action: Action) -> dict[str, bytes]:
    """Return the events of an action that the bus still has and that are not too large to keep."""
    found: dict[str, bytes] = {}
    for dependency, sequence in action.at.items():
        message = await bus.get(EVENTS, sequence) if sequence else None
        if message is None or sum(map(len, found.values())) + len(message.data) > KEPT:
            continue
        try:
            same = decode(message.data).id == action.events.get(dependency)
        except EventError:
            same = False
        if same:  # the stream may have been made anew since
            found[dependency] = message.data
    return found


async def list_dead(
    bus: Bus, *, component: Component | None = None, object: str | None = None
) -> AsyncIterator[Entry]:
    """Yield the dead letters of an object, of a component, or all, oldest first."""
    where = f"{DEAD}.{component or '*'}.{'*' if object is None else token(object)}.*"
    async for message in bus.read(DEAD, [where]):
        yield Entry(message.sequence, _letter(message))


def _letter(message: Message) -> DeadLetter:
    try:
        return _decode(message.data)
    except msgspec.DecodeError as exc:  # of a newer version, or not ours
        return DeadLetter(
            kind="event",
            component="sensor",
            object="",
            place="",
            code="Unreadable",
            message=f"reading dead letter {message.sequence}: {exc}",
            time=message.stored,
            data=message.data,
        )


async def show(bus: Bus, sequence: int) -> Entry:
    """Return one dead letter. Raises ConfigError where there is none."""
    message = await bus.get(DEAD, sequence)
    if message is None:
        raise ConfigError(
            f"looking up dead letter {sequence}: there is none",
            hint="see the numbers with: tocsin dlq list",
        )
    return Entry(sequence, _letter(message))


async def drop(bus: Bus, sequence: int) -> None:
    """Remove a dead letter for good. Raises ConfigError where there is none."""
    await show(bus, sequence)
    await bus.delete(DEAD, sequence)


async def replace(bus: Bus, sequence: int, letter: DeadLetter) -> int:
    """Store an edited letter in the place of another one; return its number. Raises BusError."""
    letter = msgspec.structs.replace(letter, edited=sequence)
    number = await dead_letter(bus, letter)
    await bus.delete(DEAD, sequence)
    return number


async def retry(bus: Bus, sequence: int) -> str:
    """Put a dead letter back on its way and return where it went.

    An action begins anew with its first attempt. An event goes to the one sensor, or the one
    EventSource's topic, that could not take it. Raises ConfigError if it cannot be retried.
    """
    letter = (await show(bus, sequence)).letter
    if letter.code == "Unreadable":
        raise ConfigError(f"retrying dead letter {sequence}: {letter.message}")
    if letter.kind == "action" and (letter.action is None or letter.cut):
        raise ConfigError(
            f"retrying dead letter {sequence}: the action was too large to be kept",
            hint="send its event once more",
        )
    try:
        where = await _send(bus, sequence, letter)
    except EventError as exc:
        raise ConfigError(f"retrying dead letter {sequence}: {exc}") from exc
    await bus.delete(DEAD, sequence)
    return where


async def _send(bus: Bus, sequence: int, letter: DeadLetter) -> str:
    data = b"" if letter.kind == "action" else await body(bus, letter)
    if letter.component != "eventsource":
        events = {} if letter.action is not None else letter.events
        sent = _encode(msgspec.structs.replace(letter, traceback="", events=events))
        identity = f"retry of dead letter {sequence}"
        notifier = letter.component == NOTIFIER
        owner = notifier_owner(letter.object) if notifier else letter.object
        await bus.append(ACTIONS, redrive_subject(owner), sent, message_id=identity)
        what = "service" if notifier else "trigger"
        part = f"{what} {letter.action.trigger} of " if letter.action else ""
        return f"{part}{letter.component} {letter.object}"
    event = decode(data)
    await bus.publish(event)
    return f"event {event.subject} of event source {event.source}"


async def do_again(bus: Bus, action: Action, *, said: str) -> None:
    """Have the Sensor that runs do an action anew, as if it had been a dead letter.

    `said` is kept should that fail; told twice within the bus's window for duplicates, the action
    is done once. Raises BusError.
    """
    letter = DeadLetter(
        kind="action",
        component="sensor",
        object=action.sensor,
        place=action.trigger,
        code="Replayed",
        message=said,
        time=time.time(),
        action=action,
        lane=token(action.trigger),
    )
    identity = f"replay of {action.key} {_identity(letter)}"
    await bus.append(ACTIONS, redrive_subject(action.sensor), _encode(letter), message_id=identity)


async def body(bus: Bus, letter: DeadLetter) -> bytes:
    """Return the message of a dead event. Raises EventError if it is gone."""
    if not letter.cut:
        return letter.data
    original = await bus.get(EVENTS, letter.sequence)
    if original is None or original.subject != letter.subject:
        raise EventError(
            f"reading event {letter.sequence} of stream {EVENTS}: it was too large to be kept as "
            "a dead letter, and has left the stream meanwhile",
            hint="have its sender send it once more",
        )
    return original.data


def redriven(message: Message) -> DeadLetter:
    """Read what `retry` sent to a sensor. Raises EventError for anything else."""
    try:
        return _decode(message.data)
    except msgspec.DecodeError as exc:
        raise EventError(f"reading a retried dead letter at {message.subject}: {exc}") from exc
