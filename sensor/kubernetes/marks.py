"""What an object bears that a trigger made: who made it, of which event, and when.

By these marks the same event makes nothing twice, and an event that comes late does not undo
what a newer one has done.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from delivery.action import Action

SENSOR = "events.argoproj.io/sensor"
TRIGGER = "events.argoproj.io/trigger"
TIMESTAMP = "events.argoproj.io/action-timestamp"
"""Labels of Argo Events."""
FIRED_BY = "tocsin.dev/fired-by"
"""Our annotation: JSON of sensor, trigger, key, time and events."""
_SUFFIX = 10
"""Letters of a name that is made."""
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""None that make words, as in names that the API server makes."""
_LONGEST_NAME = 63
_LONGEST_LABEL = 63


class Mark(NamedTuple):
    """Who made an object."""

    sensor: str
    trigger: str
    key: str
    """Key of the action: equal for the same trigger and events."""
    time: float
    """Unix seconds of the newest event."""

    @classmethod
    def of(cls, action: Action) -> "Mark":
        """Return the mark that an action leaves."""
        return cls(action.sensor, action.trigger, action.key, action.event_time)

    def same_maker(self, other: "Mark") -> bool:
        """Return whether both are of one trigger."""
        return (self.sensor, self.trigger) == (other.sensor, other.trigger)


def mark_of(live: Mapping[str, Any]) -> Mark | None:
    """Return the mark of an object in the cluster; None where it has none that can be read."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    try:
        found = json.loads(annotations[FIRED_BY])
        return Mark(found["sensor"], found["trigger"], found["key"], float(found["time"]))
    except (KeyError, TypeError, ValueError):
        return None


def marked(made: Mapping[str, Any], action: Action, *, labels: bool) -> dict[str, Any]:
    """Return an object with the mark of an action, and with the peer's labels where asked."""
    metadata = dict(made.get("metadata") or {})
    mark = Mark.of(action)._asdict() | {"events": action.events}
    text = json.dumps(mark, separators=(",", ":"))
    metadata["annotations"] = {**(metadata.get("annotations") or {}), FIRED_BY: text}
    if labels:
        own = {**labels_of(action), TIMESTAMP: str(int(time.time() * 1000))}
        metadata["labels"] = {**(metadata.get("labels") or {}), **own}
    return {**made, "metadata": metadata}


def labels_of(action: Action) -> dict[str, str]:
    """Return the labels by which what a trigger made is found."""
    return {SENSOR: action.sensor[:_LONGEST_LABEL], TRIGGER: _label(action.trigger)}


def _label(text: str) -> str:
    """Return a name as a label can hold it."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text)
    return kept[:_LONGEST_LABEL].strip("-_.")


def made_name(prefix: str, action: Action) -> str:
    """Return the name that `generateName` makes of an action: always the same for the same one.

    So the API server itself refuses to make an object of one action twice.
    """
    number = int.from_bytes(hashlib.blake2b(action.key.encode(), digest_size=8).digest())
    letters = []
    for _ in range(_SUFFIX):
        number, at = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[at])
    return prefix[: _LONGEST_NAME - _SUFFIX] + "".join(letters)
