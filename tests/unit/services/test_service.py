"""What all services share: bodies with more in them, keys of maps, previews, small memories."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bounded import Bounded
from services.service import Message, merged, missing_key, plain


@pytest.mark.parametrize(
    ("extra", "body"),
    [
        ({}, {"a": {"b": 1, "c": [1]}}),
        (None, {"a": {"b": 1, "c": [1]}}),
        ("text", {"a": {"b": 1, "c": [1]}}),
        ({"d": 2}, {"a": {"b": 1, "c": [1]}, "d": 2}),
        ({"a": {"b": 2}}, {"a": {"b": 2, "c": [1]}}),
        ({"a": {"c": [2]}}, {"a": {"b": 1, "c": [2]}}),
        ({"a": {}}, {"a": {"b": 1, "c": [1]}}),
        ({"a": 5}, {"a": 5}),
    ],
)
def test_merged(extra: Any, body: dict[str, Any]) -> None:
    base = {"a": {"b": 1, "c": [1]}}
    assert merged(base, extra) == body
    assert base == {"a": {"b": 1, "c": [1]}}


def test_missing_key() -> None:
    known = {f"team-{n:02}": "" for n in range(30)}
    assert missing_key("urls", known, "team-05") == ""
    assert "did you mean 'team-05'" in missing_key("urls", known, "team05")
    told = missing_key("urls", known, "zzz")
    assert told.endswith("its keys are: " + ", ".join(f"team-{n:02}" for n in range(10)))
    assert missing_key("urls", {}, "a") == "urls has no 'a'; its keys are: none"


def test_plain() -> None:
    message = Message(text="Grüße\n", block={"z": "ü", "a": [1]})
    assert plain(message) == "Grüße\n\nz: ü\na:\n- 1"
    assert plain(Message()) == ""


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30))))
def test_bounded(puts: list[tuple[int, int]]) -> None:
    now = 0.0
    kept: Bounded[int, int] = Bounded(3, 10, lambda: now)
    put: dict[int, tuple[float, int]] = {}
    for key, later in puts:
        now += later
        kept.put(key, later)
        put.pop(key, None)
        put[key] = (now, later)
        latest = list(put)[-3:]
        for one, (at, value) in put.items():
            alive = one in latest and now < at + 10
            assert kept.get(one) == (value if alive else None)
        for gone in [one for one, (at, _) in put.items() if one not in latest or now >= at + 10]:
            del put[gone]
