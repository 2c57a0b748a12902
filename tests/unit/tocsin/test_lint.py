"""`tocsin lint`, called as a user calls it."""

import json
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from tocsin.lint import command

BUS = """\
apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {jetstream: {version: latest}}
---
"""
SOURCE = """\
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata:
  name: hook
spec:
  webhook:
    example: {port: "12000", endpoint: /example, method: POST}
---
"""
SENSOR = """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata:
  name: show
spec:
  dependencies:
    - name: dep
      eventSourceName: hook
      eventName: example
  triggers:
    - template:
        name: log
        log: {}
---
"""
GOOD = BUS + SOURCE + SENSOR


@pytest.fixture
def lint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(text: str, *options: str):
        (tmp_path / "m.yaml").write_text(text)
        return CliRunner().invoke(command, [*options, "m.yaml"])

    return run


def test_good_manifests_are_silent_but_for_the_summary(lint):
    result = lint(GOOD)

    assert result.output == "3 objects in 1 file: no problems\n"
    assert result.exit_code == 0


@dataclass(frozen=True)
class Bad:
    name: str
    text: str
    line: str
    code: int = 2

    def __str__(self) -> str:
        return self.name


def source(**replacements: str) -> str:
    text = SOURCE
    for old, new in replacements.items():
        text = text.replace(old, new)
    return BUS + text + SENSOR


def sensor(old: str, new: str) -> str:
    assert old in SENSOR
    return BUS + SOURCE + SENSOR.replace(old, new)


SECRET_HOOK = "endpoint: /example, authSecret: {name: tokens, key: hook}"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: tokens}\nstringData: {hok: x}\n---\n"
SECOND = SOURCE.replace("name: hook", "name: other")

