"""Alerts, evaluated by Prometheus' own rules: when each fires, and what people then read."""

import json
import re
import subprocess
from collections.abc import Mapping

import pytest
import yaml
from alert_stories import LEADING, MINUTES, STORIES, WAITING, Story, latency
from helm_kit import CHART, Case, built, by_us
from metrics_kit import sections

RULES = CHART / "files" / "alerts.yaml"
LEADER = {LEADING("c"): f"1x{MINUTES}"}


def told(rules: object, scraped: Mapping[str, str]) -> list[dict]:
    """Return what fires, minute by minute."""
    story = {"rules": str(rules), "series": dict(scraped), "minutes": MINUTES}
    done = subprocess.run(
        [built("promql"), "fire"], input=json.dumps(story), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_alerts_fire_when_they_should(story: Story):
    leads = {} if story.alert == "TocsinNoLeader" else LEADER

    found = told(RULES, leads | story.series)

    assert {one["labels"]["alertname"] for one in found} <= {story.alert}
    if story.fires is None:
        assert found == []
        return
    fires = story.fires
    assert [one["minute"] for one in found] == list(range(fires.first, fires.last + 1))
    first = found[0]
    assert first["labels"] == {"alertname": story.alert, **fires.labels}
    assert first["annotations"] == {"summary": fires.summary, "description": fires.description}


def test_every_alert_has_a_story_in_which_it_fires_and_one_in_which_it_does_not():
    names = [rule["alert"] for group in _groups() for rule in group["rules"]]

    assert names == list(dict.fromkeys(one.alert for one in STORIES if one.fires))
    assert names == list(dict.fromkeys(one.alert for one in STORIES if not one.fires))


def test_stories_are_of_metrics_that_there_are():
    known = [(name, {*one.labels}) for found in sections().values() for name, one in found.items()]
    for name in {name for story in STORIES for name in story.series}:
        metric, text = name.removesuffix("}").split("{")
        labels = set(re.findall(r'(\w+)="', text)) - {"pod", "le"}
        right = [own for one, own in known if one == metric.removesuffix("_bucket")]
        assert labels in right or labels - {"namespace"} in right, name


def _groups() -> list[dict]:
    return yaml.safe_load(RULES.read_text())["groups"]


def test_thresholds_and_labels_of_the_values_are_those_of_what_fires(tmp_path):
    given = {"enabled": True, "backlog": 5, "slowSeconds": 10, "alertLabels": {"team": "a"}}
    made = by_us(Case("alerts", {"metrics": {"alerts": given}}))["PrometheusRule/tocsin"]
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(made["spec"]))
    slow = latency(le10="0+9x90", le60="0+10x90", le300="0+10x90", leinf="0+10x90")

    found = told(rules, {**LEADER, WAITING("p"): "6x90", **slow})

    assert {one["labels"]["alertname"] for one in found} == {"TocsinBacklog", "TocsinActionsSlow"}
    assert {one["labels"]["team"] for one in found} == {"a"}
    assert told(RULES, {**LEADER, WAITING("p"): "6x90", **slow}) == []
