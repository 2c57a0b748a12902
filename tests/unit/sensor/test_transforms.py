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


def test_programs_that_may_not_end_are_told_apart() -> None:
    assert compiled("{a: .b.c}").safe
    assert not compiled("def f: f; f").safe
