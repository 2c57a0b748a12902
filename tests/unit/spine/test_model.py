"""Models: strict for who writes, lenient for who was handed something, and clear to both."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, field_validator, model_validator

from spine.errors import ConfigError
from spine.model import InvalidModel, Model, OneOf, Problem, dotted, load, warn
from spine.warned import Warned


class Login(Model):
    user_name: str
    """Who."""
    password: str = ""


class Either(OneOf):
    http: Login | None = None
    argo_workflow: Login | None = None


class Spec(Model):
    dead_keys: ClassVar = {"oldThing": "write newThing"}

    event_name: str = ""
    count: Annotated[int, Field(ge=1)] = 1
    ratio: int | float = 0
    token: str = ""
    login: Login | None = None
    logins: list[Login] = []
    named: dict[str, Login] = {}
    either: Either | None = None
    anything: dict[str, Any] = {}

    @field_validator("event_name")
    @classmethod
    def _lower(cls, name: str) -> str:
        if name == "odd":
            warn("eventName: odd name")
        if name.isupper():
            raise ValueError("write it in lower case")
        return name


def problems(raw: Any, **options: Any) -> list[str]:
    with pytest.raises(InvalidModel) as caught:
        load(Spec, raw, **options)
    return [str(p) for p in caught.value.problems]


@dataclass(frozen=True)
class Case:
    name: str
    raw: Any
    says: str

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("unknown", {"evntName": "x"}, "evntName: unknown field (did you mean eventName)"),
    Case("unknown and far", {"zzz": 1}, "zzz: unknown field"),
    Case("deep", {"login": {"userName": "x", "pasword": "y"}},
         "login.pasword: unknown field (did you mean password)"),
    Case("in a list", {"logins": [{"userName": "x"}, {"usrName": "x", "userName": "y"}]},
         "logins[1].usrName: unknown field (did you mean userName)"),
    Case("in a map", {"named": {"a": {"userName": 3}}},
         "named.a.userName: 3: input should be a valid string"),
    Case("missing", {"login": {}}, "login.userName: required field is missing"),
    Case("null is missing", {"login": {"userName": None}},
         "login.userName: required field is missing"),
    Case("type", {"count": "many"}, "count: 'many': input should be a valid integer"),
    Case("bound", {"count": 0}, "count: 0: input should be greater than or equal to 1"),
    Case("own words", {"eventName": "LOUD"}, "eventName: 'LOUD': write it in lower case"),
    Case("boolean", {"eventName": True}, "eventName: true: input should be a valid string"),
    Case("union", {"ratio": "x"}, "ratio: 'x': input should be a valid"),
    Case("long value", {"count": "x" * 100}, "count: '" + "x" * 56 + "...: input should be"),
    Case("none of several", {"either": {}},
         "either: set exactly one of: http, argoWorkflow (got none)"),
    Case("two of several", {"either": {"http": {"userName": "x"},
                                       "argoWorkflow": {"userName": "x"}}},
         "either: set exactly one of: http, argoWorkflow (got argo_workflow, http)"),
    Case("no map", [], "input should be a valid dictionary or instance of Spec"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_wrong_is_said_with_path_value_and_way_out(case: Case):
    found = problems(case.raw)

    assert any(case.says in text for text in found), found


def test_all_problems_are_told_at_once():
    found = problems({"count": 0, "zzz": 1, "login": {}})

    assert len(found) == 3


@pytest.mark.parametrize("key", ["password", "token", "clientSecret", "accessToken"])
def test_a_rejected_credential_is_not_shown(key):
    class Holder(Model):
        password: int = 0
        token: int = 0
        client_secret: int = 0
        access_token: int = 0

    with pytest.raises(InvalidModel) as caught:
        load(Holder, {key: "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_the_error_names_the_document_and_is_the_users_to_mend():
    with pytest.raises(ConfigError, match=r"Sensor x: count: 0: input should be"):
        load(Spec, {"count": 0}, what="Sensor x")


def test_keys_in_another_case_are_taken_with_a_warning():
    told: list[str] = []

    spec = load(Spec, {"EVENTNAME": "x", "login": {"username": "y"}}, on_warning=told.append)

    assert (spec.event_name, spec.login and spec.login.user_name) == ("x", "y")
    assert told == ["EVENTNAME: write eventName", "username: write userName"]


def test_two_cases_of_a_key_are_not_guessed():
    assert problems({"eventName": "x", "EventName": "y"}) == [
        "EventName: unknown field (did you mean eventName)"
    ]


def test_dead_keys_are_ignored_with_their_reason():
    told: list[str] = []

    load(Spec, {"oldThing": 1}, on_warning=told.append)

    assert told == ["oldThing: ignored: write newThing"]


def test_a_process_that_was_handed_an_object_only_warns_of_unknown_fields():
    told: list[str] = []
    raw = {"evntName": "x", "logins": [{"userName": "x", "tomorrow": 1}]}

    spec = load(Spec, raw, lenient=True, on_warning=told.append)

    assert len(spec.logins) == 1
    assert told == [
        "evntName: unknown field ignored (did you mean eventName)",
        "tomorrow: unknown field ignored",
    ]
    assert problems({"count": 0}, lenient=True), "wrong values stay wrong"


def test_validators_can_warn_and_warnings_do_not_leak_into_the_next_load():
    told: list[str] = []
    load(Spec, {"eventName": "odd"}, on_warning=told.append)
    load(Spec, {}, on_warning=told.append)

    assert told == ["eventName: odd name"]
    warn("outside of any load: nobody hears it")


def test_null_is_absent_as_in_go_but_not_inside_of_free_content():
    either = {"http": {"userName": "x"}, "argoWorkflow": None}
    raw = {"count": None, "login": None, "either": either, "anything": {"a": None}}

    spec = load(Spec, raw)

    assert spec.count == 1
    assert spec.either is not None
    assert spec.either.value.user_name == "x"
    assert spec.anything == {"a": None}
    assert raw["count"] is None, "the given document was changed"


def test_models_cannot_be_changed():
    with pytest.raises(Exception, match="frozen"):
        Spec().count = 2  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("spec", "triggers", 0, "template"), "spec.triggers[0].template"), ((0,), "[0]")],
)
def test_paths_are_written_with_dots(path, text):
    assert dotted(path) == text
    assert str(Problem(path, "wrong")) == (f"{text}: wrong" if text else "wrong")


class Part(Model):
    old: str = ""
    new: str = ""
    deeper: "Part | None" = None

    @field_validator("old")
    @classmethod
    def _old(cls, text: str) -> str:
        if text == "x":
            warn("old: write new")
        return text

    @model_validator(mode="after")
    def _both(self) -> "Part":
        if self.old and self.new:
            warn("new, old: one is enough")
        return self


class Whole(Model):
    parts: list[Part] = []
    named: dict[str, Part] = {}


def test_a_warning_knows_where_it_stands():
    document = {
        "parts": [
            {"old": "y"},
            {"old": "x"},
            {"new": "1", "old": "2", "x": 1},
            {"OLD": "z", "new": None},
        ],
        "named": {"a": {"old": "y", "new": "z", "deeper": {"old": "x"}}, "b": {"deeper": {"q": 1}}},
    }
    told: list[Warned] = []

    load(Whole, document, lenient=True, on_warning=told.append)

    assert [(one.path, str(one)) for one in told] == [
        (("parts", 1, "old"), "old: write new"),
        (("parts", 2, "x"), "x: unknown field ignored"),
        (("parts", 2, "new"), "new, old: one is enough"),
        (("parts", 3, "OLD"), "OLD: write old"),
        (("named", "a", "deeper", "old"), "old: write new"),
        (("named", "a", "new"), "new, old: one is enough"),
        (("named", "b", "deeper", "q"), "q: unknown field ignored"),
    ]


def test_a_warning_about_what_is_not_in_the_document_has_no_place():
    class Absent(Model):
        one: str = ""

        @model_validator(mode="after")
        def _told(self) -> "Absent":
            warn("other: is not there")
            return self

    told: list[Warned] = []
    load(Absent, {"one": "x"}, on_warning=told.append)
    assert [(one.path, str(one)) for one in told] == [(None, "other: is not there")]
