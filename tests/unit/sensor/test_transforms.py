"""Transforms: other data, the same event."""

import pytest
from plan_kit import event

from sensor.spec import Transform
from sensor.transforms import Compiled, compile_transform
from spine.errors import ConfigError, TransformError


def compiled(program: str) -> Compiled:
    made = compile_transform(Transform(jq=program))
    assert made is not None
    return made


def test_the_data_changes_and_the_attributes_stay() -> None:
    before = event(data=b'{"b": 1, "a": "<"}', datacontenttype="text/json")
    after = compiled("{a, n: (.b + 1)}").apply(before)
    assert after.data == b'{"a":"\\u003c","n":2}'
    assert (after.id, after.subject, after.time) == (before.id, before.subject, before.time)
    assert after.datacontenttype == "application/json"


def test_an_event_without_data_passes_as_it_is() -> None:
    before = event(data=None)
    assert compiled("{a: 1}").apply(before) is before


def test_nothing_to_do() -> None:
    assert compile_transform(None) is None
    assert compile_transform(Transform()) is None


@pytest.mark.parametrize(
    ("program", "data", "problem"),
    [
        (".", b"[1]", "its data is no JSON object"),
        (".", b"3", "its data is no JSON object"),
        (".", b"", "its data is no JSON object"),
        (".", b"nope", "its data is no JSON object"),
        (".n", b'{"n": 1}', "running jq program '.n' on event '1'"),
        ("empty", b"{}", "running jq program 'empty'"),
        (".", b'{"a":', "running jq program '.'"),
        (".a.b", b'{"a": 1}', "running jq program '.a.b'"),
    ],
)
def test_what_gives_no_object_is_a_fault_of_the_event(
    program: str, data: bytes, problem: str
) -> None:
    with pytest.raises(TransformError) as caught:
        compiled(program).apply(event(data=data))
    assert problem in str(caught.value)


def test_a_program_that_does_not_compile_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="jq"):
        compiled("{a:")


def scripted(script: str) -> Compiled:
    made = compile_transform(Transform(script=script))
    assert made is not None
    return made


def test_lua_changes_the_data_too() -> None:
    before = event(data=b'{"b": 1, "a": "<"}', datacontenttype="text/json")
    after = scripted("return {a = event.a, n = event.b + 1}").apply(before)
    assert after.data == b'{"a":"\\u003c","n":2}'
    assert (after.id, after.datacontenttype) == (before.id, "application/json")
    assert scripted("return {event.b, 'x'}").apply(before).data == b'[1,"x"]'
    nothing = event(data=None)
    assert scripted("return {a = 1}").apply(nothing) is nothing
    assert scripted("event.a = 1 return event").apply(event(data=b" null ")).data == b'{"a":1}'


@pytest.mark.parametrize(
    ("script", "data", "problem"),
    [
        ("return event", b"[1]", "its data is no JSON object"),
        ("return event", b"", "its data is no JSON object"),
        ("return event", b'{"a":', "the data is not JSON"),
        ("return 'x'", b"{}", "it returned a string, not a table"),
        ("local x\nreturn event.a.b", b"{}", "line 2: attempt to index field 'a'"),
        ("return {" + "1, " * 100 + "nil .. 1}", b"{}", "'return {1, 1, 1, 1, 1, 1, 1, 1, 1"),
        ("while true do end", b"{}", "it took too many steps"),
    ],
)
def test_what_lua_cannot_do_is_a_fault_of_the_event(
    script: str, data: bytes, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_PROGRAM_SECONDS", "0.1")
    monkeypatch.setattr("spine.lang.lua.engine._current", None)
    with pytest.raises(TransformError) as caught:
        scripted(script).apply(event(data=data, id="e7"))
    assert problem in str(caught.value)
    assert str(caught.value).startswith(f"running Lua program {script[:9]!r}"[:-1])
    assert "on event 'e7': " in str(caught.value)
    assert len(str(caught.value)) < 250


def test_lua_that_does_not_compile_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"compiling Lua program 'return \{': line 1"):
        scripted("return {")
    with pytest.raises(ConfigError, match=r"os\.execute is not available"):
        scripted("os.execute('id') return event")


def test_jq_wins_over_lua() -> None:
    made = compile_transform(Transform(jq="{a: 1}", script="return {a = 2}"))
    assert made is not None
    assert made.apply(event()).data == b'{"a":1}'


def test_programs_that_may_not_end_are_told_apart() -> None:
    assert compiled("{a: .b.c}").safe
    assert not compiled("def f: f; f").safe
    assert scripted("return {a = event.b.c}").safe
    assert not scripted("while true do end").safe
