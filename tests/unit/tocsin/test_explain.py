"""`tocsin explain`: what an event may be written as, what is shown, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from sensor.evaluate import evaluate
from sensor.plan import compile_plan
from sensor.replay import Told
from sensor.spec import SensorSpec
from sensor.state import EMPTY
from sensor.wording import sentence
from spine.errors import ConfigError
from spine.event import Event
from spine.manifest import read_text
from spine.model import load
from tocsin.cli import cli
from tocsin.tree import Tree, as_json

SENSOR = """\
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: shop}
spec:
  calendar:
    orders: {interval: 1h}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: till}
spec:
  dependencies:
    - name: order
      eventSourceName: shop
      eventName: orders
      transform: {jq: .body}
      filters:
        dataLogicalOperator: or
        data:
          - {path: total, type: number, comparator: ">=", value: ["100"]}
          - {path: vip, type: bool, value: ["true"]}
  triggers:
    - template:
        name: post
        http:
          url: http://x/
          headers: {Authorization: Bearer hunter2}
          payload:
            - src: {dependencyName: order, dataKey: id, value: none}
              dest: id
          secureHeaders:
            - name: X-Key
              valueFrom: {secretKeyRef: {name: keys, key: one}}
"""
TWO = """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: both}
spec:
  dependencies:
    - {name: a, eventSourceName: shop, eventName: a}
    - {name: b, eventSourceName: shop, eventName: b}
  triggers:
    - template: {name: join, conditions: a && b, log: {}}
