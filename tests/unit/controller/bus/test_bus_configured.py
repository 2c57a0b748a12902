"""Versions that Argo Events' controller was configured with."""

import pytest

from controller.bus.configured import configured
from controller.bus.versions import Settings
from spine.errors import ConfigError

TEXT = """
eventBus:
  nats:
    versions: [{version: 0.22.1, natsStreamingImage: "nats-streaming:0.22.1"}]
  jetstream:
    settings: "max_file_store: 1TB"
    streamConfig: |
      maxMsgs: 50000
      maxAge: 168h
      discard: 0
    versions:
      - {version: latest, natsImage: "mirror:5000/nats:2.11.4", startCommand: /nats-server}
      - version: 2.10.29
        natsImage: mirror:5000/nats:2.10.29
        metricsExporterImage: mirror:5000/exporter:1
        configReloaderImage: mirror:5000/reloader:1
        startCommand: nats-server
      - {version: 2.9.16, natsImage: "mirror:5000/nats:2.9.16"}
      - {version: pinned, natsImage: "mirror:5000/nats@sha256:0123"}
"""


def test_versions_are_those_of_the_registry_that_is_named():
    settings, notes = configured(TEXT, Settings())
    assert notes == ()
    given = settings.version("2.10.29")
    assert (given.image, given.metrics) == ("mirror:5000/nats:2.10.29", "mirror:5000/exporter:1")
    assert (given.reloader, given.command) == ("mirror:5000/reloader:1", "nats-server")
    assert settings.version("latest").image == "mirror:5000/nats:2.11.4"
    assert settings.version("pinned").image == "mirror:5000/nats@sha256:0123"
    assert settings.version("2.8.1").image == Settings().version("2.8.1").image


def test_what_is_too_old_is_served_by_the_oldest_of_the_same_registry():
    found = configured(TEXT, Settings())[0].version("2.9.16")
    assert found.image == "mirror:5000/nats:2.10.29"
    assert found.note == "nats-server 2.9.16 is too old for Tocsin; 2.10.29 runs instead"


def test_keys_may_be_of_any_case():
    settings, _ = configured(TEXT.replace("natsImage", "NatsImage"), Settings())
    assert settings.version("latest").image == "mirror:5000/nats:2.11.4"


def test_limits_that_somebody_chose_are_named():
    _, (note,) = configured(TEXT.replace("168h", "24h"), Settings())
    assert "write it into the EventBus" in note


@pytest.mark.parametrize("text", ["[", "1", "eventBus: {jetstream: {versions: [1]}}", "[a]"])
def test_what_is_of_another_shape_is_told(text):
    with pytest.raises(ConfigError, match="argo-events-controller-config"):
        configured(text, Settings())


def test_nothing_changes_where_it_says_nothing():
    assert configured("eventBus: {}", Settings())[0] == Settings()
