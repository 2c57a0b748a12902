"""JSON in templates: what can be used, and what is said of the rest."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.structures import Structures


@dataclass(frozen=True)
class Case:
    name: str
    value: Any
    found: Any
    told: str = ""
    kind: type = list
    yaml: bool = False

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("text", '[{"a": 1}]', [{"a": 1}]),
    Case("structure", [{"a": 1}], [{"a": 1}]),
    Case("map", '{"a": 1}', {"a": 1}, kind=dict),
    Case("nothing", "  \n", None),
    Case("null", "null", None),
    Case("empty", "[]", None),
    Case("a map where a list is meant", '{"a": 1}', None, "field was left out: it is not a list"),
    Case("a list where a map is meant", [1], None, "field was left out: it is not a map", dict),
    Case("broken", '[{"a": "b "c""}]', None, "no JSON at line 1 column 12, near"),
    Case("broken far down", '[\n1,\n"x" "y"]', None, "no JSON at line 3 column 5"),
    Case("YAML is no JSON", "- a: 1", None, "no JSON at line 1"),
    Case("YAML where that may be", "- a: 1", [{"a": 1}], yaml=True),
    Case("neither", "- a: [", None, "no YAML at line 1", yaml=True),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_field(case: Case) -> None:
    structures = Structures({"field": case.value}, yaml=case.yaml)
    assert structures.get("field", case.kind) == case.found
    assert structures.get("other") is None
    if not case.told:
        assert structures.problems == []
        return
    (problem,) = structures.problems
    assert case.told in problem


@given(st.text() | st.lists(st.integers()) | st.none() | st.integers(), st.booleans())
def test_whatever_it_is_nothing_breaks(value: Any, yaml: bool) -> None:
    structures = Structures({"field": value}, yaml=yaml)
    found = structures.get("field")
    assert found is None or isinstance(found, list)
