"""What is wanted for an EventBus, beside golden files, and the pure parts around it."""

import dataclasses
import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.bus.access import published
from controller.bus.desired import Known, config, desired
from controller.bus.install import fitted, install, kept_to
from controller.bus.material import CLUSTER_PAIR, PAIR, Kept, Material, material
from controller.bus.names import LONGEST, Names
from controller.bus.status import in_use, ready
from controller.bus.versions import Settings
from eventbus.config import BusConfig
from eventbus.settings import StreamSettings
from eventbus.spec import EventBusSpec
from spine.errors import ConfigError
from spine.model import load

GOLDEN = Path(__file__).parent / "golden"
NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
NAMES = Names("default", "ns")
LOGINS = {key: f"username: {key}\npassword: p\n" for key in ("client-auth", "controller-auth")}
ROOT = {**LOGINS, "system-auth": "username: sys\npassword: p\n", "encryption": "KEY"}
MATERIAL = Material(ROOT, {key: f"PEM of {key}\n" for key in (*PAIR, *CLUSTER_PAIR)})


@dataclass(frozen=True)
class Case:
    name: str
    spec: dict[str, Any]

    def __str__(self):
        return self.name


EVERYTHING = {
    "version": "2.10.29",
    "replicas": 3,
    "containerTemplate": {
        "resources": {"limits": {"memory": "1Gi"}},
        "imagePullPolicy": "Always",
        "securityContext": {"readOnlyRootFilesystem": False},
    },
    "reloaderContainerTemplate": {"resources": {"limits": {"memory": "32Mi"}}},
    "metricsContainerTemplate": {"imagePullPolicy": "Never"},
    "persistence": {
        "storageClassName": "fast",
        "accessMode": "ReadWriteOncePod",
        "volumeSize": "100Gi",
    },
    "metadata": {"annotations": {"note": "x"}, "labels": {"team": "y", "controller": "mine"}},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "securityContext": {"fsGroup": 7, "runAsUser": 7},
    "imagePullSecrets": [{"name": "pull"}],
    "priorityClassName": "high",
    "priority": 5,
    "affinity": {"nodeAffinity": {}},
    "serviceAccountName": "nats",
    "settings": "max_memory_store: -1\nmax_file_store: 1TB\n",
    "startArgs": ["-D"],
    "streamConfig": "maxMsgs: 50000\nreplicas: 5\nmaxBytes: 1TB",
    "maxPayload": "4MB",
}
CASES = [
    Case("one", {"jetstream": {"version": "latest", "replicas": 1}}),
    Case("three", {"jetstream": {"version": "latest", "persistence": {}}}),
    Case("native", {"nats": {"native": {"replicas": 1, "auth": "token", "maxAge": "24h"}}}),
]


def spec_of(spec):
    return load(EventBusSpec, spec)


def wanted(**jetstream):
    return install(spec_of({"jetstream": {"version": "latest", **jetstream}}), Settings())


