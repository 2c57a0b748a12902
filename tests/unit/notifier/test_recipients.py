"""Recipients: templates, the directory, groups."""

from dataclasses import dataclass
from typing import Any

import pytest

from notifier.config.configuration import Configuration, Destination
from notifier.recipients import MOST, compile_recipient, resolve
from notifier.variables import variables
from services.webhook import Webhook
from spine.errors import ConfigError
from spine.lang import EvaluationError

POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {
        "name": "web",
        "annotations": {"owner": "dev", "owners": "dev; ops,dev ,, qa", "user": "user:alice"},
    },
}
NOTES = ".obj.metadata.annotations"


def configuration(**more: Any) -> Configuration:
    members = {
        "team": (
            Destination("chat", "a"),
            Destination("mail", "user:alice"),
            Destination("chat", "a"),
        ),
        "all": (Destination("group", "team"), Destination("chat", "group:owners")),
        "owners": (Destination("chat", "{{ " + NOTES + ".owner }}"),),
        "round": (Destination("group", "about"), Destination("chat", "x")),
        "about": (Destination("group", "round"),),
    }
    given: dict[str, Any] = {
        "services": {"chat": Webhook(url="http://x"), "hook": Webhook(url="http://y")},
        "directory": {
            "alice": {"mail": "alice@corp", "webhook": "alice-hook", "chat": "U1"},
            "bob": "bob@corp",
        },
        "groups": members,
    }
    return Configuration(name="cm", namespace="ns", **{**given, **more})


@dataclass(frozen=True)
class Case:
    service: str
    recipient: str
    wanted: list[tuple[str, str]]
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.service}:{self.recipient}"


CASES = [
    Case("chat", "room", [("chat", "room")]),
    Case("chat", "a,b; c", [("chat", "a,b; c")]),
    Case("hook", "", [("hook", "")]),
    Case("chat", "{{ " + NOTES + ".owner }}", [("chat", "dev")]),
    Case("chat", "{{ " + NOTES + ".owners }}", [("chat", "dev"), ("chat", "ops"), ("chat", "qa")]),
    Case("chat", "{{ " + NOTES + ".none }}", [], "it gives nobody"),
    Case("chat", "{{ with " + NOTES + ".none }}x{{ end }}", [], "it gives nobody"),
    Case("chat", "{{ .obj.kind.x }}", [], "can't evaluate field x"),
    Case("chat", "{{ nosuch }}", [], 'function "nosuch" not defined'),
    Case("mail", "user:alice", [("mail", "alice@corp")]),
    Case("chat", "user:alice", [("chat", "U1")]),
    Case("hook", "user:alice", [("hook", "alice-hook")]),
    Case("hook", "user:bob", [("hook", "bob@corp")]),
    Case("chat", "{{ " + NOTES + ".user }}", [("chat", "U1")]),
    Case("pager", "user:alice", [], "the directory has no recipient of theirs for 'pager'"),
    Case("mail", "user:alic", [], "they are not in the directory (did you mean alice?)"),
    Case("group", "team", [("chat", "a"), ("mail", "alice@corp")]),
    Case("chat", "group:team", [("chat", "a"), ("mail", "alice@corp")]),
    Case("group", "all", [("chat", "a"), ("mail", "alice@corp"), ("chat", "dev")]),
    Case("group", "tem", [], "telling group 'tem': there is none (did you mean team?)"),
    Case("group", "round", [("chat", "x")], "telling group 'round': it is in itself"),
    Case("chat", "{{ .recipient }}", [], "it gives nobody"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_who_is_told(case: Case) -> None:
    destination = Destination(case.service, case.recipient)

    found, problems = resolve(destination, variables(POD, alias="pod"), configuration())

    assert found == case.wanted
    assert [case.problem in text for text in problems] == [True] * bool(case.problem), problems


def test_there_is_an_end_to_recipients() -> None:
    values = {**variables(POD), "many": ",".join(map(str, range(MOST + 10)))}

    found, problems = resolve(Destination("chat", "{{ .many }}"), values, configuration())

    assert len(found) == MOST
    assert problems == [f"telling 'chat': no more than {MOST} recipients of one subscription"]


def test_a_member_that_is_wrong_does_not_hold_up_the_others() -> None:
    groups = {"g": (Destination("chat", "{{ .obj.kind.x }}"), Destination("chat", "b"))}

    found, problems = resolve(
        Destination("group", "g"), variables(POD), configuration(groups=groups)
    )

    assert found == [("chat", "b")]
    assert len(problems) == 1


def test_one_recipient_by_itself() -> None:
    made = compile_recipient("{{ .obj.kind | lower }}")

    assert made.render(variables(POD)) == ["pod"]
    assert made.reads.fields == {("kind",)}
    assert compile_recipient("{{ .obj.kind | lower }}") is made


def test_an_error_of_its_template_is_an_error() -> None:
    with pytest.raises(EvaluationError, match=r"rendering recipient '\{\{ \.obj\.kind\.x \}\}'"):
        compile_recipient("{{ .obj.kind.x }}").render(variables(POD))


def test_secrets_are_no_recipients() -> None:
    with pytest.raises(ConfigError, match="secrets cannot be read here"):
        compile_recipient("{{ .secrets.x }}")
