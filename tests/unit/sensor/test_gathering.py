"""Debounce and batch: which events fire together, and when."""

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_kit import dependency, event, plan, trigger

from sensor.evaluate import Decision, due, evaluate, refire, tick, unfinished
from sensor.gather import MOST_EVENTS, MOST_KEYS
from sensor.guarded import decision, init, request, worker
from sensor.keeping import compact
from sensor.plan import Plan
from sensor.state import EMPTY, State, body_keys, glance, join, split
from spine.errors import ConfigError
from spine.event import Event

NOON = 1_800_000_000.0


def holding(conditions: str = "a", names: str = "a", http: Any = None, **how: Any) -> Plan:
    kind = {"http": http} if http else {"log": {}}
    entry = trigger("t", conditions, **kind) | how
    return plan(*(dependency(name) for name in names), triggers=[entry])


def source(key: str, dependency: str = "a") -> dict[str, str]:
    return {"dependencyName": dependency, "dataKey": key}


def debounce(**how: Any) -> Plan:
    return holding(debounce={"duration": "10s"} | how)


def batch(**how: Any) -> Plan:
    return holding(batch=how)


class Stream:
    """One trigger, events in the order of a stream, and what fires."""

    def __init__(self, made: Plan) -> None:
        self.plan, self.state = made, EMPTY
        self.sequence = 0
        self.last = Decision(EMPTY)

    def come(self, after: float, data: bytes = b"{}", name: str = "a", **more: Any) -> list[Any]:
        """Let an event come some seconds after noon; return what fires."""
        self.sequence += 1
        one = event(name, data, **{"id": str(self.sequence)} | more)
        at = NOON + after
        return self._follow(
            evaluate(self.plan, self.state, one, at, sequence=self.sequence, stored=at)
        )

    def wait(self, after: float) -> list[Any]:
        """Let time pass up to some seconds after noon; return what fires."""
        return self._follow(tick(self.plan, self.state, NOON + after))

    def _follow(self, decided: Decision) -> list[Any]:
        self.last, self.state = decided, decided.state
        for action in decided.actions:
            self.state = self.state.finish("t", [action.key])
        return [seen(action.content) for action in decided.actions]

    @property
    def codes(self) -> list[str]:
        return [verdict.code for verdict in self.last.triggers]

    @property
    def due(self) -> float:
        return due(self.plan, self.state) - NOON


def seen(content: dict[str, Any]) -> Any:
    if "lines" not in content:
        return json.loads(content["body"])
    found = {line["dependencyName"]: json.loads(line["text"]) for line in content["lines"]}
    return found["a"] if list(found) == ["a"] else found


def number(n: int) -> bytes:
    return b'{"n":%d}' % n


# ---------------------------------------------------------------------------- debounce


def test_a_debounce_fires_with_the_newest_once_it_is_quiet() -> None:
    stream = Stream(debounce())
    assert stream.come(0, number(1)) == []
    assert stream.due == 10
    assert stream.come(6, number(2)) == []
    assert stream.due == 16
    assert stream.wait(15.9) == []
    assert stream.wait(16) == [{"n": 2}]
    assert stream.due == float("inf")
    assert stream.wait(100) == []


def test_an_event_that_comes_after_it_was_due_fires_what_was_before() -> None:
    """As after an outage: what was due then is not mixed with what came later."""
    stream = Stream(debounce())
    stream.come(0, number(1))
    assert stream.come(10, number(2)) == [{"n": 1}]
    assert stream.codes == ["Fired", "Gathered"]
    assert stream.wait(20) == [{"n": 2}]


def test_a_debounce_waits_no_longer_than_it_may() -> None:
    stream = Stream(debounce(maxWait="25s"))
    for after in (0, 8, 16, 24):
        assert stream.come(after, number(after)) == []
    assert stream.due == 25
    assert stream.wait(25) == [{"n": 24}]


