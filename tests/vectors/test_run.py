"""The runner: what it prints, and what its exit code says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from vectors.corpus import OWN
from vectors.outcome import said, same

RUN = Path(__file__).parent / "run.py"
PATH = {
    "id": "gjson_path.plain.00000001",
    "family": "gjson_path",
    "input": {"path": "a", "data": '{"a": 1}'},
    "expect": {
        "result": {"exists": True, "type": "Number", "value": "1"}
        | {"string": "1", "raw": "1", "bool": True, "number": 1}
    },
}


def run(*arguments: object) -> tuple[int, str]:
    command = [sys.executable, str(RUN), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    return done.returncode, done.stdout + done.stderr


def folder(path: Path, *vectors: dict) -> Path:
    (path / "some.json").write_text(json.dumps(vectors))
    return path


def test_all_passed(tmp_path: Path) -> None:
    code, told = run(folder(tmp_path, PATH))
    assert code == 0
    first = " ".join(told.splitlines()[0].split())
    assert first == "gjson_path passed 1 failed 0 deviated 0"


def test_a_failure_is_listed_with_what_was_wanted(tmp_path: Path) -> None:
    wrong = PATH | {"expect": {"result": {"exists": False}}}
    code, told = run(folder(tmp_path, PATH, wrong))
    assert code == 1
    assert "FAILED gjson_path.plain.00000001: result differs" in told
    assert 'wanted: {"result": {"exists": false}}' in told
    assert '"value": "1"' in told
    assert "passed    1  failed    1" in told


@pytest.mark.parametrize(
    "odd",
    [
        PATH | {"family": "runes"},
        {"id": "x"},
        PATH | {"input": {}},
        PATH | {"input": None},
        {k: v for k, v in PATH.items() if k != "expect"},
    ],
    ids=["unknown family", "no family", "no input", "null input", "no expectation"],
)
def test_an_odd_vector_fails_alone(tmp_path: Path, odd: dict) -> None:
    code, told = run(folder(tmp_path, odd, PATH))
    assert code == 1
    assert told.count("FAILED") == 1
    assert "passed    1" in told


def test_a_vector_that_does_not_answer_fails_alone(tmp_path: Path) -> None:
    code, told = run(folder(tmp_path, PATH, PATH), "--deadline", "0.000001")
    assert code == 1
    assert "no answer in 1e-06 s" in told


def test_choices(tmp_path: Path) -> None:
    code, told = run(OWN, "--family", "event_text")
    assert (code, len(told.splitlines())) == (0, 2)
    wrong = PATH | {"expect": {"result": None}}
    code, told = run(folder(tmp_path, wrong, wrong), "--max", 1, "--id", "gjson_path.plain")
    assert (code, told.count("FAILED")) == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [(), ("/nowhere",), ("--flavour",), (OWN, "--family", "runes"), (OWN, "--max", "many")],
    ids=str,
)
def test_bad_usage_is_2(arguments: tuple) -> None:
    assert run(*arguments)[0] == 2


def test_a_file_that_is_no_json_is_2(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    assert run(tmp_path)[0] == 2


@pytest.mark.parametrize(
    ("got", "wanted", "alike"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        (1.2345678901234567e19, 12345678901234567000, True),
        ([1, {"a": None}], [1, {"a": None}], True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ("1", 1, False),
        (float("nan"), float("nan"), True),
    ],
)
def test_same(got: object, wanted: object, alike: bool) -> None:
    assert same(got, wanted) is alike


def test_what_says_nothing_is_left_out_but_not_from_what_is_the_users_own() -> None:
    raw = {"a": "", "b": [{"c": None}], "d": {"e": 0}, "resource": {"f": "", "g": None}}
    assert said(raw) == {"b": [{}], "resource": {"f": "", "g": None}}
