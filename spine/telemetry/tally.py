"""A counter for what happens too often to be added up each time.

The counters of the library take a lock for each addition, half a microsecond. Here an addition is
one of plain integers, by the one thread that counts; the figures are made when somebody asks for
them, in whatever thread. Of labels that are always counted together, such as those of a hundred
filters that refuse the same events, one integer counts all.
"""

import threading
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric

Labels = tuple[str, ...]

TOGETHER = 1_000
"""Sets of labels that are counted as one; above, they are added up."""


class _Several:
    """Labels that are counted together."""

    __slots__ = ("labels", "times")

    def __init__(self, labels: Iterable[Labels]) -> None:
        self.labels, self.times = labels, 0


class Tally:
    """A counter with labels. One thread counts; `collect` may be called in any."""

    def __init__(self, name: str, text: str, labels: Labels, fixed: Labels) -> None:
        """Count nothing yet; `fixed` are the values of the first labels, always the same."""
        self._name, self._documentation, self._labelnames, self._fixed = name, text, labels, fixed
        self._counts: dict[Labels, int] = {}
        self._together: dict[int, _Several] = {}
        """By identity of the tuple, which is kept so that no other one has it."""
        self._adding = threading.Lock()

    def add(self, labels: Labels) -> None:
        """Count once; `labels` are the values of those that are not fixed."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def add_all(self, several: tuple[Labels, ...]) -> None:
        """Count each of several once: quick where the very same tuple comes again."""
        one = self._together.get(id(several))
        if one is None:
            if len(self._together) >= TOGETHER:
                self._add_up()
            one = self._together[id(several)] = _Several(several)
        one.times += 1

    def _add_up(self) -> None:
        with self._adding:
            self._counts = self._sums()
            self._together = {}

    def _sums(self) -> dict[Labels, int]:
        sums = self._counts.copy()
        for several in list(self._together.values()):
            times = several.times
            for labels in several.labels:
                sums[labels] = sums.get(labels, 0) + times
        return sums

    # ------------------------------------------------------------------------ of the library

    def describe(self) -> Iterable[Metric]:
        """Return the metric without figures."""
        return [CounterMetricFamily(self._name, self._documentation, labels=self._labelnames)]

    def collect(self) -> Iterable[Metric]:
        """Return the metric."""
        metric = CounterMetricFamily(self._name, self._documentation, labels=self._labelnames)
        with self._adding:
            sums = self._sums()
        for labels, times in sums.items():
            metric.add_metric([*self._fixed, *labels], times)
        return [metric]
