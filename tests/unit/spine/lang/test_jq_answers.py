"""What gojq 0.12.19 answered to small programs on null: outputs, or why there are none."""

import json
from pathlib import Path
from typing import Any

import pytest

from spine.lang import EvaluationError, gojson, jq

FILE = Path(__file__).with_name("jq_answers.jsonl")
ANSWERS: list[dict[str, Any]] = [json.loads(line) for line in FILE.read_text().splitlines()]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer["program"])
def test_answer(answer: dict[str, Any]) -> None:
    program = jq.compile(f"[limit(20; {answer['program']})] | {{v: .}}")
    assert program.covered
    if "error" in answer:
        with pytest.raises(EvaluationError) as caught:
            program.run_value(None)
        assert str(caught.value) == answer["error"]
        return
    made = program.run_value(None)
    assert _rounded(json.loads(gojson.plain(made, finite=False))["v"]) == _rounded(answer["outs"])


def _rounded(value: Any) -> Any:
    """Return a value with numbers that compare."""
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(f"{value:.12g}") if number else value
