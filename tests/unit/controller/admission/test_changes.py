"""What may not change in an EventBus."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.admission.changes import Edit, forbidden
from controller.objects import check_object
from spine.manifest import Object
from spine.model import dotted


def bus(spec):
    raw = {"apiVersion": "argoproj.io/v1alpha1", "kind": "EventBus", "spec": spec}
    checked, _ = check_object(
        Object("EventBus", "default", "ns", {**raw, "metadata": {"name": "default"}}, "", {}, {})
    )
    return checked


def jetstream(**more):
    return {"jetstream": {"version": "latest", **more}}


def servers(replicas, *claims):
    return {"spec": {"replicas": replicas, "volumeClaimTemplates": list(claims)}}


def claim(size):
    return {
        "metadata": {"name": "eventbus-default-js-vol"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


STAN = {"nats": {"native": {"replicas": 3, "auth": "token"}}}
EXOTIC = {"jetstreamExotic": {"url": "nats://there:4222"}}


@dataclass(frozen=True)
class Case:
    name: str
    before: dict[str, Any]
    now: dict[str, Any]
    said: str = ""
    servers: dict[str, Any] | None = field(default=None)

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("nothing", jetstream(), jetstream()),
    Case("what may change", jetstream(), jetstream(maxPayload="1MB", streamConfig="maxAge: 1h\n")),
    Case("to another kind", jetstream(), EXOTIC, "spec: jetstream cannot become jetstreamExotic"),
    Case("and back", EXOTIC, jetstream(), "spec: jetstreamExotic cannot become jetstream"),
    Case("another server", EXOTIC, {"jetstreamExotic": {"url": "nats://elsewhere:4222"}}),
    Case("STAN is JetStream already", STAN, jetstream(replicas=3)),
    Case("STAN to elsewhere", STAN, EXOTIC, "spec: jetstream cannot become jetstreamExotic"),
    Case("from what was never served", {"kafka": {"url": "a:1"}}, jetstream()),
    Case("from what was never valid", {"jetstrem": {}}, jetstream()),
    Case("more servers", jetstream(replicas=3), jetstream(replicas=5)),
    Case("fewer servers", jetstream(replicas=5), jetstream(replicas=3),
         "spec.jetstream.replicas: 5 servers are kept, as with 3 events would be lost"),
    Case("fewer than by default", jetstream(), jetstream(replicas=1),
         "spec.jetstream.replicas: 3 servers are kept"),
    Case("of any version", {"jetstream": {"version": "2.9.99-ours", "replicas": 5}},
         {"jetstream": {"version": "2.10.99-ours", "replicas": 3}},
         "spec.jetstream.replicas: 5 servers are kept"),
    Case("one to several", jetstream(replicas=1), jetstream(replicas=3),
         "spec.jetstream.replicas: 1 servers are kept"),
    Case("to what there is", jetstream(replicas=3), jetstream(replicas=1), "", servers(1)),
    Case("away from what there is", jetstream(replicas=1), jetstream(replicas=3),
         "spec.jetstream.replicas: 1 servers are kept", servers(1)),
    Case("a volume", jetstream(), jetstream(persistence={}), "spec.jetstream.persistence: "),
    Case("another volume", jetstream(persistence={}), jetstream(persistence={"volumeSize": "1Gi"}),
         "spec.jetstream.persistence: the volumes of servers that exist cannot become others"),
    Case("the same volume in words", jetstream(persistence={}),
         jetstream(persistence={"volumeSize": "20Gi", "accessMode": "ReadWriteOnce"})),
    Case("the volume that there is", jetstream(persistence={"volumeSize": "9Gi"}),
         jetstream(persistence={"volumeSize": "1Gi"}), "", servers(3, claim("1Gi"))),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_edits(case):
    found = [
        f"{dotted(one.path)}: {one.message}"
        for one in forbidden(Edit(bus(case.before), bus(case.now), case.servers))
    ]
    if not case.said:
        assert found == []
        return
    (one,) = found
    assert one.startswith(case.said)
