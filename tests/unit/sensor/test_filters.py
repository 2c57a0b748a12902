"""Filters: which events pass, why the others do not, and what can never work."""

import pytest
from plan_kit import event

from sensor.filters import Filters, _any_of, compile_filters
from sensor.reason import Reason
from spine.errors import ConfigError, FilterError
from spine.event import Event
from spine.lang.gjson import Document
from spine.model import load

BODY = b'{"order":{"status":"paid","total":12.5,"gift":true,"note":null},"tags":["a","b"]}'


def reason(filters: dict, operator: str = "", of: Event | None = None) -> Reason | None:
    compiled = compile_filters(load(Filters, filters), operator)
    check = None if compiled is None else compiled.check
    seen = of or event(data=BODY)
    return None if check is None else check(seen, Document(seen.data or b""))


def data(path: str, kind: str, *value: str, comparator: str = "") -> dict:
    return {"data": [{"path": path, "type": kind, "value": list(value), "comparator": comparator}]}


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (data("order.status", "string", "paid"), True),
        (data("order.status", "string", "ai"), True),  # searched for anywhere
        (data("order.status", "string", "^ai"), False),
        (data("order.status", "string", "^paid$"), True),
        (data("order.status", "string", "^p.*d$"), True),
        (data("order.status", "string", "open", "paid"), True),
        (data("order.status", "string", "paid", comparator="!="), False),
        (data("order.total", "number", "12.5"), True),
        (data("order.total", "number", "12", comparator=">"), True),
        (data("order.total", "number", "12", comparator="<="), False),
        (data("order.total", "number", "12.5", comparator="<"), False),
        (data("order.total", "number", "12.5", comparator="<="), True),
        (data("order.total", "number", "12.5", comparator=">"), False),
        (data("order.total", "number", "12.5", comparator=">="), True),
        (data("order.total", "number", "12.5", comparator="!="), False),
        (data("order.total", "number", "1", "12.5"), True),
        (data("order.gift", "bool", "true"), True),
        (data("order.gift", "bool", "0"), False),
        (data("order.note", "string", ".*"), True),  # null is there
        (data("tags.#", "number", "2"), True),
        (data("order.status", "string", "open", "paid", comparator="notIn"), False),
        (data("order.status", "string", "open", "void", comparator="notIn"), True),
        (data("order.total", "number", "1", "12.5", comparator="notIn"), False),
        (data("order.total", "number", "1", "2", comparator="notIn"), True),
        (data("order.gift", "bool", "true", comparator="notIn"), False),
        (data("order.gift", "bool", "false", comparator="notIn"), True),
        (data("order.nope", "string", "x", comparator="notIn"), False),
        ({"data": []}, True),
        ({"context": {"type": "webhook", "source": "shop"}}, True),
        ({"context": {"type": "cron"}}, False),
        ({"time": {"start": "11:00:00", "stop": "13:00:00"}}, True),
        ({"time": {"start": "13:00:00", "stop": "11:00:00"}}, False),
        ({}, True),
    ],
)
def test_filter(filters: dict, passes: bool) -> None:
    assert (reason(filters) is None) is passes


def test_the_reason_names_place_wanted_and_got() -> None:
    found = reason(data("order.status", "string", "open"))
    assert found is not None
    assert (found.code, found.text) == ("Data", 'order.status is "paid", not = open (string)')
    found = reason({"context": {"type": "cron"}})
    assert found is not None
    assert (found.code, found.text) == ("Context", "type is webhook, not cron")


def test_a_missing_path_is_a_reason_and_no_error() -> None:
    found = reason(data("order.nope", "string", "x", comparator="!="))
    assert found is not None
    assert (found.code, found.text) == ("PathMissing", "data has no order.nope")


def test_a_cheap_filter_spares_reading_the_body() -> None:
    broken = event(data=b"not json")
    both = data("a", "string", "x") | {"context": {"type": "cron"}}
    found = reason(both, of=broken)
    assert found is not None
    assert found.code == "Context"


def test_a_body_that_is_not_json_is_an_error() -> None:
    with pytest.raises(FilterError, match="not valid JSON"):
        reason(data("a", "string", "x"), of=event(data=b"not json"))


