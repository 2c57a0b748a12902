"""Parameters: what is taken from events and where it ends up."""

import base64
import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import event

from sensor.firing import Firing
from sensor.parameters import (
    Parameter,
    PayloadEntry,
    _nested,
    compile_parameters,
    compile_payload,
    quoted,
)
from sensor.sources import ParameterSource, compile_source
from spine.errors import ConfigError, ParameterError
from spine.lang.gjson import Kind
from spine.model import load

BODY = b'{"id":"A-1","n":12345678901234567890,"f":59.90,"on":true,"nil":null,"o":{"a" : [1, 2]}}'
EVENTS = {"orders": event(data=BODY)}


def source(**src: object) -> ParameterSource:
    return load(ParameterSource, {"dependencyName": "orders"} | src)


def resolve(events=EVENTS, **src: object) -> tuple[str, str] | None:
    value = compile_source(source(**src))(events)
    return None if value is None else (value.kind.value, value.text)


@pytest.mark.parametrize(
    ("src", "value"),
    [
        ({"dataKey": "id"}, ("String", "A-1")),
        ({"dataKey": "n"}, ("Number", "12345678901234567890")),
        ({"dataKey": "f"}, ("Number", "59.9")),
        ({"dataKey": "on"}, ("True", "true")),
        ({"dataKey": "nil"}, ("Null", "null")),
        ({"dataKey": "o"}, ("JSON", '{"a" : [1, 2]}')),
        ({"dataKey": "nope", "value": "d"}, ("String", "d")),
        ({"dataKey": "nope", "value": ""}, ("String", "")),
        ({"contextKey": "subject"}, ("String", "orders")),
        ({"contextKey": "time"}, ("String", "2026-11-21T12:00:00Z")),
        ({"contextKey": "sub*"}, ("String", "orders")),
        ({"contextKey": "id", "dataKey": "id"}, ("String", "A-1")),
        ({"value": "just this"}, ("String", "just this")),
        ({"dependencyName": "gone"}, None),
        ({"dependencyName": "gone", "dataKey": "id", "value": "d"}, ("String", "d")),
    ],
)
def test_resolve(src: dict, value: tuple[str, str] | None) -> None:
    assert resolve(**src) == value


def test_without_a_key_it_is_the_whole_event() -> None:
    kind, text = resolve() or ("", "")
    assert kind == "String"
    whole = json.loads(text)
    assert whole["context"]["source"] == "shop"
    assert base64.b64decode(whole["data"]) == BODY
    assert json.loads(resolve({"orders": event(data=None)})[1])["data"] is None


def test_time_is_utc_without_fraction_and_null_where_there_is_none() -> None:
    moment = datetime(2026, 1, 1, 1, 2, 3, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert resolve({"orders": event(time=moment)}, contextKey="time") == (
        "String", "2025-12-31T23:02:03Z",
    )  # fmt: skip
    assert resolve({"orders": event(time=None)}, contextKey="time") == ("Null", "null")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (event(), "resolving dataKey 'id' of dependency 'orders': event '1' has none"),
        (event(data=b"nope"), "reading the data of event '1' of shop/orders: not valid JSON"),
        (event(data=None), "not valid JSON"),
        (event(datacontenttype="text/plain"), "unknown content type 'text/plain'"),
        (event(data=b"a: [", datacontenttype="application/yaml"), "as yaml: "),
    ],
)
def test_what_cannot_be_resolved_is_an_error_unless_there_is_a_default(given, problem) -> None:
    with pytest.raises(ParameterError) as caught:
        resolve({"orders": given}, dataKey="id")
    assert problem in str(caught.value)
    assert resolve({"orders": given}, dataKey="id", value="d") == ("String", "d")


def test_documents_are_read_once_for_a_firing() -> None:
    firing = Firing(EVENTS)
    resolve(firing, dataKey="id")
    first = firing.documents["orders"]
    resolve(firing, dataKey="f")
    assert firing.documents["orders"] is first


# ---------------------------------------------------------------------------- destinations


def apply(document: str, *parameters: dict) -> str:
    made = [
        load(Parameter, p | {"src": {"dependencyName": "orders"} | p["src"]}) for p in parameters
    ]
    return compile_parameters(made)(document.encode(), EVENTS).decode()


def put(dest: str, operation: str = "", **src: object) -> dict:
    return {"src": src, "dest": dest, "operation": operation}


