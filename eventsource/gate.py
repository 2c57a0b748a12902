"""The gate before the bus: what the filter of an event source refuses is counted and told.

A false filter is a line for debugging. A filter that needs a value which a payload does not have
is told as information, the first ten times in a second: it may be meant, and it may be a typing
error. Where a filter fails in another way, the event is not lost but set aside.
"""

import logging

from delivery.report import Thinned
from eventsource.expression import compile_filter
from eventsource.source import EventSourceFilter
from spine.errors import FilterError
from spine.telemetry import SourceMetrics

log = logging.getLogger(__name__)


class Gate:
    """The filter of one event."""

    def __init__(self, event: str, filtering: EventSourceFilter, metrics: SourceMetrics) -> None:
        self._check = compile_filter(filtering.expression, filtering.members)
        self._event, self._metrics = event, metrics
        self._lines = Thinned(10)

    def judge(self, data: bytes) -> bool | FilterError:
        """Return whether a payload is sent on, or why nobody can say so."""
        try:
            refusal = self._check(data)
        except FilterError as exc:
            self._metrics.processing_failed(self._event)
            return exc
        if refusal is None:
            return True
        self._metrics.filtered(self._event, "MissingValue" if refusal.reason else "False")
        self._tell(refusal.reason)
        return False

    def _tell(self, reason: str) -> None:
        extra = {"eventName": self._event}
        if not reason:
            log.debug("an event is not sent on: the filter is false", extra=extra)
        elif self._lines.passes(self._event):
            log.info("an event is not sent on: the filter finds that %s", reason, extra=extra)
