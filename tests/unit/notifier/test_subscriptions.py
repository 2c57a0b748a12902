"""Who is told about an object, by its annotations and labels."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.config import Configuration, Destination, load
from notifier.spec import PREFIX
from notifier.subscriptions import LEGACY, Subscribed, problems_of, subscriptions_of

DATA = {
    "service.slack": "token: a-000",
    "service.webhook.hook": "url: http://x",
    "service.webhook.pager": "url: http://x",
    "trigger.good": "- when: obj.a\n  send: [note]",
    "trigger.bad": "- when: obj.b\n  send: [note]",
    "trigger.dotted.name": "- when: obj.b\n  send: [note]",
    "trigger.broken": "- when: obj.b ===\n",
    "template.note": "message: a",
    "defaultTriggers": "[good]",
    "defaultTriggers.pager": "[bad]",
    "groups": "team: [slack:t]",
    "subscriptions": "- recipients: [slack:everyone]\n  triggers: [good, bad]\n  selector: all",
}


def configuration(**changes: str) -> Configuration:
    data = {**DATA, **changes}
    kept = {key: text for key, text in data.items() if text}
    return load(kept, {}, name="cm", namespace="ns", variables={"obj"})


CONFIGURATION = configuration()
Told = dict[str, list[str]]


def told(subscribed: Subscribed) -> Told:
    return {
        trigger: [str(one) for one in places] for trigger, places in subscribed.by_trigger.items()
    }


def of(annotations: dict[str, str], labels: dict[str, str] | None = None) -> Subscribed:
    return subscriptions_of(CONFIGURATION, annotations, labels or {}, prefix=PREFIX)


@dataclass(frozen=True)
class Case:
    """An annotation, who is told, and what is said of it."""

    key: str
    text: str
    told: Told = field(default_factory=dict)
    said: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.key} {self.text!r}"


SUBSCRIBE = [
    Case("subscribe.good.slack", "a;b ; ;c", {"good": ["slack:a", "slack:b", "slack:c"]}),
    Case("subscribe.good.slack", "a,b", {"good": ["slack:a,b"]}),
    Case("subscribe.good.slack", "a;a", {"good": ["slack:a"]}),
    Case("subscribe.good.hook", "", {"good": ["hook"]}),
    Case("subscribe.good.hook", "  ", {"good": ["hook"]}),
    Case("subscribe.good.hook", ";", {}),
    Case("subscribe.slack", "a", {"good": ["slack:a"]}),
    Case("subscribe.pager", "a", {"bad": ["pager:a"]}),
    Case("subscribe..slack", "a", {"good": ["slack:a"]}),
    Case("subscribe.good.slack.more.parts", "a", {"good": ["slack:a"]},
         ("what follows the second dot is not read, so it is trigger good by 'slack'",)),
    Case("subscribe.dotted.name.slack", "a", {},
         ("what follows the second dot", "there is no trigger 'dotted'", "no service 'name'")),
    Case("subscribe.good.", "a", {}, ("a service is missing",)),
    Case("subscribe.", "a", {}, ("a service is missing",)),
    Case("subscribe.good.slak", "a", {}, ("there is no service 'slak' (did you mean slack)",)),
    Case("subscribe.goood.slack", "a", {}, ("there is no trigger 'goood' (did you mean good)",)),
    Case("subscribe.broken.slack", "a", {}, ("trigger 'broken' is disabled by an error",)),
    Case("subscribe.good.group", "team", {"good": ["group:team"]}),
    Case("subscribe.good.group", "teem", {}, ("there is no group 'teem' (did you mean team)",)),
    Case("subscribe.good.slack", "{{.obj.metadata.labels.owner}}",
         {"good": ["slack:{{.obj.metadata.labels.owner}}"]}),
    Case("subscribe.good.slack", "https://h:1/a", {"good": ["slack:https://h:1/a"]}),
    Case("Subscribe.good.slack", "a", {}, ("of no effect (did you mean subscribe.good.slack)",)),
    Case("subscribed.good.slack", "a", {}, ("of no effect (did you mean subscribe.good.slack)",)),
    Case("subscriptoins", "a", {}, ("of no effect (did you mean subscriptions)",)),
    Case("something", "a", {}, ("of no effect (there is subscribe.TRIGGER.SERVICE",)),
    Case(f"subscribe.{'x' * 50}.slack", "a", {}, ("has 66 letters, Kubernetes allows 63",
                                                   "there is no trigger")),
]  # fmt: skip

LIST = [
    Case("subscriptions", "- trigger: [good, bad]\n  destinations:\n"
         "  - {service: slack, recipients: [a, b]}\n  - {service: hook, recipients: ['']}",
         {"good": ["slack:a", "slack:b", "hook"], "bad": ["slack:a", "slack:b", "hook"]}),
    Case("subscriptions.team-a", "- trigger: [good]\n  destinations: [{service: slack, "
         "recipients: ['a;b']}]", {"good": ["slack:a;b"]}),
    Case("subscriptions", "- Trigger: [good]\n  Destinations: [{Service: slack, Recipients: [a]}]",
         {"good": ["slack:a"]}),
    Case("subscriptions", "- destinations:\n  - {service: slack, recipients: [a]}\n"
         "  - {service: pager, recipients: [b]}", {"good": ["slack:a"], "bad": ["pager:b"]}),
    Case("subscriptions", "- trigger: [dotted.name]\n  destinations: [{service: slack, "
         "recipients: [a]}]", {"dotted.name": ["slack:a"]}),
    Case("subscriptions", "- trigger: bad\n  destinations: [{service: slack, recipients: [a]}]",
         {"bad": ["slack:a"]}, ("a list is meant here",)),
    Case("subscriptions", "- triggers: [bad]\n  destinations: [{service: slack, recipients: [a]}]",
         {"bad": ["slack:a"]}, ("write trigger: Argo's engine takes defaultTriggers",)),
    Case("subscriptions", "- trigger: [bad]\n  destinations: [{service: slack, recipient: a}]",
         {"bad": ["slack:a"]}),
    Case("subscriptions", "- trigger: [bad]\n  destinations: [{service: slack, recipients: a}]",
         {"bad": ["slack:a"]}, ("a list is meant here",)),
    Case("subscriptions", "- trigger: [bad]\n  destinations: [{service: hook}]",
         {"bad": ["hook"]}, ('write recipients: [""], without which Argo tells nobody',)),
    Case("subscriptions", "- trigger: [bad]\n  destination: [{service: hook, recipients: ['']}]",
         {"bad": ["hook"]}, ("write destinations",)),
    Case("subscriptions", "trigger: [bad]\ndestinations: [{service: slack, recipients: [a]}]",
         {"bad": ["slack:a"]}, ("a list is meant here",)),
    Case("subscriptions", "- trigger: [bad]", {}, ("it has no destinations",)),
    Case("subscriptions", "", {}, ("it is empty",)),
    Case("subscriptions", "a: [", {}, ("not YAML",)),
    Case("subscriptions", "hello", {}, ("a list is meant here", "a map is needed, not 'hello'")),
    Case("subscriptions", "- trigger: [nope]\n  destinations: [{service: slak, recipients: [a]}]",
         {}, ("there is no trigger 'nope'", "there is no service 'slak'")),
    Case("subscriptions", "- trigger: [nope]\n  destinations: [{service: slak, recipients: [a]}]\n"
         "- trigger: [bad]\n  destinations: [{service: slack, recipients: [a]}]",
         {"bad": ["slack:a"]}, ("there is no trigger 'nope'", "there is no service 'slak'")),
]  # fmt: skip


@pytest.mark.parametrize("case", [*SUBSCRIBE, *LIST], ids=str)
def test_annotations(case: Case) -> None:
    found = of({f"{PREFIX}/{case.key}": case.text})

    assert told(found) == case.told
    assert len(found.problems) == len(case.said), found.problems
    for said, problem in zip(case.said, found.problems, strict=True):
        assert said in problem.message
        assert problem.key == f"{PREFIX}/{case.key}"


OLD = [
    Case(LEGACY, "slack:a, hook,slack:b:c", {"good": ["slack:a", "hook", "slack:b:c"]}),
    Case(f"bad.{LEGACY}", "slack:a", {"bad": ["slack:a"]}),
    Case(f"good.{LEGACY}", "pager:a", {"bad": ["pager:a"]}),
    Case(f"dotted.name.{LEGACY}", "slack:a", {"dotted.name": ["slack:a"]}),
    Case(f"nope.{LEGACY}", "slack:a", {}, ("there is no trigger 'nope'",)),
    Case(LEGACY, "", {}),
    Case(f"my{LEGACY}", "slack:a", {}),
]


@pytest.mark.parametrize("case", OLD, ids=str)
def test_annotations_of_old(case: Case) -> None:
    found = of({case.key: case.text})

    assert told(found) == case.told
    assert [problem.message for problem in found.problems] == list(case.said)


def test_global_subscriptions_go_by_labels_and_come_once() -> None:
    own = {f"{PREFIX}/subscribe.good.slack": "everyone;me"}

    assert told(of({}, {"all": ""})) == {"good": ["slack:everyone"], "bad": ["slack:everyone"]}
    assert told(of({}, {"other": ""})) == {}
    assert told(of(own, {"all": ""}))["good"] == ["slack:everyone", "slack:me"]


@pytest.mark.parametrize(
    ("mute", "triggers"),
    [
        ("", []), ("all", []), ("*", []), ("true", []),
        ("good", ["bad"]), ("good, bad", []), ("good;bad", []), ("good bad\n", []),
        ("nope", ["good", "bad"]),
    ],
)  # fmt: skip
def test_an_object_may_leave_global_subscriptions(mute: str, triggers: list[str]) -> None:
    annotations = {f"{PREFIX}/mute": mute, f"{PREFIX}/subscribe.good.slack": "me"}

    found = of(annotations, {"all": ""})

    everyone = [name for name, places in told(found).items() if "slack:everyone" in places]
    assert everyone == triggers
    assert "slack:me" in told(found)["good"]
    assert bool(found.problems) is (mute == "nope")


def test_without_default_triggers_nobody_is_told_and_that_is_said() -> None:
    made = configuration(defaultTriggers="")

    found = subscriptions_of(made, {f"{PREFIX}/subscribe.slack": "a"}, {}, prefix=PREFIX)

    assert told(found) == {}
    assert "there are no defaultTriggers" in found.problems[0].message
    assert found.problems[0].severity == "warning"


def test_empty_defaults_of_a_service_win() -> None:
    made = configuration(**{"defaultTriggers.pager": "[]"})

    found = subscriptions_of(made, {f"{PREFIX}/subscribe.pager": "a"}, {}, prefix=PREFIX)

    assert (told(found), found.problems) == ({}, ())


def test_another_prefix_and_what_is_inherited() -> None:
    annotations = {f"{PREFIX}/subscribe.good.slack": "a", "my.io/subscribe.good.slack": "b"}
    project = {"my.io/subscribe.bad.slack": "c", "my.io/mute": ""}

    found = subscriptions_of(
        CONFIGURATION, annotations, {"all": ""}, prefix="my.io", inherited=[project]
    )

    assert told(found) == {
        "good": ["slack:everyone", "slack:b"],
        "bad": ["slack:everyone", "slack:c"],
    }


@pytest.mark.parametrize("seed", range(10))
def test_unrelated_annotations_add_nobody(seed: int) -> None:
    """Upstream 51 of 200 runs had a destination that nobody asked for."""
    order = random.Random(seed)
    annotations = {
        f"{PREFIX}/subscribe.good.slack": "a",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "example.com/owner": "ada",
        f"notified.{PREFIX}": '{"x": 1}',
        "deployment.kubernetes.io/revision": "3",
    }
    for _ in range(100):
        items = list(annotations.items())
        order.shuffle(items)

        found = of(dict(items))

        assert (told(found), found.problems) == ({"good": ["slack:a"]}, ())


WORDS = st.sampled_from(["good", "bad", "slack", "hook", "pager", "", "nope", "a.b", "group"])
KEYS = st.builds(
    lambda kind, one, two: f"{PREFIX}/{kind}{one}{two}",
    st.sampled_from(["subscribe.", "subscriptions", "mute", "x"]),
    WORDS,
    WORDS.map(lambda word: f".{word}"),
)


@given(st.dictionaries(KEYS, st.text(alphabet="ab;:,-[]{}\n \"'", max_size=30), max_size=5))
def test_whatever_is_written_only_known_names_are_told(annotations: dict[str, str]) -> None:
    found = of(annotations, {"all": ""})

    for trigger, places in found.by_trigger.items():
        assert trigger in CONFIGURATION.triggers
        assert len(set(places)) == len(places)
        for place in places:
            assert place.service in {*CONFIGURATION.services, "group"}
    assert of(annotations, {"all": ""}) == found


def test_recipients_are_so_many_at_most_and_their_templates_are_looked_at() -> None:
    many = ";".join(map(str, range(2000)))

    found = of({f"{PREFIX}/subscribe.good.slack": many, f"{PREFIX}/subscribe.bad.slack": "a"})
    wrong = of({f"{PREFIX}/subscribe.good.slack": "{{ .obj."})

    assert len(found.by_trigger["good"]) == 1000
    assert found.problems[0].message == "more than 1000 recipients: the rest is left out"
    assert wrong.problems[0].message.startswith("compiling recipient '{{ .obj.': ")


# ---------------------------------------------------------------------------- for lint


def test_without_a_configuration_names_are_not_looked_up() -> None:
    annotations = {
        f"{PREFIX}/subscribe.any.thing": "a",
        f"{PREFIX}/subscribe.thing": "a",
        f"{PREFIX}/subscriptions": "- trigger: on-x\n  destinations: [{service: a}]",
        f"{PREFIX}/mute": "any",
    }

    found = problems_of(annotations, [], prefix=PREFIX)

    assert [one.message.partition(":")[0] for one in found] == [
        "a list is meant here",
        "write recipients",
    ]


def test_of_several_configurations_the_one_that_suits_counts() -> None:
    other = configuration(**{"trigger.good": "", "defaultTriggers": "", "subscriptions": ""})
    annotations = {f"{PREFIX}/subscribe.good.slack": "a"}

    assert problems_of(annotations, [other, CONFIGURATION], prefix=PREFIX) == ()
    assert len(problems_of(annotations, [other], prefix=PREFIX)) == 1


def test_destinations_are_shown_as_they_are_written() -> None:
    assert str(Destination("slack", "a")) == "slack:a"
    assert str(Destination("hook")) == "hook"