def made(install, **known):
    found = desired(NAMES, install, Known(MATERIAL, **known))
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def stateful_set(install, **known):
    return made(install, **known)["StatefulSet", NAMES.servers]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_desired_is_as_it_was_agreed(case):
    found = install(spec_of(case.spec), Settings())
    everything = desired(NAMES, found, Known(MATERIAL))
    manifests = [*everything, {"config": config(NAMES, found), "notes": found.notes}]
    text = yaml.safe_dump_all(manifests, sort_keys=True)
    file = GOLDEN / f"{case.name}.yaml"
    if os.environ.get("TOCSIN_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def test_every_field_of_the_object_is_honoured():
    found = install(spec_of({"jetstream": EVERYTHING}), Settings())
    everything = stateful_set(found, labels={"app": "z", "eventbus-name": "mine"})
    spec = everything["spec"]
    pod = spec["template"]["spec"]
    server, reloader, metrics = pod["containers"]
    assert everything["metadata"]["labels"] | {"app": "z"} == everything["metadata"]["labels"]
    assert everything["metadata"]["labels"]["eventbus-name"] == "default"
    assert spec["replicas"] == 3
    assert spec["template"]["metadata"]["labels"]["team"] == "y"
    assert spec["template"]["metadata"]["labels"]["controller"] == "tocsin"
    assert spec["template"]["metadata"]["annotations"]["note"] == "x"
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == EVERYTHING["tolerations"]
    assert pod["imagePullSecrets"] == [{"name": "pull"}]
    assert (pod["priorityClassName"], pod["priority"]) == ("high", 5)
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert pod["serviceAccountName"] == "nats"
    assert pod["securityContext"] | {"fsGroup": 7, "runAsUser": 7} == pod["securityContext"]
    assert pod["shareProcessNamespace"] is True
    assert server["args"] == ["-D"]
    assert server["imagePullPolicy"] == "Always"
    assert server["resources"] == {"limits": {"memory": "1Gi"}}
    assert server["securityContext"]["readOnlyRootFilesystem"] is False
    assert reloader["name"] == "reloader"
    assert reloader["resources"] == {"limits": {"memory": "32Mi"}}
    assert (metrics["name"], metrics["imagePullPolicy"]) == ("metrics", "Never")
    claim = spec["volumeClaimTemplates"][0]["spec"]
    assert claim["storageClassName"] == "fast"
    assert claim["accessModes"] == ["ReadWriteOncePod"]
    assert claim["resources"] == {"requests": {"storage": "100Gi"}}
    text = made(found)["ConfigMap", NAMES.config]["data"]["nats-js"]
    assert "max_file_store: 1TB" in text
    assert "max_payload: 4194304" in text
    assert found.stream.max_msgs == 50000
    assert found.stream.replicas == 3
    assert len(found.notes) == 2  # five copies and a terabyte are too much


# ---------------------------------------------------------------------------- what clients get


def test_clients_are_given_what_they_can_read():
    found = load(BusConfig, config(NAMES, wanted()))
    settings = found.settings()
    assert settings is not None
    assert settings == wanted().stream


def test_no_client_sees_what_is_not_theirs():
    secret = made(wanted())["Secret", NAMES.access]
    assert set(secret["data"]) == {"client-auth", "ca-cert"}
    pod = str(stateful_set(wanted()))
    assert NAMES.root not in pod


def test_clients_may_neither_delete_nor_change_streams():
    subjects = list(published())
    assert not [one for one in subjects if "STREAM.DELETE" in one or "STREAM.UPDATE" in one]
    assert not [one for one in subjects if one.startswith((">", "*", "$JS.API.>"))]


# ---------------------------------------------------------------------------- versions and sizes


def test_versions_that_are_too_old_are_served_by_one_that_will_do():
    found = install(spec_of({"jetstream": {"version": "2.9.16"}}), Settings())
    assert found.version.image == "nats:2.10.29"
    assert "too old" in found.notes[0]


def test_an_unknown_version_is_refused_with_what_is_known():
    with pytest.raises(ConfigError, match=r"2\.10\.29") as caught:
        install(spec_of({"jetstream": {"version": "2.10.28"}}), Settings())
    assert "did you mean" in caught.value.hint


def test_servers_are_neither_clustered_nor_taken_away_later():
    single = kept_to(wanted(replicas=3), 1)
    assert single.replicas == 1
    assert single.stream.replicas == 1
    assert "events would be lost" in single.notes[0]
    assert kept_to(wanted(replicas=1), 3).replicas == 3
    assert kept_to(wanted(replicas=5), 3).replicas == 5
    assert kept_to(wanted(replicas=3), None).notes == []


@given(
    copies=st.integers(1, 5),
    size=st.integers(-1, 10**15),
    replicas=st.sampled_from([1, 3, 4, 5, 7]),
    store=st.integers(10**6, 10**13),
)
def test_streams_fit_the_servers(copies, size, replicas, store):
    notes: list[str] = []
    asked = StreamSettings(replicas=copies, max_bytes=size)
    found = fitted(asked, replicas, store, notes)
    assert found.replicas <= min(replicas, 5)
    assert found.max_bytes * 1.2 <= store  # dead letters have a fifth of it
    assert (found != asked) == bool(notes)


def test_a_stream_that_fits_stays_as_it_was_asked_for():
    found = wanted(streamConfig="maxBytes: 1GB\nreplicas: 1\nmaxAge: 24h").stream
    assert (found.max_bytes, found.replicas, found.max_age) == (1024**3, 1, 86400)


# ---------------------------------------------------------------------------- what is kept


def fresh(kept=None):
    return material(NAMES, kept or Kept(), "cluster.local", NOW)


def test_nothing_is_made_anew_while_it_is_there():
    first = fresh()
    kept = Kept(first.root, first.tls, {"client-auth": first.root["client-auth"], "ca-cert": "x"})
    assert fresh(kept) == first


def test_what_is_lost_is_made_from_what_is_kept():
    first = fresh()
    again = fresh(Kept(first.root, running=True))
    assert again.root == first.root
    assert again.tls["ca-cert"] == first.tls["ca-cert"]
    assert again.tls["cert"] != first.tls["cert"]


def test_certificates_are_made_anew_before_they_end_by_the_same_authority():
    first = fresh()
    later = NOW + dt.timedelta(days=365 * 10 - 80)
    again = material(NAMES, Kept(first.root, first.tls), "cluster.local", later)
    assert again.tls["cert"] != first.tls["cert"]
    sooner = NOW + dt.timedelta(days=365 * 9)
    assert material(NAMES, Kept(first.root, first.tls), "cluster.local", sooner) == first


def test_a_lost_key_of_a_store_is_never_replaced():
    with pytest.raises(ConfigError, match="encryption key"):
        fresh(Kept(running=True))


def test_what_argo_events_made_is_taken_over():
    theirs = {"encryption": "abc", **{key: fresh().tls[key] for key in CLUSTER_PAIR}}
    found = fresh(Kept({}, theirs, {"client-auth": "username: u\npassword: p\n"}, running=True))
    assert found.adopted
    assert found.root["encryption"] == "abc"
    assert found.login("client-auth") == ("u", "p")
    assert {key: found.tls[key] for key in CLUSTER_PAIR} == {
        key: theirs[key] for key in CLUSTER_PAIR
    }
    assert fresh(Kept(found.root, found.tls)).adopted


def test_servers_of_argo_events_keep_their_selector_claims_and_user():
    theirs = {"controller": "eventbus-controller", "eventbus-name": "default"}
    claim = {"metadata": {"name": NAMES.volume}, "spec": {"resources": {}}, "status": {}}
    there = {"spec": {"selector": {"matchLabels": theirs}, "volumeClaimTemplates": [claim]}}
    root = {**ROOT, "adopted": "true"}
    known = Known(dataclasses.replace(MATERIAL, root=root), there)
    found = {(one["kind"], one["metadata"]["name"]): one for one in desired(NAMES, wanted(), known)}
    spec = found["StatefulSet", NAMES.servers]["spec"]
    assert spec["selector"]["matchLabels"] == theirs
    assert theirs.items() <= spec["template"]["metadata"]["labels"].items()
    assert "status" not in spec["volumeClaimTemplates"][0]
    assert "runAsUser" not in spec["template"]["spec"]["securityContext"]
    assert found["Service", NAMES.client]["spec"]["selector"] == theirs


def test_pods_are_replaced_when_what_they_read_is_another():
    def read(material=MATERIAL, **jetstream):
        found = desired(NAMES, wanted(**jetstream), Known(material))
        pods = next(one for one in found if one["kind"] == "StatefulSet")["spec"]["template"]
        return pods["metadata"]["annotations"]["tocsin.dev/read"]

    other = dataclasses.replace(MATERIAL, tls={**MATERIAL.tls, "cert": "another"})
    assert read() == read()
    assert read(maxPayload="1MB") != read()
    assert read(other) != read()
    reloaded = {"reloaderContainerTemplate": {}}
    assert read(other, **reloaded) == read(**reloaded)


# ---------------------------------------------------------------------------- names and status


@given(st.text("abcxyz0-.", min_size=1, max_size=200), st.text("abcxyz0-.", min_size=1))
def test_names_fit_and_do_not_clash(one, other):
    left, right = Names(one, "ns"), Names(other, "ns")
    assert len(left.servers) <= LONGEST
    assert all(len(name) <= 63 for name in (left.service, left.client))
    assert "." not in left.servers
    assert (left.servers == right.servers) == (one == other)


def up(count):
    return {"status": {"readyReplicas": count}}


def test_a_bus_is_ready_with_all_servers_at_first_and_then_with_a_majority():
    was = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert ready(up(2), 3, {}).status == "False"
    assert ready(up(3), 3, {}).reason == "Ready"
    assert ready(up(2), 3, was).reason == "Degraded"
    assert ready(up(1), 3, was).status == "False"
    assert ready(None, 1, was).status == "False"


def test_who_holds_a_bus_is_named():
    assert "Sensor 'a'" in in_use(["Sensor 'a'"]).message
    assert in_use([f"Sensor '{n}'" for n in range(9)]).message.endswith("and 4 more")
