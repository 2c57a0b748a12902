"""`tocsin eval`: each language gives what it gives in a sensor, and says of what type."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eventbus.spec import EventBusSpec
from eventsource.spec import EventSourceSpec
from sensor.spec import SensorSpec
from spine.described import descriptions
from spine.errors import ConfigError
from tocsin.cli import cli
from tocsin.languages import LANGUAGES
from tocsin.spoken import SPOKEN, Place, fields, short, walk

DATA = '{"header":{},"body":{"total":25,"s":"paid","items":[{"id":1.0e2}]}}'


def evaluate(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["eval", *words], input=stdin)


CASES = [
    ("gjson", "body.items.0.id", "1.0e2", "number"),
    ("gjson", "body.s", '"paid"', "string"),
    ("gjson", "body.items", '[{"id":1.0e2}]', "array"),
    ("jsonpath", "$.body.total", "25", "number"),
    ("sjson", "body.total=3", DATA.replace("25", "3"), "object"),
    ("sjson", "body.s=open", DATA.replace("paid", "open"), "object"),
    ("jq", "{t: .body.total}", '{"t":25}', "object"),
    ("jq", ".body.s", '"paid"', "string: a transform must give an object"),
    ("lua", "event.body = nil return event", '{"header":{}}', "object"),
    ("lua", "return event.body.total > 3", "true", "bool: as a filter"),
    ("expr", "body.total > 3", "true", "bool"),
    ("expr-1.15", "body.total + 1", "26", "number: an event passes only where it is true"),
    ("template", "{{ .Input.body.s | upper }}", "PAID", "string"),
    ("template", "{{ .Input.nope }}", "<no value>", "string: as a parameter this counts as miss"),
    ("regex", "pa.d", "true", "bool"),
    ("duration", "1h30m", "1h30m0s", "duration: 5400 seconds"),
]


@pytest.mark.parametrize(("language", "program", "wanted", "kind"), CASES)
def test_a_program_gives(language: str, program: str, wanted: str, kind: str) -> None:
    result = evaluate(language, program, "-d", DATA)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{wanted}\n"
    assert result.stderr.startswith(kind)


def test_small_languages_need_data_of_their_own() -> None:
    assert evaluate("govaluate", "n > 3", "-d", '{"n": 4}').stdout == "true\n"
    found = evaluate("conditions", "a && (b || c)", "-d", '["a"]')
    assert (found.stdout, found.stderr) == ("false\n", "bool: has not come: b, c\n")
    assert evaluate("conditions", "a && b", "-d", '{"a": true, "b": true}').stdout == "true\n"
    assert len(evaluate("cron", "0 9 * * 1-5").stdout.splitlines()) == 5


def test_data_and_programs_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text(DATA)
    (tmp_path / "p.jq").write_text(".body | {total}")
    result = evaluate("jq", f"@{tmp_path / 'p.jq'}", "-d", f"@{tmp_path / 'e.json'}")
    assert result.stdout == '{"total":25}\n'
    assert evaluate("gjson", "body.total", "-d", "-", stdin=DATA).stdout == "25\n"


FAILED = [
    ("gjson", "total", "there is nothing at total (it has body.total)"),
    ("jq", ".body.s + 1", "string"),
    ("govaluate", "n > 3", "the data has no n"),
    ("jq", "def f: f; f", "did not end"),
]


@pytest.mark.parametrize(("language", "program", "told"), FAILED)
def test_what_fails_on_the_data_is_told(language, program, told, monkeypatch) -> None:
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", "1")
    result = evaluate(language, program, "-d", DATA)
    assert result.exit_code == 1
    assert told in result.stderr


WRONG = [
    (("jq", ".a.["), "compiling jq program"),
    (("template", "{{ .Input"), "line 1, column"),
    (("expr", "a +"), "a +"),
    (("conditions", "a and b"), "write && for and"),
    (("cron", "61 * * * *"), "61"),
    (("duration", "3x"), "write 90s or 1h30m"),
    (("jqq", "."), "did you mean jq"),
    (("basic", "."), "there are gjson, "),
    (("jq",), "no program is given"),
    (("gjson", "$.a"), "is a JSONPath"),
    (("jsonpath", "a"), "begins with $"),
    (("sjson", "a"), "not of the form PATH=JSON"),
]


@pytest.mark.parametrize(("words", "told"), WRONG)
def test_what_is_wrong_is_told(words: tuple[str, ...], told: str) -> None:
    result = evaluate(*words, "-d", "{}")
    assert isinstance(result.exception, ConfigError), result.output
    assert told in str(result.exception)


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        (("jq", ".a |"), "    .a |\n        ^"),
        (("expr", "a &&\nb ++ 1 +"), "    b ++ 1 +\n            ^"),
        (("template", "x {{ .a | nope }}"), "    x {{ .a | nope }}\n              ^"),
        (("govaluate", f"{'a || ' * 50}b = 1"), f"    {('a || ' * 50)[-47:]}b = 1\n{' ' * 53}^"),
    ],
)
def test_the_place_of_what_is_wrong_is_shown(words: tuple[str, ...], mark: str) -> None:
    result = evaluate(*words, "-d", "{}")
    assert isinstance(result.exception, ConfigError), result.output
    assert str(result.exception).partition("\n")[2] == mark


def test_data_is_asked_for() -> None:
    found = evaluate("jq", ".")
    assert "it works on the data of an event (give it as -d)" in str(found.exception)


def test_json_tells_value_and_type() -> None:
    result = evaluate("jq", ".body.total", "-d", DATA, "-o", "json")
    found = json.loads(result.stdout)
    assert (found["value"], found["type"]) == (25, "number")


def test_json_is_json_also_where_a_number_is_none() -> None:
    result = evaluate("gjson", "a", "-d", '{"a":1e400}', "-o", "json")
    assert json.loads(result.stdout, parse_constant=pytest.fail)["value"] == "1e400"


def test_languages_are_listed_with_their_fields() -> None:
    for words in ((), ("--fields",)):
        result = evaluate(*words)
        assert result.exit_code == 0
        assert all(name in result.stdout for name in LANGUAGES)
        assert "Sensor spec.dependencies[].transform.jq" in result.stdout
    shown = evaluate("--fields").stdout
    assert "{http,nats}.payload[].src.{contextKey,dataKey}" in shown
    lines = evaluate("--fields", "-o", "json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [field._asdict() for field in fields()]
    assert {"kind": "Sensor", "path": "spec.triggers[].if", "language": "expr"} in map(
        json.loads, lines
    )


def test_every_language_is_one_and_every_field_is_there() -> None:
    assert set(SPOKEN.values()) == set(LANGUAGES) - {"jsonpath"}
    assert {one.spoken for one in _walked()} >= set(SPOKEN)
    assert len(fields()) == len(set(fields()))


SPEAKS = re.compile(
    r"(?i)\b(jq|lua|gjson|sjson|jsonpath|govaluate|re2|cron|duration|such as `\d+m?[smh]`)\b"
    r"|expr-lang|go template|regular expression|, as in `\d+m?[smh]`"
)


def test_no_field_that_speaks_a_language_is_forgotten() -> None:
    told = {
        one.spoken for one in _walked() if SPEAKS.search(descriptions(one.model).get(one.name, ""))
    }
    assert told - set(SPOKEN) == {"Batch.count"}  # speaks of the other's duration


def _walked() -> list[Place]:
    return [p for model in (EventBusSpec, EventSourceSpec, SensorSpec) for p in walk(model, "spec")]


def test_paths_that_differ_in_one_step_are_one_line() -> None:
    assert short(["a.x[].k", "a.y[].k", "a.x[].l", "a.y[].l", "a.k", "b"]) == [
        "a.{x,y}[].{k,l}", "a.k", "b"
    ]  # fmt: skip
