import json
from typing import Any

import pytest
from plan_kit import event

from sensor.expr_filter import ExprFilter, compile_exprs
from sensor.reason import Reason
from spine.errors import ConfigError, FilterError
from spine.lang.gjson import Document
from spine.model import load

DATA = {
    "order": {"total": 250, "status": "open", "tags": ["new", "eu"], "gift": False, "note": None},
    "rows": [{"n": 1}, {"n": 2}],
}


def one(expr: str, **fields: str) -> dict[str, Any]:
    return {"expr": expr, "fields": [{"name": n, "path": p} for n, p in fields.items()]}


def reason(
    *exprs: dict[str, Any], operator: str = "", data: bytes | None = json.dumps(DATA).encode()
) -> Reason | None:
    filters = [ExprFilter.model_validate(expr) for expr in exprs]
    return compile_exprs(filters, operator)(event(data=data), Document(data or b""))


TRUE, FALSE = one("t == 250", t="order.total"), one("t < 250", t="order.total")
MISSING, ODD = one("x == 1", x="order.nope"), one("s > 1", s="order.status")


@pytest.mark.parametrize(
    "expr",
    [
        one("total >= 100 && status == 'open'", total="order.total", status="order.status"),
        one("'eu' in tags", tags="order.tags"),
        one("!gift", gift="order.gift"),
        one("(note ?? 'none') == 'none'", note="order.note"),
        one("n == rows", n="rows.#(n==2)#", rows="rows.@reverse.#(n==2)#"),
        one("rows == 2", rows="rows.#"),
        one("total == 250", total="$.order.total"),
        one("[the total] > 1", **{"the total": "order.total"}),
    ],
)
def test_passes(expr: dict[str, Any]) -> None:
    assert reason(expr) is None


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (FALSE, "t < 250 is false where t = 250, not true"),
        (MISSING, "data has no order.nope"),
        (ODD, 's > 1 is impossible where s = "open": > cannot take string "open" and number 1'),
        (one("t + 1", t="order.total"), "t + 1 is number 251 where t = 250, not true"),
        (one("s == 'open' ? s", s="order.status"), 'is string "open" where'),
        (one("t", t="order.tags"), "t is array of 2 where"),
    ],
)
def test_does_not_pass(expr: dict[str, Any], text: str) -> None:
    found = reason(expr)
    assert found is not None
    assert text in found.text


@pytest.mark.parametrize(
    ("exprs", "operator", "passes"),
    [
        ([TRUE, TRUE], "", True),
        ([TRUE, FALSE], "and", False),
        ([TRUE, MISSING], "and", False),
        ([MISSING, ODD, TRUE], "or", True),
        ([FALSE, ODD], "or", False),
        ([], "", True),
        ([], "or", False),
    ],
)
def test_several(exprs: list[dict[str, Any]], operator: str, passes: bool) -> None:
    assert (reason(*exprs, operator=operator) is None) is passes


def test_without_data_every_event_passes() -> None:
    assert reason(FALSE, data=None) is None


@pytest.mark.parametrize("exprs", [[TRUE], []])
def test_data_that_is_not_json_is_a_fault(exprs: list[dict[str, Any]]) -> None:
    with pytest.raises(FilterError, match="not valid JSON"):
        reason(*exprs, data=b"nope")


def test_deep_data_is_no_crash() -> None:
    deep = b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"
    with pytest.raises(FilterError):
        reason(one("a == 1", a="a"), data=deep)


def test_the_first_of_equal_keys_counts() -> None:
    assert reason(one("a == b", a="a", b="b"), data=b'{"a":{"k":1,"k":2},"b":{"k":1}}') is None


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (one("totl > 1", total="order.total"), "no field is named 'totl': did you mean total?"),
        (one("status == open", status="order.status"), "or quote it if it is a text"),
        (one("t >", t="order.total"), "something is missing after >"),
        (one("t =~ '('", t="order.total"), "missing ): ("),
    ],
)
def test_what_can_never_work(expr: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        reason(expr)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (one("d > '2024-01-02'", d="order.date"), 'expr: "2024-01-02" is read as a date'),
        (one("a || totl", a="order.gift", total="t"), "expr: totl has no value where it is looked"),
        (one("a", a="order.gift", b="order.total"), "fields: b is not in the expression"),
    ],
)
def test_warnings(expr: dict[str, Any], text: str) -> None:
    warnings: list[str] = []
    load(ExprFilter, expr, on_warning=warnings.append)
    assert any(text in warning for warning in warnings)
