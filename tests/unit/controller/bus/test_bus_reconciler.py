"""Whose changes a bus is looked at for."""

from typing import Any, ClassVar

import pytest

from controller.bus import EventBusReconciler
from controller.bus.reconciler import MADE, bus_of
from controller.reconciler import Key
from spine.manifest import ARGO

KEY = Key("EventBus", "ns", "default")


def sensor(bus=None, namespace="ns"):
    spec = {} if bus is None else {"eventBusName": bus}
    metadata = {"name": "s", "namespace": namespace}
    return {"apiVersion": ARGO, "kind": "Sensor", "metadata": metadata, "spec": spec}


class Asked:
    """A cluster with one bus and its users, of which everything is refused but to be looked at."""

    bus: ClassVar[dict[str, Any]] = {
        "apiVersion": ARGO,
        "kind": "EventBus",
        "metadata": {"name": "default", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": {"jetstreamExotic": {"url": "nats://h:4222"}},
    }

    def __init__(self, users, **metadata):
        self.users = users
        self.manifest = {**self.bus, "metadata": {**self.bus["metadata"], **metadata}}
        self.finalizers: dict[str, bool] = {}
        self.told: dict[str, Any] = {}
        self.deleted: list[tuple[str, str]] = []

    def get(self, _version, kind, *_):
        return self.manifest if kind == "EventBus" else None

    def all(self, _version, kind, _namespace):
        return self.users if kind == "Sensor" else []

    async def read(self, *_):
        return None

    def owned(self, _version, kind, _owner):
        return [("ns", f"a-{kind}"), ("ns", f"b-{kind}")]

    async def delete(self, _version, kind, namespace, name):
        assert namespace == "ns"
        assert not self.finalizers  # the bus is still there
        self.deleted.append((kind, name))

    async def finalizer(self, _manifest, name, *, present):
        self.finalizers[name] = present

    async def status(self, _manifest, status):
        self.told = status

    async def event(self, *_):
        pass


@pytest.mark.parametrize("name", [None, "", "default"])
async def test_a_user_of_a_bus_that_is_held_has_it_looked_at_again(name):
    reconciler, asked = EventBusReconciler(), Asked([sensor(name)], deletionTimestamp="now")
    assert list(reconciler.affected(sensor(name))) == []
    await reconciler.reconcile(KEY, asked)
    assert asked.finalizers == {}
    assert [one["type"] for one in asked.told["conditions"] if one["status"] == "True"] == [
        "Deployed", "InUse", "Ready", "Valid",
    ]  # fmt: skip
    assert list(reconciler.affected(sensor(name))) == [KEY]
    assert list(reconciler.affected(sensor("other"))) == []
    assert list(reconciler.affected(sensor(name, namespace="other"))) == []


async def test_a_bus_is_let_go_when_nobody_uses_it():
    reconciler, asked = EventBusReconciler(), Asked([sensor("other")], deletionTimestamp="now")
    await reconciler.reconcile(KEY, asked)
    assert asked.finalizers == {"tocsin.dev/eventbus": False, "eventbus-controller": False}


async def test_what_was_made_for_a_bus_goes_before_it():
    asked = Asked([], deletionTimestamp="now", finalizers=["tocsin.dev/eventbus"])
    await EventBusReconciler().reconcile(KEY, asked)
    assert {kind for kind, _ in asked.deleted} == {kind for _, kind in MADE}
    assert asked.deleted[:2] == [("StatefulSet", "a-StatefulSet"), ("StatefulSet", "b-StatefulSet")]
    assert asked.deleted[-1] == ("Secret", "b-Secret")


async def test_what_is_to_stay_without_its_bus_stays():
    asked = Asked([], deletionTimestamp="now", finalizers=["tocsin.dev/eventbus", "orphan"])
    await EventBusReconciler().reconcile(KEY, asked)
    assert asked.deleted == []
    assert asked.finalizers["tocsin.dev/eventbus"] is False


async def test_a_bus_is_held_from_the_start():
    asked = Asked([])
    await EventBusReconciler().reconcile(KEY, asked)
    assert asked.finalizers == {"tocsin.dev/eventbus": True, "eventbus-controller": False}
    assert asked.told["config"] == {"jetstream": {"url": "nats://h:4222"}}


def test_an_object_without_a_spec_uses_the_default_bus():
    assert bus_of({"spec": None}) == "default"