def test_a_debounce_of_several_dependencies_has_the_newest_of_each() -> None:
    stream = Stream(holding("a || b", "ab", debounce={"duration": "10s"}))
    stream.come(0, number(1))
    stream.come(1, number(2), "b")
    stream.come(2, number(3))
    assert stream.wait(12) == [{"a": {"n": 3}, "b": {"n": 2}}]


def test_an_older_event_does_not_replace_a_newer_one() -> None:
    made = debounce()
    state = evaluate(made, EMPTY, event("a", number(2), id="2"), NOON + 5, sequence=2,
                     stored=NOON + 5).state  # fmt: skip
    state = evaluate(made, state, event("a", number(1), id="1"), NOON + 5, sequence=1,
                     stored=NOON).state  # fmt: skip
    (action,) = tick(made, state, NOON + 15).actions
    assert seen(action.content) == {"n": 2}
    assert not tick(made, state, NOON + 14.9).actions, "the older one does not prolong it"


def test_keys_are_apart() -> None:
    stream = Stream(debounce(key=source("id")))
    stream.come(0, b'{"id":"x","n":1}')
    stream.come(5, b'{"id":"y","n":2}')
    stream.come(7, b'{"id":"x","n":3}')
    assert stream.wait(15) == [{"id": "y", "n": 2}]
    assert stream.wait(17) == [{"id": "x", "n": 3}]


def test_keys_of_several_dependencies_may_meet() -> None:
    key = [source("id"), source("order", "b")]
    stream = Stream(holding("a || b", "ab", batch={"count": 2, "key": key}))
    stream.come(0, b'{"id":"x"}')
    stream.come(1, b'{"order":"y"}', "b")
    assert stream.come(2, b'{"order":"x"}', "b") == [{"a": [{"id": "x"}], "b": [{"order": "x"}]}]


def test_an_event_without_its_key_is_a_dead_letter_and_holds_nothing_up() -> None:
    stream = Stream(batch(count=2, key=source("id")))
    stream.come(0, b'{"no":1}')
    (fault,) = stream.last.faults
    assert (fault.place, fault.code) == ("triggers.t", "ParameterFailed")
    assert stream.codes == ["Faulted"]
    assert stream.state.of("t").gathered == {}
    again = refire(stream.plan, "t", fault.events)
    assert seen(again.content) == [{"no": 1}], "retried, it fires alone"
    assert stream.come(1, b'{"id":"x"}') == []


# ---------------------------------------------------------------------------- batch


def test_a_batch_fires_with_its_count() -> None:
    stream = Stream(batch(count=3, duration="10s"))
    assert [stream.come(n, number(n)) for n in range(4)] == [
        [], [], [[{"n": 0}, {"n": 1}, {"n": 2}]], [],
    ]  # fmt: skip
    assert stream.due == 13
    assert stream.wait(13) == [[{"n": 3}]]


def test_a_batch_without_a_duration_waits_for_its_count() -> None:
    stream = Stream(batch(count=2))
    stream.come(0, number(1))
    assert stream.last.triggers[0].due == 0.0
    assert stream.wait(10**9) == []
    assert stream.come(10**9, number(2)) == [[{"n": 1}, {"n": 2}]]


def test_parameters_see_the_array() -> None:
    http = {"url": "http://x", "payload": [
        {"src": source("0.n"), "dest": "first"},
        {"src": source("#.n") | {"useRawData": True}, "dest": "all"},
        {"src": source("#") | {"useRawData": True}, "dest": "count"},
        {"src": {"dependencyName": "a", "contextKey": "id"}, "dest": "id"},
    ]}  # fmt: skip
    stream = Stream(holding(http=http, batch={"count": 2}))
    stream.come(0, number(7))
    assert stream.come(1, number(8)) == [{"first": "7", "all": [7, 8], "count": 2, "id": "2"}]
    assert stream.last.actions[0].events == {"a": "2"}


