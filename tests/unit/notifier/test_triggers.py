"""Conditions of triggers: outcomes, identities, and how they are written."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.triggers import Condition, Trigger, compile_trigger, identity, legacy_key
from notifier.variables import ALWAYS, variables
from spine.errors import ConfigError
from spine.lang import EvaluationError

NAMES = ALWAYS | {"app"}
APP: dict[str, Any] = {
    "kind": "Application",
    "status": {"phase": "Error", "n": 1e6, "list": ["a", "b"], "map": {"z": 1, "a": "b"}},
}
SEND = {"send": ["told"]}


def trigger(*conditions: dict[str, Any]) -> Trigger:
    return compile_trigger("on-x", list(conditions), variables=NAMES)


def condition(**written: Any) -> Condition:
    (one,) = trigger({**SEND, **written}).conditions
    return one


# ---------------------------------------------------------------------------- identity

LEGACY = [
    ("", "[0].2jmj7l5rSw0yVb_vlWAYkK_YBwk"),
    ("true", "[0].X_5TO4MPCKAyY0ipFgr6_IraRNs"),
    ("obj.a == 1", "[0].Aot4zfaDCs9UbtJlcBM7J2oLATM"),
    (
        "any(obj.status?.conditions ?? [], {.type == 'Ready' and .status == 'False'})",
        "[0].qqaSiUyZcoB3DwfcK8pL6UWxeUs",
    ),
]


@pytest.mark.parametrize(("when", "key"), LEGACY)
def test_the_key_that_argo_has(when: str, key: str) -> None:
    assert legacy_key(0, when) == key
    assert condition(when=when).legacy_key == key


def test_the_key_that_argo_has_counts_places() -> None:
    made = trigger({**SEND, "when": "true"}, {**SEND, "when": "true"})

    assert [one.legacy_key[:3] for one in made.conditions] == ["[0]", "[1]"]


def test_a_scalar_is_hashed_as_the_text_that_argo_makes_of_it() -> None:
    assert condition(when=True).legacy_key == legacy_key(0, "true")
    assert condition(when=None).legacy_key == legacy_key(0, "")


SAME = [
    "obj.a == 'x' and obj.b > 1",
    'obj.a=="x"   and\n obj.b>1',
    "obj.a == 'x' /* why */ and obj.b > 1 // so",
]


@pytest.mark.parametrize("when", SAME)
def test_spaces_quotes_and_comments_do_not_change_an_identity(when: str) -> None:
    assert condition(when=when).id == condition(when=SAME[0]).id


@pytest.mark.parametrize("when", ["obj.a == 'x' and obj.b > 2", "obj.a == 'x'", "obj.ab == 1"])
def test_another_meaning_is_another_identity(when: str) -> None:
    assert condition(when=when).id != condition(when=SAME[0]).id


def test_once_per_is_a_part_of_the_identity() -> None:
    assert condition(when="true", oncePer="obj.a").id != condition(when="true").id


def test_order_and_what_is_sent_are_no_part_of_the_identity() -> None:
    first, second = {"when": "obj.a", "send": ["x"]}, {"when": "obj.b", "send": ["y"]}

    one, other = trigger(first, second), trigger(second, {**first, "send": ["z"]})

    assert {c.id for c in one.conditions} == {c.id for c in other.conditions}


def test_equal_conditions_of_one_trigger_have_two_identities() -> None:
    made = trigger({**SEND, "when": "true"}, {**SEND, "when": " true "}, {**SEND, "when": "true"})

    first, second, third = (one.id for one in made.conditions)
    assert (second, third) == (f"{first}-2", f"{first}-3")


def test_an_identity_may_be_written_out() -> None:
    made = trigger({**SEND, "when": "obj.a", "id": "down"}, {**SEND, "when": "obj.b", "id": 7})

    assert [one.id for one in made.conditions] == ["down", "7"]


def test_an_identity_is_written_once() -> None:
    with pytest.raises(ConfigError, match=r"\[1\]\.id: 'down' is the id of another condition"):
        trigger({"when": "obj.a", "id": "down"}, {"when": "obj.b", "id": "down"})


WORDS = st.sampled_from(["obj", ".", "a", "==", "'x'", "1", "(", ")", "and", "not", "in"])


@given(st.lists(WORDS, max_size=8), st.sampled_from([" ", "  ", "\n", " /* so */ "]))
def test_an_identity_is_that_of_the_words(words: list[str], between: str) -> None:
    assert identity(between.join(words), "") == identity(" ".join(words), "")


# ---------------------------------------------------------------------------- outcomes

OUTCOMES = [
    ("app.status.phase == 'Error'", True),
    ("app.status.phase == 'Fine'", False),
    ("app.status.phase", False),
    ("1", False),
    ("nil", False),
    ("'true'", False),
    ("", False),
    ("app.status.ready and true", False),
]


@pytest.mark.parametrize(("when", "wanted"), OUTCOMES, ids=str)
def test_only_true_is_true(when: str, wanted: bool) -> None:
    assert condition(when=when).look(variables(APP, alias="app")) is wanted


def test_an_error_is_neither_true_nor_false() -> None:
    look = condition(when="app.status.operationState.phase == 'Error'").look

    assert look(variables(APP, alias="app")) == (
        "cannot fetch phase from <nil>: app.status.operationState is nil: "
        "write app.status.operationState?.phase"
    )


ONCE = [
    ("app.status.phase", "Error"),
    ("app.status.n", "1e+06"),
    ("app.status.list", "[a b]"),
    ("app.status.map", "map[a:b z:1]"),
    ("app.status.none", "<nil>"),
    ("1 == 1", "true"),
    ("time.Hour + time.Minute", "1h1m0s"),
    (5, "5"),
    (None, ""),
    ("", ""),
]


@pytest.mark.parametrize(("once", "wanted"), ONCE, ids=str)
def test_once_per_is_printed_as_go_does(once: Any, wanted: str) -> None:
    assert condition(when="true", oncePer=once).once(variables(APP, alias="app")) == wanted


def test_once_per_may_fail() -> None:
    with pytest.raises(EvaluationError, match=r"write app\.status\.sync"):
        condition(when="true", oncePer="app.status.sync.revision").once(variables(APP, alias="app"))


# ---------------------------------------------------------------------------- what it reads


def test_fields_of_a_condition_are_those_of_both_expressions() -> None:
    one = condition(when="obj.a.b == 1", oncePer="app.a.c")

    assert one.fields == {("a", "b"), ("a", "c")}
    assert one.reads.roots == {"obj", "app"}
    assert not one.reads_clock


def test_all_is_read_where_one_expression_reads_all() -> None:
    assert condition(when="obj.a == 1", oncePer="toJSON(obj)").fields is None


def test_a_condition_that_reads_the_clock_says_so() -> None:
    one = condition(when="time.Now().Sub(health.since).Minutes() > 5")

    assert one.reads_clock
    assert any("it reads the clock" in text for text in one.warnings)


# ---------------------------------------------------------------------------- as it is written


def test_all_fields() -> None:
    one = condition(
        When="true", DESCRIPTION=5, **{"for": "5m", "repeatEvery": "1h30m"}, sendResolved=["over"]
    )

    assert (one.when, one.description, one.send) == ("true", "5", ("told",))
    assert (one.hold, one.repeat_every, one.resolved) == (300.0, 5400.0, ("over",))
    assert not one.warnings


@pytest.mark.parametrize(
    ("written", "wanted"), [(True, ()), (False, None), (None, None), (["a"], ("a",)), ([], None)]
)
def test_news_that_it_is_over(written: Any, wanted: tuple[str, ...] | None) -> None:
    assert condition(when="true", sendResolved=written).resolved == wanted


def test_a_mapping_is_taken_for_the_only_condition() -> None:
    made = compile_trigger("x", {"when": "true", **SEND}, variables=NAMES)  # type: ignore[arg-type]  # what users write

    assert len(made.conditions) == 1
    assert made.warnings == ("a trigger is a list of conditions: begin it with -",)


@dataclass(frozen=True)
class Wrong:
    name: str
    conditions: Any
    says: str

    def __str__(self) -> str:
        return self.name


WRONG = [
    Wrong("no list", "x", "compiling trigger 'on-x': it is no list of conditions"),
    Wrong("no mapping", ["x"], "[0]: a condition is a mapping, not str"),
    Wrong("second", [{"when": "true"}, {"when": "a ="}], "compiling trigger 'on-x': [1].when: "),
    Wrong("place", [{"when": "obj.a ==\n == 2"}], "line 2, column 2"),
    Wrong("once", [{"when": "true", "oncePer": "("}], "[0].oncePer: compiling"),
    Wrong("function", [{"when": "lenn(obj.x) > 1"}], "did you mean len?"),
    Wrong("secrets", [{"when": "secrets.x == 'y'"}], "only templates have .secrets"),
    Wrong("when a list", [{"when": ["a"]}], "[0].when: it is a text, not a list"),
    Wrong("send a map", [{"send": {"a": 1}}], "[0].send: it is a list of names"),
    Wrong("for", [{"when": "true", "for": "5 minutes"}], "[0].for: "),
    Wrong("for how", [{"when": "true", "for": "5"}], "write it as 5m or 1h30m"),
    Wrong("less", [{"when": "true", "for": "-5m"}], "-5m is less than nothing"),
]


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_what_is_wrong_is_said_with_its_place(case: Wrong) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_trigger("on-x", case.conditions, variables=NAMES)

    assert case.says in str(caught.value)


DOUBTFUL = [
    Wrong("no when", [SEND], "[0]: without when it is never met"),
    Wrong("the trap", [{"oncePer": "obj.a", **SEND}], "begin only the first line"),
    Wrong("no send", [{"when": "true"}], "[0].send: it names no template"),
    Wrong("scalar", [{"when": "true", "send": "a"}], "[0].send: Argo wants a list here"),
    Wrong(
        "field",
        [{"wen": "true", "when": "true", **SEND}],
        "[0].wen: unknown field ignored (did you mean when)",
    ),
    Wrong(
        "expression", [{"when": "obj?.a.b == 1", **SEND}], "[0].when: obj?.a.b: ?. guards obj only"
    ),
    Wrong(
        "volatile",
        [{"when": "true", "oncePer": "app.metadata.resourceVersion", **SEND}],
        "[0].oncePer: oncePer reads app.metadata.resourceVersion",
    ),
    Wrong("clock", [{"when": "true", "oncePer": "now()", **SEND}], "never is the same twice"),
]


@pytest.mark.parametrize("case", DOUBTFUL, ids=str)
def test_what_is_doubtful_is_a_warning(case: Wrong) -> None:
    found = compile_trigger("on-x", case.conditions, variables=NAMES).warnings

    assert [case.says in text for text in found] == [True], found
