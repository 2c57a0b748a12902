"""`jsonpath` of filter expressions."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsource.jsonpath import query
from spine.lang import EvaluationError
from spine.lang.exprlang import MissingValue

TEXT = (
    '{"k":[1,2,{"z":3}],"a":{"b":"v","c":{"b":"w"}},"n":null,"e":[],"s":"str",'
    '"o":{"x-y":1,"p q":2}}'
)


@dataclass(frozen=True)
class Case:
    path: str
    found: Any

    def __str__(self) -> str:
        return self.path


CASES = [
    Case("$.a.b", "v"),
    Case("@.a.b", "v"),
    Case('$["a"]["c"].b', "w"),
    Case("$['o']['p q']", 2),
    Case("$.o.x-y", 1),
    Case("$.n", None),
    Case("$.k[0]", 1),
    Case("$.k[-1].z", 3),
    Case("$.k[(@.length-1)]", {"z": 3}),
    Case("$.k.length", 3),
    Case("$.k[*]", [1, 2, {"z": 3}]),
    Case("$.a.*", ["v", {"b": "w"}]),
    Case("$.k[0:2]", [1, 2]),
    Case("$.k[::2]", [1, {"z": 3}]),
    Case("$.k[0,1]", [1, 2]),
    Case('$.a["b","c"]', ["v", {"b": "w"}]),
    Case("$..b", ["v", "w"]),
    Case("$..nope", []),
    Case("$.k[*].z", [3]),
    Case("$.e[*]", []),
    Case("$.k[?(@.z==3)]", [{"z": 3}]),
    Case("$.k[?(@.z)].z", [3]),
    Case("$.k[?(@ > 1)]", [2]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_found(case: Case) -> None:
    assert query(TEXT, case.path) == case.found


@pytest.mark.parametrize(
    "path", ["$.nope", "$.k[9]", "$.e[0]", "$.n.x", "$.s.x", "$.s[0]", "$.s[0:2]", "$.k.z"]
)
def test_nothing_there(path: str) -> None:
    with pytest.raises(MissingValue):
        query(TEXT, path)


@pytest.mark.parametrize("path", ["", "k", ".k", "$.", "$[", "$.a[b]", "$ .a", "$.k[?(@.)]"])
def test_no_path(path: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        query(TEXT, path)
    assert not isinstance(caught.value, MissingValue)


@given(st.text(alphabet="$@.[]()?*'\":,-0123aklz =", max_size=20))
def test_any_path_finds_or_is_refused(path: str) -> None:
    try:
        query(TEXT, "$" + path)
    except EvaluationError:
        pass
