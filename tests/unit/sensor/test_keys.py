"""Keys of firings: orderBy and idempotencyKey."""

from dataclasses import dataclass
from typing import Any

import pytest
from plan_kit import dependency, event, spec, trigger

from sensor.evaluate import evaluate
from sensor.keys import SHOWN, claim_of, compile_key
from sensor.plan import compile_plan
from sensor.sources import ParameterSource
from sensor.spec import SensorSpec
from sensor.state import EMPTY
from spine.errors import ParameterError
from spine.model import InvalidModel, load


def src(key: str, name: str = "orders", **more: Any) -> dict[str, Any]:
    return {"dependencyName": name, "dataKey": key, **more}


def planned(**fields: Any):
    made = {**trigger(), **fields}
    raw = spec(dependency(), dependency("refunds"), triggers=[made])
    made["template"]["conditions"] = "orders || refunds"
    return compile_plan("till", "ns", load(SensorSpec, raw))


@dataclass(frozen=True)
class Case:
    name: str
    sources: Any
    data: bytes
    want: str | None

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("one source", src("id"), b'{"id": "A"}', "A"),
    Case("in a list", [src("id")], b'{"id": "A"}', "A"),
    Case("a number", src("id"), b'{"id": 12345678901234567890}', "12345678901234567890"),
    Case("first that has a value", [src("a"), src("b")], b'{"b": "B"}', "B"),
    Case("the first counts", [src("a"), src("b")], b'{"a": "A", "b": "B"}', "A"),
    Case("null is no value", [src("a"), src("b")], b'{"a": null, "b": "B"}', "B"),
    Case("default", src("a", value="none"), b"{}", "none"),
    Case("absent dependency", [src("x", "refunds"), src("id")], b'{"id": "A"}', "A"),
    Case("empty text", src("id"), b'{"id": ""}', '""'),
    Case("nowhere", [src("a"), src("b")], b"{}", None),
    Case("null everywhere", src("a"), b'{"a": null}', None),
    Case("not JSON", src("a"), b"x", None),
    Case("only of absent ones", src("a", "refunds"), b"{}", None),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_keys(case: Case) -> None:
    for fields in ({"orderBy": case.sources}, {"idempotencyKey": {"src": case.sources}}):
        decision = evaluate(planned(**fields), EMPTY, event(data=case.data), 0.0)
        if case.want is None:
            [fault] = decision.faults
            assert (fault.code, fault.trigger, decision.actions) == ("ParameterFailed", "tell", [])
        else:
            [action] = decision.actions
            found = action.order or action.claim
            assert found == (case.want if "orderBy" in fields else claim_of(case.want))


def test_long_keys_are_hashed() -> None:
    key = compile_key([ParameterSource(dependency_name="orders", data_key="@this")], "orderBy")
    texts = {key({"orders": event(data=b'{"a": "%b"}' % (b"x" * n))}) for n in (SHOWN, SHOWN + 1)}

    assert len(texts) == 2
    assert all(len(text) == 32 for text in texts)


def test_claims_last_as_long_as_is_written() -> None:
    for more, want in (({}, 86_400.0), ({"duration": "90m"}, 5_400.0)):
        plan = planned(idempotencyKey={"src": src("id"), **more})
        [action] = evaluate(plan, EMPTY, event(data=b'{"id": 1}'), 0.0).actions
        assert action.claimed_for == want


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"orderBy": []}, "names no source"),
        ({"orderBy": [{"dataKey": "x"}]}, "dependencyName: required"),
        ({"orderBy": {"dependencyName": "orders", "dataKy": "x"}}, "did you mean dataKey"),
        ({"idempotencyKey": {"src": src("x"), "duration": "0s"}}, "nothing would be remembered"),
        ({"idempotencyKey": {"src": src("x"), "duration": "1 day"}}, "duration"),
        ({"idempotencyKey": {}}, "src: required"),
        ({"dlqTrigger": {**trigger("d"), "orderBy": src("x")}}, "write it beside it"),
        ({"dlqTrigger": {**trigger("d"), "idempotencyKey": {"src": src("x")}}}, "beside it"),
    ],
    ids=str,
)
def test_what_can_never_work(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidModel, match=says):
        planned(**fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"orderBy": src("x", "order")}, "did you mean orders"),
        ({"idempotencyKey": {"src": [src("x", "order")]}}, "did you mean orders"),
        ({"orderBy": src("x"), "atLeastOnce": False}, "ignored: actions in order are never lost"),
    ],
    ids=str,
)
def test_warnings(fields: dict[str, Any], says: str) -> None:
    assert any(says in str(problem) for problem in planned(**fields).warnings)


def test_missing_value_says_what_to_do() -> None:
    key = compile_key([ParameterSource(dependency_name="a", data_key="x")], "orderBy")
    with pytest.raises(ParameterError, match="give a default in value"):
        key({"a": event("a")})
    with pytest.raises(ParameterError, match="taking orderBy: no source has a value"):
        key({})
