"""Patterns in names: what they mean, what is refused, and that none takes long."""

import time
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import dependency, event, plan

from eventbus.bus import Topic
from sensor.evaluate import evaluate
from sensor.globs import check, fits
from sensor.state import EMPTY
from spine.errors import ConfigError


@dataclass(frozen=True)
class Case:
    pattern: str
    fit: str
    """Names that fit, with spaces between."""
    others: str

    def __str__(self) -> str:
        return self.pattern


CASES = [
    Case("*", "a orders-1", ""),
    Case("orders", "orders", "order orders2 Orders"),
    Case("orders-*", "orders-1 orders- orders-a-b", "orders my-orders-1"),
    Case("*-orders", "eu-orders -orders", "orders eu-orders2"),
    Case("a*b*c", "abc aXbYc abbcc", "ab acb"),
    Case("order?", "orders order1", "order orders2"),
    Case("v[0-9]", "v0 v9", "va v v10"),
    Case("v[!0-9]", "va", "v1 v"),
    Case("{eu,us}-shop", "eu-shop us-shop", "asia-shop eu- {eu,us}-sho"),
    Case("{a,b}{1,2}*", "a1 b2x", "a3 c1"),
    Case("x{,-new}", "x x-new", "x-"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_patterns(case: Case) -> None:
    assert all(fits(case.pattern, name) for name in case.fit.split())
    assert not any(fits(case.pattern, name) for name in case.others.split())


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("a[", "a bracket has no partner"),
        ("a]", "a bracket has no partner"),
        ("a[]", "nothing between"),
        ("a{b", "a brace has no partner"),
        ("a}b", "a brace has no partner"),
        ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "more than 100 names"),
    ],
)
def test_what_is_no_pattern(pattern: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        check(pattern)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_stars_and_question_marks_are_those_of_files(pattern: str, name: str) -> None:
    assert fits(pattern, name) is fnmatchcase(name, pattern)


@given(st.text("ab*?[]!-{},", max_size=12), st.text("ab-", max_size=6))
def test_nothing_but_a_refusal(pattern: str, name: str) -> None:
    try:
        fits(pattern, name)
    except ConfigError:
        pass


def test_many_stars_take_no_time() -> None:
    began = time.perf_counter()
    assert not fits("*a" * 40 + "b", "a" * 250)
    assert time.perf_counter() - began < 0.1


def test_a_pattern_reads_more_and_takes_what_it_means() -> None:
    made = plan(
        dependency("some", eventName="orders-*"),
        dependency("other", eventSourceName="{shop,till}", eventName="orders-eu"),
    )
    assert made.topics == (Topic("*", "*"),)
    one = evaluate(made, EMPTY, event("orders-eu"), 0.0)
    assert [v.name for v in one.dependencies] == ["some", "other"]
    nobody = evaluate(made, EMPTY, event("returns"), 0.0)
    assert nobody.known, "it was read, and is done"
    assert not nobody.dependencies
    assert plan(dependency("some", eventName="orders-*")).topics == (Topic("shop", "*"),)
