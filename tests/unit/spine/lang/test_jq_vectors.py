"""What Argo Events' own jq made of events."""

import json
from pathlib import Path
from typing import Any

import pytest

from spine.errors import ConfigError
from spine.lang import EvaluationError, jq

FILE = Path(__file__).parents[5] / "shared" / "vectors" / "sensor" / "transform_jq.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_bytes()) if FILE.exists() else []

DIFFERENT = {
    "integers beyond a double": ["def fac"],
    "regular expressions of libjq": ['test("(?=b)")', 'test("a.c"; "x")'],
    "a path through a literal": ['getpath(["text"]) |= 1'],
}
"""Parts of programs that libjq runs in another way than gojq."""


def program(vector: dict[str, Any]) -> str:
    return str(vector["input"]["transform"].get("jq", ""))


def is_different(vector: dict[str, Any]) -> bool:
    return any(part in program(vector) for parts in DIFFERENT.values() for part in parts)


RUN = [v for v in VECTORS if program(v) and "data" in v["input"]["event"] and not is_different(v)]


@pytest.mark.parametrize("vector", RUN, ids=lambda vector: vector["id"])
def test_a_program_makes_what_was_recorded(vector: dict[str, Any]) -> None:
    data = vector["input"]["event"]["data"].encode(errors="surrogatepass")
    try:
        made = jq.compile(program(vector)).run(data)
    except (ConfigError, EvaluationError):
        assert vector["expect"].get("error")
        return
    assert made.decode() == vector["expect"]["raw"]
