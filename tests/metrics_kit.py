"""What our processes tell Prometheus: metrics with their labels, as registries have them."""

from dataclasses import dataclass

from controller.admission.webhook import Metrics as AdmissionMetrics
from controller.runner import Metrics as ControllerMetrics
from notifier.metrics import NotifierMetrics
from spine.telemetry import SensorMetrics, SourceMetrics, registry

OF_TARGETS = {"namespace", "pod", "instance", "job", "container"}
"""Labels that Prometheus adds."""
TYPES = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "Summary": "summary",
    "Tally": "counter",
}


@dataclass(frozen=True)
class Metric:
    """A metric as it is asked for."""

    type: str
    labels: tuple[str, ...]
    about: str


def registries() -> dict[str, object]:
    """Return the registry of each process, by the headings of docs/operations.md."""
    of_controller = ControllerMetrics().registry
    AdmissionMetrics(of_controller, lambda: 0.0)
    return {
        "Every process": registry(),
        "Controller": of_controller,
        "EventSource": SourceMetrics("n", "s", ["e"]).registry,
        "Sensor": SensorMetrics("n", "s", ["t"]).registry,
        "Notifier": NotifierMetrics("n", "s").registry,
    }


def metrics(of: object) -> dict[str, Metric]:
    """Return what a registry has; counters by the name with `_total`."""
    found = {}
    for collector, names in of._collector_to_names.items():
        kind = TYPES.get(type(collector).__name__)
        if kind is None:  # what makes several at a time
            for one in collector.collect():
                name = f"{one.name}_total" if one.type == "counter" else one.name
                found[name] = Metric(one.type, tuple(one._labelnames), one.documentation)
            continue
        name = min(names, key=len)
        name = f"{name}_total" if kind == "counter" else name
        found[name] = Metric(kind, tuple(collector._labelnames), collector._documentation)
    return found


def sections() -> dict[str, dict[str, Metric]]:
    """Return the metrics of each process, without those of every process."""
    found = {name: metrics(one) for name, one in registries().items()}
    of_all = found["Every process"]
    of_sensor = {k: v for k, v in found["Sensor"].items() if k not in of_all}
    out = {"Every process": of_all}
    for name in ("Controller", "EventSource", "Sensor", "Notifier"):
        hidden = of_all.keys() | (of_sensor.keys() if name == "Notifier" else set())
        out[name] = {k: v for k, v in found[name].items() if k not in hidden}
    return out


def series() -> dict[str, set[str]]:
    """Return the labels of every series that can be asked for."""
    out: dict[str, set[str]] = {}
    for found in sections().values():
        for name, one in found.items():
            parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
            for suffix in parts.get(one.type, ("",)):
                labels = {*one.labels, *(["le"] if suffix == "_bucket" else [])}
                out[name + suffix] = out.get(name + suffix, set()) | labels
    return out
