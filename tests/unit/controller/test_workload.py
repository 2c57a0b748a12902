"""The pure parts around what is wanted: what is read, generations, status, names, indices."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.conditions import Condition
from controller.reconciler import Key
from controller.workload.buses import BusState
from controller.workload.checking import look
from controller.workload.desired import (
    CONTENT,
    GENERATION,
    READ,
    SUSPEND,
    Known,
    Options,
    desired,
    generation,
    refs_of,
    replicas,
)
from controller.workload.index import Index
from controller.workload.names import LABEL_LENGTH, domain, shortened
from controller.workload.status import Pods, ready, valid

OPTIONS = Options(image="tocsin:1")
BUS = {"jetstream": {"url": "nats://bus:4222"}}
SPEC = {
    "dependencies": [{"name": "d", "eventSourceName": "hook", "eventName": "in"}],
    "triggers": [{"template": {"name": "t", "log": {}}}],
}


def sensor(spec=None, **metadata):
    """Return a checked Sensor."""
    found = look(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Sensor",
            "metadata": {
                "name": "tell",
                "namespace": "ns",
                "uid": "u",
                "generation": 2,
                "creationTimestamp": "2026-01-01T00:00:00Z",
                **metadata,
            },
            "spec": {**SPEC, **(spec or {})},
        }
    )
    assert not found.errors
    return found.checked


def made(checked, bus=BUS, known=None, options=OPTIONS):
    return {one["kind"]: one for one in desired(checked, bus, options, known)}


def read(*arguments, **more):
    template = made(*arguments, **more)["Deployment"]["spec"]["template"]
    return template["metadata"]["annotations"][READ]


# ---------------------------------------------------------------------------- what is read


@dataclass(frozen=True)
class Case:
    name: str
    spec: dict
    replaced: bool

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("replicas", {"replicas": 3}, False),
    Case("suspend", {"suspend": True}, False),
    Case("revisions", {"revisionHistoryLimit": 1}, False),
    Case("template", {"template": {"nodeSelector": {"a": "b"}}}, False),
    Case("any case of a key", {"Replicas": 3}, False),
    Case("a trigger", {"triggers": [{"template": {"name": "u", "log": {}}}]}, True),
    Case("where it starts", {"startFrom": "all"}, True),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pods_are_replaced_for_what_they_read(case: Case) -> None:
    assert (read(sensor(case.spec)) != read(sensor())) is case.replaced


def test_pods_are_replaced_for_another_bus_and_other_values() -> None:
    before = read(sensor())
    assert read(sensor(), {"jetstream": {"url": "nats://other:4222"}}) != before
    assert read(sensor(), BUS, Known({("Secret", "hub"): "a"})) != before


def test_values_are_no_part_of_it_in_whatever_order_they_come() -> None:
    one, two = {("Secret", "a"): "1", ("Secret", "b"): "2"}, {("Secret", "b"): "2"}
    two[("Secret", "a")] = "1"
    assert read(sensor(), BUS, Known(one)) == read(sensor(), BUS, Known(two))


def test_an_old_bus_with_fields_that_nobody_knows_is_read() -> None:
    bus = {"jetstream": {"url": "nats://bus:4222", "fromTheFuture": 1}}
    assert refs_of(sensor(), bus) == []


def test_optional_is_only_what_is_so_everywhere() -> None:
    def header(key, optional):
        ref = {"name": "hub", "key": key, "optional": optional}
        return {"name": key, "valueFrom": {"secretKeyRef": ref}}

    http = {"url": "http://x", "method": "POST", "secureHeaders": [header("a", True)]}
    trigger = {"template": {"name": "t", "http": http}}
    assert [one.optional for one in refs_of(sensor({"triggers": [trigger]}), BUS)] == [True]
    http["secureHeaders"].append(header("b", None))
    (one,) = refs_of(sensor({"triggers": [trigger]}), BUS)
    assert (one.optional, one.keys) == (False, ("a", "b"))


# ---------------------------------------------------------------------------- generations


def kept(checked, known=None):
    return made(checked, known=known)["Secret"]["metadata"]["annotations"]


def test_a_generation_stays_while_only_pods_are_shaped() -> None:
    before = kept(sensor())
    after = kept(sensor({"replicas": 3}, generation=3), Known(kept=before))
    assert after == before
    edited = kept(sensor({"startFrom": "all"}, generation=4), Known(kept=after))
    assert int(edited[GENERATION]) > int(after[GENERATION])
    assert edited[CONTENT] != after[CONTENT]


def test_one_that_was_deleted_and_made_again_is_newer() -> None:
    old = generation(sensor(generation=900), {})
    new = generation(sensor(generation=1, creationTimestamp="2026-01-01T00:00:01Z"), {})
    assert new > old


# ---------------------------------------------------------------------------- suspending


@pytest.mark.parametrize(
    ("spec", "annotations", "count"),
    [
        ({}, {}, 1),
        ({"replicas": 0}, {}, 1),
        ({"replicas": 4}, {}, 4),
        ({"replicas": 4, "suspend": True}, {}, 0),
        ({}, {SUSPEND: "true"}, 0),
        ({}, {SUSPEND: "false"}, 1),
    ],
)
def test_replicas(spec, annotations, count) -> None:
    checked = sensor(spec, annotations=annotations)
    assert replicas(checked) == count
    assert ("PodDisruptionBudget" in made(checked)) is (count > 1)


# ---------------------------------------------------------------------------- status

GOOD = Condition("True", "Deployed")
UP = Pods(wanted=2, total=2, updated=2, available=2, observed=True)


@dataclass(frozen=True)
class State:
    name: str
    pods: Pods
    reason: str
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


STATES = [
    State("all are up", UP, "Ready"),
    State("one is not", replace(UP, available=1), "PodsNotReady"),
    State("it is not looked at yet", replace(UP, observed=False), "PodsNotReady"),
    State("an old one is left", replace(UP, total=3), "RollingOut"),
    State("they cannot be made", replace(UP, available=0, trouble="forbidden"), "PodsFailed"),
    State("a Secret is missing", replace(UP, available=0), "ReferenceNotFound", ("Secret 'x'",)),
    State("what is missing hurts nobody yet", UP, "Ready", ("Secret 'x'",)),
]


@pytest.mark.parametrize("state", STATES, ids=str)
def test_ready(state: State) -> None:
    found = ready(valid((), ()), GOOD, state.pods, suspended=False, missing=list(state.missing))
    assert found.reason == state.reason
    assert (found.status == "True") is (state.reason == "Ready")


def test_the_first_reason_is_told() -> None:
    wrong = valid(("spec: wrong",), ("odd",))
    assert wrong == Condition("False", "InvalidConfig", "spec: wrong")
    assert ready(wrong, GOOD, UP, suspended=True, missing=[]).reason == "InvalidConfig"
    waits = Condition("False", BusState(None, False, "EventBusNotFound", "m").reason, "m")
    assert ready(valid((), ()), waits, UP, suspended=True, missing=[]).reason == "EventBusNotFound"
    assert ready(valid((), ()), GOOD, UP, suspended=True, missing=[]).reason == "Suspended"


def test_whatever_is_stored_is_only_told_of() -> None:
    for spec in (None, [], {}, {"triggers": 1}, {"dependencies": [None]}):
        found = look(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Sensor",
                "metadata": {"name": "x", "namespace": "ns", "uid": "u"},
                "spec": spec,
            }
        )
        assert found.errors


# ---------------------------------------------------------------------------- names, index


@given(st.text(min_size=1, max_size=120))
def test_a_domain_is_a_domain(text: str) -> None:
    found = domain(text)
    assert len(found) <= LABEL_LENGTH
    assert found[0] in "abcdefghijklmnopqrstuvwxyz"
    assert found[-1] != "-"
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@given(st.text("ab.-", min_size=50, max_size=90), st.text("ab.-", min_size=50, max_size=90))
def test_two_names_never_become_one(one: str, other: str) -> None:
    assert (domain(one) == domain(other)) is (one == other)
    assert (shortened(one, 63) == shortened(other, 63)) is (one == other)


KEYS = st.sampled_from([Key("Sensor", "ns", name) for name in "abc"])
TARGETS = st.lists(st.sampled_from([Key("Secret", "ns", name) for name in "xyz"]))


@given(st.lists(st.tuples(KEYS, TARGETS)))
def test_an_index_knows_who_refers_to_what(steps) -> None:
    index, truth = Index(), {}
    for key, targets in steps:
        index.set(key, targets)
        truth[key] = set(targets)
    for name in "xyz":
        target = Key("Secret", "ns", name)
        assert index.of(target) == sorted(key for key, found in truth.items() if target in found)
    for key in truth:
        index.set(key, ())
    assert not index._to
    assert not index._by
