"""What is logged while the bus does not take the events of a source.

A webhook under load would say a thousand times a second that the bus is away. The first few of each
second are told, each with how many there were, and one line tells that events pass again.
"""

import logging
from collections.abc import Callable, Mapping

from delivery.report import Thinned

log = logging.getLogger(__name__)

PER_SECOND = 3
"""Failures of an event that are told in a second."""
CALM = 1.0
"""Seconds without a failure after which the bus is back: a bus that is too slow takes some events
and refuses others."""


class Outage:
    """Failures to publish the events of one name."""

    def __init__(self, event: str, clock: Callable[[], float]) -> None:
        self._event, self._clock = event, clock
        self._lines = Thinned(PER_SECOND, clock=clock)
        self._latest = 0.0
        self.refused = 0
        """Failures since the bus took events; 0 while it does."""

    def failed(self, about: Mapping[str, str]) -> None:
        """Count a failure, and tell of it if there were not many in this second."""
        self.refused += 1
        self._latest = self._clock()
        if self._lines.passes(self._event):
            log.error("Failed to publish an event", extra={**about, "refused": self.refused})

    def passed(self) -> None:
        """Tell that the bus is back, if it is. To be called for an event that passed."""
        if self._clock() - self._latest >= CALM:
            extra = {"eventName": self._event, "refused": self.refused}
            log.info("the bus takes events again", extra=extra)
            self.refused = 0
