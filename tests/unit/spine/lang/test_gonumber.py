import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.lang.gonumber import format_decimal, format_json, parse_float

READ = {
    "5": 5.0,
    "-1.5": -1.5,
    "+2": 2.0,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "1_0": 10.0,
    "inf": math.inf,
    "-Infinity": -math.inf,
    "0x1p4": 16.0,
    "0x1.8p1": 3.0,
    "1e999": math.inf,
}
REFUSED = ["", " 5", "5 ", "0x10", "abc", "1e", "_1", "1__0", "--1", "+-inf", "\u0665", "1,5"]

DECIMAL = {
    5.0: "5",
    1.5: "1.5",
    1e21: "1" + "0" * 21,
    1e-7: "0.0000001",
    -0.0: "-0",
    1e16: "1" + "0" * 16,
}
JSON = {
    5.0: "5",
    1e20: "1" + "0" * 20,
    1e21: "1e+21",
    1e-6: "0.000001",
    1e-7: "1e-7",
    5e-324: "5e-324",
    1.5e300: "1.5e+300",
    -0.0: "-0",
}


@pytest.mark.parametrize("text", READ)
def test_numbers_are_read_as_parse_float_does(text: str) -> None:
    assert parse_float(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_number_is_refused(text: str) -> None:
    assert parse_float(text) is None


def test_not_a_number_is_a_number() -> None:
    assert math.isnan(parse_float("NaN") or 0.0)


@pytest.mark.parametrize("value", DECIMAL)
def test_decimals_have_no_exponent(value: float) -> None:
    assert format_decimal(value) == DECIMAL[value]


@pytest.mark.parametrize("value", JSON)
def test_json_numbers_have_an_exponent_where_go_writes_one(value: float) -> None:
    assert format_json(value) == JSON[value]


def test_what_is_not_finite_has_a_name() -> None:
    assert [format_decimal(x) for x in (math.inf, -math.inf, math.nan)] == ["+Inf", "-Inf", "NaN"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_texts_lead_back_to_the_number(value: float) -> None:
    for text in (format_decimal(value), format_json(value)):
        assert struct.pack("d", float(text)) == struct.pack("d", value)
