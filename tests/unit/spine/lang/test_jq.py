import json
from dataclasses import dataclass
from typing import Any

import jq as libjq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError, jq

BODY = rb"""{"user":{"name":"Ann <a>","id":12345678901234567,"tags":["x","y"]},"n":5,"f":1.50,
 "items":[{"id":1,"q":2},{"id":2},{"id":3,"q":0}],"null":null,"t":true,"text":"a,b;c","z":0}"""


@dataclass(frozen=True)
class Case:
    name: str
    program: str
    made: str

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("a path", "{v: .user.name}", '{"v":"Ann \\u003ca\\u003e"}'),
    Case("a path through nothing", "{v: .nope.deep[0]}", '{"v":null}'),
    Case("keys are sorted", "{b: 1, a: {d: 1, c: 2}}", '{"a":{"c":2,"d":1},"b":1}'),
    Case("numbers are doubles", "{v: .user.id}", '{"v":12345678901234568}'),
    Case(
        "numbers of the program keep their digits",
        "{v: 9007199254740993}",
        '{"v":9007199254740993}',
    ),
    Case("and calculate with them", "{v: (9223372036854775807 * 2)}", '{"v":18446744073709551614}'),
    Case("numbers lose their zeros", "{v: .f, w: 1.0, x: 1e3}", '{"v":1.5,"w":1,"x":1000}'),
    Case("zero has a sign", "{v: (-.z)}", '{"v":-0}'),
    Case(
        "interpolation",
        '{v: "\\(.user.name): \\(.n + 1) \\(.user.tags) \\(null)"}',
        '{"v":"Ann \\u003ca\\u003e: 6 [\\"x\\",\\"y\\"] null"}',
    ),
    Case("the first output", ".items[] | {id}", '{"id":1}'),
    Case("select", "{v: [.items[] | select(.q > 0) | .id]}", '{"v":[1]}'),
    Case("alternative", '{v: (.nope // "d"), w: (.t // 1)}', '{"v":"d","w":true}'),
    Case("condition", '{v: (if .n > 4 then "big" elif .n then "small" else 0 end)}', '{"v":"big"}'),
    Case("condition without else", "{v: (if false then 1 end | .n)}", '{"v":5}'),
    Case(
        "logic",
        "{v: (.t and .null), w: (.t or error), x: (.null | not)}",
        '{"v":false,"w":true,"x":true}',
    ),
    Case(
        "question mark",
        "{v: [.n.x?], w: [.items[].q?], x: [.n[]?]}",
        '{"v":[],"w":[2,null,0],"x":[]}',
    ),
    Case("question mark of the last step only", "{v: (try .n.x.y? catch 1)}", '{"v":1}'),
    Case("try", "{v: (try error({a: 1}) catch .a)}", '{"v":1}'),
    Case("a variable", ".n as $n | {v: [.items[] | .id + $n]}", '{"v":[6,7,8]}'),
    Case("minus and a variable", "{v: (-1 as $x | $x)}", '{"v":-1}'),
    Case("shorthand", '{n, t, "f", "x\\(.n)": 1}', '{"f":1.5,"n":5,"t":true,"x5":1}'),
    Case(
        "a product",
        "[{a: (1, 2), b: (3, 4)}] | {v: .}",
        '{"v":[{"a":1,"b":3},{"a":1,"b":4},{"a":2,"b":3},{"a":2,"b":4}]}',
    ),
    Case(
        "slices",
        "{v: .user.tags[1:], w: .text[:3], x: .user.tags[-1]}",
        '{"v":["y"],"w":"a,b","x":"y"}',
    ),
    Case("assignment", ".n = 6 | {n}", '{"n":6}'),
    Case("assignment makes what is missing", "{} | .a.b[1].c = 1", '{"a":{"b":[null,{"c":1}]}}'),
    Case("update", ".items[].id |= . * 2 | {v: [.items[].id]}", '{"v":[2,4,6]}'),
    Case(
        "update by nothing deletes",
        "(.items[] | select(.id < 3)) |= empty | {items}",
        '{"items":[{"id":3,"q":0}]}',
    ),
    Case(
        "arithmetic update",
        ".n += 1 | .f *= 2 | .nope //= 7 | {n, f, nope}",
        '{"f":3,"n":6,"nope":7}',
    ),
    Case("delete", "del(.user, .items, .null) | keys | {v: .}", '{"v":["f","n","t","text","z"]}'),
    Case("delete elements", "del(.items[0, 2]) | {items}", '{"items":[{"id":2}]}'),
    Case(
        "merge",
        ". * {user: {name: 1}} | .user | {name, id: (.id | type)}",
        '{"id":"number","name":1}',
    ),
    Case(
        "entries",
        'with_entries(select(.value | type == "number")) | keys | {v: .}',
        '{"v":["f","n","z"]}',
    ),
    Case(
        "sorting",
        '{v: ([3, "a", null, [1], {}, true, 1.5, false] | sort)}',
        '{"v":[null,false,true,1.5,3,"a",[1],{}]}',
    ),
    Case("groups", "{v: [.items | group_by(.q > 0)[] | map(.id)]}", '{"v":[[2,3],[1]]}'),
    Case(
        "strings",
        '{v: (.text | split(",") | join("-") | ascii_upcase | ltrimstr("A"))}',
        '{"v":"-B;C"}',
    ),
    Case(
        "tostring",
        '{v: [.n, .f, .user.id, 1e20, "x" | tostring]}',
        '{"v":["5","1.5","12345678901234568","100000000000000000000","x"]}',
    ),
    Case("tojson and back", "{v: (.items | tojson | fromjson | length)}", '{"v":3}'),
    Case(
        "formats",
        '{v: @base64 "\\(.n)", w: ([1, "a\\"b"] | @csv), x: ("a b" | @uri)}',
        '{"v":"NQ==","w":"1,\\"a\\"\\"b\\"","x":"a%20b"}',
    ),
    Case("comments", "{v: 1} # a comment\n", '{"v":1}'),
    Case("keywords as keys", "{if: .null, and: 2} | {v: .and}", '{"v":2}'),
    Case("the environment is empty", "{v: $ENV, w: env}", '{"v":{},"w":{}}'),
    Case("reduce", "{v: (reduce .items[] as $i (0; . + $i.id))}", '{"v":6}'),
    Case("recursion", "def f: if . > 2 then . else (. + 1 | f) end; {v: (1 | f)}", '{"v":3}'),
    Case(
        "regular expressions",
        '{v: (.text | gsub("[,;]"; "")), w: (.text | test("B"; "i"))}',
        '{"v":"abc","w":true}',
    ),
    Case(
        "patterns",
        ". as {user: {name: $n}, items: [$first]} | {v: [$n, $first.id]}",
        '{"v":["Ann \\u003ca\\u003e",1]}',
    ),
    Case("paths", "{v: [paths] | length}", '{"v":21}'),
    Case(
        "doubles",
        '{v: ([.user.id, .f] | map(tojson) | reduce .[] as $x (""; . + $x))}',
        '{"v":"123456789012345681.5"}',
    ),
    Case(
        "dates",
        '{v: (0 | todate), w: (0 | strftime("%Z"))}',
        '{"v":"1970-01-01T00:00:00Z","w":"UTC"}',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_program_makes(case: Case) -> None:
    assert jq.compile(case.program).run(BODY).decode() == case.made


FAILING = {
    ".n": "gave a number, not an object (wrap it: {value: .})",
    ".items": "gave an array, not an object (wrap it: {value: .})",
    ".nope": "gave null, not an object (wrap it: {value: .})",
    "empty": "gave no output",
    ".n.x": "expected an object but got: number (5)",
    ".user[0]": "expected an array but got: object (",
    "{v: (.n + .text)}": 'cannot add: number (5) and string ("a,b;c")',
    "{v: (1 / .z)}": "cannot divide number (1) by: number (0)",
    "{v: nan}": "nan is not a JSON number",
    "{v: (.text | tonumber)}": 'tonumber cannot be applied to "a,b;c": invalid number',
    'error("because")': "because",
    "{(.n): 1}": "expected a string for object key but got: number (5)",
    "{v: [limit(-1; 1)]}": "negative",
    ".items[99999999] = 1": "array index too large",
    '{v: ("abc" * 99999999)}': "repeat string result too long",
    "{} | halt": "halt error",
}


@pytest.mark.parametrize("program", FAILING)
def test_a_program_that_fails_says_why(program: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        jq.compile(program).run(BODY)
    assert FAILING[program] in str(raised.value)


@pytest.mark.parametrize(
    "program",
    [
        "",
        "{a:",
        "{a 1}",
        "[1,]",
        "{a: 1}}",
        ".[",
        "..a",
        ".a..b",
        "if . then 1",
        "try",
        "1 2",
        '"x',
        '"\\q"',
        "nosuch",
        "1 | nosuch(2)",
        'gsub("a")',
        "test",
        "def f(g): g; f",
        "$nope",
        "{a: 1 as $x | $x}",
        "{r: 1} ;",
        'import "a" as a; .',
        'include "a"; .',
        "input",
        "[inputs]",
        "debug",
        "input_line_number",
        "$__loc__",
        "get_search_list",
        "1) | (2",
        "reduce . as $x",
        "." + "|." * 5000,
    ],
    ids=lambda program: program[:20],
)
def test_what_cannot_compile_is_refused(program: str) -> None:
    with pytest.raises(ConfigError, match="compiling jq program") as raised:
        jq.compile(program)
    assert raised.value.hint


WRONG = [
    (".a |", "'.a |': column 5: unexpected end (try it with: tocsin eval jq PROGRAM)"),
    (".a.[ \n", "column 5: unexpected end ("),
    ("{a: .b", "column 7: unexpected end: , is missing"),
    ("if .a then 1", "column 13: unexpected end: end is missing"),
    ("#comment", "column 9: unexpected end ("),
    ("{\n  a: .b +\n}\n", "'}': line 3, column 1: unexpected '}'"),
    ("{\n  a: .b,\n  c: .d |\n", "'c: .d |': line 3, column 10: unexpected end"),
    ('"abc', "column 5: unexpected end: a text is not closed with a quote"),
    (r'"a\qb"', r"column 3: \q is no escape in a text (write \\ for a backslash)"),
    (".a && .b", "column 4: unexpected '&' (write and)"),
    (".a || .b", "column 5: unexpected '|' (write or)"),
    (".a | | .b", "column 6: unexpected '|' (try it with"),
    ("'x'", 'column 1: unexpected "\'" (texts stand in double quotes)'),
    (".a == “x”", "column 7: unexpected '“' (write plain quotes)"),
    ("body.x", 'function not defined: body/0 (write .body for a field, "body" for a text)'),
    ("lenght", "function not defined: lenght/0 (did you mean length)"),
    ("length(1)", "length/1 (there is length/0: a name and its number of arguments)"),
    (". as $total | $totl", "variable not defined: $totl (did you mean $total)"),
    ("input", "input/0 is not allowed (there is one input, the data: .)"),
]


@pytest.mark.parametrize(("program", "told"), WRONG, ids=[repr(p) for p, _ in WRONG])
def test_what_is_wrong_is_told_with_its_place(program: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        jq.compile(program)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[1]", "an array, not an object"),
        (b"5", "a number, not an object"),
        (b'"x"', "a string, not an object"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":1e400}', "too large"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not JSON"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_data_that_is_no_object_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(EvaluationError, match=why):
        jq.compile(".").run(data)


def test_null_passes_as_an_object_without_members() -> None:
    assert jq.compile(".").run(b"null") == b"null"
    assert jq.compile("{a: .x}").run(b"null") == b'{"a":null}'


def test_odd_texts_are_read_as_go_reads_them() -> None:
    data = rb'{"a":1,"a":2,"lone":"\ud83d","<":"\u2028"}'
    assert jq.compile(".").run(data).decode() == '{"\\u003c":"\\u2028","a":2,"lone":"\ufffd"}'


def test_a_program_does_not_change_its_input() -> None:
    value = {"a": [1, {"b": 2}], "s": {"x": 1}}
    before = json.dumps(value)
    jq.compile(".a[1].b = 3 | .s.x += 1 | .c = .s | .c.x = 9 | del(.a[0])").run_value(value)
    assert json.dumps(value) == before


# ---------------------------------------------------------------------------- what is safe

SAFE = [
    ".",
    '{a: .b.c, d: "x\\(.e)"}',
    "[.items[] | select(.q > 1) | {id, q}]",
    ".a += 1 | del(.b)",
    "with_entries(select(.value != null))",
    "{n: (.n * 1000), l: (.items | length)}",
    ". as $d | {a: $d.b}",
    '.items | map(.x // "none") | join(",")',
    ".items[] | . as $i | {x: $i.y}",
    "{a: .x | tojson}",
    '{a: .x | gsub("[^a-z]+"; "-") | sub("x"; "")}',
    '[.items[] | select(.name | test("(a*)*b"; "i"))]',
    '{at: .at | fromdate | todate, day: .at | strftime("%d")}',
]
UNSAFE = [
    "def f: f; f",
    "[limit(9; repeat(1))]",
    "[range(1e9)]",
    "..",
    "[.a[] as $x | .b[] as $y | [$x, $y]]",
    "{a: .x[], b: .y[]}",
    "[.a[] + .b[]]",
    ". as $d | [.items[] | $d]",
    "[.items[] | . * 5000]",
    "|".join(["[., .]"] * 12),
    "|".join(["tojson"] * 5),
    '[.[] | contains("x", "y")] | .[] |= . * .',
    ".a | contains(.b)",
    "[.a[] = .b]",
    'gsub("a*b|a"; "")',
    'gsub(""; "x")',
    'gsub("(?<x>a)"; .x)',
    'test("(a{100}){100}")',
    "test(.pattern)",
    '[match("a"; "g")]',
    "def f: 1; f",
    "until(. > 1; . * 1)",
    "input",
    "reduce .[] as $x (0; . + 1)",
    "[.a[] as $x | .]",
    "if .a[] then . else 1 end",
    ".a[] as [$x] | $x",
    "walk(.)",
    "join(.sep)",
]


@pytest.mark.parametrize("program", SAFE)
def test_programs_that_grow_with_their_input_are_safe(program: str) -> None:
    assert jq.compile(program).safe


@pytest.mark.parametrize("program", UNSAFE)
def test_programs_that_may_explode_are_not(program: str) -> None:
    try:
        assert not jq.compile(program).safe
    except ConfigError:
        assert program == "input"  # refused altogether


# ---------------------------------------------------------------------------- against libjq
# Objects get their keys in order, as libjq goes through them as they were made, gojq sorted.

LITERALS = [
    "1",
    "0",
    "2.5",
    "null",
    "true",
    "false",
    '"a"',
    '"b,c"',
    "[]",
    "{}",
    "[1,2]",
    '{"a":1}',
    '"12"',
]
STEPS = [".a", ".c", "[0]", "[-1]", ".a?", '["a"]', "[1:]", "[]", "[]?"]
WORDS = [
    "length",
    "keys",
    "type",
    "tostring",
    "tojson",
    "tonumber",
    "add",
    "any",
    "all",
    "first",
    "last",
    "reverse",
    "sort",
    "unique",
    "min",
    "max",
    "flatten",
    "to_entries",
    "ascii_downcase",
    "ascii_upcase",
    "floor",
    "ceil",
    "round",
    "not",
    "values",
    "numbers",
    "strings",
    "arrays",
    "objects",
    "scalars",
    "booleans",
    "nulls",
    "empty",
    "@json",
    "@text",
    "@base64",
    "@html",
    "@uri",
]
WITH_VALUE = [
    "has",
    "contains",
    "startswith",
    "endswith",
    "ltrimstr",
    "rtrimstr",
    "split",
    "in",
    "inside",
]
WITH_FILTER = [
    "map",
    "select",
    "first",
    "last",
    "any",
    "all",
    "sort_by",
    "group_by",
    "unique_by",
    "min_by",
    "max_by",
]
SIGNS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "//"]

steps = st.lists(st.sampled_from(STEPS), min_size=1, max_size=3).map(
    lambda parts: "".join(parts) if parts[0].startswith(".") else "." + "".join(parts)
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def form(text: str, *parts: Any) -> st.SearchStrategy[str]:
        return st.tuples(*parts).map(lambda found: text.format(*found))

    words = st.sampled_from
    return st.one_of(
        form("({} | {})", inner, inner),
        form("({}, {})", inner, inner),
        form("({} {} {})", inner, words(SIGNS), inner),
        form("[{}]", inner),
        form("{{a: {}, c: {}}}", inner, inner),
        form("(if {} then {} else {} end)", inner, inner, inner),
        form("({} as $v | [$v, {}])", inner, inner),
        form('"x\\({})-\\({})"', inner, inner),
        form("{}({})", words(WITH_FILTER), inner),
        form("{}({})", words(WITH_VALUE), inner),
        form("({} | {})", inner, words(WORDS)),
        form("(-{})", inner),
        form("({} {} {})", words([".a", ".a.a", ".a[0]"]), words(["=", "|=", "+="]), inner),
        form("del({})", words([".c", ".c.a", ".a[0]"])),
    )


programs = st.recursive(
    st.sampled_from(LITERALS) | steps | st.sampled_from(WORDS) | st.just("."), larger, max_leaves=6
)
values = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -2, 1.5, "a", "b,c", "", "é", "3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner, max_size=1),
    max_leaves=8,
)


def by_libjq(program: str, value: Any) -> Any:
    text = json.dumps(value, sort_keys=True)
    return libjq.compile(f"[first({program})]").input_text(text).first()


@settings(max_examples=200, deadline=None)
@given(programs, values)
def test_closures_agree_with_libjq(program: str, value: Any) -> None:
    """Where both succeed: in what they refuse gojq, which we follow, differs from libjq."""
    ours = jq.compile(f"[first({program})]")
    assert ours.covered
    try:
        made = ours.run_value(value)
        wanted = by_libjq(program, value)
    except (EvaluationError, ValueError):
        return
    assert canonical(made) == canonical(wanted)


def canonical(value: Any) -> Any:
    """Return a value in which doubles that are whole are integers, also in texts."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text.replace("-0.0", "0").replace(".0", "").replace(" ", "")


@settings(deadline=None)
@given(st.text(st.sampled_from('.ab01[]{}()|,:;?"\\$@+-*/%=<>! #é'), max_size=12), values)
def test_any_text_is_a_program_or_refused(text: str, value: Any) -> None:
    try:
        jq.compile(text).run(json.dumps(value).encode())
    except (ConfigError, EvaluationError):
        pass
