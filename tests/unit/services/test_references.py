"""References in the settings of services: found everywhere, replaced once."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.references import keys, replaced, texts

SECRET = {"tok": "s3cret", "tok-2": "$tok", "a.b": "dotted"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Case:
    name: str
    written: Any
    value: Any
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("whole", "$tok", "s3cret", ("tok",)),
    Case("inside", "Bearer $tok!", "Bearer s3cret!", ("tok",)),
    Case("twice", "$tok$tok", "s3crets3cret", ("tok", "tok")),
    Case("braces", "${a.b}c", "dottedc", ("a.b",)),
    Case("the longest name", "$tok-2", "$tok", ("tok-2",)),
    Case("a dollar", "$$tok", "$tok"),
    Case("dollars that are none of ours", "a$$ $ b$", "a$$ $ b$"),
    Case("below", {"$tok": ["${tok}", 1, None]}, {"s3cret": ["s3cret", 1, None]}, ("tok", "tok")),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_replaced(case: Case):
    assert replaced(case.written, SECRET.__getitem__) == case.value
    found = [key for _, text in texts(case.written) for key in keys(text)]
    assert found == list(case.keys)


@given(JSON)
def test_what_is_asked_for_is_what_is_named(value: Any):
    asked: list[str] = []

    def look(key: str) -> str:
        asked.append(key)
        return "$never ${looked} $at"

    replaced(value, look)
    assert sorted(asked) == sorted(key for _, text in texts(value) for key in keys(text))


@given(JSON)
def test_nothing_else_changes(value: Any):
    if not any("$" in text for _, text in texts(value)):
        assert replaced(value, {}.__getitem__) == value
