"""`tocsin wait` without a cluster: its words, its goals, and what it knows of objects."""

import json
from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from notifier.health import HealthRules
from spine.errors import ConfigError
from spine.kube import Change, Page
from spine.kube.watch import Item, Meta
from tocsin.board import Board
from tocsin.goals import Look, Seen, goal
from tocsin.wait import _objects, command

RULES = HealthRules()


def thing(name: str = "one", generation: int = 0, **status: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns", "generation": generation}
    return {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": meta, "status": status}


def look(text: str, obj: dict[str, Any]) -> Look:
    return goal(text).look(Seen(obj, json.dumps(obj).encode(), RULES.check(obj)))


# ---------------------------------------------------------------------------- goals


@dataclass(frozen=True)
class Case:
    goal: str
    obj: dict[str, Any]
    wanted: Look

    def __str__(self) -> str:
        return f"{self.goal} {self.obj.get('status')}"


def condition(status: str, **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, **more}]}


MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}}
OLD = thing(generation=2, **condition("True", observedGeneration=1))
LISTED = thing(phase="Ready", list=[{"k": "a=b", "v": 1}, {"k": "c", "v": 2}], on=True)

READY, NONE = "its phase is Ready", "its kind has no health"
NOTHING = "nothing in its status says how it is"
LOOKS = [
    Case("health=Healthy", thing(phase="Ready"), Look(True, "Healthy", READY)),
    Case("health", thing(phase="Ready"), Look(True, "Healthy", READY)),
    Case("health=healthy", thing(phase="Pending"),
         Look(False, "Progressing", "its phase is Pending")),
    Case("health=Healthy", thing(phase="Failed", message="m"), Look(False, "Degraded", "m", True)),
    Case("health=Suspended", thing(phase="Failed"),
         Look(False, "Degraded", "its phase is Failed", True)),
    Case("health=Healthy", thing(odd=1), Look(False, "no health", NOTHING)),
    Case("health=Degraded", thing(phase="Failed", message="m"), Look(True, "Degraded", "m")),
    Case("health=Healthy", MAP, Look(True, "exists", NONE)),
    Case("health=Degraded", MAP, Look(False, "exists", NONE)),
    Case("health=Missing", thing(phase="Ready"), Look(False, "Healthy", READY)),
    Case("condition=Ready", thing(**condition("True", message="m")), Look(True, "Ready=True", "m")),
    Case("condition=ready", thing(**condition("True")), Look(True, "ready=True", "")),
    Case("condition=Ready", thing(**condition("False", reason="r")),
         Look(False, "Ready=False", "r")),
    Case("condition=Ready=false", thing(**condition("False")), Look(True, "Ready=False", "")),
    Case("condition=Ready", OLD, Look(False, "Ready=True", "of an older spec")),
    Case("condition=Up", thing(phase="Ready"), Look(False, "no condition Up", READY)),
    Case("condition=Up", thing(conditions="odd"), Look(False, "no condition Up", NOTHING)),
    Case("field=status.phase=Ready", LISTED, Look(True, "status.phase=Ready", READY)),
    Case("field=status.phase==Ready", LISTED, Look(True, "status.phase=Ready", READY)),
    Case("field=status.phase=Up", LISTED, Look(False, "status.phase=Ready", READY)),
    Case('field=status.list.#(k=="a=b").v=1', LISTED,
         Look(True, 'status.list.#(k=="a=b").v=1', READY)),
    Case("field=status.on=true", LISTED, Look(True, "status.on=true", READY)),
    Case("field=status.on", LISTED, Look(True, "status.on=true", READY)),
    Case("field=status.off", LISTED, Look(False, "no status.off", READY)),
    Case("field=$.status.phase=Ready", LISTED, Look(True, "$.status.phase=Ready", READY)),
    Case("field=data.a=b", MAP, Look(True, "data.a=b", NONE)),
    Case("exists", thing(phase="Failed", message="m"), Look(True, "Degraded", "m")),
    Case("deleted", thing(phase="Failed", message="m"), Look(False, "Degraded", "m")),
]  # fmt: skip


@pytest.mark.parametrize("case", LOOKS, ids=str)
def test_goals(case: Case) -> None:
    assert look(case.goal, case.obj) == case.wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("health=Helthy", "did you mean Healthy?"),
        ("health=x", "it is one of Healthy, Suspended"),
        ("helth=Healthy", "did you mean health?"),
        ("nothing", "write one of health, condition, field, exists, deleted"),
        ("condition", "write condition=NAME"),
        ("field", "write field=PATH=VALUE"),
        ("exists=yes", "exists takes no value"),
        ("deleted=1", "deleted takes no value"),
    ],
)
def test_goals_that_are_none_say_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        goal(text)
    assert said in caught.value.message


def test_a_path_that_is_none_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        goal("field=$[=x")


