"""Alerts and dashboard ask for metrics that there are, and docs/operations.md names them all."""

import json
import re
import subprocess

import pytest
import yaml
from helm_kit import CHART, ROOT, built
from metrics_kit import OF_TARGETS, Metric, sections, series

DOCS = ROOT / "docs" / "operations.md"
ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"


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
        [built("promql"), "select"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
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
