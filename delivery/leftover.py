"""What waited in the queue of a Sensor or Notifier that is gone for good.

An action that was owed is never dropped in silence. When the place of a deleted object goes, a day
after the object, each action that still waited, or was being tried again, becomes a dead letter:
nobody does it by itself any more, also no object of the same name that is made years later, and
whoever wants it done makes the object again and retries the dead letter.
"""

import time

import msgspec

from delivery.action import Action
from delivery.dead import DeadLetter, dead_letter, of_event, redriven
from delivery.subjects import REDRIVE, name_of, pending_subject, split_owner
from eventbus.bus import ACTIONS, Bus, Message
from spine.errors import EventError

_decode = msgspec.json.Decoder(Action).decode


async def set_aside(bus: Bus, owner: str) -> int:
    """Make dead letters of all that waits for an owner, and return how many there were.

    To be called when nobody does them any more: without readers. Told twice, after it was cut off,
    each is one dead letter still. Raises BusError.
    """
    number = 0
    async for message in bus.read(ACTIONS, [pending_subject(owner, "*")]):
        await dead_letter(bus, _letter(owner, message))
        await bus.delete(ACTIONS, message.sequence)
        number += 1
    return number


def _letter(owner: str, message: Message) -> DeadLetter:
    lane = message.subject.rpartition(".")[2]
    component, name = split_owner(owner)
    kind = "Notifier" if component == "notifier" else "Sensor"
    error = EventError(
        f"doing what waited for {kind} {name!r}: it was deleted",
        hint=f"make the {kind} again and retry, or drop the dead letter",
    )
    place = "" if lane == REDRIVE else name_of(lane.partition("@")[0])
    try:
        if lane == REDRIVE:
            return msgspec.structs.replace(redriven(message), redriven=message.sequence)
        action = _decode(message.data)
    except (msgspec.DecodeError, EventError):  # of a newer version, or not ours
        return of_event(error, component=component, object=name, place=place, message=message)
    return DeadLetter(
        kind="action",
        component=component,
        object=name,
        place=action.trigger,
        code=error.code,
        message=str(error),
        time=time.time(),
        sequence=message.sequence,
        action=action,
        lane=lane,
    )
