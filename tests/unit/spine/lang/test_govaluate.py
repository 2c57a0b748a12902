"""govaluate, as the peer's version of it answers."""

import math
from dataclasses import dataclass
from typing import Any

import pytest

from spine.errors import ConfigError
from spine.lang import EvaluationError, govaluate

VALUES: dict[str, Any] = {
    "n": 5.0,
    "neg": -4.0,
    "s": "open",
    "date": "2024-01-02",
    "yes": True,
    "no": False,
    "nul": None,
    "arr": [1.0, 2.0, [3.0], "x"],
    "same": [1.0, 2.0, [3.0], "x"],
    "map": {"a": 1.0},
    "e-mail": "a@b",
    "in": 4.0,
    "big": 1e30,
    "œuvre": "é",
}


@dataclass(frozen=True)
class Case:
    text: str
    result: Any

    def __str__(self) -> str:
        return self.text


CASES = [
    # numbers
    Case("1 + 2 * 3", 7.0),
    Case("10 - 4 - 3", 3.0),
    Case("24 / 4 / 2", 3.0),
    Case("2 ** 3 ** 2", 64.0),
    Case("-n ** 2", 25.0),
    Case("2 ** -1", 0.5),
    Case("neg % 3", -1.0),
    Case(".5 + 5.", 5.5),
    Case("0x1F", 31.0),
    Case("0x 1F", 31.0),
    Case("042", 42.0),
    Case("1\\e3", 1000.0),
    Case("1 / 0", math.inf),
    Case("-1 / 0", -math.inf),
    Case("n % 0 == n % 0", False),
    Case("(0 - 2) ** .5 == 0", False),
    Case("0 ** -1", math.inf),
    Case("10 ** 400", math.inf),
    Case("-10 ** 401", -math.inf),
    # bits
    Case("7.9 & 3", 3.0),
    Case("-1 & 255", 255.0),
    Case("6 ^ 3 | 8", 13.0),
    Case("~1.7", -2.0),
    Case("1 << 70", 0.0),
    Case("1 << -1", 0.0),
    Case("-1 >> 1", 9223372036854775807.0),
    Case("big >> 0", 9223372036854775808.0),
    Case("big | 0", -9223372036854775808.0),
    Case("n & 4 == 4", True),
    Case("n == 5 & 4 == 4", False),
    # texts
    Case("s + 1", "open1"),
    Case("1 + s", "1open"),
    Case("s + 1000000000000000000000", "open1e+21"),
    Case("s + .00001", "open1e-05"),
    Case("s + yes + nul", "opentrue<nil>"),
    Case("s + arr", "open[1 2 [3] x]"),
    Case("s + map", "openmap[a:1]"),
    Case("'it\"", "it"),
    Case(r"'it\'s'", "it's"),
    Case("s > 'a' && s < 'z'", True),
    Case("œuvre == 'é'", True),
    # comparing
    Case("n == 5 == true", True),
    Case("n == '5'", False),
    Case("yes == 1", False),
    Case("nul == nul", True),
    Case("nul != 1", True),
    Case("arr == same", True),
    Case("map == map", True),
    Case("(1, 2) == (1, 2)", True),
    Case("s =~ '^o.en$'", True),
    Case("s !~ 'OPEN'", True),
    Case("s =~ '(?i)OPEN'", True),
    Case("s =~ s + ''", True),
    # lists
    Case("n in (1, 5)", True),
    Case("n IN (1, 2)", False),
    Case("'x' in arr", True),
    Case("1, -2", [1.0, -2.0]),
    Case("((1, 2), 3)", [1.0, 2.0, 3.0]),
    Case("(1, (2, 3))", [1.0, [2.0, 3.0]]),
    Case("yes in (arr, yes)", True),
    Case("arr in (1, same)", True),  # the peer crashes
    # logic
    Case("true || no && no", True),
    Case("(true || no) && no", False),
    Case("no && absent", False),
    Case("yes || absent", True),
    Case("!(n in (1, 2))", True),
    Case("yes ? 1", 1.0),
    Case("no ? 1", None),
    Case("no ? absent : 2", 2.0),
    Case("yes ? 1 : absent", 1.0),
    Case("yes ? nul : 2", 2.0),
    Case("no ? 1 : no ? 2 : 3", 3.0),
    Case("nul ?? nul ?? 3", 3.0),
    Case("s ?? absent", "open"),
    # names
    Case("[e-mail] == 'a@b'", True),
    Case(r"e\-mail", "a@b"),
    Case("[in]", 4.0),
    Case("(n)", 5.0),
    Case("n==5", True),
    Case("n\n==\t5", True),
    Case("\u2003n\xa0", 5.0),
    # dates are numbers where they are written out, and texts where they come from an event
    Case("'2024-01-02'", 1704153600.0),
    Case("date == '2024-01-02'", False),
    Case("date =~ '^2024'", True),
    Case("'2024-01-01T10:00:00+02:00'", 1704096000.0),
    Case("'2024-01-01 12:30:15'", 1704112215.0),
    Case("'3:04PM' == '15:04'", False),
    Case("'2024-13-01'", "2024-13-01"),
    Case("'2024'", "2024"),
    # what is missing is null, and what follows a parenthesis without an operator is not looked at
    Case("()", None),
    Case("(1 == )", False),
    Case("(1) 2", 1.0),
    Case("(n) n == 7", 5.0),
    Case("((2) 1) + 1", 2.0),
    Case("5 + (1) 2", 6.0),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_result(case: Case) -> None:
    made = govaluate.compile(case.text).run(VALUES)
    assert made == case.result
    assert type(made) is type(case.result)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("s > 4", '> cannot take string "open" and number 4'),
        ("yes > no", "> cannot take true and false"),
        ("nul < 1", "< cannot take null and number 1"),
        ("yes + 1", "+ cannot take true and number 1"),
        ("s - 1", "- cannot take"),
        ("n && yes", "&& cannot take number 5 and true"),
        ("no || 1", "|| cannot take false and number 1"),
        ("n ? 1 : 2", "? cannot take number 5"),
        ("yes ? 1 : yes ? 2 : 3", "? cannot take number 1"),
        ("!n", "! cannot take number 5"),
        ("-s", "- cannot take"),
        ("n in 5", "in cannot take number 5"),
        ("n in (5)", "it is not a list"),
        ("n =~ '5'", "=~ cannot take number 5 and pattern '5'"),
        ("s =~ n", "=~ cannot take"),
        ("s =~ ('(' + '')", "missing )"),
        ("absent", "there is no value absent"),
        ("no || absent", "there is no value absent"),
        ("map.Field", "map.Field: values have no fields"),
        ("map.Method(1, (2))", "values have no fields"),
        ("(!)", "! cannot take null"),
        ("1 + ()", "+ cannot take"),
    ],
)
def test_what_cannot_be_evaluated(text: str, why: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        govaluate.compile(text).run(VALUES)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "column 1: it is empty"),
        (" ", "it is empty"),
        ("n >", "column 4: something is missing after >"),
        ("== n", "column 1: an expression cannot begin with =="),
        ("n === 5", "there is no operator === (write == to compare)"),
        ("s == “x”", "there is no operator “ (write plain quotes)"),
        ("n = 5", "column 3: there is no operator = (write == to compare)"),
        ("n==-5", "there is no operator ==- (put a space between them: == -)"),
        ("yes&&!no", "put a space between them: && !"),
        ("!!yes", "there is no operator !!"),
        ("n == 5 and yes", "and cannot follow 5 (write && for and)"),
        ("n 5", "5 cannot follow n"),
        ("'a' 'b'", '"b" cannot follow "a"'),
        ("len(s)", "there is no function len"),
        ("(n", "column 1: there is no ) for this ("),
        ("n)", "column 2: there is no ( for this )"),
        ("'n", "column 1: there is no quote at the end of this text"),
        ("'it\"s'", 's cannot follow "it"'),
        ("[n", "there is no ] for this ["),
        ("n\\", "nothing follows the backslash"),
        ("_x", "there is no operator _"),
        ("order.total > 1", "bind a name to the path: path: order.total"),
        ("n.", "a field is missing after n."),
        ("1.2.3", "1.2.3 is no number"),
        ("9" * 400, "is no number"),
        ("0xg", "0x is no number"),
        ("0x" + "f" * 17, "is no number of 64 bits"),
        ("1e5", "e5 cannot follow 1"),
        ("s =~ '('", "missing ): ("),
        ("n ? , 2", ", cannot follow ?"),
        ("+1", "cannot begin with +"),
        ("1 + '2024-01-02'", "cannot follow +"),
        ("(" * 51 + "1" + ")" * 51, "nested deeper than 50"),
        ("1" * 100_001, "longer than"),
    ],
)
def test_what_is_no_expression(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        govaluate.compile(text)
    assert why in str(caught.value)


def test_names() -> None:
    expression = govaluate.compile("b > a + b && (c ? d : [e f]) || !g")
    assert expression.names == ("b", "a", "c", "d", "e f", "g")
    assert expression.needed == {"b", "a"}
    assert govaluate.compile("!a, (b + c) in d").needed == {"a", "b", "c", "d"}


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("d == '2024-01-02'", '"2024-01-02" is read as a date, the number 1704153600'),
        ("(a) b == c", "column 5: an operator is missing"),
        ("((a) b) == c", "column 6: an operator is missing"),
    ],
)
def test_warnings(text: str, warning: str) -> None:
    (found,) = govaluate.compile(text).warnings
    assert found.startswith(warning)


def test_long_chains_are_not_deep() -> None:
    text = " || ".join(f"n == {i}" for i in range(5000))
    assert govaluate.compile(text).run({"n": 4999.0}) is True
    assert govaluate.compile("+".join(["1"] * 5000)).run({}) == 5000.0


def test_texts_are_bounded() -> None:
    with pytest.raises(EvaluationError, match="more than"):
        govaluate.compile("+".join(["s"] * 100)).run({"s": "x" * 1_000_000})
