"""What the parts of a condition gave."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.expressions import compile_expression
from notifier.tracing import ELEMENTS, MOST, Part, trace
from spine.lang import EvaluationError

POD = {
    "status": {
        "phase": "Failed",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Disk", "status": "False"}],
    },
    "spec": {"replicas": 3},
}


def line(part: Part) -> str:
    """Return a part in one line."""
    gave = "not looked at" if part.skipped else part.error or repr(part.value)
    reads = "".join(f" {text}={value}" for text, value in part.reads)
    return f"{'>' * part.depth}{part.text} = {gave}{reads}"


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    parts: list[str]

    def __str__(self) -> str:
        return self.name


CASES = [
    Case(
        "both sides of and",
        "obj.status.phase == 'Failed' and obj.spec.replicas > 5",
        [
            "obj.status.phase == 'Failed' = True",
            ">obj.status.phase = 'Failed'",
            "obj.spec.replicas > 5 = False",
            ">obj.spec.replicas = 3",
        ],
    ),
    Case(
        "what and does not reach",
        "obj.spec.replicas > 5 and obj.a.b.c",
        ["obj.spec.replicas > 5 = False", ">obj.spec.replicas = 3", "obj.a.b.c = not looked at"],
    ),
    Case(
        "an error on the left",
        "obj.a.b and obj.spec.replicas == 3",
        ["obj.a.b = cannot fetch b from <nil>", "obj.spec.replicas == 3 = not looked at"],
    ),
    Case(
        "or goes on after false, not after nil",
        "obj.spec == nil or obj.x or obj.spec.replicas == 3",
        [
            "obj.spec == nil or obj.x = None",
            ">obj.spec == nil = False",
            ">>obj.spec = {'replicas': 3}",
            ">obj.x = None",
            "obj.spec.replicas == 3 = not looked at",
        ],
    ),
    Case(
        "elements of a list",
        "any(obj.status.conditions, {.type == 'Ready' and .status == 'False'})",
        [
            f"obj.status.conditions = {POD['status']['conditions']!r}",
            "element 0 = False .type=Ready .status=True",
            "element 1 = False .type=Disk .status=False",
        ],
    ),
    Case(
        "a default",
        "len(obj.none ?? []) > 0",
        ["len(obj.none ?? []) = 0", ">obj.none ?? [] = []", ">>obj.none = None"],
    ),
    Case(
        "variables of the expression itself",
        "let n = obj.spec.replicas; n > 1 and n < 3",
        [
            "obj.spec.replicas = 3",
            "n > 1 = True",
            ">n = 3",
            "n < 3 = False",
            ">n = 3",
        ],
    ),
    Case(
        "one branch",
        "obj.spec.replicas > 1 ? obj.status.phase == 'Up' : obj.x.y",
        [
            "obj.spec.replicas > 1 = True",
            ">obj.spec.replicas = 3",
            "obj.status.phase == 'Up' = False",
            ">obj.status.phase = 'Failed'",
            "obj.x.y = not looked at",
        ],
    ),
    Case("a call", "strings.ToUpper(obj.status.phase) == 'UP'",
         ["strings.ToUpper(obj.status.phase) = 'FAILED'", ">obj.status.phase = 'Failed'"]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parts(case):
    assert [line(part) for part in trace(case.text, {"obj": POD}).parts] == case.parts


def test_a_side_that_is_no_bool_is_an_error_of_the_whole():
    traced = trace("obj.spec.replicas or obj.status.phase == 'Up'", {"obj": POD})
    assert "not bool" in traced.error
    assert [line(part) for part in traced.parts] == [
        "obj.spec.replicas = 3",
        "obj.status.phase == 'Up' = not looked at",
    ]


def test_there_is_an_end_to_what_is_shown():
    many = {"items": [{"n": n} for n in range(100)]}
    parts = trace("all(obj.items, {.n < 50})", {"obj": many}).parts
    assert len(parts) == 1 + ELEMENTS
    long = " and ".join(f"obj.a{n} == nil" for n in range(60))
    assert len(trace(long, {"obj": {}}).parts) == MOST


PIECES = st.sampled_from(
    [
        "obj.n > 1",
        "obj.name == 'x'",
        "obj.none.deep == 1",
        "any(obj.list, {.a == 1})",
        "obj.flag",
        "len(obj.list) == 2",
    ]
)
JOINED = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda t: f"({t[0]}) {t[1]} ({t[2]})"
        ),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=6,
)


@given(JOINED, st.booleans(), st.integers(0, 3))
def test_the_whole_is_what_the_notifier_sees(text: str, flag: bool, n: int) -> None:
    obj: dict[str, Any] = {"n": n, "name": "x", "flag": flag, "list": [{"a": n}, {"a": 1}]}
    traced = trace(text, {"obj": obj})
    expression = compile_expression(text, variables={"obj"})
    if traced.error:
        with pytest.raises(EvaluationError, match=re.escape(traced.error)):
            expression.value({"obj": obj})
    else:
        assert traced.value == expression.value({"obj": obj})