def test_data_of_every_kind_has_a_place_in_the_array() -> None:
    stream = Stream(batch(count=6))
    stream.come(0, b'{"big":12345678901234567890, "x":1.0e2}')
    stream.come(1, b"nope")
    stream.come(2, "grüße".encode(), datacontenttype="text/plain")
    stream.come(3, b"num: 1", datacontenttype="application/yaml")
    stream.come(4, b"\xff\x00", datacontenttype="application/octet-stream")
    stream.come(5, None)
    (action,) = stream.last.actions
    assert action.content["lines"][0]["text"] == (
        '[{"big":12345678901234567890, "x":1.0e2},"nope","grüße",{"num":1},"\ufffd\\u0000",null]'
    )


def test_events_stand_in_the_order_of_the_stream() -> None:
    made, state = batch(count=3), EMPTY
    for n in (2, 3, 1):
        decided = evaluate(made, state, event("a", number(n), id=str(n)), NOON + 9, sequence=n,
                           stored=NOON + n)  # fmt: skip
        state = decided.state
    assert seen(decided.actions[0].content) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_the_key_of_an_action_is_that_of_its_events() -> None:
    def fire(*ids: str) -> str:
        stream = Stream(batch(count=len(ids)))
        for one in ids:
            stream.come(0, id=one)
        return stream.last.actions[0].key

    assert fire("1", "2") == fire("1", "2")
    assert len({fire("1"), fire("2"), fire("1", "2"), fire("2", "1"), fire("12")}) == 5


# ---------------------------------------------------------------------------- each counts once


def test_a_redelivered_event_counts_once() -> None:
    stream = Stream(batch(count=2))
    stream.come(0)
    stream.sequence = 0
    assert stream.come(0) == []
    assert stream.codes == ["Superseded"]
    assert len(stream.come(1)) == 1


def test_a_firing_that_may_not_be_on_the_bus_is_given_again() -> None:
    made = batch(count=2)
    first = evaluate(made, EMPTY, event("a", id="1"), NOON, sequence=1, stored=NOON)
    second = evaluate(made, first.state, event("a", id="2"), NOON, sequence=2, stored=NOON)
    again = evaluate(made, second.state, event("a", id="2"), NOON, sequence=2, stored=NOON)
    assert [v.code for v in again.triggers] == ["Repeated"]
    assert again.actions == second.actions
    assert unfinished(made, second.state) == (second.actions, [])
    done = second.state.finish("t", [second.actions[0].key])
    assert unfinished(made, done) == ([], [])


def test_what_a_trigger_holds_that_no_longer_gathers_fires() -> None:
    stream = Stream(batch(count=9))
    stream.come(0, number(1))
    stream.come(1, b"text", datacontenttype="text/plain")
    decided = tick(holding(), stream.state, NOON)
    assert [seen(action.content) for action in decided.actions] == [{"n": 1}, "text"]
    assert unfinished(holding(), decided.state)[0] == decided.actions


def test_what_was_held_before_an_edit_is_not_mixed_with_what_comes_after() -> None:
    stream = Stream(batch(count=9))
    stream.come(0, number(1))
    stream.come(1, number(2))
    stream.plan = debounce()
    assert stream.due < 0
    assert stream.come(2, number(3)) == [{"n": 1}, {"n": 2}]
    assert stream.wait(12) == [{"n": 3}]


def test_a_false_if_drops_what_was_held() -> None:
    made = batch(count=1)
    (planned,) = made.triggers.values()
    object.__setattr__(planned, "declines", lambda _events, _name: "its if is false")
    stream = Stream(made)
    assert stream.come(0) == []
    assert stream.codes == ["Skipped"]
    assert stream.state.of("t").gathered == stream.state.of("t").released == {}


# ---------------------------------------------------------------------------- clocks


def test_a_bus_whose_clock_is_ahead_delays_nothing() -> None:
    made = batch(count=9, duration="10s")
    ahead = evaluate(made, EMPTY, event("a"), NOON, sequence=1, stored=NOON + 3600)
    assert due(made, ahead.state) == NOON + 10
    assert len(tick(made, ahead.state, NOON + 10).actions) == 1