# ---------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("words", "selector", "wanted"),
    [
        (("deploy/web", "svc/web"), "", (("deploy", "web"), ("svc", "web"))),
        (("deploy", "web", "api"), "", (("deploy", "web"), ("deploy", "api"))),
        (("deploy",), "app=web", (("deploy", ""),)),
        (("deploy", "svc"), "app=web", (("deploy", ""), ("svc", ""))),
        (("deployments.v1.apps/web",), "", (("deployments.v1.apps", "web"),)),
    ],
)
def test_objects(words: tuple[str, ...], selector: str, wanted: object) -> None:
    assert _objects(words, selector) == wanted


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["deploy"], "give KIND/NAME"),
        (["deploy/"], "give KIND/NAME"),
        (["deploy/a/b"], "give KIND/NAME"),
        (["deploy/web", "svc"], "give KIND/NAME"),
        (["deploy/web", "-l", "app=web"], "a name and -l together"),
        (["deploy/web", "--timeout", "-5m"], "write a time such as 5m"),
        (["deploy/web", "--for", "gone"], "there is no 'gone' to wait for"),
        ([], "Missing argument"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_asked(words: list[str], said: str) -> None:
    done = CliRunner().invoke(command, words)

    assert done.exit_code == 2
    assert said in done.output


# ---------------------------------------------------------------------------- the board


def item(obj: dict[str, Any]) -> Item:
    meta = obj["metadata"]
    return Item(Meta(name=meta["name"], namespace=meta["namespace"]), json.dumps(obj).encode())


def page(*objects: dict[str, Any], first: bool = True, last: bool = True) -> Page:
    return Page([item(one) for one in objects], first, last, "1")


def change(kind: Any, obj: dict[str, Any]) -> Change:
    return Change(kind, item(obj), "2")


def board(text: str = "health=Healthy", *names: str) -> Board:
    return Board("thing", frozenset(names), goal(text), RULES)


def told(lines: Any) -> list[str]:
    return [f"{one.label} {one.look.state}" for one in lines]


def test_nothing_is_reached_before_the_whole_list_is_known() -> None:
    one = board("deleted", "one")

    assert not one.reached
    list(one.page(page(last=False)))
    assert not one.reached
    list(one.page(page(first=False)))
    assert one.reached


def test_objects_that_are_not_there_are_told_once_and_waited_for() -> None:
    one = board("health=Healthy", "one", "two")

    assert told(one.page(page(thing("one", phase="Ready"), thing("other")))) == [
        "thing/one Healthy",
        "thing/two not there yet",
    ]
    assert not one.reached
    assert told(one.open()) == ["thing/two not there yet"]
    assert told(one.change(change("ADDED", thing("two", phase="Ready")))) == ["thing/two Healthy"]
    assert one.reached
    assert one.open() == []


def test_only_what_changes_in_words_is_told() -> None:
    one = board("health=Healthy", "one")
    list(one.page(page(thing(phase="Pending"))))

    assert told(one.change(change("MODIFIED", thing(phase="Pending", more=1)))) == []
    assert told(one.change(change("BOOKMARK", thing(phase="Ready")))) == []
    assert told(one.change(change("MODIFIED", thing(phase="Failed")))) == ["thing/one Degraded"]
    assert told(one.failed) == ["thing/one Degraded"]
    assert told(one.change(change("MODIFIED", thing(phase="Ready")))) == ["thing/one Healthy"]
    assert (one.failed, one.reached) == ([], True)


def test_what_was_healthy_and_is_no_longer_is_waited_for() -> None:
    one = board("health=Healthy", "one", "two")
    list(one.page(page(thing("one", phase="Ready"), thing("two", phase="Pending"))))

    list(one.change(change("MODIFIED", thing("one", phase="Pending"))))
    list(one.change(change("MODIFIED", thing("two", phase="Ready"))))

    assert told(one.open()) == ["thing/one Progressing"]
    assert not one.reached


def test_a_deletion_is_told_and_stays_one_for_whom_it_was_waited_for() -> None:
    one, gone = board("health=Healthy", "one"), board("deleted", "one")
    for each in (one, gone):
        list(each.page(page(thing(phase="Ready"))))
        assert told(each.change(change("DELETED", thing()))) == ["thing/one deleted"]
        assert told(each.change(change("DELETED", thing()))) == []
    assert (one.reached, gone.reached) == (False, True)
    assert told(one.open()) == ["thing/one deleted"]
    for each in (one, gone):
        list(each.change(change("ADDED", thing(phase="Ready"))))
    assert (one.reached, gone.reached) == (True, True)


def test_what_a_later_list_lacks_is_gone() -> None:
    one = board("health=Healthy")
    list(one.page(page(thing("one", phase="Ready"), thing("two", phase="Ready"))))

    assert told(one.page(page(thing("two", phase="Ready"), last=False))) == []
    assert told(one.page(page(thing("three", phase="Ready"), first=False))) == [
        "thing/three Healthy",
        "thing/one deleted",
    ]
    assert told(one.page(page(thing("two", phase="Ready")))) == ["thing/three deleted"]


def test_with_a_selector_at_least_one_must_be_there() -> None:
    one = board("health=Healthy")
    list(one.page(page()))

    assert not one.reached
    assert told(one.open()) == ["thing none is there yet"]
    list(one.change(change("ADDED", thing(phase="Ready"))))
    assert one.reached


def test_with_a_selector_all_must_be_gone() -> None:
    one = board("deleted")
    list(one.page(page(thing("one"), thing("two"))))

    list(one.change(change("DELETED", thing("one"))))
    assert not one.reached
    list(one.change(change("DELETED", thing("two"))))
    assert one.reached


PHASES = st.sampled_from(["Ready", "Pending", "Failed", None])


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), PHASES), max_size=12))
def test_the_verdict_depends_only_on_how_objects_are_now(steps: list[tuple[str, Any]]) -> None:
    one = board("health=Healthy", "a", "b")
    list(one.page(page()))
    now: dict[str, str] = {}
    for name, phase in steps:
        kind = "DELETED" if phase is None else "MODIFIED"
        list(one.change(change(kind, thing(name, phase=phase))))
        now.pop(name, None)
        if phase is not None:
            now[name] = phase

    assert one.reached == (now == {"a": "Ready", "b": "Ready"})
    assert bool(one.failed) == ("Failed" in now.values())
    left = {name for name in "ab" if now.get(name) != "Ready"}
    assert {each.label for each in one.open()} == {f"thing/{name}" for name in left}
