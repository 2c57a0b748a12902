"""jq: any program on any value ends, within its budget, in a value or in a fault."""

import json
from typing import Any
from unittest import mock

from fuzz_kit import fuzz, json_values, mangled, nested, objects
from hypothesis import strategies as st

from spine.lang import jq
from spine.lang.jq import code, engine
from spine.lang.jq.nodes import words

_TERMS = (
    *sorted(
        words(
            ". .a .a? .[0] .[-1] .[] .[]? .[1:] .. .a.b null true 1 0 -1 2.5 1e300 nan infinite "
            "[] {} length keys type tostring tojson tonumber fromjson add any all first last "
            "reverse sort unique min flatten to_entries from_entries ascii_upcase trim floor "
            "round abs not values numbers strings scalars empty error explode implode toboolean "
            "transpose gmtime mktime todate fromdate tostream paths recurse combinations isnan "
            "sqrt frexp log @json @base64 @base64d @uri @csv @sh env $ENV halt now builtins "
            "utf8bytelength"
        )
    ),
    '"a"',
    '"a,b"',
    '"[a-c]*"',
    '"(?<x>.)"',
    '"%Y-%m-%d"',
    '{"a":1}',
    "[1,2]",
    "[0,1e9]",
)
_OF_VALUE = sorted(
    words(
        "has in contains inside startswith ltrimstr trimstr split join nth index indices "
        "bsearch format test scan capture match splits getpath delpaths strftime strptime "
        "flatten range combinations error"
    )
)
_OF_FILTER = sorted(
    words(
        "map select first last any all sort_by group_by unique_by min_by map_values "
        "with_entries walk recurse path paths del pick isempty add repeat INDEX IN"
    )
)
_OF_TWO = sorted(
    words("limit skip nth until while setpath sub gsub split test range pow recurse IN")
)
_SIGNS = ("+", "-", "*", "/", "%", "==", "<", "and", "or", "//", "|", ",", "|=", "=", "+=", "//=")


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def form(text: str, *parts: Any) -> st.SearchStrategy[str]:
        return st.builds(text.format, *parts)

    one = st.sampled_from
    return st.one_of(
        form("({} {} {})", inner, one(_SIGNS), inner),
        form("{}({})", one(_OF_VALUE), inner),
        form("{}({})", one(_OF_FILTER), inner),
        form("{}({}; {})", one(_OF_TWO), inner, inner),
        form("[{}]", inner),
        form("{{a: {}, b: {}}}", inner, inner),
        form("(if {} then {} else {} end)", inner, inner, inner),
        form("({} as $v | [$v, {}])", inner, inner),
        form("({} as [$v, {{a: $w}}] ?// $v | [$v, $w, {}])", inner, inner),
        form("(reduce {} as $v ({}; {}))", inner, inner, inner),
        form("[foreach {} as $v ({}; {}; [$v, .])]", inner, inner, inner),
        form("(try {} catch {})", inner, inner),
        form("(label $f | {}, break $f)", inner),
        form("(def f: {}, f; first(f))", inner),
        form("(def f($v; g): {} | g; f({}; {}))", inner, inner, inner),
        form('"x\\({})@"', inner),
    )


programs = st.one_of(
    mangled(
        st.recursive(st.sampled_from(_TERMS), larger, max_leaves=6),
        '.ab01[]{}()|,:;?"\\$@+-*/%=<>! #é',
    ),
    nested(
        1200,
        ("(", ")"),
        ("[", "]"),
        ("{a:", "}"),
        ("try ", ""),
        ("-", ""),
        (".|", ""),
        ("def f: ", ";"),
    ),
)


def compiled(text: str) -> jq.Program:
    """Return a program that never turns to libjq, which is for a process that can be killed."""
    with mock.patch.object(engine, "compile_program", side_effect=engine.CompileFault):
        return jq.compile.__wrapped__(text)


few_steps = mock.patch.object(code, "_MOST_STEPS", 20_000)
"""What has no end should reach the end of its budget soon: there are many programs."""


quiet = st.one_of(programs, programs.map("[({})?]".format))
"""Half of them go on where they fail: most functions take few types."""


@fuzz(quiet, json_values(6), cpu=5.0, size=8_000_000, useful=0.1)
def test_jq(text: str, value: Any) -> Any:
    before = json.dumps(value)
    program = compiled(text)
    try:
        with few_steps:
            return program.run_value(value)
    finally:
        assert json.dumps(value) == before  # what was given is never changed


@fuzz(quiet.map("{{v: ({})}}".format), objects(), cpu=5.0, size=8_000_000, useful=0.1)
def test_jq_transform(text: str, value: Any) -> Any:
    program = compiled(text)
    with few_steps:
        return json.loads(program.run(json.dumps(value).encode()))
