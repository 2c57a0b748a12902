"""Places in the stream of events, and which of them were counted."""

import msgspec


class Mark(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A place in the stream of events."""

    stored: float
    """When the bus took it, in unix seconds: a stream that was made anew counts from 1 again."""
    sequence: int


NOWHERE = Mark(0.0, 0)


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """Which events of a dependency have been counted.

    Replicas count out of order, so the latest alone does not tell: all up to a place, and beyond
    it one by one until nothing before them is under way any more.
    """

    floor: int = 0
    """Sequence up to which no event will be delivered again."""
    latest: float = 0.0
    """When the newest of them was stored: what is newer, yet stands where an older one stood, is
    of a stream that was made anew."""
    above: frozenset[int] = frozenset()
    """Sequences beyond the floor."""

    def covers(self, mark: Mark) -> bool:
        """Return whether an event was counted."""
        return mark.stored <= self.latest and self._has(mark)

    def _has(self, mark: Mark) -> bool:
        return mark.sequence <= self.floor or mark.sequence in self.above

    def add(self, mark: Mark) -> "Counted":
        """Return it with one more event."""
        if mark.stored > self.latest and self._has(mark):
            return Counted(0, mark.stored, frozenset({mark.sequence}))
        return Counted(self.floor, max(self.latest, mark.stored), self.above | {mark.sequence})

    def trim(self, sequence: int) -> "Counted":
        """Return it shorter: nothing up to a sequence will be delivered again."""
        gone = [number for number in self.above if number <= sequence]
        if not gone:
            return self
        return Counted(max(gone), self.latest, self.above.difference(gone))
