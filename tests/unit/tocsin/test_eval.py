"""`tocsin eval`: each language gives what it gives in a sensor, and says of what type."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eventsource.spec import EventSourceSpec
from sensor.spec import SensorSpec
from spine.errors import ConfigError
from spine.model import Model
from tocsin.cli import cli
from tocsin.languages import LANGUAGES
from tocsin.spoken import FIELDS, Field

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


def test_data_is_asked_for() -> None:
    found = evaluate("jq", ".")
    assert "it works on the data of an event (give it as -d)" in str(found.exception)


def test_json_tells_value_and_type() -> None:
    result = evaluate("jq", ".body.total", "-d", DATA, "-o", "json")
    found = json.loads(result.stdout)
    assert (found["value"], found["type"]) == (25, "number")


def test_languages_are_listed_with_their_fields() -> None:
    for words in ((), ("--fields",)):
        result = evaluate(*words)
        assert result.exit_code == 0
        assert all(name in result.stdout for name in LANGUAGES)
        assert "Sensor spec.dependencies[].transform.jq" in result.stdout
    lines = evaluate("--fields", "-o", "json").stdout.splitlines()
    assert len(lines) == len(FIELDS)


@pytest.mark.parametrize("field", FIELDS, ids=lambda f: f"{f.kind} {f.path}")
def test_every_field_that_is_listed_is_there(field: Field) -> None:
    from spine.model import _models, _names

    models: list[type[Model]] = [{"Sensor": SensorSpec, "EventSource": EventSourceSpec}[field.kind]]
    for step in field.path.split(".")[1:]:
        name = step.removesuffix("[]")
        if name == "*":
            continue
        found = [m.model_fields[_names(m)[name]].annotation for m in models if name in _names(m)]
        assert found, f"{step} is no field of {models}"
        models = [one for annotation in found for one in _models(annotation)]
    assert field.language in LANGUAGES
