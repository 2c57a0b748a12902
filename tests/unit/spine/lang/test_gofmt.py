"""Texts of values as Go's fmt makes them; the answers are Go's own."""

import math
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.lang import EvaluationError
from spine.lang.gofmt import quote, sprint, sprintf, sprintln, unquote, verb_v
from spine.lang.gotime import Duration, Month, Time
from spine.lang.govalue import Byte, Int, Strings, clean, encode


@dataclass(frozen=True)
class Case:
    format: str
    text: str
    values: list[object] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.format} {self.text}"[:40]


CASES = [
    Case("%v %v %v %v", "3 1e+06 1.2345675e+06 1e-05", [3.0, 1e6, 1234567.5, 0.00001]),
    Case("%v %v %v", "100000 -0 123456.7", [100000.0, -0.0, 123456.7]),
    Case("%v %v %v", "+Inf -Inf NaN", [math.inf, -math.inf, math.nan]),
    Case("%v", "map[a:[1 <nil> x] b:true]", [{"b": True, "a": [1.0, None, "x"]}]),
    Case("%#v", 'map[string]interface {}{"a":[]interface {}{1, "x"}}', [{"a": [1.0, "x"]}]),
    Case("%d", "%!d(float64=0.5)", [0.5]),
    Case("%s", "%!s(int=5)", [Int(5)]),
    Case("%s", "%!s(<nil>)", [None]),
    Case("%d", "%!d(MISSING)"),
    Case("%d", "1%!(EXTRA int=2)", [1, Int(2)]),
    Case("%", "%!(NOVERB)"),
    Case("100%%", "100%"),
    Case("%y", "%!y(MISSING)"),
    Case("%[2]d %[1]d", "2 1", [1, 2]),
    Case("%[3]d", "%!d(BADINDEX)", [1, 2]),
    Case("%*d|%-*d|", "    5|5    |", [5, 5, 5, 5]),
    Case("%5d|%-5d|%05d|%+d|% d|%x|%#x|%o|%b", "    5|5    |00005|+5| 5|ff|0xff|7|11",
         [5, 5, 5, 5, 5, 255, 255, 7, 3]),
    Case("%6.2f|%e|%g|%.3g|%G", "  3.14|1.234568e+04|1e-05|1.23|1E+21",
         [3.14159, 12345.678, 0.00001, 1.2345, 1e21]),
    Case("%x %X % x %#v %q", '6869 C3A9 61 62 "a\\"" "é\\n"', ["hi", "é", "ab", 'a"', "é\n"]),
    Case("%+q", '"\\u00e9"', ["é"]),
    Case("%c %q %U %#U", "A 'A' U+0041 U+0041 'A'", [65, 65, 65, 65]),
    Case("%T %T %T %T", "string []string map[string]interface {} <nil>", ["", Strings(), {}, None]),
    Case("%t %v", "true %!t(string=x)"[:4] + " false", [True, False]),
    Case("%.2s|%5s|%-5s|", "hé|    x|x    |", ["héllo", "x", "x"]),
    Case("%v %d", "[104 105] [104 105]", [b"hi", b"hi"]),
    Case("%s", "hi", [b"hi"]),
    Case("%v %s %v", "1m30s 1.5µs March", [Duration(90_000_000_000), Duration(1500), Month(3)]),
    Case("%d", "1500", [Duration(1500)]),
    Case("%v", "1970-01-01 00:00:00 +0000 UTC", [Time(0)]),
    Case("%v %v", "(0+1i) 97", [1j, Byte(97)]),
    Case("%x", "0x1.8p+00", [1.5]),
    Case("%w", "%!w(int=5)", [Int(5)]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sprintf(case: Case) -> None:
    assert sprintf(case.format, case.values) == case.text


def test_print() -> None:
    assert sprint([1, 2, "a", "b", 3, None]) == "1 2ab3 <nil>"
    assert sprintln([1, "a", None]) == "1 a <nil>\n"


@pytest.mark.parametrize("format", ["%99999999d", "%.9999999f", "%10000000d"])
def test_absurd_widths_are_refused(format: str) -> None:
    with pytest.raises(EvaluationError, match="wide"):
        sprintf(format, [1.0])


def test_a_width_counts_for_every_element() -> None:
    with pytest.raises(EvaluationError, match="wide"):
        sprintf("%1000d", [list(range(100_000))])


def test_deep_nesting_is_refused() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="deep"):
        verb_v(deep)
    with pytest.raises(EvaluationError, match="deep"):
        sprintf("%v", [deep])


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(alphabet="%#0+- 12[]*.vsdxqTfegcUtp", max_size=12), st.lists(ANY, max_size=3))
def test_any_format_can_be_written_or_is_refused(format: str, values: list[object]) -> None:
    try:
        assert isinstance(sprintf(format, values), str)
    except EvaluationError:
        pass


@given(st.floats(allow_nan=False))
def test_a_float_reads_back(value: float) -> None:
    text = verb_v(value)

    assert float(text) == value
    assert re.fullmatch(r"-?[0-9]{1,6}(\.[0-9]+)?|-?[0-9](\.[0-9]+)?e[+-][0-9]{2,3}|[+-]Inf", text)


@given(st.text())
def test_quoted_texts_read_back(text: str) -> None:
    assert encode(unquote(quote(text)[1:-1])) == encode(text)


@given(st.binary())
def test_bytes_stay_bytes_until_they_leave(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")

    assert encode(text) == data
    clean(text).encode()


@pytest.mark.parametrize("bad", [r"\z", r"\x1", r"\400", r"\ud800", r"\U00110000", r"\'", "\\"])
def test_bad_escape(bad: str) -> None:
    with pytest.raises(ValueError):
        unquote(bad)
