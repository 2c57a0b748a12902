"""What an EventSource process counts, by event."""

from collections.abc import Callable, Iterable

from prometheus_client import Counter, Gauge

from spine.telemetry.metrics import Bound, ObjectMetrics
from spine.telemetry.timing import Timing


class SourceMetrics:
    """What an EventSource process counts."""

    def __init__(self, namespace: str, source: str, events: Iterable[str]) -> None:
        made = ObjectMetrics(namespace, source, ("namespace", "eventsource_name"))
        self.registry = made.registry
        self._running = made.whole(
            Gauge,
            "argo_events_event_service_running_total",
            "Events that are being listened to.",
        )

        def by_event(name: str, text: str, *more: str) -> Bound:
            return made.each(Counter, name, text, "event_name", *more)

        self._sent = Timing(
            ("argo_events_events_sent", "Events the bus has stored."),
            (
                "argo_events_event_processing_duration_milliseconds",
                "From receipt until the bus has stored the event.",
            ),
            ("namespace", "eventsource_name", "event_name"),
            (namespace, source),
        )
        self.registry.register(self._sent)
        self._send_failed = by_event(
            "argo_events_events_sent_failed_total", "Events the bus did not take."
        )
        self._processing_failed = by_event(
            "argo_events_events_processing_failed_total",
            "Events that were not published, for whatever reason.",
        )
        self._rejected = by_event(
            "tocsin_events_rejected_total", "Requests that were refused, by HTTP status.", "status"
        )
        self._filtered = by_event(
            "tocsin_source_events_filtered_total",
            "Events that the filter of the event source did not let pass: false or MissingValue.",
            "reason",
        )
        self.dead: dict[str, int] = {}
        """What was set aside for good, by reason."""
        self._dead = made.each(
            Counter, "tocsin_dead_letters_total", "What was set aside for good.", "reason"
        )
        self._evicted = made.whole(
            Gauge,
            "tocsin_events_evicted",
            "Events that went from the bus before all sensors had read them, about.",
        )
        for event in events:
            self._sent.know(event)
            _ = self._send_failed[event], self._processing_failed[event]

    def running(self, event: str, up: bool) -> None:  # noqa: ARG002 -- the peer's gauge has no event
        """Count a listener that began or ended."""
        self._running.inc(1 if up else -1)

    def evicted_as(self, count: Callable[[], float]) -> None:
        """Show what a function says of events that were evicted unread."""
        self._evicted.set_function(count)

    def sent(self, event: str, seconds: float) -> None:
        """Count a stored event and the time it took."""
        self._sent.add(event, seconds * 1000)

    def send_failed(self, event: str) -> None:
        """Count an event that the bus did not take."""
        self._send_failed[event].inc()
        self._processing_failed[event].inc()

    def processing_failed(self, event: str) -> None:
        """Count an event that failed before it came to the bus."""
        self._processing_failed[event].inc()

    def filtered(self, event: str, reason: str) -> None:
        """Count an event that the filter did not let pass."""
        self._filtered[event, reason].inc()

    def dead_letter(self, reason: str) -> None:
        """Count what was set aside for good."""
        self._dead[reason].inc()
        self.dead[reason] = self.dead.get(reason, 0) + 1

    def rejected(self, event: str, status: int) -> None:
        """Count a refused request."""
        self._rejected[event, str(status)].inc()
