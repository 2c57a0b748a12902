"""Evaluation: from one event to verdicts, actions, faults and the new state."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_kit import dependency, event, plan, trigger

from sensor.evaluate import Decision, evaluate, refire, unfinished
from sensor.guarded import decision, init, request, worker
from sensor.plan import Plan
from sensor.state import EMPTY, State, join, split
from spine.event import Event

PAID = {"data": [{"path": "status", "type": "string", "value": ["paid"]}]}


def simple() -> Plan:
    payload = [{"src": {"dependencyName": "orders", "dataKey": "id"}, "dest": "id"}]
    return plan(
        dependency(filters=PAID),
        triggers=[trigger(http={"url": "http://x/", "payload": payload})],
    )


def both() -> Plan:
    return plan(dependency("a"), dependency("b"), triggers=[trigger("join", "a && b")])


def look(made: Plan, *events: Event, state: State = EMPTY) -> list[Decision]:
    """Evaluate events in the order of a stream, and finish each firing."""
    out = []
    for at, one in enumerate(events, 1):
        decided = evaluate(made, state, one, 0.0, sequence=at, stored=float(at))
        out.append(decided)
        state = decided.state
        for action in decided.actions:
            state = state.finish(action.trigger, [action.key])
    return out


def fired(decisions: list[Decision]) -> list[dict[str, str]]:
    return [action.events for one in decisions for action in one.actions]


# ---------------------------------------------------------------------------- one event


def test_an_event_that_passes_gives_an_action_and_no_state() -> None:
    decided = evaluate(simple(), EMPTY, event(data=b'{"status":"paid","id":"A"}'), 0.0)
    (action,) = decided.actions
    assert (action.sensor, action.trigger, action.kind) == ("till", "tell", "http")
    assert action.content["body"] == '{"id":"A"}'
    assert action.events == {"orders": "1"}
    assert action.event_time == event().time.timestamp()
    assert [(v.name, v.passed, v.code) for v in decided.dependencies] == [
        ("orders", True, "Passed")
    ]
    assert [(v.name, v.code) for v in decided.triggers] == [("tell", "Fired")]
    assert decided.state is EMPTY
    assert not decided.changed


def test_an_event_that_is_filtered_says_why() -> None:
    decided = evaluate(simple(), EMPTY, event(data=b'{"status":"open"}'), 0.0)
    (verdict,) = decided.dependencies
    assert (verdict.passed, verdict.code) == (False, "Data")
    assert verdict.detail == 'status is "open", not = paid (string)'
    assert not decided.actions
    assert not decided.triggers
    assert not decided.faults


def test_the_key_is_of_trigger_and_event_alone() -> None:
    def key(given: Event) -> str:
        return evaluate(simple(), EMPTY, given, 0.0).actions[0].key

    data = b'{"status":"paid","id":"A"}'
    assert key(event(data=data)) == key(event(data=data))
    assert key(event(data=data)) != key(event(data=data, id="2"))
    posted = event(data=data, extensions={"originsource": "elsewhere"})
    assert key(event(data=data)) != key(posted)  # another sender's event of the same id


def test_an_event_nobody_knows_is_told_apart() -> None:
    assert not evaluate(simple(), EMPTY, event("other"), 0.0).known
    crossing = plan(
        {"name": "a", "eventSourceName": "*", "eventName": "x"},
        {"name": "b", "eventSourceName": "s", "eventName": "*"},
        triggers=[trigger("t", "a || b")],
    )
    decided = evaluate(crossing, EMPTY, event("other"), 0.0)
    assert decided.known  # it is read because the two wildcards cross
    assert not decided.dependencies


@pytest.mark.parametrize(
    ("data", "place", "code", "problem"),
    [
        (b"nope", "dependencies.orders", "FilterFailed", "not valid JSON"),
        (b'{"status":"paid"}', "triggers.tell", "ParameterFailed", "resolving dataKey 'id'"),
    ],
)
def test_a_fault_is_told_with_its_place(data: bytes, place: str, code: str, problem: str) -> None:
    decided = evaluate(simple(), EMPTY, event(data=data), 0.0)
    (fault,) = decided.faults
    assert (fault.place, fault.code) == (place, code)
    assert problem in fault.message
    assert not decided.actions


def test_a_fault_of_one_does_not_stop_the_others() -> None:
    broken = {"src": {"dependencyName": "a", "dataKey": "nope"}, "dest": "url"}
    made = plan(
        dependency("a", eventName="orders"),
        dependency("b", eventName="orders", filters=PAID),
        triggers=[
            trigger("bad", "a", http={"url": "http://x", "parameters": [broken]}),
            trigger("good", "a"),
            trigger("filtered", "b"),
        ],
    )
    decided = evaluate(made, EMPTY, event(data=b"nope"), 0.0)
    assert [a.trigger for a in decided.actions] == ["good"]
    assert [f.place for f in decided.faults] == ["dependencies.b", "triggers.bad"]
    assert [(v.name, v.code) for v in decided.triggers] == [("bad", "Faulted"), ("good", "Fired")]


def test_the_transform_comes_first_and_is_what_everybody_sees() -> None:
    made = plan(
        dependency(transform={"jq": '{status: "paid", n: (.n + 1)}'}, filters=PAID),
        dependency("raw", eventName="orders"),
        triggers=[trigger("t", "orders"), trigger("u", "raw")],
    )
    decided = evaluate(made, EMPTY, event(data=b'{"n":1}'), 0.0)
    texts = [a.content["lines"][0]["text"] for a in decided.actions]
    assert texts == ['{"n":2,"status":"paid"}', '{"n":1}']


def test_two_dependencies_on_one_event_fire_twice_under_or_and_once_under_and() -> None:
    twice = [dependency("a", eventName="orders"), dependency("b", eventName="orders")]
    assert fired(look(plan(*twice, triggers=[trigger("t", "a || b")]), event())) == [
        {"a": "1"},
        {"b": "1"},
    ]
    assert fired(look(plan(*twice, triggers=[trigger("t", "a && b")]), event())) == [
        {"a": "1", "b": "1"}
    ]


def test_dependencies_to_skip_do_not_look() -> None:
    twice = [dependency("a", eventName="orders"), dependency("b", eventName="orders")]
    made = plan(*twice, triggers=[trigger("t", "a || b")])
    decided = evaluate(made, EMPTY, event(), 0.0, skip=("a",))
    assert [v.name for v in decided.dependencies] == ["b"]


def test_the_fallback_is_rendered_from_the_same_events() -> None:
    entry = trigger(conditions="orders") | {"dlqTrigger": trigger("sorry")}
    (action,) = evaluate(plan(triggers=[entry]), EMPTY, event(), 0.0).actions
    assert action.fallback is not None
    assert (action.fallback.trigger, action.fallback.key) == ("sorry", f"{action.key}-dlq")
    assert action.fallback.content == action.content


def test_a_fallback_that_cannot_be_made_does_not_stop_the_action() -> None:
    broken = {"src": {"dependencyName": "orders", "dataKey": "nope"}, "dest": "url"}
    sorry = trigger("sorry", http={"url": "http://x", "parameters": [broken]})
    decided = evaluate(plan(triggers=[trigger() | {"dlqTrigger": sorry}]), EMPTY, event(), 0.0)
    assert decided.actions[0].fallback is None
    assert decided.triggers[0].detail.startswith("without its dlqTrigger: resolving dataKey 'nope'")


# ---------------------------------------------------------------------------- several events


def test_conditions_fire_with_the_newest_event_of_each() -> None:
    decisions = look(both(), event("a"), event("a", id="2"), event("b", id="3"), event("b", id="4"))
    assert fired(decisions) == [{"a": "2", "b": "3"}]
    assert [v.code for d in decisions for v in d.triggers] == [
        "Waiting", "Waiting", "Fired", "Waiting",
    ]  # fmt: skip
    assert decisions[0].triggers[0].detail == "waits for b"
    assert decisions[0].changed == {"join"}
    assert list(decisions[-1].state.of("join").saved) == ["b"]


def test_a_redelivered_event_is_not_counted_twice() -> None:
    made = both()
    first = evaluate(made, EMPTY, event("a"), 0.0, sequence=1, stored=1.0)
    second = evaluate(made, first.state, event("b", id="2"), 0.0, sequence=2, stored=2.0)
    state = second.state.finish("join", [second.actions[0].key])
    again = evaluate(made, state, event("a"), 0.0, sequence=1, stored=1.0)
    assert [v.code for v in again.triggers] == ["Superseded"]
    assert again.state == state
    assert not again.changed


def test_an_unfinished_firing_is_given_again_with_the_same_key() -> None:
    made = both()
    first = evaluate(made, EMPTY, event("a"), 0.0, sequence=1, stored=1.0)
    second = evaluate(made, first.state, event("b", id="2"), 0.0, sequence=2, stored=2.0)
    again = evaluate(made, second.state, event("b", id="2"), 0.0, sequence=2, stored=2.0)
    assert [v.code for v in again.triggers] == ["Repeated"]
    assert again.actions == second.actions
    assert unfinished(made, second.state) == (second.actions, [])
    assert unfinished(made, second.state.finish("join", [second.actions[0].key])) == ([], [])


def test_a_stream_that_was_made_anew_counts_from_one_again() -> None:
    made = both()
    old = evaluate(made, EMPTY, event("a"), 0.0, sequence=9, stored=1.0)
    new = evaluate(made, old.state, event("a", id="2"), 0.0, sequence=1, stored=2.0)
    assert [v.code for v in new.triggers] == ["Waiting"]
    assert new.state.of("join").saved["a"].event.id == "2"


def test_what_is_no_longer_in_the_conditions_is_forgotten() -> None:
    state = look(both(), event("a"))[0].state
    edited = plan(dependency("b"), dependency("c"), triggers=[trigger("join", "b && c")])
    decided = evaluate(edited, state, event("b"), 0.0, sequence=2, stored=2.0)
    assert list(decided.state.of("join").saved) == ["b"]


def test_a_firing_that_cannot_be_made_can_be_made_after_an_edit() -> None:
    def made(key: str) -> Plan:
        payload = [{"src": {"dependencyName": "a", "dataKey": key}, "dest": "x"}]
        http = {"url": "http://x", "payload": payload}
        return plan(
            dependency("a"), dependency("b"), triggers=[trigger("join", "a && b", http=http)]
        )

    decisions = look(made("nope"), event("a", data=b'{"k":1}'), event("b"))
    (fault,) = decisions[-1].faults
    action = refire(made("k"), fault.trigger, fault.events)
    assert action.content["body"] == '{"x":"1"}'


NAMES = ["a", "b", "c"]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["a && b", "(a || b) && c", "(a && b) || c", "a && b && c"]),
    st.lists(st.sampled_from(NAMES), max_size=25),
)
def test_any_stream_fires_as_a_plain_reading_of_the_rules_says(
    text: str, arrivals: list[str]
) -> None:
    made = plan(*(dependency(n) for n in NAMES), triggers=[trigger("t", text)])
    decisions = look(made, *(event(n, id=str(i)) for i, n in enumerate(arrivals)))
    expected, saved = [], {}
    for i, name in enumerate(arrivals):
        if name not in text:
            continue
        saved[name] = str(i)
        said = text
        for n in NAMES:
            said = said.replace(n, str(n in saved))
        if eval(said.replace("&&", " and ").replace("||", " or ")):
            expected.append(saved)
            saved = {}
    assert fired(decisions) == expected


# ---------------------------------------------------------------------------- elsewhere


def test_a_worker_decides_the_same() -> None:
    made, state = both(), EMPTY
    answer = worker(init(made))
    for at, one in enumerate([event("a"), event("b", id="2", data=None)], 1):
        here = evaluate(made, state, one, 0.0, sequence=at, stored=float(at))
        there = decision(answer(request(state, one, 0.0, sequence=at, stored=float(at))))
        assert there == here
        state = there.state
    assert there.actions


def test_reasons_and_faults_survive_the_way_to_a_worker() -> None:
    answer = worker(init(simple()))
    filtered = decision(answer(request(EMPTY, event(data=b'{"status":"open"}'), 0.0)))
    assert filtered.dependencies[0].detail == 'status is "open", not = paid (string)'
    faulty = decision(answer(request(EMPTY, event(data=b'{"status":"paid"}'), 0.0)))
    assert faulty.faults[0].events["orders"].data == b'{"status":"paid"}'


def test_what_was_stored_is_read_again() -> None:
    made = both()
    state = look(made, event("a", data=b"\xff\x00", extensions={"x": 1}))[0].state.of("join")
    value, bodies = split(state)
    assert join(value, bodies) == state
    assert len(bodies) == 1
    assert b"shop" not in value, "events are under keys of their own"
    assert json.loads(value)
    assert join(value, {}).saved == {}
