"""Expressions: of event sources, of `if`, of notifications."""

from typing import Any

import pytest
from fuzz_kit import fuzz, mangled, nested, objects, words
from hypothesis import strategies as st

from spine.lang import exprlang
from spine.lang.exprlang import values

WORDS = (
    *("a", "b", "c", "#", ".a", "#index", "#acc", "$env", "nil", "true", "false", "x", "missing"),
    *("0", "1", "2", "1.5", "1e3", "0x1F", "9223372036854775807", "'a'", '"b"', "''", "1..3"),
    *("1..1000000", "+", "-", "*", "/", "%", "**", "==", "!=", "<", ">=", " in ", " not in "),
    *(" and ", " or ", "??", " contains ", " matches ", "!", "not ", "?", ":", "?.", ".", "[", "]"),
    *("(", ")", "{", "}", ",", "|", "let x = ", ";", " ", "len(", "map(", "filter(", "any("),
    *("reduce(", "sum(", "sort(", "groupBy(", "split(", "replace(", "repeat(", "join(", "string("),
    *("toJSON(", "fromJSON(", "date(", "duration("),
)
PIECES = st.sampled_from(
    [
        "a",
        "b.c",
        "a?.b",
        "nil",
        "1",
        "-2",
        "1.5",
        "'a'",
        "[1, 'b', nil]",
        "{a: 1}",
        "1..3",
        "#",
        ".a",
    ]
)
FUNCTIONS = st.sampled_from(
    [
        *["len", "type", "abs", "round", "int", "float", "string", "trim", "upper", "split"],
        *["replace", "repeat", "join", "indexOf", "max", "mean", "toJSON", "fromJSON", "toBase64"],
        *["date", "duration", "first", "last", "get", "take", "keys", "values", "toPairs"],
        *["fromPairs", "sort", "reverse", "uniq", "concat", "flatten", "bitshl"],
    ]
)
CLOSURES = st.sampled_from(
    [
        *["all", "any", "none", "one", "filter", "map", "find", "findIndex", "count", "groupBy"],
        *["sortBy", "reduce", "sum"],
    ]
)
OPERATORS = st.sampled_from(
    [
        *["+", "-", "*", "/", "%", "**", "==", "!=", "<", ">=", "in", "not in", "and", "or", "??"],
        *["..", "contains", "startsWith", "matches"],
    ]
)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("{}({})".format, FUNCTIONS, inner),
        st.builds("{}({}, {})".format, FUNCTIONS, inner, inner),
        st.builds("{}({}, {})".format, CLOSURES, inner, inner),
        st.builds("({} | {}())".format, inner, FUNCTIONS),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("(let v = {}; {})".format, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("-{}".format, inner),
        st.builds("not {}".format, inner),
    )


def sums(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Numbers, as all their parts are."""
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner),
        st.builds(
            "{}([{}, {}])".format, st.sampled_from(["max", "sum", "mean", "len"]), inner, inner
        ),
        st.builds("({} < {} ? {} : {})".format, inner, inner, inner, inner),
        st.builds("sum(map([{}, {}], # * {}))".format, inner, inner, inner),
        st.builds("len(filter(1..9, # != {}))".format, inner),
        st.builds("len(string({}))".format, inner),
        st.builds("(let v = {}; v + {})".format, inner, inner),
        st.builds("({{a: {}}}?.a ?? {})".format, inner, inner),
    )


programs = st.one_of(
    st.recursive(PIECES, grown, max_leaves=8),
    st.recursive(st.sampled_from(["1", "-2", "1.5", "len('a')"]), sums, max_leaves=8),
    mangled(st.recursive(PIECES, grown, max_leaves=5), "()[]{}#.,'\"\\|?:;!&=<>+-*/% 0a\n`$é"),
    words(*WORDS, most=14),
    nested(2000, ("(", ")"), ("[", "]"), ("{a: ", "}"), ("-", ""), ("not ", ""), ("a ? ", " : 1")),
    nested(2000, ("1 + ", ""), ("len(", ")"), ("map(a, ", ")"), ("a.", ""), ("let x = 1; ", "")),
)


@fuzz(programs, objects(), st.sampled_from(["1.15", "1.17"]))
def test_exprlang(text: str, env: dict[str, Any], dialect: Any) -> Any:
    return exprlang.compile(text, dialect).run(env)


growing = st.builds(
    "{}(reduce(1..{}, {}, {}))".format,
    st.sampled_from(
        ["", "string", "toJSON", "flatten", "uniq", "sort", "len", "max", "keys", "first"]
    ),
    st.sampled_from([10, 60, 1000, 19_000]),
    st.sampled_from(
        [
            *["[#acc, #acc]", "[#acc]", "#acc + #acc", "{a: #acc, b: #acc}", "#acc * #acc"],
            *["#acc + [#]", "concat(#acc, #acc)", "repeat(#acc, 9)", "join([#acc, #acc])"],
            *["map(1..#, #acc)", "replace(#acc, 'a', 'aaaa')", "string(#acc)", "toJSON(#acc)"],
            "split(#acc, '')",
        ]
    ),
    st.sampled_from(["[1]", "'a'", "3", "{a: 1}", "nil"]),
)


@fuzz(growing)
def test_exprlang_that_grows(text: str) -> Any:
    """Programs that would fill the memory, with less to spend, so that all of it is spent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "STEPS", 20_000)
        patch.setattr(values, "MEMORY", 20_000)
        exprlang.compile(text).run({})
