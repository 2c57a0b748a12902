"""What a notifier counts: what a Sensor counts of its actions, and what is a notifier's own.

Two names are those of Argo CD's notifications controller, on which dashboards stand.
"""

from prometheus_client import Counter, Gauge, Histogram

from delivery.subjects import notifier_owner
from spine.telemetry import SensorMetrics


class NotifierMetrics(SensorMetrics):
    """The metrics of one Notifier process."""

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__(namespace, notifier_owner(name), ())
        self._deliveries = Counter(
            "argocd_notifications_deliveries_total",
            "Messages that services took or refused.",
            ("trigger", "service", "succeeded"),
            registry=self.registry,
        )
        self._evaluated = Counter(
            "argocd_notifications_trigger_eval_total",
            "Conditions of triggers that were evaluated.",
            ("name", "triggered"),
            registry=self.registry,
        )
        self._errors = Counter(
            "tocsin_notifications_condition_errors_total",
            "Conditions that could not be evaluated.",
            ("trigger",),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tocsin_notifications_evaluation_seconds",
            "From a change of an object until its messages are on their way.",
            registry=self.registry,
            buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
        )
        self._problems = Gauge(
            "tocsin_notifications_config_problems",
            "Keys of the configuration that are not in use, or doubtful.",
            ("severity",),
            registry=self.registry,
        )
        self._labelled: dict[tuple[str, str], Counter] = {}

    def delivered(self, trigger: str, service: str, succeeded: bool) -> None:
        """Count an attempt to deliver a message."""
        self._deliveries.labels(trigger, service, str(succeeded).lower()).inc()

    def evaluated(self, trigger: str, verdict: bool | str) -> None:
        """Count one look at a condition."""
        if isinstance(verdict, str):
            self._errors.labels(trigger).inc()
        key = trigger, "true" if verdict is True else "false"
        found = self._labelled.get(key)
        if found is None:
            found = self._labelled[key] = self._evaluated.labels(*key)
        found.inc()

    def handled(self, seconds: float) -> None:
        """Note how long a change took."""
        self._seconds.observe(seconds)

    def config_problems(self, errors: int, warnings: int) -> None:
        """Tell how much of the configuration is wrong."""
        self._problems.labels("error").set(errors)
        self._problems.labels("warning").set(warnings)
