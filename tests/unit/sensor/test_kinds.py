"""Kinds of triggers, field by field: what is refused, and what an action of them holds."""

from dataclasses import dataclass
from typing import Any

import pytest
from plan_kit import event

from sensor.plan import compile_plan
from sensor.spec import SensorSpec
from spine.errors import ConfigError
from spine.model import load

PAYLOAD = [{"src": {"dependencyName": "d", "dataKey": "id"}, "dest": "id"}]
REF = {"name": "s", "key": "k"}
EMAIL = {"host": "h", "from": "till@x.test", "to": ["a@x.test"], "subject": "s", "body": "b"}


def content(kind: str, settings: dict[str, Any], **entry: Any) -> dict[str, Any]:
    spec = {
        "dependencies": [{"name": "d", "eventSourceName": "s", "eventName": "e"}],
        "triggers": [{"template": {"name": "t", kind: settings}, **entry}],
    }
    plan = compile_plan("till", "ns", load(SensorSpec, spec), unbuilt_ok=True)
    (planned,) = plan.triggers.values()
    return planned.render({"d": event("d", data=b'{"id": "A-1"}')}, "key").content


@dataclass(frozen=True)
class Bad:
    kind: str
    settings: dict[str, Any]
    why: str

    def __str__(self) -> str:
        return f"{self.kind} {self.why}"


BAD = [
    Bad("awsLambda", {"region": "r", "payload": []}, "functionName: required"),
    Bad("awsLambda", {"functionName": "f", "payload": []}, "region: required"),
    Bad("awsLambda", {"functionName": "f", "region": "r"}, "payload: required"),
    Bad(
        "awsLambda",
        {"functionName": "f", "region": "r", "payload": [], "accessKey": REF},
        "accessKey and secretKey belong together",
    ),
    Bad(
        "awsLambda",
        {"functionName": "f", "region": "r", "payload": [], "invocationType": "event"},
        "input should be",
    ),
    Bad("azureEventHubs", {"hubName": "h", "payload": []}, "fqdn: required"),
    Bad("azureServiceBus", {"payload": []}, "queueName or topicName is missing"),
    Bad("custom", {"spec": {}}, "serverURL: required"),
    Bad("custom", {"serverURL": "u"}, "spec: required"),
    Bad("custom", {"serverURL": "u", "spec": {}, "secure": True}, "secure needs certSecret"),
    Bad("email", {"to": ["a@b"]}, "host: required"),
    Bad("email", {"host": "h", "port": 65536}, "port"),
    Bad("email", {"host": "h", "subject": "s", "body": "b"}, "to is missing"),
    Bad("email", EMAIL | {"subject": ""}, "subject is missing"),
    Bad("email", EMAIL | {"body": ""}, "body is missing"),
    Bad("email", EMAIL | {"from": ""}, "from is missing"),
    Bad("email", EMAIL | {"to": ["a@x.test", "b"]}, "'b' is no e-mail address"),
    Bad("kafka", {"url": "u", "payload": []}, "topic: required"),
    Bad("kafka", {"url": "u", "topic": "t"}, "payload: required"),
    Bad("nats", {"url": "u", "payload": []}, "subject: required"),
    Bad("nats", {"url": "u", "subject": "a b", "payload": []}, "no subject to publish to"),
    Bad("nats", {"url": "u", "subject": "a.*", "payload": []}, "no subject to publish to"),
    Bad("nats", {"url": "u", "subject": "a.", "payload": []}, "no subject to publish to"),
    Bad("nats", {"url": "u", "subject": ">", "payload": []}, "no subject to publish to"),
    Bad("nats", {"url": "u", "subject": "a", "payload": [], "auth": {}}, "set basic, token"),
    Bad("openWhisk", {"host": "h", "payload": []}, "actionName: required"),
    Bad(
        "openWhisk",
        {"host": "h", "actionName": "a", "payload": [], "authToken": {"key": "k"}},
        "set name and key",
    ),
    Bad("pulsar", {"url": "u", "payload": []}, "topic: required"),
    Bad("slack", {"channel": "c", "message": "m"}, "slackToken: required"),
    Bad("slack", {"slackToken": REF, "channel": "c"}, "message or blocks is missing"),
    Bad("slack", {"slackToken": REF, "message": "m"}, "channel is missing"),
    Bad("slack", {"slackToken": REF, "message": "m", "channel": "#"}, "channel is missing"),
    Bad("slack", {"slackToken": REF, "channel": "c", "blocks": "[{]"}, "blocks: no JSON at line 1"),
    Bad("slack", {"slackToken": REF, "channel": "c", "attachments": "{}"}, "but no array"),
    Bad("k8s", {}, "source: required"),
    Bad("argoWorkflow", {"operation": "submit"}, "source: required"),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_refused(bad: Bad) -> None:
    with pytest.raises(ConfigError, match=bad.why):
        content(bad.kind, bad.settings)


def test_settings_and_body_are_the_content() -> None:
    settings = {"url": "u", "topic": "t", "payload": PAYLOAD, "secureHeaders": []}
    assert content("kafka", settings) == {"url": "u", "topic": "t", "body": '{"id":"A-1"}'}


@pytest.mark.parametrize(
    ("kind", "settings", "dest"),
    [
        ("nats", {"url": "u", "subject": "s", "payload": []}, "subject"),
        ("kafka", {"url": "u", "topic": "t", "payload": []}, "partitioningKey"),
        ("pulsar", {"url": "u", "topic": "t", "payload": []}, "topic"),
        ("slack", {"slackToken": REF, "channel": "c", "message": "m"}, "message"),
        ("email", EMAIL, "subject"),
    ],
)
def test_parameters_of_a_kind_reach_its_settings(kind: str, settings: dict, dest: str) -> None:
    change = [{"src": {"dependencyName": "d", "dataKey": "id"}, "dest": dest}]
    assert content(kind, settings | {"parameters": change})[dest] == "A-1"


def test_parameters_of_a_custom_trigger_wait_for_the_resource() -> None:
    change = [{"src": {"dependencyName": "d", "dataKey": "id"}, "dest": "spec.id"}]
    made = content("custom", {"serverURL": "u", "spec": {"a": "b"}, "parameters": change})
    assert made["changes"] == [{"dest": "spec.id", "text": "A-1"}]
    assert made["spec"] == {"a": "b"}


def test_policy_goes_to_who_can_keep_it() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
    settings = {"source": {"resource": job}}
    labels = {"k8s": {"labels": {"done": "yes"}}}
    assert content("k8s", settings, policy=labels)["policy"]["labels"] == {"done": "yes"}
    with pytest.raises(ConfigError, match=r"policy\.k8s\.labels: required field is missing"):
        content("k8s", settings, policy={"k8s": {}})
