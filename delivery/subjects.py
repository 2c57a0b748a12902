"""Names on the bus of what a sensor sets aside.

Names of triggers and Sensors may hold what a subject, a durable or a key may not, and two
names must never become one. So a name travels as a token: everything but letters, digits, `-`
and `_` is written as `=XX`. The `@` that joins tokens cannot stand inside one.
"""

import re
from typing import Literal

from eventbus.bus import ACTIONS, DEAD, DECISIONS

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_ESCAPE = re.compile(r"=([0-9A-F]{2})")

REDRIVE = "@redrive"
"""Last token of the subject of events that are evaluated once more for one sensor."""
DECIDED = "@decided"
"""Last token of the subject of what a Sensor made of events."""
EVENTS_LANE = "@events"
"""What stands for the events of a Sensor where it is a lease that one replica holds."""
FALLBACK = "@dlq"
"""What follows a trigger's token where its `dlqTrigger` is meant."""


def token(name: str) -> str:
    """Return a name as one token of a subject, reversible and without collisions."""
    if not name:
        return "="
    return _UNSAFE.sub(lambda m: "".join(f"={b:02X}" for b in m[0].encode()), name)


def name_of(text: str) -> str:
    """Return the name that a token stands for."""
    if text == "=":
        return ""
    raw = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text)
    return raw.encode("latin-1", errors="replace").decode(errors="replace")


Component = Literal["eventsource", "sensor", "notifier"]

NOTIFIER = "notifier"
"""What stands before the name of a Notifier where those of Sensors stand alone."""


def notifier_owner(name: str) -> str:
    """Return the name under which a Notifier sets things aside; no Sensor can have it.

    `name` is `NAMESPACE/NAME`: one bus may serve Notifiers of several namespaces.
    """
    return f"{NOTIFIER}/{name}"


def split_owner(owner: str) -> tuple[Component, str]:
    """Return the component and the name of who sets things aside."""
    first, slash, rest = owner.partition("/")
    return ("notifier", rest) if slash and first == NOTIFIER else ("sensor", owner)


def pending_subject(sensor: str, lane: str) -> str:
    """Return where pending actions of a lane (a trigger's token) wait."""
    return f"{ACTIONS}.{token(sensor)}.{lane}"


def redrive_subject(sensor: str) -> str:
    """Return where events wait that a sensor shall evaluate once more."""
    return f"{ACTIONS}.{token(sensor)}.{REDRIVE}"


def dead_subject(component: str, object: str, place: str) -> str:
    """Return where a dead letter of a place in an `eventsource` or a `sensor` is kept."""
    return f"{DEAD}.{component}.{token(object)}.{token(place)}"


def decision_subject(sensor: str, trigger: str) -> str:
    """Return where it is told what a trigger did."""
    return f"{DECISIONS}.{token(sensor)}.{token(trigger)}"


def decided_subject(sensor: str) -> str:
    """Return where it is kept what a Sensor made of events; no trigger has that token."""
    return f"{DECISIONS}.{token(sensor)}.{DECIDED}"


def sensor_durable(sensor: str) -> str:
    """Return the durable of a Sensor on the stream of events."""
    return f"sensor-{token(sensor)}"


def sensor_of(durable: str) -> str | None:
    """Return the Sensor of a durable on the stream of events, None if it is none of ours."""
    prefix, _, text = durable.partition("-")
    return name_of(text) if prefix == "sensor" and text else None


def pending_durable(sensor: str, lane: str) -> str:
    """Return the durable of a lane on the stream of pending actions."""
    return f"actions@{token(sensor)}@{lane}"


def lease_key(sensor: str, lane: str) -> str:
    """Return the key of the lease of a lane; keys may hold `/`, but no `@`."""
    return pending_durable(sensor, lane).replace("@", "/")


def claims_of(sensor: str) -> str:
    """Return what the keys of a Sensor's claims begin with; no token of a name holds a `/`."""
    return f"claims/.{token(sensor)}."


def claim_key(sensor: str, trigger: str, claim: str) -> str:
    """Return the key of a claim of a trigger."""
    return f"{claims_of(sensor)}{token(trigger)}.{claim}"


def tries_of(sensor: str) -> str:
    """Return what the keys begin with that note attempts at a Sensor's ordered actions."""
    return f"tries/.{token(sensor)}."


def tries_key(sensor: str, lane: str, action: str) -> str:
    """Return the key that notes attempts at an action of a lane."""
    return f"{tries_of(sensor)}{lane}.{action}"


def lane_of(durable: str, sensor: str) -> str | None:
    """Return the lane of a durable of pending actions, None if it is not of this sensor."""
    prefix = pending_durable(sensor, "")
    return durable.removeprefix(prefix) if durable.startswith(prefix) else None