@pytest.mark.parametrize("how", [{"duration": "10s"}, {"duration": "10s", "maxWait": "1h"}])
def test_a_clock_that_goes_back_does_not_hold_events_for_ever(how: dict[str, str]) -> None:
    made = holding(debounce=how)
    state = evaluate(made, EMPTY, event("a", id="1"), NOON + 3600, sequence=1,
                     stored=NOON + 3600).state  # fmt: skip
    state = evaluate(made, state, event("a", id="2"), NOON, sequence=2, stored=NOON).state
    assert due(made, state) == NOON + 10


# ---------------------------------------------------------------------------- bounds


def test_a_batch_is_no_larger_than_the_bus_takes() -> None:
    made = batch(count=100)
    made.room = 1_000
    stream = Stream(made)
    large = json.dumps("x" * 398).encode()
    assert [len(stream.come(n, large)) for n in range(3)] == [0, 0, 1]
    assert stream.last.triggers[0].early == "more than 1000 bytes are held"
    assert stream.last.triggers[0].gathered == 2
    assert stream.codes == ["Fired", "Gathered"]
    huge = json.dumps("y" * 5_000).encode()
    assert [len(fired) for fired in stream.come(5, huge)] == [1, 1], "it goes alone"


def test_keys_are_bounded() -> None:
    stream = Stream(batch(count=2, key=source("id")))
    for n in range(MOST_KEYS):
        assert stream.come(n, b'{"id":%d}' % n) == []
    assert stream.come(9_999, b'{"id":-1}') == [[{"id": 0}]], "the oldest goes early"
    assert "1000 keys" in stream.last.triggers[-1].early
    assert len(stream.state.of("t").gathered) == MOST_KEYS