@pytest.mark.parametrize(
    ("parameter", "after"),
    [
        (put("x", dataKey="id"), '{"x":"A-1","n":5}'),
        (put("x", dataKey="f"), '{"x":"59.9","n":5}'),
        (put("x", dataKey="f", useRawData=True), '{"x":59.9,"n":5}'),
        (put("x", dataKey="n", useRawData=True), '{"x":12345678901234567890,"n":5}'),
        (put("x", dataKey="id", useRawData=True), '{"x":"A-1","n":5}'),
        (put("x", dataKey="o", useRawData=True), '{"x":{"a" : [1, 2]},"n":5}'),
        (put("x", "append", dataKey="id"), '{"x":"oldA-1","n":5}'),
        (put("x", "prepend", dataKey="id"), '{"x":"A-1old","n":5}'),
        (put("n", "append", dataKey="f", useRawData=True), '{"x":"old","n":"559.9"}'),
        (put("new", "append", dataKey="f", useRawData=True), '{"x":"old","n":5,"new":59.9}'),
        (put("x", dataKey="id", dependencyName="gone"), '{"x":"old","n":5}'),
    ],
)
def test_apply(parameter: dict, after: str) -> None:
    assert apply('{"x":"old","n":5}', parameter) == after


def test_a_destination_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ParameterError, match=r"setting parameter 'a\.x'"):
        apply('{"a":[1]}', put("a.x", dataKey="id"))


# ---------------------------------------------------------------------------- messages


def payload(*entries: dict) -> str:
    made = [
        load(PayloadEntry, e | {"src": {"dependencyName": "orders"} | e["src"]}) for e in entries
    ]
    return compile_payload(made)(EVENTS)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], ""),
        (
            [put("id", dataKey="id"), put("f", dataKey="f", useRawData=True)],
            '{"id":"A-1","f":59.9}',
        ),
        ([put("a.b", dataKey="id"), put("a.c.-1", value="x")], '{"a":{"b":"A-1","c":["x"]}}'),
        ([put("a", value="1"), put("a", value="2")], '{"a":"2"}'),
        ([put("a", value="1"), put("", dataKey="id")], "A-1"),
        ([put("", dataKey="o")], '{"a" : [1, 2]}'),
        ([put("0", value="x")], '["x"]'),
        ([put("a", dependencyName="gone"), put("b", value="x")], '{"b":"x"}'),
        ([put("a", dependencyName="gone")], ""),
        ([put("a.b", dependencyName="gone")], ""),
        ([put("", dependencyName="gone"), put("b", value="x")], '{"b":"x"}'),
    ],
)
def test_payload(entries: list[dict], message: str) -> None:
    assert payload(*entries) == message


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_ /-]{0,8}", fullmatch=True),
            st.text(),
            st.booleans(),
        ),
        unique_by=lambda entry: entry[0],
        max_size=6,
    )
)
def test_the_fast_way_builds_what_the_general_one_does(entries: list[tuple]) -> None:
    made = [
        PayloadEntry(src=source(value=text, useRawData=raw), dest=dest)
        for dest, text, raw in entries
    ]
    assert compile_payload(made)(EVENTS) == _nested(made)(EVENTS)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_quoted_is_json(text: str) -> None:
    assert json.loads(quoted(text)) == text


def test_less_than_stays_unless_something_must_be_escaped() -> None:
    assert quoted("a < b") == '"a < b"'
    assert quoted('"a" < b') == r'"\"a\" \u003c b"'


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        ({"dest": "a"}, "src: required field is missing"),
        ({"src": {}, "dest": "a"}, "src.dependencyName: required field is missing"),
        ({"src": {"dependencyName": ""}, "dest": "a"}, "should have at least 1 character"),
        ({"src": {"dependencyName": "d"}, "dest": ""}, "should have at least 1 character"),
        ({"src": {"dependencyName": "d"}, "dest": "a", "operation": "add"}, "'add': input should"),
        ({"src": {"dependencyName": "d", "useRawData": "yes"}, "dest": "a"}, "valid boolean"),
        (
            {"src": {"dependencyName": "d", "dataTemplate": "{{x}}"}, "dest": "a"},
            'line 1, column 3: function "x" not defined',
        ),
        ({"src": {"dependencyName": "d", "datakey": "x"}, "dest": "a"}, ""),
        ({"src": {"dependencyName": "d", "key": "x"}, "dest": "a"}, "unknown field"),
    ],
)
def test_bad_parameters_are_refused(parameter: dict, problem: str) -> None:
    if not problem:  # another case of a known key works
        assert load(Parameter, parameter).src.data_key == "x"
        return
    with pytest.raises(ConfigError) as caught:
        load(Parameter, parameter)
    assert problem in str(caught.value)


def test_kinds_are_those_of_gjson() -> None:
    assert Kind.STRING.value == "String"
