"""Filters asked one by one, and the guesses at what their author meant."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import event

from sensor.filters import Filters, compile_filters
from sensor.looks import compile_looks
from sensor.reason import Finding
from spine.errors import FilterError
from spine.lang.gjson import Document
from spine.model import load

BODY = (
    b'{"header":{},"body":{"order":{"id":"A-1","Status":"Paid","total":"25 EUR","n":1.50},'
    b'"text":"{\\"a\\":1}","items":[{"id":1}]},"plan":"unpaid","cost":"$5"}'
)


def findings(filters: dict[str, Any], body: bytes | None = BODY, **more: Any) -> list[Finding]:
    seen = event(data=body, **more)
    document = Document(seen.data or b"")
    return [look(seen, document) for look in compile_looks(load(Filters, filters))]


def data(path: str, kind: str, *value: str, comparator: str = "") -> dict[str, Any]:
    return {"path": path, "type": kind, "value": list(value), "comparator": comparator}


def test_every_filter_is_asked_also_where_one_decides() -> None:
    found = findings(
        {
            "context": {"type": "cron", "source": "shop"},
            "time": {"start": "11:00:00", "stop": "11:30:00", "timezone": "Europe/Oslo"},
            "data": [data("plan", "string", "^unpaid$"), data("nope", "string", "x")],
        }
    )
    assert [(f.title, f.where, f.found, f.passed) for f in found] == [
        ("context filter", "type", "webhook", False),
        ("context filter", "source", "shop", True),
        ("time filter", "time", "2026-11-21 13:00:00 Europe/Oslo", False),
        ("data filter 1", "plan", '"unpaid"', True),
        ("data filter 2", "nope", "", False),
    ]
    assert found[0].detail == "type is webhook, not cron"
    assert found[4].detail == "data has no nope"


@dataclass(frozen=True)
class Case:
    name: str
    filter: dict[str, Any]
    hint: str
    body: bytes = BODY

    def __str__(self) -> str:
        return self.name


HINTS = [
    Case("body", data("order.id", "string", "A"), "it has body.order.id"),
    Case("no body", data("body.plan", "string", "x"), "it has plan"),
    Case("case", data("body.order.status", "string", "x"), "did you mean body.order.Status"),
    Case("typo", data("body.ordr.total", "string", "x"), "did you mean body.order.total"),
    Case("other", data("zzz", "string", "x"), "it has header, body, plan, cost"),
    Case(
        "array",
        data("body.items.id", "number", "1"),
        "body.items is an array: write body.items.#.id for all of it",
    ),
    Case(
        "beyond",
        data("body.items.1.id", "number", "1"),
        "body.items is an array of 1: the first is body.items.0",
    ),
    Case(
        "text",
        data("body.text.a", "number", "1"),
        "body.text is a text that holds JSON: first transform it by jq: .body.text |= fromjson",
    ),
    Case("scalar", data("plan.name", "string", "x"), 'plan is "unpaid", which has no members'),
    Case(
        "accident",
        data("plan", "string", "paid"),
        "paid is found anywhere in a text: for nothing else write ^paid$",
    ),
    Case(
        "letters",
        data("body.order.Status", "string", "^paid$"),
        "only upper and lower case differ: write (?i)^paid$",
    ),
    Case("spaces", data("a", "string", "^x$"), "the value has spaces around it", b'{"a":" x"}'),
    Case(
        "regex",
        data("cost", "string", "$5"),
        "values are regular expressions: for this text write \\$5",
    ),
    Case(
        "as text",
        data("body.order.n", "string", "^1.50$"),
        "compared as texts, 1.50 is not 1.5: write type: number",
    ),
    Case(
        "not a number",
        data("body.order.total", "number", "25"),
        '"25 EUR" is no number, so it counts as 0: take the number out with a transform',
    ),
    Case("object", data("body.order", "number", "0"), "body.order is an object, which counts as 0"),
    Case(
        "bool",
        data("plan", "bool", "true", comparator="!="),
        "comparator != has no effect on bool: it is compared as =",
    ),
    Case(
        "order of texts",
        data("plan", "string", "a", comparator=">"),
        "texts are not ordered, so > never passes: write type: number",
    ),
    Case("base64", data("a", "string", "x"), 'the data is base64 of {"a":"x"}', b"eyJhIjoieCJ9"),
    Case("a form", data("a", "string", "x"), "the data begins with 'a=x&b=y'", b"a=x&b=y"),
    Case("empty", data("a", "string", "x"), "the data is empty", b""),
]


@pytest.mark.parametrize("case", HINTS, ids=str)
def test_hint(case: Case) -> None:
    (found,) = findings({"data": [case.filter]}, case.body)
    assert found.hints == (case.hint,)


@pytest.mark.parametrize(
    "fine",
    [
        data("plan", "string", "unpaid"),
        data("plan", "string", "paid", comparator="!="),
        data("plan", "string", "^unp.*"),
        data("body.order.n", "number", "1"),
        data("body.items.#.id", "string", "x"),
    ],
    ids=str,
)
def test_what_is_plain_gets_no_hint(fine: dict[str, Any]) -> None:
    (found,) = findings({"data": [fine]})
    assert [h for h in found.hints if found.passed] == []


@pytest.mark.parametrize(
    ("window", "hint"),
    [
        ({"start": "13:00:00", "stop": "14:00:00"}, "without a timezone the window is in UTC"),
        (
            {"start": "12:00:00", "stop": "12:30:00", "timezone": "Europe/Oslo"},
            "in UTC it is 12:00:00",
        ),
    ],
)
def test_a_window_in_the_wrong_zone_is_guessed(window: dict[str, str], hint: str) -> None:
    (found,) = findings({"time": window})
    assert not found.passed
    assert found.hints[0].startswith(hint)


PATHS = st.sampled_from(
    ["plan", "body", "body.order.n", "nope.x", "body.items.#", "body.items.0.id"]
)
FILTERS = st.builds(
    data,
    PATHS,
    st.sampled_from(["string", "number", "bool"]),
    st.sampled_from(["1", "0"]),
    comparator=st.sampled_from(["", "!=", ">", "<=", "notIn"]),
)
BODIES = st.sampled_from([BODY, b"null", b"[1]", b"nope", b"", None, b'{"plan":1,"body":[]}'])


@given(st.lists(FILTERS, min_size=1, max_size=4), BODIES, st.sampled_from(["", "or"]))
def test_what_each_filter_says_adds_up_to_the_decision(
    rules: list[dict[str, Any]], body: bytes | None, operator: str
) -> None:
    filters = {"data": rules, "dataLogicalOperator": operator}
    each = [f.passed for f in findings(filters, body)]
    compiled = compile_filters(load(Filters, filters))
    assert compiled is not None
    seen = event(data=body)
    try:
        passed = compiled.check(seen, Document(seen.data or b"")) is None
    except FilterError:
        passed = False
    assert passed is (any(each) if operator else all(each))
