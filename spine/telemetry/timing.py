"""How often something took place and how long it took in all: a counter and a summary in one.

As with a tally, adding is one step of plain numbers by the one thread that counts, where the
library takes three locks; the figures are made when somebody asks, in whatever thread.
"""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric, SummaryMetricFamily

from spine.telemetry.tally import Labels

Shown = tuple[str, str]
"""Name and text of a metric."""


class Timing:
    """A counter and a summary of the same. One thread adds; `collect` may be called in any."""

    def __init__(self, counter: Shown, summary: Shown, labels: Labels, fixed: Labels) -> None:
        """Add nothing yet; `fixed` are the values of all labels but the last."""
        self._counter, self._summary = counter, summary
        self._labels, self._fixed = labels, fixed
        self._sums: dict[str, tuple[int, float]] = {}

    def know(self, label: str) -> None:
        """Count one of which nothing may ever come."""
        self._sums.setdefault(label, (0, 0.0))

    def add(self, label: str, amount: float) -> None:
        """Add what one took."""
        times, total = self._sums.get(label, (0, 0.0))
        self._sums[label] = (times + 1, total + amount)

    # ------------------------------------------------------------------------ of the library

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without figures."""
        counter = CounterMetricFamily(*self._counter, labels=self._labels)
        return [counter, SummaryMetricFamily(*self._summary, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        counter = CounterMetricFamily(*self._counter, labels=self._labels)
        summary = SummaryMetricFamily(*self._summary, labels=self._labels)
        for label, (times, total) in self._sums.copy().items():
            labels = [*self._fixed, label]
            counter.add_metric(labels, times)
            if times:
                summary.add_metric(labels, count_value=times, sum_value=total)
        return [counter, summary]