def test_bytes_of_all_keys_are_bounded() -> None:
    made = batch(count=50, key=source("id"))
    made.room = 1_000
    stream = Stream(made)
    fired = [stream.come(n, b'{"id":%d,"x":"%s"}' % (n, b"x" * 900)) for n in range(9)]
    assert [len(one) for one in fired] == [0] * 8 + [1]
    assert "8000 bytes" in stream.last.triggers[-1].early


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"batch": {}}, "batch: it would never act: give count, duration or both"),
        ({"batch": {"count": 0}}, "batch.count"),
        ({"batch": {"count": MOST_EVENTS + 1}}, "batch.count"),
        ({"batch": {"count": 2, "duration": "soon"}}, "batch.duration: reading duration 'soon'"),
        ({"debounce": {"duration": "0s"}}, "too short to wait for"),
        ({"debounce": {"duration": "10s", "maxWait": "5s"}}, "maxWait: shorter than duration"),
        ({"debounce": {}}, "debounce.duration: required field is missing"),
        ({"debounce": {"duration": "1s"}, "batch": {"count": 1}}, "a trigger has one of them"),
        (
            {"dlqTrigger": trigger() | {"batch": {"count": 1}}, "atLeastOnce": True},
            "have no meaning in dlqTrigger",
        ),
        ({"batch": {"count": 2, "key": {"dependencyName": "a", "dataKey": "$["}}}, "batch: "),
    ],
)
def test_what_can_never_work(how: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        holding(**how)
    assert problem in str(caught.value)


@pytest.mark.parametrize("kind", [{"batch": {"count": 2}}, {"debounce": {"duration": "1s"}}])
def test_conditions_that_wait_for_several_are_refused(kind: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="wait for several: make two triggers"):
        holding("a && b", "ab", **kind)


# ---------------------------------------------------------------------------- storing


def test_what_is_held_is_stored_in_parts_and_read_again() -> None:
    stream = Stream(batch(count=100))
    for n in range(10):
        stream.come(n, json.dumps({"n": n, "x": "x" * 100}).encode())
    state = compact(stream.state.of("t"), 500)
    (held,) = state.gathered.values()
    assert len(held.sealed) == 1
    assert not held.loose
    value, bodies = split(state)
    assert body_keys(value) == bodies.keys() == {held.sealed[0].key}
    assert len(value) < 500
    assert join(value, bodies) == state
    assert glance(value)[0][""].first == NOON
    assert join(value, {}).gathered[""].events() == []
    assert compact(state, 500) == state

    stream.state = State({"t": state})
    for n in range(10, 100):
        fired = stream.come(n, number(n))
    assert [one["n"] for one in fired[0]] == list(range(100))


def test_a_firing_that_is_not_whole_is_left_out() -> None:
    first = evaluate(batch(count=1), EMPTY, event("a", number(1)), NOON)
    value, bodies = split(compact(first.state.of("t"), 0))
    assert join(value, bodies).released
    assert join(value, {}).released == {}
    assert glance(value)[1] == {first.actions[0].key}


def test_a_debounce_of_large_events_keeps_one() -> None:
    stream = Stream(debounce())
    for n in range(5):
        stream.come(n, json.dumps({"n": n, "x": "x" * 1_000}).encode())
        stream.state = State({"t": compact(stream.state.of("t"), 500)})
    (held,) = stream.state.of("t").gathered.values()
    assert len(held.sealed) == 1
    assert held.count == 5
    assert [fired["n"] for fired in stream.wait(99)] == [4]


def test_a_worker_gathers_the_same() -> None:
    made, state = batch(count=3, duration="9s"), EMPTY
    made.room = 12_345
    answer = worker(init(made))
    for n in range(1, 4):
        one = event("a", number(n), id=str(n))
        here = evaluate(made, state, one, NOON, sequence=n, stored=NOON)
        there = decision(answer(request(state, one, NOON, sequence=n, stored=NOON)))
        assert there == here
        state = State({"t": compact(there.state.of("t"), 0)})
    assert there.actions


# ---------------------------------------------------------------------------- a plain model


class Model:
    """Debounce and batch by the words of their documentation."""

    def __init__(self, *, batch: bool, quiet: float, longest: float, count: float) -> None:
        self.batch, self.quiet, self.longest, self.count = batch, quiet, longest, count
        self.held: dict[str, list[tuple[float, str]]] = {}
        self.fired: list[list[str]] = []

    def pass_to(self, now: float, key: str | None = None) -> None:
        for name, held in list(self.held.items()):
            due = min(held[-1][0] + self.quiet, held[0][0] + self.longest)
            if due <= now and key in {None, name}:
                self.fire(name)

    def fire(self, key: str) -> None:
        ids = [identity for _, identity in self.held.pop(key)]
        self.fired.append(ids if self.batch else ids[-1:])

    def come(self, at: float, key: str, identity: str) -> None:
        self.pass_to(at, key)
        self.held.setdefault(key, []).append((at, identity))
        if len(self.held[key]) >= self.count:
            self.fire(key)


class Replica:
    """A process with a copy of the state, which may be old."""

    def __init__(self) -> None:
        self.state, self.revision = EMPTY, 0


class Store:
    """What is stored, and the bus that knows each action once."""

    def __init__(self, made: Plan, dice: random.Random) -> None:
        self.plan, self.dice = made, dice
        self.value, self.bodies, self.revision = b"", {}, 0
        self.replicas = [Replica(), Replica()]
        self.done: dict[str, list[str]] = {}

    def read(self) -> State:
        return State({"t": join(self.value, self.bodies)}) if self.value else EMPTY

    def step(self, decide: Any) -> None:
        """Let a replica decide, and decide again if another one was faster; or crash."""
        who = self.dice.randrange(2)
        replica = self.replicas[who]
        decided = decide(replica.state)
        if replica.revision != self.revision:
            replica.state, replica.revision = self.read(), self.revision
            decided = decide(replica.state)
        if decided.changed:
            self.write(replica, decided.state)
        if self.dice.random() < 0.15:  # killed after the write and before the bus had it
            self.replicas[who] = Replica()
            self.settle(self.replicas[who])
            return
        self.put(replica, decided.actions)

    def write(self, replica: Replica, state: State) -> None:
        kept = compact(state.of("t"), self.dice.choice([0, 300, 10**6]))
        self.value, new = split(kept)
        self.bodies = {**self.bodies, **new}
        self.bodies = {key: self.bodies[key] for key in body_keys(self.value)}
        self.revision += 1
        replica.state, replica.revision = self.read(), self.revision

    def settle(self, replica: Replica) -> None:
        """Do what a start does."""
        replica.state, replica.revision = self.read(), self.revision
        self.put(replica, unfinished(self.plan, replica.state)[0])

    def put(self, replica: Replica, actions: list[Any]) -> None:
        for action in actions:
            (line,) = action.content["lines"]
            found = json.loads(line["text"])
            ids = [one["id"] for one in (found if isinstance(found, list) else [found])]
            assert self.done.setdefault(action.key, ids) == ids
        if actions and self.dice.random() < 0.8:  # else it is noted later, or never
            keys = [action.key for action in actions]
            self.write(replica, replica.state.finish("t", keys))


RULES = st.one_of(
    st.builds(
        lambda quiet, most: {"debounce": {"duration": f"{quiet}s", "maxWait": f"{quiet + most}s"}},
        st.integers(1, 20),
        st.integers(0, 40),
    ),
    st.builds(
        lambda count, most: {"batch": {"count": count, "duration": f"{most}s"}},
        st.integers(1, 6),
        st.integers(1, 40),
    ),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["come", "come", "come", "tick", "again"]), st.integers(0, 15),
              st.sampled_from("xyz")),
    max_size=40,
)  # fmt: skip


