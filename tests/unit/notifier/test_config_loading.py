"""A ConfigMap and a Secret become a configuration, key by key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from notifier.config import Configuration, Destination, Limits, Rate, load
from notifier.notifiers import VARIABLES
from notifier.templates import render
from notifier.variables import ALWAYS

FOLDER = Path(__file__).parents[2] / "notifications"
SECRET = {"token": "xoxb-4711", "user.name": "ada", "port": "587", "n": "5", "other/key": "far"}
GOOD = {
    "service.slack": "token: $token",
    "trigger.on-good": "- when: obj.a == 1\n  send: [good]",
    "template.good": "message: good",
}


def read(
    data: Mapping[str, str], secret: Mapping[str, str] | None = SECRET, **options: Any
) -> Configuration:
    given = {"name": "cm", "namespace": "ns", "variables": ALWAYS | VARIABLES.keys(), **options}
    return load(data, secret, **given)


def said(configuration: Configuration) -> list[str]:
    return [f"{one.line}:{one.column} {one}" for one in configuration.problems]


# ---------------------------------------------------------------------------- what is fine


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_configurations_in_the_style_of_catalogues_load(file: Path) -> None:
    objects = list(yaml.safe_load_all(file.read_text()))
    data = next(one for one in objects if one["kind"] == "ConfigMap")["data"]
    secrets = [one.get("stringData") for one in objects if one["kind"] == "Secret"]

    configuration = read(data, next(iter(secrets), None))

    assert [str(one) for one in configuration.problems if one.severity == "error"] == []
    assert configuration.triggers
    assert configuration.templates
    assert configuration.services
    assert not configuration.broken


APPENDIX = yaml.safe_load((FOLDER / "every-rule.yaml").read_text())["data"]


def test_a_configuration_with_most_rules() -> None:
    secret = {"slack-token": "xoxb-1", "audit-token": "a-12", "opsgenie-platform": "og-1"}

    made = read(APPENDIX, secret, variables={"obj"})

    assert [str(one) for one in made.problems if one.severity != "note"] == []
    assert sorted(made.services) == ["audit", "pager", "slack"]
    assert made.services["slack"].token == "xoxb-1"  # type: ignore[attr-defined]  # Slack's
    assert made.services["audit"].headers[0].value == "Bearer a-12"  # type: ignore[attr-defined]  # a webhook's
    assert made.default_triggers == ("on-unhealthy",)
    assert made.default_triggers_of == {"pager": ("on-down",)}
    assert made.context == {"runbook": "https://runbooks.example.com"}
    (one,) = made.subscriptions
    assert (one.destinations, one.triggers) == ((Destination("audit"),), ("on-unhealthy",))
    assert one.selector.matches({"team": "search"})
    assert not one.selector.matches({"team": "search", "silenced": ""})


def test_an_empty_configuration_is_none() -> None:
    made = read({}, {})

    assert (made.problems, made.triggers, made.services) == ((), {}, {})


# ---------------------------------------------------------------------------- isolation


@dataclass(frozen=True)
class Bad:
    """One bad key beside good ones."""

    name: str
    data: dict[str, str]
    problem: str
    broken: frozenset[str] = field(default_factory=frozenset)

    def __str__(self) -> str:
        return self.name


def broken(*keys: str) -> frozenset[str]:
    return frozenset(keys)


BAD = [
    Bad("no YAML", {"trigger.x": "- when: 'a\n"}, "1:1 trigger.x: not YAML", broken("trigger.x")),
    Bad("no expression", {"trigger.x": "- send: [good]\n  when: obj.a ==="},
        "2:3 trigger.x: [0].when: ", broken("trigger.x")),
    Bad("no list", {"trigger.x": "a"}, "1:1 trigger.x: ", broken("trigger.x")),
    Bad("no template", {"template.x": "message: '{{ .obj'"}, "1:1 template.x: message: ",
        broken("template.x")),
    Bad("unknown function in a block",
        {"template.x": "message: a\nslack:\n  attachments: '{{ nope }}'"},
        "3:3 template.x: slack.attachments: ", broken("template.x")),
    Bad("a text for a template", {"template.x": "hello"},
        "1:1 template.x: a map with message, or blocks of services, is needed",
        broken("template.x")),
    Bad("bare template", {"template.x": "message: {{ .obj.a }}"},
        "1:10 template.x: not YAML: 'message: {{ .obj.a }}' begins with {{", broken("template.x")),
    Bad("unknown type of service", {"service.eamil": "host: x"},
        "1:1 service.eamil: 'eamil' is no type of service (did you mean email)",
        broken("service.eamil")),
    Bad("four parts", {"service.webhook.a.b": "url: http://x"},
        "1:1 service.webhook.a.b: a service is service.TYPE or service.TYPE.NAME, and a name has "
        "no dots (write service.webhook.a-b)"),
    Bad("no name", {"trigger": ""}, "1:1 trigger: it has no name (write trigger.NAME)"),
    Bad("boolean by accident", {"trigger.x": "- when: obj.a\n  send: [y]"},
        "2:10 trigger.x: [0].send[0]: there is no template 'true' (add template.true) (YAML takes "
        'y for a boolean: write "y")'),
    Bad("no type", {"service.": "url: http://x"}, "1:1 service.: it has no name"),
    Bad("missing option", {"service.webhook.x": "method: GET"},
        "1:1 service.webhook.x: url: required field is missing", broken("service.x")),
    Bad("wrong option", {"service.webhook.x": "url: http://x\nretryMax: many"},
        "2:1 service.webhook.x: retryMax: a whole number is needed, not this text",
        broken("service.x")),
    Bad("same name", {"service.webhook.slack": "url: http://x"},
        "1:1 service.webhook.slack: service.slack has the same name 'slack', so neither is used",
        broken("service.slack")),
    Bad("template that is not there", {"trigger.x": "- when: 'true'\n  send: [goood]"},
        "2:10 trigger.x: [0].send[0]: there is no template 'goood' (did you mean good)"),
    Bad("template that is broken",
        {"template.b": "hello", "trigger.x": "- when: 'true'\n  send: [b]"},
        "2:10 trigger.x: [0].send[0]: template 'b' is disabled by an error of its own",
        broken("template.b")),
    Bad("default that is not there", {"defaultTriggers": "- on-goood"},
        "1:3 defaultTriggers: [0]: there is no trigger 'on-goood' (did you mean on-good)"),
    Bad("selector", {"subscriptions": "- recipients: [slack:a]\n  triggers: [on-good]\n"
                                      "  selector: a b"},
        "3:3 subscriptions: [0].selector: reading selector 'a b'"),
    Bad("subscription to no service", {"subscriptions": "- recipients: [slak:a]\n"
                                                        "  triggers: [on-good]"},
        "1:16 subscriptions: [0].recipients[0]: there is no service 'slak' (did you mean slack)"),
    Bad("subscription to no trigger", {"subscriptions": "- recipients: [slack:a]\n"
                                                        "  triggers: [on-bad]"},
        "2:14 subscriptions: [0].triggers[0]: there is no trigger 'on-bad' (did you mean on-good)"),
    Bad("context of maps", {"context": "a: {b: c}"}, "1:1 context: a: a text is needed, not a map"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=str)
def test_a_bad_key_disables_itself_only(case: Bad) -> None:
    made = read({**GOOD, **case.data})

    assert any(one.startswith(case.problem) for one in said(made)), said(made)
    assert made.broken == case.broken
    assert made.triggers["on-good"].conditions
    assert "good" in made.templates
    assert ("slack" in made.services) is ("service.slack" not in case.broken)


def test_a_condition_whose_template_is_missing_leaves_the_others() -> None:
    text = "- when: obj.a\n  send: [none]\n- when: obj.b\n  send: [good]"

    made = read({**GOOD, "trigger.x": text})

    assert [one.when for one in made.triggers["x"].conditions] == ["obj.b"]


@dataclass(frozen=True)
class Odd:
    """A key or value that works, and is probably not meant."""

    data: dict[str, str]
    problem: str

    def __str__(self) -> str:
        return next(iter(self.data))


ODD = [
    Odd({"triger.x": ""}, "triger.x: warning: unknown key, of no effect (did you mean trigger.x)"),
    Odd({"templates.x": ""}, "unknown key, of no effect (did you mean template.x)"),
    Odd({"Trigger.x": ""}, "unknown key, of no effect (did you mean trigger.x)"),
    Odd({"defaultTrigger": ""}, "unknown key, of no effect (did you mean defaultTriggers)"),
    Odd({"defaulttriggers.slack": ""}, "of no effect (did you mean defaultTriggers.slack)"),
    Odd({"subscription": ""}, "unknown key, of no effect (did you mean subscriptions)"),
    Odd({"zzz": ""}, "zzz: warning: unknown key, of no effect"),
    Odd({"trigger.y": ""}, "trigger.y: warning: it has no conditions"),
    Odd({"template.y": ""}, "template.y: warning: it is empty"),
    Odd({"trigger.y": "when: obj.a\nsend: [good]"}, "trigger.y: warning: a list is meant here"),
    Odd({"trigger.y": "- when: obj.a\n  send: good"}, "[0].send: warning: a list is meant here"),
    Odd({"trigger.y": "- when: obj.a\n  send: [good]\n- oncePer: obj.b\n  send: [good]"},
        "[1]: warning: without when it is never met"),
    Odd({"trigger.y": "- when: obj.a\n  sned: [good]\n  send: [good]"},
        "[0].sned: warning: unknown field, of no effect (did you mean send)"),
    Odd({"template.y": "mesage: x"}, "mesage: warning: "),
    Odd({"template.y": "message: x\nslak: {a: b}"}, "slak: warning: "),
    Odd({"service.webhook.y": "url: http://x\nmetod: GET"}, "metod: warning: unknown field"),
    Odd({"service.webhook.y": "url: http://x\nretryMax: '5'"}, "5 is a text in quotes"),
    Odd({"service.webhook.y": "url: http://x/$tokne"},
        "url: warning: $… stays as it is: the Secret has no such key (did you mean token)"),
    Odd({"service.webhook.y": "url: $tokne"},
        "url: warning: $tokne stays as it is: the Secret has no such key (did you mean token)"),
    Odd({"service.webhook.y": "url: $user.name"}, "a key with dots is written ${key}"),
    Odd({"service.webhook.y": "url: $mine:token"}, "the form $secret:key is not known here"),
    Odd({"service.webhook.y": "url: http://x\nheaders: [{name: a, value: $$token}]"},
        "headers[0].value: note: $$ stands for one dollar here"),
    Odd({"defaultTriggers.slak": "- on-good"}, "there is no service 'slak' (did you mean slack)"),
    Odd({"subscriptions": "- recipients: [slack:a]\n  trigger: on-good"},
        "[0].trigger: warning: write triggers"),
    Odd({"subscriptions": "- recipients: [slack:a]"}, "there are no defaultTriggers"),
    Odd({"subscriptions": "- triggers: [on-good]"}, "it has no recipients"),
    Odd({"trigger.a.b": GOOD["trigger.on-good"]},
        "trigger.a.b: note: a name with a dot cannot stand in an annotation"),
    Odd({f"trigger.{'x' * 50}": GOOD["trigger.on-good"]}, "has 66 letters, 63 are allowed"),
]  # fmt: skip


@pytest.mark.parametrize("case", ODD, ids=str)
def test_what_is_probably_not_meant_is_said(case: Odd) -> None:
    made = read({**GOOD, **case.data})

    assert any(case.problem in one for one in said(made)), said(made)
    assert not made.broken
    assert [one for one in made.problems if one.severity == "error"] == []


def test_keys_of_health_are_left_to_others() -> None:
    data = {"resource.customizations": "a", "resource.customizations.health.v1_Pod": "return {}"}

    assert read({**GOOD, **data}).problems == ()


def test_scalars_of_blocks_are_what_their_fields_want() -> None:
    text = 'message: 1e6\nslack:\n  notifyBroadcast: "false"\n  username: 1.50\n'

    made = read({**GOOD, "template.x": text})

    message = render([made.templates["x"]], "slack", type(made.services["slack"]), {"obj": {}})
    assert message.text == "1e+06"
    assert message.block == {"notifyBroadcast": False, "username": "1.5"}
    assert said(made) == [
        (
            "3:3 template.x: slack.notifyBroadcast: warning: false is a text in quotes: write it "
            "without"
        )
    ]


def test_blocks_for_services_that_are_not_there_are_told() -> None:
    text = "message: x\nwebhook:\n  audti: {body: x}\n  slack: {body: x}\n"

    made = read({**GOOD, "service.webhook.audit": "url: http://x", "template.x": text})

    assert said(made) == [
        (
            "3:3 template.x: webhook.audti: warning: there is no service 'audti' of type webhook "
            "(did you mean audit)"
        ),
        "4:3 template.x: webhook.slack: warning: there is no service 'slack' of type webhook",
    ]


def test_the_problems_of_a_key_are_so_many_at_most() -> None:
    wrong = "".join(f"word{number}: 1\n" for number in range(5000))

    made = read({**GOOD, "service.webhook.x": f"url: [a]\n{wrong}"})

    assert len(made.problems) == 101
    assert made.problems[-1].message == "there is more that is not said here"
    assert made.broken == {"service.x"}


def test_deep_nesting_is_refused() -> None:
    made = read({"context": f"a: {'[' * 200}{']' * 200}"})

    assert [str(one) for one in made.problems] == ["context: nested more than 100 levels deep"]


# ---------------------------------------------------------------------------- secrets


def test_references_in_every_form() -> None:
    value = """
