"""expr-lang: values as Go prints them, in both dialects; what is refused; what a run may use."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError, exprlang, gotime
from spine.lang.exprlang import MissingValue, Namespace
from spine.lang.gofmt import verb_v
from spine.lang.govalue import type_name

ENV: dict[str, Any] = {
    "n": 3,
    "f": 9.5,
    "s": "abc",
    "flag": True,
    "list": [3, 1, 2],
    "names": ["b", "a"],
    "gone": None,
    "obj": {"a": {"b": 1}, "not": 2, "k-1": "v", "l": [{"x": 1, "t": "p"}, {"x": 5, "t": "q"}]},
}


@dataclass(frozen=True)
class Case:
    text: str
    later: str
    """What 1.17 gives as Go prints it; `refused` or `fails`."""
    old: str = ""
    """What 1.15 gives where that is another thing."""

    def __str__(self) -> str:
        return self.text


CASES = [
    # words
    Case("0x1F + 1_000 + 017", "1048"),
    Case("0b11 + 0o17", "18", "refused"),
    Case(".5 + 5. + 1e3", "1005.5"),
    Case("1a", "refused"),
    Case("9223372036854775808", "refused"),
    Case(r"'\x41B\103\n'", "ABC\n"),
    Case(r"'\'' + \"\\\"\"".replace(r"\"", '"').replace(r"\\", "\\"), "'\""),
    Case(r"'\q'", "refused"),
    Case("'a\nb'", "refused"),
    Case("`a``b\\n`", "a`b\\n", "refused"),
    Case('b"a\\xff"', "[97 255]", "refused"),
    Case("1 // one\n + /* two */ 2", "3"),
    Case("1 /* two", "refused"),
    Case("a =~ b", "refused"),
    # precedence
    Case("-2 ** 2", "-4"),
    Case("2 ** 3 ** 2", "512"),
    Case("1 - 2 - 3 * 2", "-7"),
    Case("not flag == false", "true"),
    Case("'x' + s | upper()", "XABC"),
    Case("1 < 2 < 3", "true", "refused"),
    Case("gone ?? 1 == 1", "refused"),
    Case("flag and gone ?? true", "true"),
    Case("1 + gone ?? 3", "4"),
    Case("1 + 2 not in [3]", "false"),
    Case("flag ? 1 : gone ? 2 : 3", "1"),
    Case("flag ?: 2", "true"),
    Case("if n > 2 {1} else {2}", "1", "refused"),
    Case("1; 2", "2", "refused"),
    Case("let x = 2; let y = x * 3; y - x", "4"),
    Case("let len = 1; len", "refused"),
    # access
    Case("obj.a.b", "1"),
    Case("obj.not", "2"),
    Case("obj['k-1']", "v"),
    Case("obj.q", "<nil>"),
    Case("obj.q.r", "fails"),
    Case("obj?.q.r", "fails"),
    Case("obj.q?.r.s.t", "<nil>"),
    Case("obj.q?.r['s']", "fails"),
    Case("obj.q?.['r'].s", "<nil>", "refused"),
    Case("list[-1] + list[0]", "5"),
    Case("list[3]", "fails"),
    Case("list[1:] ", "[1 2]"),
    Case("list[-2:9]", "[1 2]"),
    Case("s[1:2]", "b"),
    Case("$env['n'] + $env.n", "6"),
    Case("'q' in $env", "false"),
    # operators
    Case("7 / 2", "3.5"),
    Case("-7 % 3", "-1"),
    Case("n % 0", "fails"),
    Case("n / 0", "+Inf"),
    Case("f % 2", "fails"),
    Case("9223372036854775807 + n", "-9223372036854775806"),
    Case("s + n", "fails"),
    Case("1 + 'a'", "refused"),
    Case("n > gone", "fails"),
    Case("n == 3.0 and 3 in [3.0]", "true"),
    Case("1 == '1'", "refused"),
    Case("n == '3'", "false"),
    Case("true == 1", "refused"),
    Case("n == flag", "false"),
    Case("[1, 2] == [1.0, 2]", "true", "false"),
    Case("split('a,b', ',') == ['a', 'b']", "true", "false"),
    Case("{a: 1} == {a: 1.0}", "false"),
    Case("gone in ['']", "true"),
    Case("gone in ['a']", "false"),
    Case("n in ['a']", "fails"),
    Case("n in ['a', 3]", "true"),
    Case("'a' in 'abc'", "refused"),
    Case("gone matches 'a'", "false", "fails"),
    Case("s matches '^a.c$'", "true"),
    Case("s matches '('", "refused"),
    Case("gone and true", "<nil>"),
    Case("gone or true", "true"),
    Case("not gone", "fails"),
    Case("n and 1 == 2", "false"),
    # functions
    Case("any(obj.l, .t == 'q') and all(obj.l, {.x > 0})", "true"),
    Case("map(list, # * #index)", "[0 1 4]"),
    Case("filter(list, #index == 1)", "refused"),
    Case("find(list, # > 9)", "<nil>"),
    Case("findIndex(list, # > 9)", "<nil>"),
    Case("count([true, false])", "1", "refused"),
    Case("reduce(list, #acc + #)", "6"),
    Case("reduce([], #acc + #)", "fails"),
    Case("groupBy(list, # > 1)", "map[false:[1] true:[3 2]]"),
    Case("groupBy(list, #)[1]", "[1]"),
    Case("sortBy(obj.l, .x, 'desc')[0].t", "q", "refused"),
    Case("sortBy(obj.l, 'x', 'desc')[0].t", "p", "q"),
    Case("sum(list)", "6"),
    Case("max(list)", "3", "[3 1 2]"),
    Case("max(1, 2.5, 2)", "2.5"),
    Case("mean([1, 2]) + median([3, 1, 2])", "3.5"),
    Case("any(gone, true)", "fails"),
    Case("any({a: 1}, true)", "refused"),
    Case("map([1], #foo)", "refused"),
    Case("len('é')", "1", "2"),
    Case("upper('straße') + lower('İ')", "STRAßEi"),
    Case("split('a,b,c', ',', 2)", "[a b,c]"),
    Case("splitAfter('a,b', ',')", "[a, b]"),
    Case("replace('aaa', 'a', 'b', 1)", "baa"),
    Case("join(names, '-')", "b-a"),
    Case("join(list)", "fails"),
    Case("indexOf('éa', 'a')", "2"),
    Case("int('12') + int(1.9)", "13"),
    Case("int(' 1')", "fails"),
    Case("float('0x1p3')", "8"),
    Case("round(-2.5)", "-3"),
    Case("string([1, gone, {a: 1.0}])", "[1 <nil> map[a:1]]"),
    Case("toJSON({b: 1, a: ['<']})", '{\n  "a": [\n    "\\u003c"\n  ],\n  "b": 1\n}'),
    Case("fromJSON('{\"a\": 1}').a", "1"),
    Case("fromBase64(toBase64('é'))", "é"),
    Case("type(n) + type(gone) + type(list)", "intnilarray"),
    Case("get(list, 9)", "<nil>"),
    Case("first([]) ?? last(list)", "2"),
    Case("take(list, 2)", "[3 1]"),
    Case("keys({a: 1})", "[a]"),
    Case("fromPairs(toPairs({a: 1}))", "map[a:1]"),
    Case("sort(list, 'desc')", "[3 2 1]"),
    Case("sort([1, 'a'])", "fails"),
    Case("uniq([1, 1.0, 'a', 'a'])", "[1 a]", "refused"),
    Case("flatten([1, [2, [3]]])", "[1 2 3]", "refused"),
    Case("concat(list, [4]) | reverse()", "[4 2 1 3]", "refused"),
    Case("bitushr(-1, 60) + bitshl(1, 64)", "15", "refused"),
    Case("date('2024-01-02') + duration('36h')", "2024-01-03 12:00:00 +0000 UTC"),
    Case("(date('2024-01-02') - date('2024-01-01')).Hours()", "24"),
    Case("date('2024-02-03T04:05:06Z').Format('02.01.06 15:04')", "03.02.24 04:05"),
    Case("date('2024-01-02').Foo()", "refused"),
    Case("date('x')", "fails"),
    Case("duration('90m')", "1h30m0s"),
    # what a name of a function is, which is not called
    Case("len", "<nil>"),
    Case("len > 1", "refused"),
    Case("upper(len)", "refused"),
    Case("nope(1)", "refused"),
]

DIALECTS: list[Literal["1.15", "1.17"]] = ["1.15", "1.17"]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_value(case: Case, dialect: Literal["1.15", "1.17"]) -> None:
    wanted = case.old if dialect == "1.15" and case.old else case.later
    try:
        got = verb_v(exprlang.compile(case.text, dialect).run(ENV))
    except ConfigError:
        got = "refused"
    except EvaluationError:
        got = "fails"
    assert got == wanted


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("n + 1", "int64"),
        ("n / 1", "float64"),
        ("n * 1.0", "float64"),
        ("1..2", "[]int"),
        ("split('a', ',')", "[]string"),
        ("obj.l[0]", "map[string]interface {}"),
        ("s[0]", "uint8"),
        ("flag", "bool"),
        ("date('2024-01-02').Month()", "time.Month"),
        ("duration('1s') * 2", "time.Duration"),
        ("groupBy(list, #)", "map[interface {}][]interface {}"),
    ],
)
def test_type(text: str, kind: str) -> None:
    assert type_name(exprlang.compile(text).run(ENV)) == kind


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a +", "column 4: it ends too early"),
        ("a b", "column 3: unexpected 'b'"),
        ("a +\n  @", "line 2, column 3: character '@' has no meaning here"),
        ("uper(s)", "column 1: no function is called uper (did you mean upper?)"),
        ("time.Pars('x')", "time has no function Pars (did you mean Parse?)"),
        ("'x' + 1", "column 5: string + int is not possible"),
        ("[1].a", "elements of a list are taken by int, not by string"),
        ("filter([1], 'a')", "the closure of filter gives string, not bool"),
        ("split('a')", "split needs 2 arguments"),
        ("upper('a', 'b')", "upper takes 1 argument, not 2"),
        ("[1, 2", "column 6: it ends too early: ] is missing"),
        ("{a: 1", "column 6: it ends too early: } is missing"),
        ("len(1", "column 6: it ends too early: ) is missing"),
        ("[1 2]", "column 4: unexpected 2: , is missing"),
        ("1 =~ 'x'", "column 4: character '~' has no meaning here: write matches"),
        ("s == “x”", "character '“' has no meaning here: write plain quotes"),
        ("s ?? 1 == 1", "?? and == cannot be mixed: put one of them in parentheses"),
        ("s matches '(?=a)'", "compiling regular expression '(?=a)'"),
        ("# > 1", "# has no meaning outside of a closure"),
        ("(" * 500, "it is nested more than 64 levels deep"),
        ("1" + " + 1" * 5000, "it is nested too deeply"),
        ("a" + ".b" * 100, "it has more than 64 parts"),
        ("1 " * 30_000, "it is longer than 20000 words"),
    ],
)
def test_refusal_says_where_and_why(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        exprlang.compile(text, functions=FUNCTIONS)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "text",
    [
        *["q.r", "q > 1", "1 + q", "len(q)", "upper(q)", "list[9]", "any(q, true)", "not q"],
        *["q.r()", "-q", "q[1:2]", "reduce([], #)", "time.Parse(q)", "filter([1], q)", "q['a']"],
        "q ? 1 : 2",
    ],
)
def test_what_an_input_lacks_is_told_apart(text: str) -> None:
    with pytest.raises(MissingValue):
        exprlang.compile(text, functions=FUNCTIONS).run(ENV)


@pytest.mark.parametrize("text", ["s > 1", "upper(n)", "n.a.b", "obj.a()", "f % 2", "obj[1]"])
def test_what_never_fits_is_no_missing_value(text: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        exprlang.compile(text).run(ENV)
    assert not isinstance(caught.value, MissingValue)


# ---------------------------------------------------------------------------- functions


def _parse(text: str) -> gotime.Time:
    return gotime.parse_time(gotime.RFC3339, text)


FUNCTIONS = {
    "time": Namespace("time", {"Parse": _parse, "Hour": gotime.parse_duration("1h")}),
    "double": lambda number: number * 2,
}


def test_functions_and_namespaces() -> None:
    text = "time.Parse('2024-01-02T03:00:00Z').Add(2 * time.Hour).Hour() == double(n) - 1"
    assert exprlang.compile(text, functions=FUNCTIONS).run({"n": 3}) is True
    assert exprlang.compile("'Hour' in time", functions=FUNCTIONS).run({"time": 1}) is True
    assert exprlang.compile("$env.double", functions=FUNCTIONS).run({}) is FUNCTIONS["double"]


@pytest.mark.parametrize("text", ["double(1, 2)", "double({a: 1})", "time.Parse('x')", "f()"])
def test_a_call_that_fails_is_an_evaluation_error(text: str) -> None:
    with pytest.raises((EvaluationError, ConfigError)):
        exprlang.compile(text, functions=FUNCTIONS).run({"f": 3})


def test_known_names() -> None:
    assert exprlang.compile("let x = data.n; x", names=["data"]).run({"data": {"n": 1}}) == 1
    with pytest.raises(ConfigError, match=r"nothing is called dta .did you mean data"):
        exprlang.compile("dta.n", names=["data"])


# ---------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    "text",
    [
        "1..2000000",
        "any(1..90000, any(1..90000, # < 0))",
        "reduce(1..64, #acc + #acc, 'a')",
        "string(reduce(1..64, [#acc, #acc], [1]))",
        "toJSON(reduce(1..100000, [#acc], [1]))",
        "let d = reduce(1..64, [#acc, #acc], [1]); d == d",
        "uniq([reduce(1..64, [#acc, #acc], [1]), reduce(1..64, [#acc, #acc], [1])])",
        "flatten(reduce(1..64, [#acc, #acc], [1]))",
        "repeat('ab', 1000000)",
        "replace(repeat('a', 999999), 'a', repeat('b', 999999))",
        "join(map(1..1000, repeat('a', 100000)))",
        "map(1..3000, {let r = repeat('a', 999999); r matches 'b$'})",
    ],
)
def test_a_run_is_bounded(text: str) -> None:
    with pytest.raises(EvaluationError, match=r"budget exceeded|more than|too deeply"):
        exprlang.compile(text).run({})


def test_a_program_keeps_nothing_between_runs() -> None:
    program = exprlang.compile("let x = n; reduce([1, 2], #acc + # + x, 0)")

    assert [program.run({"n": n}) for n in (1, 10, 1)] == [5, 23, 5]


# ---------------------------------------------------------------------------- properties

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, numbers)
def test_exactly_one_of_less_equal_greater(a: float, b: float) -> None:
    env = {"a": a, "b": b}
    held = [exprlang.compile(f"a {sign} b").run(env) for sign in ("<", "==", ">")]
    assert held.count(True) == 1


@given(st.lists(st.integers(-9, 9) | st.text(max_size=3) | st.none() | st.booleans()))
def test_uniq_keeps_the_first_of_equals(items: list[Any]) -> None:
    kept = exprlang.compile("uniq(items)").run({"items": items})
    equal = exprlang.compile("a == b")
    assert all(any(equal.run({"a": one, "b": k}) for k in kept) for one in items)
    assert not any(equal.run({"a": a, "b": b}) for at, a in enumerate(kept) for b in kept[at + 1 :])


@given(st.text(max_size=8), st.text(min_size=1, max_size=2))
def test_split_and_join_are_inverse(text: str, by: str) -> None:
    assert exprlang.compile("join(split(text, by), by)").run({"text": text, "by": by}) == text


@given(st.text(alphabet="ab.#[]{}()?:'\"\\|&<>=!+-*/% 1,;\n`é$", max_size=25))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    try:
        exprlang.compile(text).run({"a": {"b": [1]}, "b": "x"})
    except (ConfigError, EvaluationError):
        pass


def test_a_single_equals_sign_says_what_was_meant() -> None:
    with pytest.raises(ConfigError, match="column 8: unexpected '=': write == to compare"):
        exprlang.compile("body.x = 1", "1.17")
