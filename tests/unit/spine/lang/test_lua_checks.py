"""Checks in Lua: what they see and are given, what of their answer counts, and their bounds."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError, lua
from spine.lang.lua import checks
from spine.lang.lua.engine import Ended

OBJECT = {
    "kind": "Thing",
    "metadata": {"name": "a", "generation": 3, "labels": {"x": "y"}, "nothing": None},
    "status": {"list": [1, None, [2, 3]], "text": "é", "half": 0.5, "yes": True, "empty": []},
}


@dataclass(frozen=True)
class Case:
    source: str
    wanted: Any
    libraries: bool = False
    obj: dict[str, Any] = field(default_factory=lambda: OBJECT)

    def __str__(self) -> str:
        return self.source


GIVES = [
    # what comes in
    Case("return {a = obj.status.list[2][1], n = #obj.status.list}", {"a": 2, "n": 2}),
    Case("return {a = obj.metadata.nothing == nil, b = obj.spec == nil}", {"a": True, "b": True}),
    Case("return {a = tostring(obj.metadata.generation), b = obj.status.text}",
         {"a": "3", "b": "é"}),
    Case("return {a = next(actionParams) == nil, e = event == nil}", {"a": True, "e": True}),
    Case("return {a = next(obj.status.empty) == nil}", {"a": True}),
    Case("local o = obj return {a = o.metadata.name}", {"a": "a"}),
    Case("return {a = obj['metadata'].name}", {"a": "a"}),
    Case("local n = 0 for k in pairs(obj.metadata) do n = n + 1 end return {n = n}", {"n": 3}),
    Case("obj.status.text = 'x' return {a = obj.status.text, b = obj.metadata.name}",
         {"a": "x", "b": "a"}),
    Case("obj.status.text = 'x' return {a = obj.metadata.name}", {"a": "a"}),
    Case("return {a = _G.obj.metadata.name}", {"a": "a"}),
    Case("local f = loadstring('return obj.status.half') return {a = f()}", {"a": 0.5}),
    Case("function f(x) return x.metadata.labels.x end return {a = f(obj)}", {"a": "y"}),
    Case("return {a = obj.n}", {"a": 2.0**63}, obj={"n": 2**63}),
    Case("return {a = obj.n}", {"a": 2.0**70}, obj={"n": 2**70}),
    Case("return {a = obj.n == 2^53}", {"a": True}, obj={"n": 2**53}),
    Case("return {a = obj.s}", {"a": "\ufffd"}, obj={"s": "\ud800"}),
    # what comes out
    Case("return 1, 'two', {a = 1}", {"a": 1}),
    Case("return {a = 1}, nil", None),
    Case("return", None),
    Case("hs = {}", None),
    Case("hs = {} return hs", {}),
    Case("return {1, 2}", [1, 2]),
    Case("return {a = '\\255'}", {"a": "\ufffd"}),
    # what is given
    Case("return {string == nil, math == nil, os == nil, io == nil, coroutine == nil}", [True] * 5),
    Case("return {a = require('os').time() > 0, b = require('os').getenv == nil}",
         {"a": True, "b": True}),
    Case("return {a = table.concat({1, 'x'}, ','), b = table.getn({1, 2})}", {"a": "1,x", "b": 2}),
    Case("return {a = ('x'):upper(), b = string.format('%d', 3), c = math.floor(1.5)}",
         {"a": "X", "b": "3", "c": 1}, libraries=True),
    Case("for i = 1, 2 do if i == 1 then goto continue end do return {i = i} end ::continue:: end",
         {"i": 2}),
]  # fmt: skip


@pytest.mark.parametrize("case", GIVES, ids=str)
def test_checks(case: Case) -> None:
    check = checks.compile(case.source, libraries=case.libraries)

    assert check.run(case.obj) == case.wanted
    assert check.run(case.obj) == case.wanted  # nothing is left of the first run


FAILS = [
    Case("return 'Healthy'", "it returned a string, not a table"),
    Case("return obj.x.y", "attempt to index field 'x'"),
    Case("return {a = ('x'):upper()}", "attempt to index a string value"),
    Case("return {a = string.rep('x', 3)}", "attempt to index global 'string'"),
    Case("require('io')", "module io is not available to programs in manifests"),
    Case("return {f = print}", "a function cannot be part of what is returned"),
    Case("error('no')", "no"),
    Case("return {a = obj.status.text < 3}", "attempt to compare"),
]


@pytest.mark.parametrize("case", FAILS, ids=str)
def test_failing_checks_say_why(case: Case) -> None:
    with pytest.raises(EvaluationError, match=case.wanted) as caught:
        checks.compile(case.source).run(OBJECT)
    assert not isinstance(caught.value, Ended)


@pytest.mark.parametrize("libraries", [False, True])
@pytest.mark.parametrize(
    "source",
    [
        "while true do end",
        "local function f() return f() end f()",
        "local t = {} while true do t[#t + 1] = t end",
        "local s = 'x' while true do s = s .. s end",
        "pcall(function() while true do end end) return {status = 'Healthy'}",
        "local t = {} for i = 1, 1e9 do t[i] = 'x' .. i end",
    ],
)
def test_a_check_without_end_is_ended(source: str, libraries: bool) -> None:
    check = checks.compile(source, libraries=libraries)

    with pytest.raises(Ended):
        check.run(OBJECT)
    assert checks.compile("return {a = 1}").run({}) == {"a": 1}  # what comes after has a machine


def test_what_a_check_is_not_given_others_still_have() -> None:
    upper = "return {a = ('x'):upper()}"
    for _ in range(2):
        with pytest.raises(EvaluationError):
            checks.compile(upper).run({})
        assert checks.compile(upper, libraries=True).run({}) == {"a": "X"}
        with pytest.raises(EvaluationError):
            checks.compile(upper).run({})
        assert lua.compile(upper).run(b"{}") == b'{"a":"X"}'


@pytest.mark.parametrize("source", ["dofile('/etc/passwd')", "loadfile('x')", "os.execute('id')"])
def test_what_reaches_out_does_not_compile(source: str) -> None:
    with pytest.raises(ConfigError, match="is not available to programs in manifests"):
        checks.compile(source, libraries=True)


def test_a_check_is_compiled_once_for_each_source_and_libraries() -> None:
    source = "return {only = 'here'}"

    assert checks.compile(source) is checks.compile(source)
    assert checks.compile(source) is not checks.compile(source, libraries=True)


def test_libraries_that_are_mentioned_and_not_given_are_known() -> None:
    source = "local math = {} return {a = string.upper('x'), b = os.time(), c = math.x}"

    assert checks.compile(source).absent == ("os", "string")
    assert checks.compile(source, libraries=True).absent == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("aé\n", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON))
def test_a_check_that_names_what_it_reads_sees_what_one_does_that_is_given_all(obj: dict) -> None:
    parts = checks.compile("local t = type(obj.a) == 'table' and obj.a.b return {t, obj.b}")
    whole = checks.compile("local o = obj local t = type(o.a) == 'table' and o.a.b return {t, o.b}")

    assert parts.run(obj) == whole.run(obj)
