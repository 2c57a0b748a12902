"""Conditions: an expression holds exactly when it is true."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.conditions import compile_conditions
from spine.errors import ConfigError

NAMES = ["a", "b-1", "c"]


def expressions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(NAMES),
        lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        max_leaves=8,
    )


def holds(text: str, arrived: set[str]) -> bool:
    """Ask Python: the oracle shares no code with the parser."""
    for name in NAMES:
        text = text.replace(name, str(name in arrived))
    return eval(text.replace("&&", " and ").replace("||", " or "))


@given(expressions(), st.sets(st.sampled_from(NAMES)))
def test_holds_exactly_when_the_expression_is_true(text: str, arrived: set[str]) -> None:
    conditions = compile_conditions(text, NAMES)
    assert conditions.met(arrived) is holds(text, arrived)
    assert conditions.stateful is ("&&" in text)


def test_and_binds_tighter_than_or() -> None:
    met = compile_conditions("a || b-1 && c", NAMES).met
    assert met({"a"})
    assert not met({"b-1"})


def test_empty_is_all_of_them_in_order() -> None:
    conditions = compile_conditions("  ", NAMES)
    assert conditions.names == ("a", "b-1", "c")
    assert conditions.text == "a&&b-1&&c"
    assert conditions.stateful


def test_any_declared_name_works() -> None:
    names = ["in", "1a", "a.b", "len", "ø", "x-"]
    assert compile_conditions(" && ".join(names), names).names == tuple(names)


def test_dash_and_underscore_are_kept_apart_where_both_exist() -> None:
    assert compile_conditions("a_b", ["a-b", "a_b"]).names == ("a_b",)


def test_underscore_for_dash_works_with_a_warning() -> None:
    conditions = compile_conditions("order_paid", ["order-paid"])
    assert conditions.names == ("order-paid",)
    assert conditions.warnings == ("conditions 'order_paid': write order-paid for order_paid",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a &&", "a name is missing at the end"),
        ("(a || c", "a parenthesis is not closed"),
        ("&& a", "a name is missing before '&&'"),
        ("a c", "unexpected 'c' (join names with && or ||)"),
        ("a and c", "unexpected 'and' (write && for and)"),
        ("a & c", "unexpected '&' (write && for and)"),
        ("a | c", "unexpected '|' (write || for or)"),
        ("a)", "unexpected ')'"),
        ("()", "a name is missing before ')'"),
        ("!a", "there is no negation"),
        ("B-1", "no dependency is called 'B-1' (did you mean b-1)"),
        ("a OR a", "(write || for or)"),
        ("b1", "no dependency is called 'b1' (did you mean b-1)"),
        ("zzz", "no dependency is called 'zzz' (there are a, b-1, c)"),
        ("(" * 200 + "a" + ")" * 200, "more than 100 nested parentheses"),
    ],
)
def test_bad_expression_says_where_and_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_conditions(text, NAMES)
    assert problem in str(caught.value)
