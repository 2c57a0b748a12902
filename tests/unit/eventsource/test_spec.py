"""The EventSource object: what is taken, with what warning, and what is refused in what words."""

import copy
from typing import Any

import pytest

from eventsource.sources.webhook import Webhook
from eventsource.spec import EventSourceSpec, kinds, ports, topics
from spine.model import InvalidModel, load

HOOK = {"endpoint": "/a", "port": "12000", "method": "POST"}
# fmt: off
UNBUILT = [
    "amqp", "kafka",
    "hdfs", "storageGrid", "azureEventsHub", "stripe", "emitter",
    "nsq", "pulsar", "bitbucketserver", "bitbucket",
    "azureServiceBus", "azureQueueStorage", "gerrit", "mns",
]
# fmt: on


def read(raw: Any) -> tuple[EventSourceSpec, list[str]]:
    warnings: list[str] = []
    return load(EventSourceSpec, copy.deepcopy(raw), on_warning=warnings.append), warnings


def refusal(raw: Any) -> str:
    with pytest.raises(InvalidModel) as caught:
        read(raw)
    return str(caught.value)


def hooks(**events: Any) -> dict[str, Any]:
    return {"webhook": {name: {**HOOK, **event} for name, event in events.items()}}


def test_the_whole_envelope():
    raw = {
        "eventBusName": "",
        "replicas": 0,
        "template": {
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "serviceAccountName": "sa",
            "container": {
                "resources": {"limits": {"cpu": 1}},
                "imagePullPolicy": "Always",
                "securityContext": {"runAsUser": 1},
                "env": [{"name": "A", "value": "b"}],
                "envFrom": [{"secretRef": {"name": "s"}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            },
            "volumes": [{"name": "v", "emptyDir": {}}],
            "securityContext": {"fsGroup": 1},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "imagePullSecrets": [{"name": "r"}],
            "priorityClassName": "high",
            "priority": 5,
        },
        "service": {
            "ports": [{"port": 12000, "targetPort": 12000}],
            "clusterIP": "None",
            "metadata": {"labels": {"a": "b"}},
        },
        "webhook": {"example": HOOK},
        "kafka": {},
        "calendar": None,
    }
    spec, warnings = read(raw)

    assert warnings == []
    assert (spec.event_bus_name, spec.replicas) == ("default", 1)
    assert spec.service is not None
    assert spec.service.cluster_ip == "None"
    assert list(spec.sources()) == ["example"]
    assert topics("es", spec) == [("example", "webhook")]


def test_there_are_32_kinds():
    assert len(kinds()) + len(UNBUILT) == 32


@pytest.mark.parametrize("kind", UNBUILT)
def test_known_kind_that_is_not_built(kind):
    told = refusal({kind: {"example": {"anything": 1}}})
    assert f"known kind `{kind}` that is not built yet" in told
    assert "unknown field" not in told


def test_unknown_kind_is_an_unknown_field():
    assert "webhooks: unknown field (did you mean webhook)" in refusal({"webhooks": {}})


def test_no_event_at_all():
    assert "there is no event" in refusal({"webhook": {}})


@pytest.mark.parametrize("name", ["a.b", "a b", "a*", "a>", "", "a\n"])
def test_names_that_cannot_be_addressed(name):
    assert f"webhook: event name {name!r}" in refusal({"webhook": {name: HOOK}})


@pytest.mark.parametrize("name", ["example", "Ex_ample-1", "übung"])
def test_names_that_can(name):
    assert list(read({"webhook": {name: HOOK}})[0].sources()) == [name]


def test_names_are_unique_across_kinds():
    raw = {"webhook": {"a": HOOK}, "calendar": {"a": {"interval": "10s"}}}
    assert "event name 'a' stands below both calendar and webhook" in refusal(raw)


def test_kinds_that_argo_events_does_not_mix():
    _, warnings = read({"webhook": {"a": HOOK}, "calendar": {"b": {"interval": "10s"}}})
    assert "calendar and webhook" in warnings[0]


def test_ports():
    secret = {"name": "tls", "key": "crt"}
    tls = {"port": "443", "serverCertSecret": secret, "serverKeySecret": secret}
    spec, _ = read(hooks(a={}, b={"endpoint": "/b"}, c=tls))

    found = [(p.number, p.endpoint, p.event, p.path, p.tls) for p in ports(spec)]
    assert found == [
        (12000, "/a", "a", ("webhook", "a", "port"), False),
        (12000, "/b", "b", ("webhook", "b", "port"), False),
        (443, "/a", "c", ("webhook", "c", "port"), True),
    ]


def test_same_port_and_endpoint_twice():
    told = refusal(hooks(a={}, b={}))
    assert "webhook.a and webhook.b have the same port 12000 and endpoint '/a'" in told


def test_tls_on_half_a_port():
    secret = {"name": "tls", "key": "crt"}
    tls = {"endpoint": "/b", "serverCertSecret": secret, "serverKeySecret": secret}
    assert "webhook.a and webhook.b share port 12000, and only one of them has TLS" in refusal(
        hooks(a={}, b=tls)
    )


def test_two_certificates_on_one_port():
    def tls(name: str) -> dict[str, Any]:
        keys = ("serverCertSecret", "serverKeySecret")
        return {key: {"name": name, "key": key} for key in keys}

    _, warnings = read(hooks(a=tls("one"), b={"endpoint": "/b", **tls("two")}))
    assert warnings == ["webhook.b: port 12000 serves the certificate of a"]


def test_all_problems_at_once():
    told = refusal(hooks(a={"port": "0"}, b={"endpoint": "b"}, c={"method": "FETCH"}))
    assert "webhook.a.port: '0': must be a port" in told
    assert "webhook.b.endpoint: 'b': must start with a slash" in told
    assert "webhook.c.method: 'FETCH': must be one of GET, POST" in told


def test_the_container_of_old_is_taken_with_a_warning():
    raw = {"template": {"container": {"image": "x", "args": []}}, "webhook": {"a": HOOK}}
    _, warnings = read(raw)
    assert [w.partition(":")[0] for w in warnings] == ["image", "args"]


def test_sources_are_what_the_kinds_say():
    assert kinds()["webhook"] is Webhook


def test_pushed_messages_share_ports_with_webhooks():
    push = {"endpoint": "/p", "port": "12000", "authenticated": False}
    spec, _ = read({**hooks(x={}), "pubSub": {"y": {"push": push}, "z": {"topic": "t"}}})
    assert [(p.number, p.path) for p in ports(spec)] == [
        (12000, ("webhook", "x", "port")),
        (12000, ("pubSub", "y", "push", "port")),
    ]
    assert "webhook.x and pubSub.y have the same port 12000 and endpoint '/a'" in refusal(
        {**hooks(x={}), "pubSub": {"y": {"push": {**push, "endpoint": "/a"}}}}
    )
    tls = {"name": "n", "key": "k"}
    only_one = {**push, "serverCertSecret": tls, "serverKeySecret": tls}
    assert "only one of them has TLS" in refusal(
        {**hooks(x={}), "pubSub": {"y": {"push": only_one}}}
    )
