"""Golden cases: what passes, how a difference is told, and what --update leaves alone."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from spine.errors import ConfigError
from tocsin.cases import read_file
from tocsin.cli import cli

ROOT = Path(__file__).parents[3]

SENSOR = """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: till}
spec:
  dependencies:
    - name: order
      eventSourceName: shop
      eventName: orders
      filters:
        data: [{path: body.total, type: number, comparator: ">=", value: ["100"]}]
    - {name: paid, eventSourceName: bank, eventName: paid}
  triggers:
    - template:
        name: post
        conditions: order
        http:
          url: http://x/
          payload:
            - src: {dependencyName: order, dataKey: body, useRawData: true}
              dest: order
    - template: {name: both, conditions: order && paid, log: {}}
    - template: {name: calm, conditions: order, log: {}}
      debounce: {duration: 30s}
"""

LARGE = """\
cases:
  # sent at once
  - name: large
    events:
      - dependency: order
        body: {total: 250}
    want:
      - trigger: post
        content: {body: {order: {total: 250}}}
      # that was it
  - name: small
    events: [{dependency: order, body: {total: 5}}]
    refused: body.total is 5   # why
"""


def cases_run(folder: Path, cases: str, *words: str, sensor: str = SENSOR) -> Result:
    (folder / "till.yaml").write_text(sensor)
    (folder / "till.tocsin-test.yaml").write_text(cases)
    return CliRunner().invoke(cli, ["test", str(folder), *words])


def one(case: str) -> str:
    return f"cases:\n  - name: it\n    {case}\n"


def order(total: int, more: str = "") -> str:
    return f"{{dependency: order, body: {{total: {total}}}{more}}}"


def test_cases_that_hold_pass(tmp_path: Path) -> None:
    result = cases_run(tmp_path, LARGE)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].startswith("2 passed in ")


def test_only_some_are_chosen(tmp_path: Path) -> None:
    assert "1 passed" in cases_run(tmp_path, LARGE, "-k", "large").output
    none = cases_run(tmp_path, LARGE, "-k", "lrge")
    assert str(none.exception) == "choosing cases: none has 'lrge' in its name"
    assert "ok " not in cases_run(tmp_path, LARGE, "-q").output


WRONG_TOTAL = "{trigger: post, content: {body: {order: {total: 9}}}}"
FAILURES = [
    (
        f"events: [{order(250)}]\n    want: [{WRONG_TOTAL}]",
        "want[0].content.body.order.total: wanted 9, got 250",
    ),
    (
        f"events: [{order(250)}]\n    want: [{{trigger: post, content: {{body: {{a: 1}}}}}}]",
        "want[0].content.body.a: wanted 1, got nothing",
    ),
    (f"events: [{order(250)}]\n    want: [{{trigger: tell}}]", "wanted tell, got post"),
    (f"events: [{order(250)}]\n    want: []", "want: wanted 0 actions, got 1 (post)"),
    (
        f"events: [{order(5)}]\n    want: [{{trigger: post}}]",
        "want: wanted 1 action, got 0 (none): did not fire: dependency order: data filter: body",
    ),
    (f"events: [{order(250)}]\n    refused: small", "refused: wanted 'small', but it fired: "),
    (f"events: [{order(5)}]\n    refused: late", "refused: wanted 'late', got 'did not fire"),
    (f"events: [{order(5)}]", "it says neither want nor refused"),
    (
        f"events: [{order(250)}]\n    want: [{{trigger: post, events: {{order: z}}}}]",
        'want[0].events.order: wanted "z", got "1"',
    ),
]


@pytest.mark.parametrize(("case", "told"), FAILURES)
def test_a_difference_is_told_with_its_place(tmp_path: Path, case: str, told: str) -> None:
    result = cases_run(tmp_path, one(case))
    assert result.exit_code == 1
    assert told in result.output, result.output
    assert "till.tocsin-test.yaml:2: it" in result.output
    assert "0 passed, 1 failed" in result.output


def test_several_events_come_in_order_and_time_passes(tmp_path: Path) -> None:
    case = (
        f"events: [{order(250)}, {{dependency: paid, data: {{}}, after: 5s}}]\n"
        "    wait: 1m\n"
        "    want: [{trigger: post}, {trigger: both, events: {order: '1', paid: '2'}},"
        " {trigger: calm}]"
    )
    result = cases_run(tmp_path, one(case))
    assert result.exit_code == 0, result.output


def test_what_debounce_holds_does_not_fire_before_its_time(tmp_path: Path) -> None:
    case = f"events: [{order(250)}]\n    wait: 29s\n    want: [{{trigger: post}}]"
    assert cases_run(tmp_path, one(case)).exit_code == 0


WRONG = [
    ("case: []", "till.tocsin-test.yaml:1:1: case: unknown field (did you mean cases)"),
    (one("event: []\n    want: []"), "event: unknown field (did you mean events)"),
    (one("events: [{bdy: 1}]"), "bdy: unknown field (did you mean body)"),
    (one("events: [{body: 1, data: 2}]"), "body and data: give one of them"),
    (one("events: [{after: soon}]"), "after: reading duration 'soon'"),
    (one("events: [{body: 1}]"), "it is only data, and the Sensor reads shop/orders, bank/paid"),
    (one("events: [{dependency: ordr, body: 1}]"), "no dependency is called 'ordr'"),
    (one("events: [{dependency: order, file: gone.json}]"), "gone.json: No such file"),
    ("sensor: gone.yaml\ncases: [{name: a, events: [{body: 1}]}]", "gone.yaml"),
    ("cases: [", "till.tocsin-test.yaml:"),
    (LARGE.replace("small", "large"), "two cases are called 'large'"),
]


@pytest.mark.parametrize(("cases", "told"), WRONG)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, cases: str, told: str) -> None:
    result = cases_run(tmp_path, cases)
    assert result.exit_code == 2
    assert told in result.output, result.output
    assert "1 file wrong" in result.output


def test_a_sensor_that_cannot_run_is_told(tmp_path: Path) -> None:
    result = cases_run(tmp_path, LARGE, sensor=SENSOR.replace("order && paid", "order && piad"))
    assert result.exit_code == 2
    assert "no dependency is called 'piad' (did you mean paid)" in result.output


def test_where_there_is_no_test_the_name_of_one_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["test", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert "their names end in .tocsin-test.yaml" in str(result.exception)


def test_update_writes_what_came_and_leaves_the_rest(tmp_path: Path) -> None:
    cases = LARGE.replace("order: {total: 250}}}", "order: {total: 1}}}").replace("is 5 ", "is 6 ")
    result = cases_run(tmp_path, cases, "--update")
    assert result.exit_code == 0, result.output
    assert "0 passed, 2 updated" in result.output
    text = (tmp_path / "till.tocsin-test.yaml").read_text()
    assert "  # sent at once\n  - name: large\n" in text
    assert "        body: {total: 250}\n    want:\n    - trigger: post\n" in text
    assert (
        "    refused: 'dependency order: data filter: body.total is 5, not >= 100 (number)'" in text
    )
    again = CliRunner().invoke(cli, ["test", str(tmp_path)])
    assert again.exit_code == 0, again.output


def test_update_gives_a_case_what_it_lacks_and_turns_a_want_into_a_refusal(tmp_path: Path) -> None:
    cases = (
        "cases:\n  - name: a\n    events:\n      - dependency: order\n        body: {total: 5}\n\n"
        "  - name: b\n    want: [{trigger: post}]\n    events: [" + order(5) + "]\n"
    )
    assert cases_run(tmp_path, cases, "--update").exit_code == 0
    file = read_file(tmp_path / "till.tocsin-test.yaml")
    assert [(c.want, c.refused is not None) for c in file.suite.cases] == [(None, True)] * 2


def test_update_refuses_what_is_not_written_line_by_line(tmp_path: Path) -> None:
    cases = "cases: [{name: a, events: [" + order(5) + "], want: [{trigger: post}]}]\n"
    result = cases_run(tmp_path, cases, "--update")
    assert result.exit_code == 2
    assert "not written line by line" in result.output
    assert (tmp_path / "till.tocsin-test.yaml").read_text() == cases


def test_results_are_written_as_junit(tmp_path: Path) -> None:
    out = tmp_path / "results.xml"
    cases_run(tmp_path, LARGE.replace("is 5 ", "is 6 "), "--junit", str(out))
    root = ET.parse(out).getroot()
    assert root.attrib == {"tests": "2", "failures": "1", "errors": "0"}
    cases = root.findall("testsuite/testcase")
    assert [c.attrib["name"] for c in cases] == ["large", "small"]
    assert cases[0].find("failure") is None
    failure = cases[1].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("refused: wanted 'body.total is 6'")


def test_the_cases_of_the_examples_hold() -> None:
    result = CliRunner().invoke(cli, ["test", str(ROOT / "examples")])
    assert result.exit_code == 0, result.output
    assert int(result.output.splitlines()[-1].split()[0]) >= 8
