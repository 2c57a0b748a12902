"""The state of conditions: how far was counted, and what is stored under which key."""

import re

from hypothesis import given
from hypothesis import strategies as st
from plan_kit import event

from sensor.state import Counted, Mark, Saved, TriggerState, body_key, body_keys, join, split

MARKS = st.builds(Mark, st.floats(0, 1e10), st.integers(1, 10**12))


def state() -> TriggerState:
    a, b = (Saved(Mark(float(i), i), event(id=str(i))) for i in (1, 2))
    return TriggerState({"a": a}, {"a": Counted().add(a.mark)}, {"key": {"a": a, "b": b}})


def test_an_event_that_is_saved_and_fires_is_stored_once() -> None:
    value, bodies = split(state())
    assert len(bodies) == 2
    assert body_keys(value) == bodies.keys()
    assert join(value, bodies) == state()


def test_a_firing_without_all_of_its_bodies_is_left_out() -> None:
    value, bodies = split(state())
    del bodies[body_key("b", Mark(2.0, 2))]
    read = join(value, bodies)
    assert read.firings == {}
    assert list(read.saved) == ["a"]


def test_small_events_are_stored_within_as_far_as_there_is_room() -> None:
    large = Saved(Mark(3.0, 3), event(id="3", data=b"x" * 1_000))
    mixed = TriggerState({"a": large}, {}, state().firings)
    value, bodies = split(mixed, 900)
    assert list(bodies) == [body_key("a", large.mark)]
    assert body_keys(value) == bodies.keys()
    assert join(value, bodies) == mixed
    assert split(mixed, 10_000)[1] == {}
    assert join(split(mixed, 10_000)[0], {}) == mixed


@given(st.text(), MARKS)
def test_keys_hold_only_what_a_store_takes(dependency: str, mark: Mark) -> None:
    assert re.fullmatch(r"[0-9a-f-]+", body_key(dependency, mark))


STREAM = st.integers(1, 10**6).map(lambda sequence: Mark(float(sequence), sequence))
"""Places in one stream: what stands later was stored later."""


@given(st.lists(STREAM, max_size=20), st.integers(0, 10**6))
def test_trimming_forgets_nothing_that_may_come_again(marks: list[Mark], upto: int) -> None:
    counted = Counted()
    for mark in marks:
        counted = counted.add(mark)
    trimmed = counted.trim(upto)
    assert all(trimmed.covers(mark) for mark in marks if mark.sequence > upto)
    assert len(trimmed.above) <= len(counted.above)


def test_what_was_not_counted_is_not_covered() -> None:
    counted = Counted().add(Mark(5.0, 5)).add(Mark(7.0, 7))
    assert not counted.covers(Mark(6.0, 6))
    assert counted.trim(5).covers(Mark(4.0, 4))
    assert not counted.trim(5).covers(Mark(6.0, 6))
    assert not counted.trim(5).covers(Mark(9.0, 1)), "a stream made anew"