"""


PLAN = compile_plan(
    "till", "ns", load(SensorSpec, read_text(SENSOR.encode(), "s").of("Sensor")[0].raw["spec"])
)


def explain(folder: Path, *words: str, sensor: str = SENSOR, stdin: str | None = None) -> Result:
    (folder / "s.yaml").write_text(sensor)
    return CliRunner().invoke(cli, ["explain", str(folder / "s.yaml"), *words], input=stdin)


def write(folder: Path, content: Any, name: str = "e.json") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


CLOUD = {
    "specversion": "1.0", "id": "7", "source": "shop", "subject": "orders", "type": "webhook",
    "time": "2026-11-21T12:00:00Z", "datacontenttype": "application/json",
    "data": {"body": {"total": 250, "id": "A"}},
}  # fmt: skip
TAIL = {
    "what": "event", "time": 1795262400.0, "source": "shop", "event": "orders", "type": "webhook",
    "id": "7", "data": {"body": {"total": 250, "id": "A"}},
}  # fmt: skip


@pytest.mark.parametrize("content", [CLOUD, TAIL, CLOUD["data"]], ids=["event", "tail", "data"])
def test_an_event_may_be_whole_or_a_line_of_tail_or_data_alone(tmp_path: Path, content) -> None:
    result = explain(tmp_path, "-e", write(tmp_path, content))
    assert result.exit_code == 0, result.output
    last = result.output.splitlines()[-1]
    assert last == "fired: trigger post would send POST http://x/ with 10 bytes"


def test_an_event_may_come_from_standard_input(tmp_path: Path) -> None:
    result = explain(tmp_path, "-e", "-", stdin=json.dumps(CLOUD))
    assert result.exit_code == 0


def test_the_tree_shows_all_that_was_looked_at(tmp_path: Path) -> None:
    result = explain(tmp_path, "-e", write(tmp_path, CLOUD))
    assert result.output.splitlines() == [
        "event 7 of shop/orders (webhook, 2026-11-21 12:00:00 UTC)",
        "✓ dependency order (shop/orders)  takes it",
        '    data       {"body": {"total": 250, "id": "A"}}',
        "    transform  jq: .body",
        '    becomes    {"id":"A","total":250}',
        "    data filters: any will do",
        "    ✓ data filter 1: total is 250, wanted >= 100 (number)",
        "    ✗ data filter 2: data has no vip",
        "        hint: it has id, total",
        "✓ trigger post  fires",
        "    http.payload[0] -> id = A  (dataKey id of order)",
        "    would send POST http://x/ with 10 bytes",
        "      POST http://x/",
        "      Authorization: ***",
        "      X-Key: <Secret keys/one>",
        '      {"id":"A"}',
        "",
        "fired: trigger post would send POST http://x/ with 10 bytes",
    ]


def test_json_holds_the_same(tmp_path: Path) -> None:
    result = explain(tmp_path, "-e", write(tmp_path, CLOUD), "--format", "json")
    found = json.loads(result.output)
    assert (found["sensor"], found["fired"]) == ("till", True)
    (one,) = found["events"]
    assert one["event"]["data"] == CLOUD["data"]
    assert [f["passed"] for f in one["dependencies"][0]["trace"]["filters"]] == [True, False]
    assert one["actions"][0]["content"]["body"] == '{"id":"A"}'
    assert one["actions"][0]["content"]["headers"] == {"Authorization": "***"}
    assert "hunter2" not in result.output
    assert found["text"] == one["text"]


def test_data_alone_is_of_the_kind_that_its_source_has(tmp_path: Path) -> None:
    result = explain(tmp_path, "-e", write(tmp_path, {}), "-o", "json")
    assert json.loads(result.output)["events"][0]["event"]["type"] == "calendar"
    assert result.exit_code == 1


def test_several_events_come_in_order(tmp_path: Path) -> None:
    events = (
        "-e",
        f"a={write(tmp_path, {}, 'a.json')}",
        "-e",
        f"b={write(tmp_path, {}, 'b.json')}",
    )
    result = explain(tmp_path, *events, sensor=TWO)
    assert result.exit_code == 0, result.output
    assert "trigger join  waiting" in result.output
    assert result.output.splitlines()[-1] == "fired: trigger join would log 2 events"
    again = explain(tmp_path, *events, "-e", f"a={write(tmp_path, {}, 'a.json')}", sensor=TWO)
    assert again.output.splitlines()[-1].startswith("fired on event 2 of 3; the last did not fire:")


def test_data_alone_needs_to_be_told_whose_it_is(tmp_path: Path) -> None:
    file = write(tmp_path, {})
    result = explain(tmp_path, "-e", file, sensor=TWO)
    assert isinstance(result.exception, ConfigError)
    assert "it is only data, and the Sensor reads shop/a, shop/b" in str(result.exception)
    named = explain(tmp_path, "-e", file, "--name", "b", sensor=TWO)
    assert "waits for a (has b" in named.output
    other = explain(tmp_path, "-e", file, "--source", "x", "--name", "y", sensor=TWO)
    assert "no dependency of this Sensor names x/y" in other.output


def test_the_time_of_data_may_be_told(tmp_path: Path) -> None:
    result = explain(tmp_path, "-e", write(tmp_path, {}), "--at", "2026-11-21T23:30:00Z")
    assert "2026-11-21 23:30:00 UTC" in result.output
    bad = explain(tmp_path, "-e", write(tmp_path, {}), "--at", "noon")
    assert "reading --at 'noon': not a time" in str(bad.exception)


def test_a_sensor_that_cannot_run_is_told_as_lint_does(tmp_path: Path) -> None:
    broken = TWO.replace("a && b", "a && c")
    result = explain(tmp_path, "-e", write(tmp_path, {}), sensor=broken)
    assert result.exit_code == 2
    first, last = result.output.splitlines()
    assert "s.yaml:9:" in first
    assert last.startswith("Sensor both cannot run: spec.triggers[0].template.conditions: ")
    as_json = explain(tmp_path, "-e", write(tmp_path, {}), "-o", "json", sensor=broken)
    assert json.loads(as_json.output)["findings"][0]["line"] == 9


def test_of_several_sensors_one_is_chosen(tmp_path: Path) -> None:
    both = f"{SENSOR}---\n{TWO}"
    file = write(tmp_path, CLOUD)
    unclear = explain(tmp_path, "-e", file, sensor=both)
    assert "there are till, both (give --sensor NAME)" in str(unclear.exception)
    assert explain(tmp_path, "-e", file, "--sensor", "till", sensor=both).exit_code == 0
    gone = explain(tmp_path, "-e", file, "--sensor", "x", sensor=both)
    assert "no Sensor 'x' in there (it has till, both)" in str(gone.exception)


def test_an_event_of_a_dependency_that_is_none_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, {})
    wrong = explain(tmp_path, "-e", f"aa={file}", sensor=TWO)
    assert "the Sensor has no dependency 'aa' (did you mean a)" in str(wrong.exception)
    strange = explain(tmp_path, "-e", f"zzz={file}", sensor=TWO)
    assert "no dependency 'zzz' (it has a, b)" in str(strange.exception)


@pytest.mark.parametrize("words", [(), ("-e", "x", "--last", "1"), ("--last", "-1")])
def test_it_must_be_plain_which_events(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert isinstance(explain(tmp_path, *words).exception, ConfigError)


def test_long_values_are_cut_unless_they_are_wanted(tmp_path: Path) -> None:
    file = write(tmp_path, {"body": {"total": 1, "long": "x" * 300}})
    assert "x" * 200 not in explain(tmp_path, "-e", file).output
    assert "x" * 300 in explain(tmp_path, "-e", file, "--full").output


def test_a_program_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", "1")
    endless = SENSOR.replace("{jq: .body}", '{jq: "def f: f; f"}')
    result = explain(tmp_path, "-e", write(tmp_path, CLOUD), sensor=endless)
    assert result.exit_code == 1
    assert "did not fire: evaluating event '7'" in result.output.splitlines()[-1]


def test_data_alone_takes_a_name_that_a_pattern_means(tmp_path: Path) -> None:
    sensor = SENSOR.replace("eventName: orders", 'eventName: "order{s,ed}-*"')
    result = explain(tmp_path, "-e", write(tmp_path, CLOUD["data"]), sensor=sensor)
    assert "of shop/orders-any" in result.output
    assert result.exit_code == 0, result.output
    named = explain(tmp_path, "-e", write(tmp_path, {}), "--name", "ordered-7", sensor=sensor)
    assert "of shop/ordered-7" in named.output
    other = explain(
        tmp_path, "-e", write(tmp_path, {}), "--source", "shop", "--name", "x", sensor=sensor
    )
    assert other.output.splitlines()[-1].endswith("(dependency order: eventName)")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["body", "total", "id", "vip"]), inner, max_size=4)
    ),
    max_leaves=8,
)
BODIES = st.none() | st.binary(max_size=20) | JSON.map(lambda value: json.dumps(value).encode())


@given(BODIES, st.sampled_from(["orders", "other"]))
def test_whatever_comes_the_tree_and_the_last_line_can_be_made(data, name: str) -> None:
    event = Event(id="1", source="shop", type="webhook", subject=name, data=data)
    decided = evaluate(PLAN, EMPTY, event, 0.0, trace=True)
    told = Told(event, 0.0, decided)
    assert all(Tree(PLAN).lines(told))
    assert sentence(decided, event).startswith(("fired: ", "did not fire: "))
    assert json.dumps(as_json(told))
    plain = evaluate(PLAN, EMPTY, event, 0.0)
    assert [d.passed for d in plain.dependencies] == [d.passed for d in decided.dependencies]
    assert plain.actions == decided.actions
