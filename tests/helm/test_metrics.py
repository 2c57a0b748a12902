"""Alerts and dashboard ask for metrics that there are, and docs/operations.md names them all."""

import json
import re
import subprocess
from dataclasses import dataclass

import pytest
import yaml
from helm_kit import CHART, ROOT, built

from controller.admission.webhook import Metrics as AdmissionMetrics
from controller.runner import Metrics as ControllerMetrics
from notifier.metrics import NotifierMetrics
from spine.telemetry import SensorMetrics, SourceMetrics, registry

DOCS = ROOT / "docs" / "operations.md"
ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"
OF_TARGETS = {"namespace", "pod", "instance", "job", "container"}
"""Labels that Prometheus adds."""
TYPES = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram", "Summary": "summary"}


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
        if kind is None:  # what the process itself uses
            for one in collector.collect():
                name = f"{one.name}_total" if one.type == "counter" else one.name
                found[name] = Metric(one.type, (), one.documentation)
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


def table(found: dict[str, Metric]) -> str:
    """Return the table of the documentation."""
    rows = (
        f"| `{name}` | {one.type} | {', '.join(one.labels)} | {one.about} |\n"
        for name, one in found.items()
    )
    return "| metric | type | labels | meaning |\n|---|---|---|---|\n" + "".join(rows)


def test_the_documentation_names_all_metrics():
    text = DOCS.read_text()

    for heading, found in sections().items():
        assert f"### {heading}\n\n{table(found)}\n" in text, f"write:\n{table(found)}"


# ---------------------------------------------------------------------------- expressions


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


def alerts() -> list[dict]:
    return [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[tuple[str, str, str]]:
    """Return title, expression and legend of every graph."""
    found = json.loads(DASHBOARD.read_text())
    return [
        (panel["title"], target["expr"], target["legendFormat"])
        for panel in found["panels"]
        for target in panel.get("targets", ())
    ]


def read_by_prometheus(expressions: list[str]) -> list[dict]:
    """Return what expressions select, as Prometheus' own parser reads them."""
    lines = [re.sub(r"\$__(rate_interval|range)", "5m", one) for one in expressions]
    assert not [one for one in lines if "\n" in one]
    done = subprocess.run(
        [built("promql")], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def unknown(expressions: list[str]) -> list[str]:
    """Return what expressions ask for and nothing of ours tells."""
    known, wrong = series(), []
    for text, found in zip(expressions, read_by_prometheus(expressions), strict=True):
        labels = set(OF_TARGETS) | {"le"}
        for one in found["selections"]:
            if one["metric"] not in known:
                wrong.append(f"{text}: no metric {one['metric']}")
            labels |= known.get(one["metric"], set())
            extra = set(one["labels"]) - known.get(one["metric"], set()) - OF_TARGETS
            wrong += [f"{text}: {one['metric']} has no label {label}" for label in sorted(extra)]
        wrong += [f"{text}: no label {label}" for label in sorted(set(found["grouping"]) - labels)]
    return wrong


def test_alerts_ask_for_metrics_that_there_are():
    assert unknown([one["expr"] for one in alerts()]) == []


def test_the_dashboard_asks_for_metrics_that_there_are():
    found = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in found["panels"]]
    assert len(ids) == len(set(ids))
    (asked,) = re.findall(
        r"label_values\((\w+), namespace\)", found["templating"]["list"][1]["definition"]
    )

    assert unknown([asked, *(expression for _, expression, _ in panels())]) == []


@pytest.mark.parametrize(
    "expression", ["tocsin_no_such_total", "build_info{flavour='x'}", "sum by (x) (build_info)"]
)
def test_what_nothing_tells_is_found(expression):
    assert len(unknown([expression])) == 1


def labels_of(text: str) -> set[str]:
    return set(re.findall(r"\$labels\.(\w+)", text))


def test_alerts_speak_of_labels_that_they_have():
    read = read_by_prometheus([one["expr"] for one in alerts()])
    for one, found in zip(alerts(), read, strict=True):
        said = labels_of(" ".join(one["annotations"].values()))
        assert said <= set(found["grouping"]), one["alert"]
        assert set(one["annotations"]) == {"summary", "description"}
        assert one["labels"]["severity"] in {"warning", "critical"}


def test_legends_speak_of_labels_that_they_have():
    read = read_by_prometheus([expression for _, expression, _ in panels()])
    for (title, _, legend), found in zip(panels(), read, strict=True):
        assert set(re.findall(r"{{(\w+)}}", legend)) <= set(found["grouping"]), title


def test_every_alert_has_its_advice():
    names = [one["alert"] for one in alerts()]
    assert len(names) == len(set(names))

    advice = re.findall(r"^\| `(Tocsin\w+)` \|", DOCS.read_text(), re.MULTILINE)

    assert advice == names


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert():
    asked = {
        s["metric"]
        for found in read_by_prometheus(
            [e for _, e, _ in panels()] + [one["expr"] for one in alerts()]
        )
        for s in found["selections"]
    }
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    ours = {name for found in sections().values() for name in found}

    left = {name for name in ours - bare if not name.startswith("process_")}

    assert left == {
        "argo_events_action_duration_milliseconds",
        "argocd_notifications_trigger_eval_total",
        "tocsin_action_retries_total",
        "tocsin_actions_duplicate_total",
        "tocsin_controller_reconcile_seconds",
        "tocsin_events_received_total",
        "tocsin_notifications_evaluation_seconds",
    }
