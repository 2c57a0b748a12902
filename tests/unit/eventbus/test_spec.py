"""EventBus objects of every kind, old ones too."""

import pytest

from eventbus.settings import StreamSettings
from eventbus.spec import EventBusSpec
from spine.errors import ConfigError
from spine.model import InvalidModel, load

EXOTIC = {"url": "nats://h:4222"}
STAN = {"url": "nats://h:4222", "clusterID": "c"}


def read(raw: dict) -> tuple[EventBusSpec, list[str]]:
    warnings: list[str] = []
    return load(EventBusSpec, raw, what="EventBus default", on_warning=warnings.append), warnings


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ({"nats": {"native": {}}}, "nats.native"),
        ({"nats": {"exotic": STAN}}, "nats.exotic"),
        ({"jetstream": {"version": "latest"}}, "jetstream"),
        ({"jetstreamExotic": EXOTIC}, "jetstreamExotic"),
        ({"kafka": {"url": "k:9092"}}, "kafka"),
    ],
)
def test_kinds(raw, kind):
    assert read(raw)[0].kind == kind


def test_several_kinds_are_taken_in_the_order_of_argo_events():
    nats = {"nats": {"native": {}, "exotic": STAN}}
    spec, warnings = read({"jetstreamExotic": EXOTIC, "jetstream": {"version": "1"}, **nats})
    assert spec.kind == "nats.exotic"
    assert any("nats.exotic is taken" in w for w in warnings)
    assert read({"jetstreamExotic": EXOTIC, "kafka": {"url": "k"}})[0].kind == "kafka"


def test_the_native_bus_of_the_tutorials_is_served_by_jetstream():
    raw = {
        "nats": {
            "native": {
                "replicas": 3,
                "auth": "token",
                "persistence": {"storageClassName": "standard", "volumeSize": "5Gi"},
                "maxAge": "24h",
                "maxBytes": "1GB",
            }
        }
    }
    spec, warnings = read(raw)
    assert spec.nats is not None
    assert spec.nats.native is not None
    assert spec.nats.native.replicas == 3
    assert spec.existing is None
    assert any("JetStream" in w for w in warnings)


def test_an_exotic_bus_exists():
    spec, warnings = read({"jetstreamExotic": {**EXOTIC, "streamConfig": "maxMsgs: 5"}})
    assert warnings == []
    assert spec.existing is not None
    assert spec.existing.require_jetstream().url == "nats://h:4222"
    assert spec.settings(StreamSettings()).max_msgs == 5


def test_the_stream_config_of_a_bus_to_be_installed():
    spec, _ = read({"jetstream": {"version": "latest", "streamConfig": "maxAge: 24h\n"}})
    assert spec.existing is None
    found = spec.settings(StreamSettings(max_bytes=7))
    assert (found.max_age, found.max_bytes) == (86400.0, 7)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"kafka": {"url": "k"}}, "kafka is a known kind of bus that is not built yet"),
        ({"nats": {"exotic": STAN}}, "NATS Streaming server at nats://h:4222 cannot be used"),
    ],
)
def test_kinds_that_are_known_and_not_served(raw, message):
    with pytest.raises(ConfigError, match=message):
        _ = read(raw)[0].existing


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "set one of nats, jetstream, jetstreamExotic, kafka"),
        ({"nats": {}}, "nats: set native or exotic"),
        ({"nats": {"native": {"auth": "basic"}}}, "nats.native.auth: 'basic'"),
        ({"nats": {"native": {"maxAge": "1d"}}}, "nats.native.maxAge: '1d': not a duration"),
        ({"nats": {"native": {"maxPayload": "x"}}}, "nats.native.maxPayload: 'x': not a size"),
        ({"nats": {"exotic": {"url": "h"}}}, "nats.exotic.clusterID: required"),
        ({"jetstream": {}}, "jetstream.version: required"),
        ({"jetstream": {"version": "1", "replicas": 2}}, "jetstream.replicas: 2: 1, or 3"),
        ({"jetstream": {"version": "1", "replicas": 0}}, "jetstream.replicas: 0"),
        ({"jetstream": {"version": "1", "streamConfig": "maxAge: x"}}, "streamConfig.maxAge 'x'"),
        ({"jetstream": {"version": "1", "maxPayload": "8X"}}, "jetstream.maxPayload: '8X'"),
        ({"jetstream": {"version": "1", "persistance": {}}}, "did you mean persistence"),
        ({"jetstreamExotic": {}}, "jetstreamExotic.url: required"),
        ({"jetStream": {"version": "1"}, "jetstreamExotik": {}}, "did you mean jetstreamExotic"),
        ({"kafka": {}}, "kafka.url: required"),
    ],
)
def test_mistakes(raw, message):
    with pytest.raises(InvalidModel, match="EventBus default") as found:
        read(raw)
    assert message in str(found.value)


def test_keys_in_another_case_are_taken_with_a_warning():
    spec, warnings = read({"jetStream": {"version": "1"}})
    assert spec.kind == "jetstream"
    assert warnings == ["jetStream: write jetstream"]