url: https://h/${user.name}/$token
headers:
- {name: Both, value: "$n-$token and $token"}
- {name: Dotted, value: "$user.name ${user.name}."}
- {name: Dollar, value: "$$token $$ $5 pa$$ $$"}
- {name: Template, value: "{{ .secrets.token }}"}
retryMax: $n
"""
    service: Any = read({"service.webhook.x": value}).services["x"]

    assert service.url == "https://h/ada/xoxb-4711"
    assert [one.value for one in service.headers] == [
        "$n-xoxb-4711 and xoxb-4711",
        "$user.name ada.",
        "$token $$ $5 pa$$ $$",
        "xoxb-4711",
    ]
    assert service.retry_max == 5


def test_keys_of_maps_hold_references_too() -> None:
    service: Any = read({"service.opsgenie": "apiUrl: h\napiKeys: {$token: $n}"}).services[
        "opsgenie"
    ]

    assert service.api_keys == {"xoxb-4711": "5"}


def test_a_number_of_a_secret_is_no_reason_to_warn() -> None:
    value = "host: h\nport: $port\nfrom: a@b.c"

    made = read({"service.email": value})

    assert made.problems == ()
    assert made.services["email"].port == 587  # type: ignore[attr-defined]  # mail's


def test_other_secrets_by_name_unless_only_its_own_are_allowed() -> None:
    data = {"service.webhook.x": "url: ${other/key}"}

    free: Any = read(data).services["x"]
    own = read(data, own_secrets_only=True)

    assert free.url == "far"
    assert "another Secret than its own cannot be named here" in str(own.problems[0])
    assert "other/key" not in read(data).secrets


def test_no_secret_is_ever_shown() -> None:
    data = {
        "service.webhook.x": "url: [$token]",
        "service.opsgenie": "apiKeys: {a: {$token: $token}}\napiUrl: xoxb-literal",
        "service.pushover": "token: $token\nuser: {a: 1}\nbad: $token",
        "service.email": "host: $token\nport: $token\nfrom: $token",
        "service.grafana": "apiUrl: http://x/api\napiKey: literal-key-1",
    }

    made = read(data)

    shown = "\n".join(map(str, made.problems)) + repr(made)
    assert "4711" not in shown
    assert made.redact("a xoxb-4711 b literal-key-1 c") == "a *** b *** c"
    assert made.redact("5 is too short to hide") == "5 is too short to hide"


def test_what_nobody_has_seen_of_a_secret_is_no_error() -> None:
    data = {
        "service.email": "host: h\nport: $port\nfrom: $user.name",
        "service.slack": "token: $token",
        "trigger.x": "- when: obj.a\n  send: [b]",
        "template.b": "message: a",
        "subscriptions": "- recipients: [slack:a, email:b@c.d]\n  triggers: [x]",
    }

    made = read(data, None)

    assert made.problems == ()
    assert sorted(made.services) == ["email", "slack"]
    assert len(made.subscriptions[0].destinations) == 2


def test_what_is_wrong_beside_an_unseen_secret_is_an_error() -> None:
    made = read({"service.email": "host: h\nport: many\nfrom: $user"}, None)

    assert "1:1" not in said(made)[0]
    assert "port: a whole number is needed" in said(made)[0]


# ---------------------------------------------------------------------------- subscriptions


@dataclass(frozen=True)
class Item:
    """An item of `subscriptions`, and who is told."""

    text: str
    places: list[tuple[str, str]]
    triggers: tuple[str, ...] = ("on-good",)

    def __str__(self) -> str:
        return self.text


ITEMS = [
    Item("recipients: [slack:a, slack:b]", [("slack", "a"), ("slack", "b")]),
    Item("recipients: [hook]", [("hook", "")]),
    Item("recipients: ['slack:x:y']", [("slack", "x:y")]),
    Item("recipients: ['hook:https://h:8080/a?b=c:d']", [("hook", "https://h:8080/a?b=c:d")]),
    Item("recipients: ['slack:a;b']", [("slack", "a;b")]),
    Item("recipients: [{service: slack, recipient: 'a:b'}]", [("slack", "a:b")]),
    Item("recipients: [{service: slack, recipients: [a, b]}]", [("slack", "a"), ("slack", "b")]),
    Item("recipients: [{Service: hook}]", [("hook", "")]),
    Item("recipients: slack:a", [("slack", "a")]),
    Item("recipient: slack:a", [("slack", "a")]),
    Item("recipients: [slack:a, slack:a]", [("slack", "a")]),
    Item("recipients: [slack:a, nope:b]", [("slack", "a")]),
    Item("recipients: [slack:a]\n  triggers: [on-other, on-good]", [("slack", "a")],
         ("on-other", "on-good")),
    Item("recipients: [slack:a]\n  triggers: on-other", [("slack", "a")], ("on-other",)),
    Item("recipients: [slack:a]\n  triggers: []", [("slack", "a")]),
    Item("recipients: ['group:team']", [("group", "team")]),
]  # fmt: skip


@pytest.mark.parametrize("case", ITEMS, ids=str)
def test_global_subscriptions(case: Item) -> None:
    data = {
        **GOOD,
        "trigger.on-other": GOOD["trigger.on-good"],
        "defaultTriggers": "[on-good]",
        "defaultTriggers.slack": "[on-other]",
        "service.webhook.hook": "url: http://x",
        "groups": "team: [slack:t]",
        "subscriptions": f"- {case.text}",
    }

    (one,) = read(data).subscriptions

    assert list(one.destinations) == case.places
    assert one.triggers == case.triggers


def test_a_bad_item_leaves_the_others() -> None:
    text = "- recipients: [slack:a]\n  selector: '='\n- recipients: [slack:b]"

    made = read({**GOOD, "defaultTriggers": "[on-good]", "subscriptions": text})

    assert [one.destinations for one in made.subscriptions] == [(Destination("slack", "b"),)]


def test_recipients_that_cannot_be_reached_are_told() -> None:
    data = {
        **GOOD,
        "service.opsgenie": "apiUrl: h\napiKeys: {platform: a-00}",
        "directory": "ada: U1",
        "groups": "team: ['opsgenie:plattform']",
        "subscriptions": "- triggers: [on-good]\n  recipients:\n  - opsgenie:plattform\n"
        "  - slack:user:adda\n  - slack:group:teem\n  - group:temm\n  - opsgenie:{{.obj.x}}\n",
    }

    found = said(read(data))

    assert [one.split(": ")[-1] for one in found] == [
        "apiKeys has no 'plattform' (did you mean 'platform')",
        "apiKeys has no 'plattform' (did you mean 'platform')",
        "there is no 'user:adda' (did you mean ada)",
        "there is no 'group:teem' (did you mean team)",
        "there is no group 'temm' (did you mean team)",
    ]


# ---------------------------------------------------------------------------- forms of old


def test_bundles_of_old() -> None:
    objects = list(yaml.safe_load_all((FOLDER / "bundles-of-old.yaml").read_text()))

    made = read(objects[0]["data"], objects[1]["stringData"], variables={"app"})

    assert sorted(made.services) == ["audit", "email", "grafana", "opsgenie", "slack"]
    assert made.services["slack"].token == "xoxb-2"  # type: ignore[attr-defined]  # Slack's
    assert sorted(made.triggers) == ["on-sync-failed", "on-sync-running"]
    assert made.default_triggers == ("on-sync-failed",)
    assert made.context == {"argocdUrl": "https://cd.example.com"}
    assert set(made.templates["sync-failed"].blocks) == {"email", "slack"}
    assert made.subscriptions[0].destinations == (Destination("slack", "deployments"),)
    assert {one.secret for one in made.problems if one.key == "notifiers.yaml"} == {True}


def test_keys_of_today_win_over_bundles() -> None:
    old = "triggers: [{name: on-good, condition: 'false', template: good}]\ncontext: {a: old}"

    made = read({**GOOD, "context": "a: new", "config.yaml": old})

    assert made.triggers["on-good"].conditions[0].when == "obj.a == 1"
    assert made.context == {"a": "new"}
    assert any("'on-good' is defined in a key of its own, which counts" in x for x in said(made))


def test_parts_of_bundles_without_a_name_are_errors() -> None:
    made = read(
        {"config.yaml": "triggers: [{condition: a}]\ntemplates: [{body: a}]"},
        {"notifiers.yaml": "webhook: [{url: http://x}]"},
    )

    assert [str(one).split(": ", 1)[1] for one in made.problems if one.severity == "error"] == [
        "templates[0]: a template without a name",
        "triggers[0]: a trigger without a name",
        "webhook[0]: a webhook without a name",
    ]


# ---------------------------------------------------------------------------- ours


def ours() -> Configuration:
    objects = list(yaml.safe_load_all((FOLDER / "deployments-with-ours.yaml").read_text()))
    return read(objects[0]["data"], objects[1]["stringData"], variables={"obj", "health"})


def test_groups_directory_digests_and_limits() -> None:
    made = ours()

    assert made.groups["everyone"] == (
        Destination("group", "oncall"),
        Destination("slack", "general"),
    )
    assert made.groups["oncall"][1] == Destination("slack", "user:ada")
    assert made.directory == {"ada": {"slack": "U042", "grafana": "ada"}, "bob": "bob@example.com"}
    (digest,) = made.digests
    assert (digest.window, digest.template, digest.services) == (600.0, "digest", ("slack",))
    assert made.limits_of("slack") == Limits(Rate(1.0, 5), Rate(1.0, 1))
    assert made.limits_of("audit") == Limits(Rate(100 / 3600, 100))
    assert read({}).limits_of("slack") == Limits()


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-15T20:59:59", None),
        ("2026-01-15T21:00:00", "2026-01-16T06:00:00"),
        ("2026-01-16T05:59:59", "2026-01-16T06:00:00"),
        ("2026-01-16T06:00:00", None),
        ("2026-07-15T20:30:00", "2026-07-16T05:00:00"),
        ("2026-03-28T22:30:00", "2026-03-29T05:00:00"),  # the night of 23 hours
        ("2026-10-24T21:30:00", "2026-10-25T06:00:00"),  # the night of 25 hours
    ],
)
def test_quiet_hours_over_midnight(now: str, until: str | None) -> None:
    quiet = ours().quiet[0]

    ends = quiet.ends(datetime.fromisoformat(now).replace(tzinfo=UTC))

    assert (ends and ends.astimezone(UTC).replace(tzinfo=None).isoformat()) == until


def test_quiet_days_and_what_they_cover() -> None:
    weekend = ours().quiet[1]

    assert weekend.ends(datetime(2026, 1, 16, 23, 59, tzinfo=UTC)) is None
    assert weekend.ends(datetime(2026, 1, 17, tzinfo=UTC)) == datetime(2026, 1, 18, tzinfo=UTC)
    assert weekend.ends(datetime(2026, 1, 18, 23, 59, tzinfo=UTC)) == datetime(
        2026, 1, 19, tzinfo=UTC
    )
    assert weekend.then == "drop"
    assert weekend.covers("slack", "team-a", "any")
    assert not weekend.covers("slack", "general", "any")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("quietHours", "- {from: 22:00, to: 7}", "[0].to: '7' is no time of the day"),
        ("quietHours", "- {from: 22:00, to: 22:00}", "it ends when it begins"),
        ("quietHours", "- {from: 25:00, to: 7:00}", "[0].from: '25:00' is no time of the day"),
        ("quietHours", "- {from: 1:00, to: 2:00, days: [Mo, Tur]}", "'Tur' is no day"),
        ("quietHours", "- {from: 1:00, to: 2:00, timezone: Europe/Wien}",
         "[0].timezone: 'Europe/Wien' is not known"),
        ("quietHours", "- {from: 1:00, to: 2:00, then: wait}", "'wait' is neither hold nor drop"),
        ("quietHours", "- {from: 1:00, to: 2:00, services: [slak]}",
         "there is no service 'slak' (did you mean slack)"),
        ("digests", "- {services: [slack]}", "[0].window: required field is missing"),
        ("digests", "- {window: 2d}", "[0]: "),
        ("digests", "- {window: 25h}", "[0].window: 25h is not between 0 and 24h"),
        ("digests", "- {window: 1m, template: goood}", "there is no template 'goood'"),
        ("limits", "slack: {rate: fast}", "slack.rate: 'fast' is no rate"),
        ("limits", "slack: {rate: 0/s}", "slack.rate: '0/s' is no rate"),
        ("limits", "slack: {}", "slack.rate: required field is missing"),
        ("limits", "slack: {rate: 1/s, perRecipient: {rate: x}}", "slack.perRecipient.rate: "),
        ("limits", "slak: 1/s", "there is no service 'slak' (did you mean slack)"),
        ("limits", "- a", "a map of names of services, or *, is needed"),
        ("groups", "- a", "a map of names to lists of service:recipient is needed"),
        ("groups", "a: [slak:x]", "slak:x: there is no service 'slak' (did you mean slack)"),
        ("groups", "a: []", "a: warning: nobody is in it"),
        ("directory", "ada: [x]", "ada: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_ours(key: str, value: str, problem: str) -> None:
    made = read({**GOOD, key: value})

    assert any(problem in one for one in said(made)), said(made)
    assert "on-good" in made.triggers


def test_days_in_ranges_go_over_the_end_of_the_week() -> None:
    text = "- {from: 1:00, to: 2:00, days: [Sat-Mon, wednesday]}"

    (quiet,) = read({"quietHours": text}).quiet

    assert quiet.days == {5, 6, 0, 2}
