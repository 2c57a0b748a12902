"""Traces: what is told to those who ask why, and that it is what decided."""

from plan_kit import dependency, event, plan, trigger

from sensor.evaluate import Decision, evaluate
from sensor.guarded import decision, init, request, worker
from sensor.plan import Plan
from sensor.state import EMPTY
from sensor.trace import Mismatch, Present
from spine.event import Event

PAID = {"data": [{"path": "status", "type": "string", "value": ["paid"]}]}
BODY = b'{"body":{"status":"paid","id":7}}'


def traced(made: Plan, given: Event, **more) -> Decision:
    return evaluate(made, EMPTY, given, 0.0, trace=True, **more)


def test_without_trace_there_is_none() -> None:
    decided = evaluate(plan(dependency(filters=PAID)), EMPTY, event(data=BODY), 0.0)
    assert decided.dependencies[0].trace is None
    assert decided.others == []


def test_data_is_told_before_and_after_the_transform() -> None:
    made = plan(dependency(transform={"jq": ".body\n| {status}"}, filters=PAID))
    (verdict,) = traced(made, event(data=BODY)).dependencies
    assert verdict.trace is not None
    assert verdict.trace.transform == "jq: .body | {status}"
    assert (verdict.trace.before, verdict.trace.after) == (BODY.decode(), '{"status":"paid"}')
    (found,) = verdict.trace.filters
    assert (found.where, found.found, found.passed) == ("status", '"paid"', True)


def test_a_transform_that_fails_is_told_and_no_filter_is_asked() -> None:
    made = plan(dependency(transform={"jq": ".body.id"}, filters=PAID))
    (verdict,) = traced(made, event(data=BODY)).dependencies
    assert verdict.trace is not None
    assert "not an object" in verdict.trace.fault
    assert verdict.trace.fault == verdict.message
    assert (verdict.trace.after, verdict.trace.filters) == (None, ())


def test_what_the_transform_took_away_is_told() -> None:
    made = plan(dependency(transform={"jq": "{a: .body.id}"}, filters=PAID))
    (verdict,) = traced(made, event(data=BODY)).dependencies
    assert verdict.trace is not None
    assert verdict.trace.filters[0].hints == ("before the transform the data has body.status",)


def test_all_filters_are_told_with_their_operators() -> None:
    filters = {"data": PAID["data"] * 2, "dataLogicalOperator": "or", "context": {"type": "x"}}
    made = plan(dependency(filters=filters, filtersLogicalOperator="or"))
    (verdict,) = traced(made, event(data=b'{"status":"open"}')).dependencies
    assert verdict.trace is not None
    assert (verdict.trace.operator, verdict.trace.operators) == ("or", {"data": "or"})
    assert [f.title for f in verdict.trace.filters] == [
        "context filter",
        "data filter 1",
        "data filter 2",
    ]


def test_dependencies_that_do_not_mean_the_event_tell_what_differs_nearest_first() -> None:
    made = plan(
        dependency("other", eventSourceName="till", eventName="x"),
        dependency("near", eventName="order"),
        triggers=[trigger("t", "other || near")],
    )
    decided = traced(made, event("orders"))
    assert decided.others == [
        Mismatch("near", "shop", "order", ("eventName",)),
        Mismatch("other", "till", "x", ("eventSourceName", "eventName")),
    ]
    assert not decided.dependencies


def test_conditions_tell_who_is_there_and_since_when() -> None:
    made = plan(dependency("a"), dependency("b"), triggers=[trigger("join", "a && b")])
    first = traced(made, event("a"), sequence=1, stored=5.0)
    (waiting,) = first.triggers
    assert waiting.trace is not None
    assert waiting.trace.conditions == "a&&b"
    assert waiting.trace.present == (Present("a", "1", 5.0),)
    assert waiting.missing == ("b",)
    second = evaluate(made, first.state, event("b", id="2"), 0.0, sequence=2, trace=True)
    (fired,) = second.triggers
    assert fired.trace is not None
    assert {p.dependency: p.id for p in fired.trace.present} == {"a": "1", "b": "2"}


def test_parameters_tell_place_source_and_value() -> None:
    payload = [
        {"src": {"dependencyName": "orders", "dataKey": "body.id"}, "dest": "id"},
        {"src": {"dependencyName": "orders", "dataKey": "zip", "value": "none"}, "dest": "zip"},
        {"src": {"dependencyName": "gone", "contextKey": "id"}, "dest": "other"},
    ]
    http = {"url": "http://x/", "payload": payload}
    decided = traced(plan(triggers=[trigger(http=http)]), event(data=BODY))
    (fired,) = decided.triggers
    assert fired.trace is not None
    first, second, third = fired.trace.parameters
    assert (first.place, first.dest, first.value) == ("template.http.payload[0]", "id", "7")
    assert first.source == "dataKey body.id of orders"
    assert second.value == "none"
    assert second.note.startswith("the default, as resolving dataKey 'zip' of dependency 'orders'")
    assert second.hints == ("it has body",)
    assert (first.note, first.hints) == ("", ())
    assert third.value is None
    assert third.note == "left out: there is no event of gone, which no dependency is called"


def test_a_parameter_that_cannot_be_taken_tells_why() -> None:
    broken = {"src": {"dependencyName": "orders", "dataKey": "nope"}, "dest": "url"}
    http = {"url": "http://x/", "parameters": [broken]}
    (fault,) = traced(plan(triggers=[trigger(http=http)]), event(data=BODY)).triggers
    assert fault.trace is not None
    assert fault.message.startswith(fault.trace.parameters[0].fault)
    assert fault.trace.parameters[0].hints == ("it has body",)


def test_a_trace_crosses_to_the_guard_and_back() -> None:
    made = plan(dependency(filters=PAID, transform={"jq": ".body"}))
    answer = worker(init(made))(request(EMPTY, event(data=BODY), 0.0, trace=True))
    assert decision(answer) == traced(made, event(data=BODY))
