import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.lang import EvaluationError, gojson

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)

WRITTEN: list[tuple[Any, str]] = [
    ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
    ("<a href='x'>&", "\"\\u003ca href='x'\\u003e\\u0026\""),
    ("\u2028\u2029é😀", '"\\u2028\\u2029é😀"'),
    ('\b\f\n\r\t\x00\x7f"\\/', '"\\b\\f\\n\\r\\t\\u0000\x7f\\"\\\\/"'),
    ([5.0, 1.5, 1e21, 1e20, 1e-7], "[5,1.5,1e+21,100000000000000000000,1e-7]"),
    ({"x": 5.0}, '{"x":5}'),
    (5.0, "5"),
    ([2**70, "1.0,"], f'[{2**70},"1.0,"]'),
    ("\ud800", '"\ufffd"'),
    ({"\ud800": [1, {}], "n": None}, '{"n":null,"\ufffd":[1,{}]}'),
    ([], "[]"),
    ({}, "{}"),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=repr)
def test_values_are_written_as_go_writes_them(value: Any, text: str) -> None:
    assert gojson.dumps(value).decode() == text


@pytest.mark.parametrize(
    "value",
    [math.nan, [math.inf], {"a": [None, -math.inf]}, {1: 2}, {"a": {1}}, [2**70, object()]],
    ids=["nan", "infinity", "infinity within", "a number as key", "a set", "an object"],
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(EvaluationError, match="writing JSON"):
        gojson.dumps(value)


def test_deep_nesting_is_refused_or_written_but_never_a_crash() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="too deeply"):
        gojson.dumps(deep)


def test_infinity_can_be_asked_to_be_the_largest_number() -> None:
    text = gojson.plain([math.nan, math.inf, -math.inf], finite=False)
    assert text == b"[null,1.7976931348623157e+308,-1.7976931348623157e+308]"


COMPACTED = {
    ' { "a" : [ 1 , 2 ] }\n': '{"a":[1,2]}',
    '{"n": 1.0e2, "big": 12345678901234567890}': '{"n":1.0e2,"big":12345678901234567890}',
    '{"b": 1, "a": "x  y"}': '{"b":1,"a":"x  y"}',
    '"<&>\u2028"': '"\\u003c\\u0026\\u003e\\u2028"',
    '{"lone" : "\\ud83d x"}': '{"lone":"\\ud83d x"}',
    '"\\u00e5\\/"': '"\\u00e5\\/"',
}


@pytest.mark.parametrize("text", COMPACTED)
def test_compacting_keeps_the_spelling(text: str) -> None:
    assert gojson.compact(text.encode()).decode() == COMPACTED[text]


@pytest.mark.parametrize(
    "text", ["", " ", "{", "tru", "1 2", "[1,]", "{'a':1}", "\ufeff{}", "01", '"\\x"', "NaN"]
)
def test_what_is_no_json_value_is_refused(text: str) -> None:
    assert not gojson.valid(text.encode())
    with pytest.raises(EvaluationError, match="reading JSON"):
        gojson.compact(text.encode())


def test_json_nested_a_hundred_thousand_deep_is_refused() -> None:
    text = b"[" * 100_000 + b"]" * 100_000
    assert not gojson.valid(text)
    with pytest.raises(EvaluationError):
        gojson.compact(text)


def as_doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    return float(value) if type(value) is int else value


@given(json_values)
def test_written_values_read_back(value: Any) -> None:
    text = gojson.dumps(value)
    assert gojson.compact(text) == text
    assert as_doubles(json.loads(text)) == as_doubles(value)


@given(json_values, st.sampled_from([None, 1, "\t"]))
def test_compacting_undoes_any_layout(value: Any, indent: Any) -> None:
    laid_out = json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "replace")
    assert json.loads(gojson.compact(laid_out)) == json.loads(laid_out)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    try:
        made = gojson.compact(data)
    except EvaluationError:
        assert not gojson.valid(data)
    else:
        assert gojson.valid(data)
        assert gojson.valid(made)


@given(st.text())
def test_quoted_texts_read_back(text: str) -> None:
    assert json.loads(gojson.quote(text)) == text