def test_an_event_without_data_passes_data_filters() -> None:
    assert reason(data("a", "string", "x"), of=event(data=None)) is None


def test_under_or_any_kind_will_do_and_an_error_counts_as_false() -> None:
    both = data("a", "string", "x") | {"context": {"type": "webhook"}}
    assert reason(both, "or", event(data=b"not json")) is None
    assert reason(both, "or", event(data=b"{}")) is None
    both["context"]["type"] = "cron"
    with pytest.raises(FilterError):
        reason(both, "or", event(data=b"not json"))
    assert reason(both, "or", event(data=b'{"a":"x"}')) is None


def test_under_or_an_error_does_not_hide_what_comes_after_it() -> None:
    def fails(_event: Event, _document: Document) -> Reason | None:
        raise FilterError("broken")

    check = _any_of([fails, lambda _event, _document: None])
    assert check(event(), Document(b"")) is None


def test_under_or_nothing_configured_never_passes() -> None:
    found = reason({}, "or")
    assert found is not None
    assert found.code == "NothingConfigured"


def test_several_data_filters() -> None:
    two = data("order.status", "string", "open")["data"] + data("order.gift", "bool", "1")["data"]
    assert reason({"data": two}) is not None
    assert reason({"data": two, "dataLogicalOperator": "or"}) is None


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        (data("a", "string", "("), "compiling regular expression '(': missing ): ("),
        (data("a", "number", "ten"), "'ten' is no number"),
        (data("a", "number", "1e999"), "'1e999' is out of range"),
        (data("a", "bool", "maybe"), "'maybe' is neither true nor false"),
    ],
)
def test_a_value_that_can_never_match_is_refused_at_once(filters: dict, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_filters(load(Filters, filters))
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        (data("a", "integer", "1"), "input should be 'string', 'number' or 'bool'"),
        (data("a", "string", "x", comparator="=="), "comparator: '==': input should be"),
        (data("a", "string"), "value: list should have at least 1 item"),
        (data("a", "string", ""), "value[0]: '': string should have at least 1 character"),
        ({"context": {"id": "1"}}, "set type, subject, source or datacontenttype"),
        ({"time": {"start": "9:00:00", "stop": "09:00:00"}}, "start and stop are equal"),
        ({"time": {"start": "9", "stop": "10:00:00"}}, "reading time of day '9'"),
        ({"dataLogicalOperator": "xor"}, "input should be '', 'and' or 'or'"),
        ({"dta": []}, "dta: unknown field (did you mean data)"),
    ],
)
def test_bad_filters_are_refused(filters: dict, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Filters, filters)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("value", "read", "warning"),
    [
        ("paid", ["paid"], 'value: write a list: ["paid"]'),
        (5, ["5"], 'value: write a list: ["5"]'),
        ([1, 2.5, True], ["1", "2.5", "true"], 'value: write texts: ["1", "2.5", "true"]'),
    ],
)
def test_values_that_yaml_did_not_read_as_texts_are_taken(
    value: object, read: list[str], warning: str
) -> None:
    warnings: list[str] = []
    one = {"path": "a", "type": "string", "value": value}
    filters = load(Filters, {"data": [one]}, on_warning=warnings.append)
    assert filters.data is not None
    assert filters.data[0].value == read
    assert warning in warnings


def test_combinations_without_effect_warn() -> None:
    warnings: list[str] = []
    for odd in (
        data("a", "bool", "true", comparator="!="),
        data("a", "string", "x", comparator=">"),
        data("a", "string", "x", "y", comparator="!="),
    ):
        load(Filters, odd, on_warning=warnings.append)
    assert [w.partition(":")[0] for w in warnings] == ["comparator", "comparator", "value"]
    assert all("notIn" in warnings[at] for at in (0, 2))


def test_of_several_data_filters_the_reason_says_which() -> None:
    two = (
        data("order.status", "string", "paid")["data"] + data("order.total", "number", "9")["data"]
    )
    found = reason({"data": two})
    assert found is not None
    assert found.text == "data filter 2: order.total is 12.5, not = 9 (number)"
