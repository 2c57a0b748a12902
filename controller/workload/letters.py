"""When a Kubernetes Event tells of new dead letters: once for each object in some minutes.

A target that is gone for good makes a dead letter of every event. One line every few minutes says
so as well as one for each, and leaves the API server alone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.reconciler import Key

EVERY = 300.0
"""Seconds between two Events of one object."""


@dataclass(eq=False)
class Letters:
    """Remembers what was told of which object."""

    clock: Callable[[], float] = time.monotonic
    _told: dict[Key, tuple[int, float]] = field(default_factory=dict)
    """How many there were when it was last told of them, and when that was."""

    def news(self, key: Key, before: int, now: int | None) -> str:
        """Return what is new; empty where nothing is, or something was told lately.

        `before` is what the status said, which counts after another controller has led.
        """
        if now is None:
            return ""
        told, at = self._told.get(key, (before, float("-inf")))
        if now < told:  # some were retried or dropped
            self._told[key] = now, at
            return ""
        if now == told or self.clock() - at < EVERY:
            return ""
        self._told[key] = now, self.clock()
        return f"{now - told} new"

    def forget(self, key: Key) -> None:
        """Forget an object that is gone."""
        self._told.pop(key, None)