def _model(rule: dict[str, Any]) -> Model:
    inf = float("inf")
    if "debounce" in rule:
        quiet, most = (float(rule["debounce"][k][:-1]) for k in ("duration", "maxWait"))
        return Model(batch=False, quiet=quiet, longest=most, count=inf)
    most = float(rule["batch"]["duration"][:-1])
    return Model(batch=True, quiet=inf, longest=most, count=rule["batch"]["count"])


@settings(deadline=None)
@given(RULES, STEPS, st.randoms(use_true_random=False))
def test_whatever_happens_each_event_fires_once_and_with_its_like(
    rule: dict[str, Any], steps: list[tuple[str, int, str]], dice: random.Random
) -> None:
    """Two replicas, restarts, crashes, events that come again: as if one process never failed."""
    (kind,) = rule
    made = holding(**{kind: rule[kind] | {"key": source("key")}})
    store, model = Store(made, dice), _model(rule)
    come: list[tuple[Event, float]] = []
    now = NOON
    for what, pause, key in steps:
        now += pause
        if what == "tick":
            model.pass_to(now)
            store.step(lambda state, at=now: tick(made, state, at))
            continue
        if what == "come":
            identity = str(len(come) + 1)
            data = msgspec.json.encode({"id": identity, "key": key})
            come.append((event("a", data, id=identity), now))
            model.come(now, key, identity)
        if come:
            one, stored = come[-1] if what == "come" else dice.choice(come)
            at = now
            sequence = int(one.id)
            store.step(
                lambda state, one=one, at=at, sequence=sequence, stored=stored: evaluate(
                    made, state, one, at, sequence=sequence, stored=stored
                )
            )
    store.settle(Replica())
    assert sorted(store.done.values()) == sorted(model.fired)
    held = [one.event.id for g in store.read().of("t").gathered.values() for one in g.events()]
    waiting = [[i for _, i in held] if model.batch else [held[-1][1]]
               for held in model.held.values()]  # fmt: skip
    assert sorted(held) == sorted(i for ids in waiting for i in ids)
