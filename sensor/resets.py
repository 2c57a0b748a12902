"""Resets: moments at which half-met conditions are forgotten.

They are read off the time at which the bus took an event, not off timers: every replica finds
the same moments, whenever it looks, and a reset that passed while nobody ran is not missed. An
event that comes after a reset first makes what was saved before it forgotten; one that stands
before a reset that is known does not count any more. Firings are never forgotten.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from sensor.mark import Mark
from sensor.state import TriggerState
from spine import cron

_ZERO = datetime.fromtimestamp(0, UTC)


class Resets:
    """The moments of one trigger."""

    def __init__(self, schedules: Sequence[cron.Plan]) -> None:
        self._schedules = schedules
        self._since = self._until = 0.0

    def last(self, moment: float) -> float:
        """Return the latest reset at or before a moment, both in unix seconds; 0 for none."""
        if not self._since <= moment < self._until:  # most events lie where the last one lay
            found = [_around(schedule, moment) for schedule in self._schedules]
            self._since = max(since for since, _ in found)
            self._until = min(until for _, until in found)
        return self._since


def compile_schedule(text: str, timezone: str) -> cron.Plan | None:
    """Read one entry of `conditionsReset`; None is one that no date ever fits. Raises ConfigError.

    As in Argo Events, and the descriptors: `@every 6h` counts from 1970, so that all agree.
    """
    schedule = cron.parse(text, cron.find_zone(timezone or "UTC"), ever=False)
    return None if schedule.next(_ZERO) is None else schedule


def _around(schedule: cron.Plan, moment: float) -> tuple[float, float]:
    """Return the latest tick at or before a moment and the first after it."""
    at = datetime.fromtimestamp(int(moment), UTC)  # schedules know whole seconds
    last = schedule.previous(at + cron.INSTANT)
    after = schedule.next(at if last is None else last)
    until = moment if after is None else after.timestamp()
    return (0.0 if last is None or last < _ZERO else last.timestamp()), until


def is_late(state: TriggerState, mark: Mark) -> bool:
    """Return whether an event stands before the last reset.

    Before it in the stream too: where only the clock of the bus has gone back, it counts.
    """
    return 0 < mark.sequence < state.reset.sequence and mark.stored < state.reset.stored


def forget(state: TriggerState, reset: Mark) -> TriggerState:
    """Return a state without what was stored before a moment.

    `reset` is that moment, with the sequence of the event that tells of it.
    """
    saved = {name: one for name, one in state.saved.items() if one.mark.stored >= reset.stored}
    return msgspec.structs.replace(state, saved=saved, reset=reset)
