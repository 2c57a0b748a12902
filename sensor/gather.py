"""Debounce and batch: when events that are held together fire. Both are ours.

A debounce waits until no more events come and acts on the newest; a batch acts on many at once.
Here is the rule alone: it has no clock and no store, moments are passed in. Whatever the rule,
what a trigger holds is bounded; at a bound the oldest fires early, and nothing is dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from pydantic import AfterValidator, Field, model_validator

from sensor.gathering import Gathered, Gathering
from sensor.keys import Key, Sources, compile_key, listed
from spine.errors import ConfigError
from spine.model import Model
from spine.runtime import seconds

MOST_EVENTS = 10_000
"""Largest count of a batch."""
MOST_KEYS = 1_000
"""Keys of one trigger for which events are held."""
MOST_HELD = 5 * MOST_EVENTS
"""Events that one trigger holds for all its keys."""
ROOM = 256 * 1024
"""Bytes of data in one batch where the bus has not said what it takes."""
ROOMS = 8
"""Times the room of one batch that one trigger holds for all its keys."""
SHORTEST = 0.001
"""Seconds below which a duration is a slip of the pen."""

NEVER = float("inf")


# ---------------------------------------------------------------------------- configuration


def _long_enough(text: str) -> str:
    try:
        length = seconds(text)
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    if length < SHORTEST:
        raise ValueError("too short to wait for: write a duration such as 30s")
    return text


Duration = Annotated[str, AfterValidator(_long_enough)]
"""A Go duration of a millisecond or more."""


class Debounce(Model):
    """Acts once events have stopped coming, and on the newest of them only."""

    duration: Duration
    """Time without a further event after which it acts, as a Go duration such as `30s`."""
    max_wait: Duration | None = None
    """Time after the first event at which it acts all the same; none: however long they come."""
    key: Sources | None = None
    """What events have in common that are held together: one source, or a list of which the first
    that has a value counts. None: all events of the trigger."""

    @model_validator(mode="after")
    def _wait_is_longer(self) -> "Debounce":
        if self.max_wait is not None and seconds(self.max_wait) < seconds(self.duration):
            raise ValueError("maxWait: shorter than duration, which would never count")
        return self


class Batch(Model):
    """Acts on many events at once: parameters see the array of their data."""

    count: Annotated[int, Field(strict=True, gt=0, le=MOST_EVENTS)] | None = None
    """Events with which it acts; none: what comes within the duration, up to 10,000."""
    duration: Duration | None = None
    """Time after the first event at which it acts with what has come, such as `10s`; none: it
    waits until the count is reached."""
    key: Sources | None = None
    """What events have in common that are held together: one source, or a list of which the first
    that has a value counts. None: all events of the trigger."""

    @model_validator(mode="after")
    def _ends(self) -> "Batch":
        if self.count is None and self.duration is None:
            raise ValueError("it would never act: give count, duration or both")
        return self


# ---------------------------------------------------------------------------- the rule


@dataclass(frozen=True, slots=True)
class Gather:
    """What `debounce` or `batch` says. Durations are in seconds, moments in unix seconds."""

    kind: Literal["debounce", "batch"]
    key: Key | None
    quiet: float = NEVER
    """Time without a further event after which it fires."""
    longest: float = NEVER
    """Time after the first event after which it fires."""
    count: float = NEVER
    """Events with which it fires."""

    @property
    def batch(self) -> bool:
        """Whether all events count, and not only the newest."""
        return self.kind == "batch"

    def due(self, held: Gathering) -> float:
        """Return when a gathering fires without any further event."""
        if not is_of(self, held):
            return 0.0
        return min(held.last + self.quiet, held.first + self.longest)

    def add(self, held: Gathering | None, one: Gathered, at: float) -> Gathering:
        """Return a gathering with one more event, which came at a moment."""
        held = held or Gathering(self.batch, at, at, 0)
        loose, sealed = (*held.loose, one), held.sealed
        if not self.batch:
            newest = {other.dependency: other for other in held.events(loose)}
            loose, sealed = tuple(newest.values()), ()
        # what stands later in the stream is newer, even where a clock has gone back
        newer = not one.mark.sequence or one.mark.sequence >= held.top
        return msgspec.structs.replace(
            held,
            first=min(held.first, at),
            last=at if newer else max(held.last, at),
            top=max(held.top, one.mark.sequence),
            count=held.count + 1,
            size=held.size + one.size if self.batch else sum(other.size for other in loose),
            loose=loose,
            sealed=sealed,
        )

    def is_full(self, held: Gathering, room: int) -> bool:
        """Return whether it fires at once; `room` is the bytes of data a batch may have."""
        return held.count >= self.count or (self.batch and held.size >= room)

    def fits(self, held: Gathering, one: Gathered, room: int) -> bool:
        """Return whether there is room for one more event."""
        return not self.batch or held.size + one.size <= room


def is_of(gather: Gather | None, held: Gathering) -> bool:
    """Return whether events were gathered as a trigger does it now, and not before an edit."""
    return gather is not None and gather.batch == held.batch


def compile_gather(debounce: Debounce | None, batch: Batch | None) -> Gather | None:
    """Compile what a trigger has of both. Raises ConfigError."""
    if debounce is not None:
        most = NEVER if debounce.max_wait is None else seconds(debounce.max_wait)
        return Gather("debounce", _key(debounce.key), seconds(debounce.duration), most)
    if batch is not None:
        most = NEVER if batch.duration is None else seconds(batch.duration)
        return Gather("batch", _key(batch.key), longest=most, count=batch.count or MOST_EVENTS)
    return None


def _key(sources: Sources | None) -> Key | None:
    return None if sources is None else compile_key(listed(sources), "key")


# ---------------------------------------------------------------------------- bounds


def oldest(held: Mapping[str, Gathering]) -> str:
    """Return the key that has waited longest."""
    return min(held, key=lambda key: held[key].first)


def crowded(held: Mapping[str, Gathering], room: int) -> str:
    """Return why a trigger holds more than it may, empty where it does not."""
    if len(held) > MOST_KEYS:
        return f"events are held for more than {MOST_KEYS} keys"
    if sum(one.count if one.batch else 1 for one in held.values()) > MOST_HELD:
        return f"more than {MOST_HELD} events are held"
    if len(held) > 1 and sum(one.size for one in held.values()) > ROOMS * room:
        return f"more than {ROOMS * room} bytes are held"
    return ""