BAD = [
    Bad("wrong YAML", GOOD + "a: [", "m.yaml:29:1: not YAML: "),
    Bad("unknown field", source(method="methd"),
        "m.yaml:12:50: spec.webhook.example.methd: unknown field (did you mean method)"),
    Bad("unknown kind of source", source(webhook="webhok"),
        "m.yaml:11:3: spec.webhok: unknown field (did you mean webhook)"),
    Bad("kind that is not built", source(webhook="kafka"), "m.yaml:11:3: spec.kafka: "),
    Bad("wrong type", sensor("name: log", "name: [log]"),
        "m.yaml:25:9: spec.triggers[0].template.name: "),
    Bad("missing field", sensor("      eventName: example\n", ""),
        "m.yaml:20:7: spec.dependencies[0].eventName: required field is missing"),
    Bad("boolean by accident", sensor("name: log", "name: on"),
        '(YAML takes on for a boolean: write "on")'),
    Bad("number by accident", sensor("name: log", "name: 12"), '(write "12" in quotes)'),
    Bad("no such event", sensor("eventName: example", "eventName: exampel"),
        "m.yaml:22:7: spec.dependencies[0].eventName: EventSource 'hook' has no event 'exampel'"
        " (did you mean example)"),
    Bad("event of another name", sensor("eventName: example", "eventName: zzz"),
        "EventSource 'hook' has no event 'zzz' (it has example)"),
    Bad("no such source", sensor("eventSourceName: hook", "eventSourceName: hok"),
        "m.yaml:21:7: spec.dependencies[0].eventSourceName: warning: no EventSource 'hok' in"
        " these manifests (did you mean hook)", 0),
    Bad("another bus", sensor("spec:\n", "spec:\n  eventBusName: second\n")
        + BUS.replace("default", "second"),
        "m.yaml:22:7: spec.dependencies[0].eventSourceName: EventSource 'hook' sends to EventBus"
        " 'default', and this Sensor reads 'second'"),
    Bad("no bus", SOURCE + SENSOR,
        "m.yaml:5:1: spec.eventBusName: warning: no EventBus 'default' in these manifests, and 1"
        " more need it", 0),
    Bad("misspelt bus", source(**{"spec:\n": "spec:\n  eventBusName: defalt\n"}),
        "m.yaml:11:3: spec.eventBusName: warning: no EventBus 'defalt' in these manifests"),
    Bad("bus that is not served", GOOD.replace("jetstream: {version: latest}",
                                               "kafka: {url: 'a:1'}"),
        "m.yaml:4:1: spec: kafka is a known kind of bus that is not built yet"),
    Bad("duplicate name", GOOD + SENSOR,
        "m.yaml:31:3: metadata.name: Sensor 'show' is defined twice (first at m.yaml:17:3)"),
    Bad("port of two", GOOD + SECOND,
        "m.yaml:34:15: spec.webhook.example.port: warning: port 12000 is used by"
        " EventSource 'hook' too", 0),
    Bad("port of the metrics", source(**{"12000": "7777"}),
        "spec.webhook.example.port: warning: port 7777 serves the metrics of every pod", 0),
    Bad("no Secret", source(**{"endpoint: /example": SECRET_HOOK}),
        "spec.webhook.example.authSecret.name: warning: no Secret 'tokens' in these manifests", 0),
    Bad("no key", SECRET + source(**{"endpoint: /example": SECRET_HOOK}),
        "spec.webhook.example.authSecret.key: Secret 'tokens' has no key 'hook' (did you mean"),
    Bad("bad Secret", GOOD + SECRET.replace("stringData: {hok: x}", "data: {hook: '?'}"),
        "data.hook: not base64"),
    Bad("bad jq", sensor("    - name: dep\n", "    - name: dep\n      transform: {jq: '.a | {'}\n"),
        "m.yaml:21:"),
    Bad("bad condition", sensor("name: log\n", "name: log\n        conditions: dep && depp\n"),
        "m.yaml:26:9: spec.triggers[0].template.conditions: "),
    Bad("old shape", source(**{"spec:\n": "spec:\n  replica: 1\n"}),
        "m.yaml:11:3: spec.replica: warning: old shape, valid up to v1.4: write replicas", 0),
    Bad("another case", sensor("eventName: example", "EventName: example"),
        "m.yaml:22:7: spec.dependencies[0].EventName: warning: EventName: write eventName", 0),
    Bad("duplicate key", GOOD + "a: 1\na: 2\n", "key 'a' stands twice"),
    Bad("refused shape", sensor("spec:\n", "spec:\n  circuit: a && b\n"),
        "m.yaml:19:3: spec.circuit: valid up to v1.4: write conditions"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_manifests(lint, case: Bad):
    result = lint(case.text)

    assert case.line in result.output
    assert result.exit_code == case.code, result.output


def test_warnings_count_only_when_asked(lint):
    text = SOURCE + SENSOR

    assert lint(text).exit_code == 0
    assert lint(text, "--strict").exit_code == 1
    assert lint(GOOD, "--strict").exit_code == 0
    assert lint(text + "a: [", "--strict").exit_code == 2
    assert "3 errors" not in lint(text).output


def test_json_says_the_same(lint):
    found = json.loads(lint(SOURCE + SENSOR, "--format", "json").output)

    assert (found["errors"], found["warnings"], found["objects"], found["files"]) == (0, 1, 2, 1)
    (finding,) = found["findings"]
    assert finding["file"] == "m.yaml"
    assert (finding["line"], finding["column"]) == (5, 1)
    assert (finding["path"], finding["severity"]) == ("spec.eventBusName", "warning")


def test_sarif_can_be_read_by_a_code_host(lint):
    result = lint(GOOD + "a: [", "--format", "sarif")

    log = json.loads(result.output)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (found,) = run["results"]
    assert found["level"] == "error"
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "m.yaml"
    assert place["region"] == {"startLine": 29, "startColumn": 1}
    assert found["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert result.exit_code == 2


def test_other_kinds_are_noted_and_can_be_hushed(lint):
    other = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"

    assert "note: Deployment of apps/v1" in lint(GOOD + other).output
    assert lint(GOOD + other, "--quiet").output == ""


def test_a_directory_and_stdin(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yml").write_text(SOURCE)

    result = CliRunner().invoke(command, [str(tmp_path), "-"], input=BUS + SENSOR)

    assert result.output == "3 objects in 2 files: no problems\n"


def test_nothing_to_check_is_a_mistake(tmp_path):
    result = CliRunner().invoke(command, [str(tmp_path)])

    assert "no EventBus, EventSource or Sensor in there" in str(result.exception)


def test_one_bus_may_stand_beside_each_of_several_parts(lint):
    assert lint(BUS + GOOD, "--strict").exit_code == 0
    other = BUS.replace("latest", "2.10.10")
    result = lint(other + GOOD)
    assert result.exit_code == 2
    assert "metadata.name: EventBus 'default' is defined twice (first at m.yaml:3:12)" in (
        result.output
    )


PROGRAM = """\
      transform:
        jq: |
          {
            id: .body.id,
            total: .body.total +
          }
      filters:
        exprs:
          - {expr: x == 1, fields: [{name: x, path: body.n}]}
          - {expr: x = 1, fields: [{name: x, path: body.n}]}
  triggers:
"""


def test_a_program_that_is_wrong_is_shown_at_its_place(lint):
    text = SENSOR.replace("  triggers:\n", PROGRAM)
    result = lint(BUS + SOURCE + text)

    at = 1 + (BUS + SOURCE + text)[: (BUS + SOURCE + text).index("          }")].count("\n")
    lines = result.output.splitlines()
    path = "spec.dependencies[0].transform.jq"
    assert lines[0].startswith(
        f"m.yaml:{at}:11: {path}: compiling jq program '}}': line 4, column 1: unexpected '}}'"
    )
    assert lines[1:3] == ["    }", "    ^"]
    path = "spec.dependencies[0].filters.exprs[1].expr"
    assert lines[3].startswith(f"m.yaml:{at + 4}:14: {path}: compiling expression 'x = 1'")
    assert lines[4:6] == ["    x = 1", "      ^"]
    assert json.loads(lint(text, "--format", "json").output)["findings"][-1]["path"] == path


def test_a_program_that_stands_twice_is_not_guessed(lint):
    expr = "{expr: x = 1, fields: [{name: x, path: body.n}]}"
    text = PROGRAM[PROGRAM.index("      filters") :].replace("x == 1", "x = 1")
    assert text.count(expr) == 2
    result = lint(BUS + SOURCE + SENSOR.replace("  triggers:\n", text))
    assert "spec.dependencies[0].filters: compiling expression 'x = 1'" in result.output


def test_a_warning_stands_where_its_key_does(lint):
    trigger = (
        "    - template: {name: NAME, log: {}}\n      retryStrategy: {duration: 10, steps: 3}\n"
    )
    text = SENSOR.removesuffix("---\n") + "".join(trigger.replace("NAME", x) for x in "ab")
    lines = lint(BUS + SOURCE + text).output.splitlines()
    last = (BUS + SOURCE + text).count("\n")
    assert lines[0].startswith(f"m.yaml:{last - 2}:23: spec.triggers[1].retryStrategy.duration: ")
    assert lines[1].startswith(f"m.yaml:{last}:23: spec.triggers[2].retryStrategy.duration: ")


SLIPS = """\
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: pods}
spec:
  resource:
    moved:
      version: v1
      resource: pods
      eventTypes: [UPDATE]
      onChange: [spec.node, "spec.ports[0]"]
      filter:
        fields: [{key: "spec.ports[0].port", operation: ==, value: "80"}]
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: show}
spec:
  dependencies:
    - name: dep
      eventSourceName: pods
      eventName: moved
      filters:
        data:
          - {path: body.ok, type: string, value: [a]}
          - {path: "body.items[0]", type: string, value: [a]}
        exprs:
          - {expr: x == 1, fields: [{name: x, path: .body.x}]}
  triggers:
    - template:
        name: post
        http:
          url: http://127.0.0.1:1/
          payload:
            - src: {dependencyName: dep, dataKey: "body.items[*].name"}
              dest: "a[0]"
      parameters:
        - src: {dependencyName: dep, dataKey: $.body.x, contextKey: id.}
          dest: $.http.url
"""


def test_a_slip_in_a_path_is_told_at_its_field(lint):
    result = lint(BUS + SLIPS, "-q")

    assert result.exit_code == 0
    written, told = (BUS + SLIPS).splitlines(), []
    for said in result.output.splitlines():
        _, line, column, field, _, key, text = said.split(":", 6)
        key = key.strip()
        assert field.endswith(f".{key}")
        assert written[int(line) - 1][int(column) - 1 :].startswith(f"{key}: ")
        told.append((key, text.rpartition("(")[2]))
    assert told == [
        ("onChange", "did you mean spec.ports.0)"),
        ("key", "did you mean spec.ports.0.port)"),
        ("path", "did you mean body.items.0)"),
        ("path", "did you mean body.x)"),
        ("dataKey", "did you mean body.items.#.name)"),
        ("dest", "did you mean a.0)"),
        ("contextKey", "did you mean id)"),
        ("dest", "did you mean http.url)"),
    ]
