"""The page on availability: its tests exist, and its names are those of our buses and metrics."""

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from controller.bus.access import ACCOUNT
from controller.bus.names import MONITOR, Names
from delivery.subjects import sensor_durable
from eventbus.bus import EVENTS
from spine.telemetry import SensorMetrics

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "availability.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:live|unit)/[\w/]+\.py)::(test_\w+)`", PAGE)))
IN_TABLE = sorted(set(re.findall(r"\| `(test_\w+)` \|", PAGE)))
CLUSTER = "live/test_nats_cluster.py"


@pytest.mark.parametrize(("file", "name"), [*NAMED, *((CLUSTER, name) for name in IN_TABLE)])
def test_a_test_that_is_named_exists(file, name):
    text = (ROOT / "tests" / file).read_text()

    assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)


def test_every_statement_on_processes_names_its_test():
    """Paragraphs that are marked as statements; recipes and what to write are none."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
    for title in ("EventSources", "Sensors and Notifiers"):
        items = re.split(r"^- ", sections[title], flags=re.MULTILINE)[1:]
        assert items
        bare = [item for item in items if "::test_" not in item]
        assert bare == [], title


def blocks() -> dict[str, dict]:
    texts = re.findall(r"^(?:```|~~~)yaml\n(.*?)^(?:```|~~~)", PAGE, re.MULTILINE | re.DOTALL)
    return {one.get("kind", ""): one for text in texts for one in yaml.safe_load_all(text)}


def test_the_autoscaler_asks_for_what_our_buses_have():
    made = blocks()["ScaledObject"]
    [trigger] = made["spec"]["triggers"]
    asked = trigger["metadata"]

    service = Names("default", made["metadata"]["namespace"]).service
    assert asked["natsServerMonitoringEndpoint"] == f"{service}.shop.svc:{MONITOR}"
    assert asked["account"] == ACCOUNT
    assert asked["stream"] == EVENTS
    assert asked["consumer"] == sensor_durable(made["spec"]["scaleTargetRef"]["name"])
    assert sensor_durable("a.b") == "sensor-a=2Eb"


def test_the_metric_is_what_a_sensor_tells():
    [metric] = blocks()["HorizontalPodAutoscaler"]["spec"]["metrics"]
    asked = metric["external"]["metric"]
    [rule] = blocks()[""]["rules"]["external"]
    metrics = SensorMetrics("shop", "orders", ["t"])
    metrics.lag(7)

    text = generate_latest(metrics.registry).decode()

    assert f'{asked["name"]}{{namespace="shop",sensor_name="orders"}} 7.0' in text
    assert asked["selector"]["matchLabels"] == {"sensor_name": "orders"}
    assert rule["seriesQuery"] == asked["name"]
