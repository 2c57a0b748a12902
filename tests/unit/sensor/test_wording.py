"""Decisions in words, and what must never be in them."""

from dataclasses import dataclass
from typing import Any

import pytest
from plan_kit import dependency, event, plan, trigger

from delivery.action import Action
from sensor.evaluate import evaluate
from sensor.plan import Plan
from sensor.record import outcome, record
from sensor.state import EMPTY
from sensor.wording import deed, masked, masked_url, sentence
from spine.event import Event

PAID = {"data": [{"path": "status", "type": "string", "value": ["^paid$"]}]}
BROKEN = {"src": {"dependencyName": "orders", "dataKey": "nope"}, "dest": "url"}


@dataclass(frozen=True)
class Case:
    name: str
    plan: Plan
    event: Event
    text: str

    def __str__(self) -> str:
        return self.name


def http(name: str = "tell", **more: Any) -> dict[str, Any]:
    return trigger(name, http={"url": "http://x/", **more})


CASES = [
    Case(
        "fired",
        plan(triggers=[http(), trigger("note", "orders")]),
        event(),
        "fired: trigger tell would send POST http://x/; trigger note would log 1 event",
    ),
    Case(
        "one of two",
        plan(triggers=[http(), http("other", parameters=[BROKEN])]),
        event(),
        "fired: trigger tell would send POST http://x/; but trigger other: resolving dataKey 'nope'"
        " of dependency 'orders': event '1' has none (give a default in value)",
    ),
    Case(
        "filtered",
        plan(dependency(filters=PAID)),
        event(data=b'{"status":"open"}'),
        'did not fire: dependency orders: data filter: status is "open", not = ^paid$ (string)',
    ),
    Case(
        "waits for what did not pass",
        plan(
            dependency("a", eventName="orders"),
            dependency("b", eventName="orders", filters=PAID),
            triggers=[trigger("join", "a && b")],
        ),
        event(data=b'{"status":"open"}'),
        "did not fire: trigger join: waits for b (has a since 1970-01-01 00:00:05 UTC), and "
        'dependency b: data filter: status is "open", not = ^paid$ (string)',
    ),
    Case(
        "nobody",
        plan(dependency("a", eventSourceName="till")),
        event("a"),
        "did not fire: no dependency of this Sensor names shop/a: nearest is till/a (dependency a:"
        " eventSourceName)",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sentence(case: Case) -> None:
    decided = evaluate(case.plan, EMPTY, case.event, 5.0, trace=True)
    assert sentence(decided, case.event) == case.text


def test_a_record_is_in_words_and_without_data() -> None:
    made = plan(dependency(filters=PAID), triggers=[http()])
    given = event(data=b'{"status":"paid","secret":"x"}')
    decided = evaluate(made, EMPTY, given, 0.0)
    kept = record("till", decided, given, 7)
    assert kept.text == "fired: trigger tell is to send POST http://x/"
    assert (kept.fired, kept.sequence, kept.triggers[0].key) == (True, 7, decided.actions[0].key)
    assert "secret" not in repr(kept)
    assert outcome(decided) == "tell Fired"
    refused = evaluate(made, EMPTY, event(), 0.0)
    assert outcome(refused) == "orders PathMissing"


def test_references_stand_for_secrets_and_written_ones_are_masked() -> None:
    content = {
        "url": "https://ann:hunter2@x/y",
        "headers": {"Authorization": "Bearer t", "X-Api-Key": "k", "Accept": "*/*"},
        "secureHeaders": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
        ],
        "basicAuth": {"password": {"name": "auth", "key": "p"}},
        "body": '{"name":"n","key":"k"}',
    }
    assert masked(content) == {
        "url": "https://ann:***@x/y",
        "headers": {"Authorization": "***", "X-Api-Key": "***", "Accept": "*/*"},
        "secureHeaders": [
            {"name": "A", "valueFrom": "<Secret s/k>"},
            {"name": "B", "valueFrom": "<ConfigMap c/k>"},
        ],
        "basicAuth": {"password": "<Secret auth/p>"},
        "body": '{"name":"n","key":"k"}',
    }


def test_settings_of_a_service_show_references_and_no_credential() -> None:
    config = {
        "token": "$slack-token",
        "password": "hunter2",
        "apiURL": "https://ann:hunter2@slack.test/",
        "recipientUrls": {"ops": "https://hooks.test/a/hunter2", "dev": "https://x/$key"},
        "headers": [{"name": "Authorization", "value": "Bearer $key"}],
    }
    assert masked({"config": config})["config"] == {
        "token": "$slack-token",
        "password": "***",
        "apiURL": "https://ann:***@slack.test/",
        "recipientUrls": {"ops": "https://hooks.test/***", "dev": "https://x/$key"},
        "headers": [{"name": "Authorization", "value": "Bearer $key"}],
    }


@pytest.mark.parametrize("url", ["http://x/", "x", "http://ann@x/", "http://x/a:b@c", ""])
def test_a_url_without_a_password_stays_as_it_is(url: str) -> None:
    assert masked_url(url) == url


def test_a_deed_tells_what_goes_where() -> None:
    content = {"method": "PUT", "url": "http://a:b@x/", "body": "{}"}
    action = Action(key="k", sensor="s", trigger="t", kind="http", content=content)
    assert deed(action) == "send PUT http://a:***@x/ with 2 bytes"


DEEDS = [
    ("nats", {"subject": "a.b", "body": "x"}, "publish to a.b with 1 byte"),
    (
        "k8s",
        {"operation": "create", "object": {"kind": "Pod", "metadata": {"generateName": "a-"}}},
        "create Pod a-…",
    ),
    (
        "argoWorkflow",
        {
            "operation": "submit",
            "object": {"kind": "W", "metadata": {"name": "a", "namespace": "n"}},
        },
        "submit W n/a",
    ),
    ("k8s", {"operation": "delete", "source": {}}, "delete the object of its source"),
    ("kafka", {}, "do kafka"),
    ("slack", {"channel": "#orders"}, "write to #orders in Slack"),
    ("email", {"to": ["a@b", "c@d"], "subject": "hi"}, "mail a@b, c@d: hi"),
    ("notify", {"service": "webhook"}, "tell people by webhook"),
    ("notify", {"service": "slack", "recipients": list("abcd")}, "tell 4 recipients by slack"),
]


@pytest.mark.parametrize(("kind", "content", "words"), DEEDS)
def test_deeds_of_other_kinds(kind: str, content: dict[str, Any], words: str) -> None:
    assert deed(Action(key="k", sensor="s", trigger="t", kind=kind, content=content)) == words


def test_of_an_object_that_is_a_secret_the_keys_are_shown() -> None:
    pod = {"kind": "Pod", "spec": {"env": [{"name": "n", "key": "k"}], "token": "t"}}
    assert masked({"object": pod}) == {"object": pod}
    made = {"kind": "Secret", "data": {"a": "eA=="}, "stringData": {"b": "x"}}
    assert masked({"object": made}) == {
        "object": {"kind": "Secret", "data": {"a": "***"}, "stringData": {"b": "***"}}
    }
