"""The metrics of one process: what each shows of itself, and how those of its object are made.

All that a process counts of its object carries the object's namespace and name, and most of it
one label more, which is bound once: at the first use, or when the process knows its events and
triggers.
"""

import platform
from typing import Any

from spine import __version__
from spine.lazily import later

with later("html"):  # for the pages of errors of a server of its own: a table of 0.7 MiB
    from prometheus_client import (
        CollectorRegistry,
        Gauge,
        ProcessCollector,
        disable_created_metrics,
    )

disable_created_metrics()  # type: ignore[no-untyped-call]  # the peer has none, and they double the series


def registry() -> CollectorRegistry:
    """Return a registry with what every process shows."""
    metrics = CollectorRegistry()
    ProcessCollector(registry=metrics)
    build = Gauge(
        "build_info", "Version of this process.", ("version", "pythonversion"), registry=metrics
    )
    build.labels(__version__, platform.python_version()).set(1)
    return metrics


class Bound:
    """A metric with namespace and object filled in; the last label is bound at first use."""

    def __init__(self, metric: Any, *fixed: str) -> None:
        self._metric, self._fixed = metric, fixed
        self._children: dict[tuple[str, ...], Any] = {}

    def __getitem__(self, label: str | tuple[str, ...]) -> Any:
        rest = label if isinstance(label, tuple) else (label,)
        child = self._children.get(rest)
        if child is None:
            child = self._children[rest] = self._metric.labels(*self._fixed, *rest)
        return child


class ObjectMetrics:
    """Makes the metrics of one object, all in one registry."""

    def __init__(self, namespace: str, name: str, labels: tuple[str, str]) -> None:
        """`labels` are the labels that namespace and name go by."""
        self.registry = registry()
        self._fixed, self._labels = (namespace, name), labels

    def whole(self, kind: type[Any], name: str, text: str) -> Any:
        """Return a metric of the object as a whole."""
        return kind(name, text, self._labels, registry=self.registry).labels(*self._fixed)

    def each(self, kind: type[Any], name: str, text: str, *labels: str, **more: Any) -> Bound:
        """Return a metric of each of its parts, which `labels` tell apart."""
        made = kind(name, text, (*self._labels, *labels), registry=self.registry, **more)
        return Bound(made, *self._fixed)
