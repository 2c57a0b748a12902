"""Whether an object has all that is wanted of it."""

from dataclasses import dataclass
from typing import Any

import pytest

from controller.cluster import contains


@dataclass(frozen=True)
class Case:
    name: str
    there: Any
    wanted: Any
    same: bool

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("what the server adds is no matter", {"a": 1, "b": 2}, {"a": 1}, True),
    Case("another value", {"a": 1}, {"a": 2}, False),
    Case("a value that is gone", {}, {"a": 2}, False),
    Case("deep", {"a": {"b": [{"c": 1, "d": 2}]}}, {"a": {"b": [{"c": 1}]}}, True),
    Case("an item more", {"a": [1, 2]}, {"a": [1]}, False),
    Case("an item less", {"a": [1]}, {"a": [1, 2]}, False),
    Case("another order", {"a": [1, 2]}, {"a": [2, 1]}, False),
    Case("no list", {"a": None}, {"a": [1]}, False),
    Case("no map", {"a": 1}, {"a": {"b": 1}}, False),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_contains(case: Case) -> None:
    assert contains(case.there, case.wanted) is case.same
