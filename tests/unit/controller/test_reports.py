"""What pods say, taken together, and what the status makes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from controller.reconciler import Key
from controller.sweep import dead_of, pending_of
from controller.workload import parts
from controller.workload.checking import look
from controller.workload.letters import EVERY, Letters
from controller.workload.reports import Pod, Report, pods_of, together
from controller.workload.status import Pods, Told, dead_letters, ready, valid
from delivery.subjects import dead_subject, pending_durable
from eventbus.bus import ReaderInfo
from spine.standing import Part, Standing, decode, encode

UP = Part("a", True, "Listening")
DOWN = Part("a", False, "SourceFailed", "refused")
STARTING = Part("a", False, "Starting", "is starting")
BY = Part("a", True, "StandingBy")
FAILING = Part("a", True, "Failing", "404 Not Found", 5.0)
FIRED, EARLIER = Part("a", True, "Bound", "", 9.0), Part("a", True, "Bound", "", 7.0)
NOBODY = Part("a", False, "StandingBy", "every replica stands by for another one")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def pod(name, trouble=""):
    return Pod(name, "10.0.0.1", trouble)


def said(*found, **more):
    """Return what comes of pods that have said these parts, or could not be asked (a text)."""
    return together(
        [
            (pod(f"p{number}"), one if isinstance(one, str) else standing(one, **more))
            for number, one in enumerate(found)
        ]
    )


def standing(part, **more):
    return Standing("EventSource", "ns", "hook", parts=[part], **more)


# ---------------------------------------------------------------------------- together


@dataclass(frozen=True)
class Case:
    name: str
    found: tuple
    wanted: Part | None

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("one listens", (UP,), UP),
    Case("one does not", (DOWN,), DOWN),
    Case("one listens, one stands by", (BY, UP), UP),
    Case("all stand by", (BY, BY), NOBODY),
    Case("one of two does not", (DOWN, UP), Part("a", True, "Listening", "not in pod p0: refused")),
    Case("the target fails for one", (UP, FAILING), FAILING),
    Case("the other may listen", (DOWN, "pod p1 does not answer"), None),
    Case("the other may be the one", (BY, "pod p1 does not answer"), None),
    Case("what is known to work does", (UP, "pod p1 does not answer"), UP),
    Case("the latest time counts", (FIRED, EARLIER), FIRED),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_part_is_ready_if_one_pod_sees_to_it(case: Case):
    assert said(*case.found).parts.get("a") == case.wanted


def test_what_pods_note_and_set_aside_is_one():
    found = said(UP, UP, notes=["odd"], dead_letters={"TriggerFailed": 2})
    assert (found.notes, found.dead, found.unknown) == (("odd",), {"TriggerFailed": 4}, "")
    assert said(UP, "pod p1 is deaf").unknown == "pod p1 is deaf"


def test_what_a_process_waits_for_is_told():
    waiting = Standing("Sensor", "ns", "s", checks={"bus": "is being connected", "sensor": "waits"})
    found = together([(pod("p"), waiting)])
    assert found.trouble == "pod p: bus is being connected; sensor waits"
    assert together([(pod("p", "pod p: ErrImagePull"), None)]).trouble == "pod p: ErrImagePull"
    assert said(DOWN, checks={"bus": "", "eventsource": "event a failed"}).trouble == ""


def test_what_is_told_arrives():
    whole = Standing("Sensor", "ns", "s", 7, {"bus": "away"}, [FAILING], ["n"], {"Bug": 1})
    assert decode(encode(whole)) == whole


def test_pods_on_their_way_out_are_not_asked_and_the_newest_counts_first():
    def one(name, created, **more):
        metadata = {"name": name, "creationTimestamp": created, **more.pop("metadata", {})}
        return {"metadata": metadata, "status": {"phase": "Running", "podIP": "10.0.0.9", **more}}

    waiting = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    waiting["lastState"] = {"terminated": {"exitCode": 2}}
    found = pods_of(
        [
            one("old", "2026-01-01T00:00:00Z"),
            one("new", "2026-01-02T00:00:00Z", containerStatuses=[waiting]),
            one("ends", "2026-01-03T00:00:00Z", metadata={"deletionTimestamp": "now"}),
            one("done", "2026-01-03T00:00:00Z", phase="Succeeded"),
            one("waits", "2025-01-01T00:00:00Z", phase="Pending"),
        ]
    )
    assert [(one.name, one.address) for one in found] == [
        ("new", "10.0.0.9"),
        ("old", "10.0.0.9"),
        ("waits", ""),
    ]
    assert "CrashLoopBackOff, ended with 2" in found[0].trouble


# ---------------------------------------------------------------------------- the status


def hook():
    webhook = {"a": {"port": "1", "endpoint": "/a", "method": "POST"}}
    made = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventSource",
        "metadata": {"name": "hook", "namespace": "ns", "uid": "u"},
        "spec": {"webhook": webhook},
    }
    return look(made).checked


def told(report, before=None, *, up=True, there=True, **numbers):
    before = {"events": [before]} if before else {}
    (one,) = parts.told(hook(), report, up=up, there=there, before=before, numbers=numbers, now=NOW)
    assert (one.pop("name"), one.pop("type")) == ("a", "webhook")
    return one


def test_a_part_is_told_with_its_reason_and_since_when():
    first = told(said(DOWN), deadLetters={"a": 2}, pending={"b": 1})
    assert first == {
        "ready": False,
        "reason": "SourceFailed",
        "message": "refused",
        "since": "2026-01-02T00:00:00Z",
        "deadLetters": 2,
    }
    before = {"name": "a", **first, "since": "2025-01-01T00:00:00Z"}
    assert told(said(DOWN), before)["since"] == "2025-01-01T00:00:00Z"
    assert told(said(UP), before)["since"] == "2026-01-02T00:00:00Z"
    assert told(said(FAILING))["lastFired"] == "1970-01-01T00:00:05Z"


@pytest.mark.parametrize("reason", ["NoPods", "PodsNotReady"])
def test_readiness_of_all_pods_counts_before_any_of_them_was_asked(reason):
    before = {"name": "a", "ready": False, "reason": reason}
    assert told(None, before)["reason"] == "PodsReady"
    assert told(None, before, up=False)["reason"] == "PodsNotReady"
    assert told(None, {**before, "reason": "SourceFailed"})["reason"] == "SourceFailed"


def test_what_is_not_known_is_not_told_as_a_fault():
    deaf = said("pod p0 does not answer")
    assert told(deaf)["reason"] == "PodsReady"
    unknown = told(deaf, up=False)
    assert (unknown.get("ready"), unknown["reason"]) == (None, "Unknown")
    assert unknown["message"] == "pod p0 does not answer"
    before = {"name": "a", "ready": True, "reason": "Listening", "since": "x"}
    assert told(None, before, up=False) == {"ready": True, "reason": "Listening", "since": "x"}
    assert told(None, before, there=False)["reason"] == "NoPods"


PODS = Pods(wanted=1, total=1, updated=1, available=1, observed=True)


@pytest.mark.parametrize(
    ("found", "pods", "status", "reason", "message"),
    [
        (UP, PODS, "True", "Ready", "1 of 1 pods are ready"),
        (DOWN, PODS, "False", "EventsNotReady", "0 of 1 events are ready; a: refused"),
        (FAILING, PODS, "True", "Ready", "1 of 1 pods are ready; failing: a: 404 Not Found"),
        (
            STARTING,
            Pods(wanted=1, total=1, updated=1, observed=True),
            "False",
            "PodsNotReady",
            "0 of 1 pods are ready; 0 of 1 events are ready; a: is starting",
        ),
    ],
    ids=["works", "does not", "its target fails", "starts"],
)
def test_ready_names_the_parts_that_do_not_work(found, pods, status, reason, message):
    report = said(found)
    entries = parts.told(hook(), report, up=True, there=True, before={}, numbers={}, now=NOW)
    condition = ready(
        valid((), ()),
        valid((), ()),
        pods,
        suspended=False,
        missing=[],
        told=Told("events", entries, report),
    )
    assert condition == (status, reason, message)


def test_what_pods_note_is_told_where_all_is_well():
    told = Told(report=Report(notes=("there is no ConfigMap 'cm'",)))
    found = ready(valid((), ()), valid((), ()), PODS, suspended=False, missing=[], told=told)
    assert found.message == "1 of 1 pods are ready; there is no ConfigMap 'cm'"


# ---------------------------------------------------------------------------- dead letters


def test_dead_letters_are_counted_by_object_and_place():
    counts = {
        dead_subject("sensor", "a.b", "t"): 2,
        dead_subject("sensor", "a.b", ""): 1,
        dead_subject("eventsource", "hook", "in"): 3,
        dead_subject("notifier", "ns/n", "slack"): 4,
        dead_subject("notifier", "other/n", "slack"): 5,
        dead_subject("whatever", "x", "y"): 6,
    }
    assert dead_of(counts, "ns") == {
        Key("Sensor", "ns", "a.b"): {"t": 2, "": 1},
        Key("EventSource", "ns", "hook"): {"in": 3},
        Key("Notifier", "ns", "n"): {"slack": 4},
    }


def test_what_waits_is_counted_by_trigger():
    def reader(durable, pending, in_flight=0):
        return ReaderInfo(durable, pending, in_flight, 0, {}, ())

    infos = [
        reader(pending_durable("a.b", "t"), 2, 1),
        reader(pending_durable("a.b", "t@dlq"), 1),
        reader(pending_durable("a.b", "@redrive"), 7),
        reader(pending_durable("a.b", "idle"), 0),
        reader("theirs", 9),
    ]
    assert pending_of(infos, "ns") == {Key("Sensor", "ns", "a.b"): {"t": 4}}


def test_a_condition_says_how_to_see_them():
    found = dead_letters(hook(), 2, {"TriggerFailed": 1, "Bug": 1})
    assert found.message == (
        "2 dead letters (lately Bug 1, TriggerFailed 1): tocsin dlq list --source hook"
    )
    assert dead_letters(hook(), 0, {}).status == "False"


def test_new_ones_are_told_once_in_a_while():
    clock = [0.0]
    letters, key = Letters(lambda: clock[0]), Key("Sensor", "ns", "s")
    assert letters.news(key, 0, None) == ""
    assert letters.news(key, 2, 2) == ""  # another controller has told
    assert letters.news(key, 2, 3) == "1 new"
    assert letters.news(key, 3, 9) == ""
    clock[0] += EVERY
    assert letters.news(key, 9, 9) == "6 new"
    clock[0] += EVERY
    assert letters.news(key, 9, 4) == ""  # some were dropped
    assert letters.news(key, 4, 5) == "1 new"
