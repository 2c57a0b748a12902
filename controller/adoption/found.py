"""What Argo Events left on a bus of one Sensor, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sensor.state import Saved


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an old durable stands."""

    durable: str
    subject: str
    acknowledged: int
    """Sequence up to which all is acknowledged."""
    delivered: int
    """Sequence of the newest event that was handed out."""
    left: frozenset[int] = frozenset()
    """Events up to that one which are not acknowledged."""
    following: int | None = None
    """The first event that was not handed out; None where there is none."""
    waiting: int = 0
    """Events that were not handed out."""

    @property
    def pending(self) -> int:
        """Events that are to be done."""
        return self.waiting + len(self.left)

    def through(self, last: int) -> int:
        """Return where it had got to; `last` is the newest event of the stream."""
        return max(last, self.delivered) if self.following is None else self.following - 1

    def first(self, last: int) -> int:
        """Return the first event that is to be done."""
        return min(self.left, default=self.through(last) + 1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """An old bucket."""

    stream: str
    triggers: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    expressions: Mapping[str, str] = field(default_factory=dict)
    """Conditions as they were written, by trigger."""
    saved: Mapping[tuple[str, str], Saved] = field(default_factory=dict)
    """Events that wait for others, by trigger and dependency."""


@dataclass(frozen=True, slots=True)
class Found:
    """All of one Sensor."""

    last: int
    """Newest event of the stream when it was looked at."""
    at: float
    """When that was stored, in unix seconds."""
    durables: Mapping[str, Standing] = field(default_factory=dict)
    bucket: Bucket | None = None
