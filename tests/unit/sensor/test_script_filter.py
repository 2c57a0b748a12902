"""Script filters: true passes, nothing else does, and what fails is a fault."""

import pytest
from plan_kit import dependency, event, plan

from sensor.filters import Filters, compile_filters
from sensor.script_filter import compile_script
from spine.errors import ConfigError, FilterError
from spine.event import Event
from spine.lang.gjson import Document


def passes(script: str, seen: Event) -> bool:
    return compile_script(script).check(seen, Document(seen.data or b"")) is None


@pytest.mark.parametrize(
    ("script", "data", "wanted"),
    [
        ("return event.n > 1", b'{"n": 2}', True),
        ("return event.n > 1", b'{"n": 1}', False),
        ("return 1", b"{}", False),
        ("return 'true'", b"{}", False),
        ("return true, nil", b"{}", False),
        ("return false, true", b"{}", True),
        ("local x", b"{}", False),
        ("return next(event) == nil", b"null", True),
        ("return false", None, True),
        ("error('x')", None, True),
    ],
)
def test_passes(script: str, data: bytes | None, wanted: bool) -> None:
    assert passes(script, event(data=data)) is wanted


@pytest.mark.parametrize(
    ("script", "data", "problem"),
    [
        ("return event.a.b == 1", b"{}", "line 1: attempt to index field 'a'"),
        ("return true", b"[1]", "the data is an array, not an object"),
        ("return true", b"", "the data is not JSON"),
        ("return true", b"5", "the data is a number, not an object"),
        ("error('no')", b"{}", "line 1: no"),
    ],
)
def test_faults(script: str, data: bytes, problem: str) -> None:
    with pytest.raises(FilterError) as caught:
        passes(script, event(data=data, id="e7"))
    assert (
        str(caught.value)
        == f"running Lua program {script!r} on event 'e7': "
        + (str(caught.value).partition("'e7': ")[2])
    )
    assert problem in str(caught.value)


def test_a_reason_says_what_was_asked() -> None:
    seen = event(data=b"{}")
    reason = compile_script("return event.n == 1").check(seen, Document(b"{}"))
    assert reason is not None
    assert reason.code == "Script"
    assert "'return event.n == 1'" in reason.text


def test_what_the_script_does_to_the_event_is_forgotten() -> None:
    seen = event(data=b'{"n": 1}')
    check = compile_script("event.n = event.n + 1 return event.n == 2").check
    assert check(seen, Document(seen.data or b"")) is None
    assert check(seen, Document(seen.data or b"")) is None
    assert seen.data == b'{"n": 1}'


def test_under_or_an_error_is_false_as_with_every_kind() -> None:
    filters = Filters.model_validate(
        {"context": {"type": "webhook"}, "script": "error('x')"}, by_alias=True
    )
    compiled = compile_filters(filters, "or")
    assert compiled is not None
    assert compiled.check(event(), Document(b"{}")) is None
    with pytest.raises(FilterError, match="line 1: x"):
        compiled.check(event(type="other"), Document(b"{}"))


def test_what_may_not_end_belongs_into_a_guard() -> None:
    assert plan(dependency(filters={"script": "return event.n == 1"})).safe
    assert not plan(dependency(filters={"script": "while true do end"})).safe
    assert not plan(dependency(transform={"script": "for i = 1, 2 do end return event"})).safe


def test_what_can_never_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="line 1"):
        compile_script("return = 1")
