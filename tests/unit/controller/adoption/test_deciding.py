"""Where a Sensor begins that takes the place of Argo Events: the rule alone."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from argo_kit import fnv32a, group
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import event as event_of
from sensor_kit import dependency, plan, trigger

from controller.adoption.deciding import decide
from controller.adoption.found import Bucket, Found, Standing
from controller.adoption.names import candidates, durable_name
from eventbus.bus import Message
from sensor.adopted import Done
from sensor.mark import Mark
from sensor.state import Saved

PLAN = plan(
    [dependency("a"), dependency("b"), dependency("also", "a")],
    [trigger("one", "a"), trigger("join", "a && b"), trigger("both", "a || also")],
)


def test_names_are_those_of_argo_events():
    assert fnv32a("foobar") == 0xBF9CF968  # of the authors of FNV
    assert durable_name("s", "one", "a") == group("s", "one", "a")
    assert durable_name("café", "x y", "Ω") == group("café", "x y", "Ω")


def test_dependencies_on_one_event_share_the_durable_of_the_last():
    assert candidates(PLAN, "both", "a") == [group("s", "both", "also"), group("s", "both", "a")]
    assert candidates(PLAN, "join", "a") == [group("s", "join", "a")]


def standing(trigger: str, name: str, subject: str = "", **more: Any) -> Standing:
    at = {"acknowledged": 0, "delivered": 0, **more}
    return Standing(group("s", trigger, name), f"default.src.{subject or name}", **at)


@dataclass(frozen=True)
class Case:
    name: str
    standings: list[Standing]
    after: int
    skipped: dict[int, set[tuple[str, str]]] = field(default_factory=dict)
    """By sequence, what is skipped of events `a`."""

    def __str__(self) -> str:
        return self.name


EVERY = {("one", "a"), ("join", "a"), ("both", "a"), ("both", "also")}
CASES = [
    Case(
        "all was done, and nothing is left",
        [standing("one", "a", delivered=10), standing("join", "a", delivered=10)],
        20,
        {20: EVERY, 21: set()},
    ),
    Case(
        "one is behind",
        [
            standing("one", "a", delivered=4, following=6),
            standing("join", "a", delivered=15),
            standing("both", "also", "a", delivered=15),
        ],
        5,
        {6: EVERY - {("one", "a")}, 16: EVERY - {("one", "a")}, 21: set()},
    ),
    Case(
        "a gap",
        [standing("one", "a", delivered=15, left=frozenset({3, 9}), following=18)],
        2,
        {3: EVERY - {("one", "a")}, 4: EVERY, 9: EVERY - {("one", "a")}, 15: EVERY},
    ),
    Case(
        "a durable of that name that reads something else counts for nothing",
        [standing("one", "a", delivered=9, following=10), standing("join", "a", "z", following=1)],
        9,
        {10: EVERY - {("one", "a")}},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_where_it_begins_and_what_it_skips(case: Case):
    found = Found(20, 100.0, {one.durable: one for one in case.standings})

    takeover = decide(PLAN, found, 200.0)

    assert takeover is not None
    assert takeover.after == case.after
    done = Done(PLAN, takeover.adopted)
    for sequence, pairs in case.skipped.items():
        skip = done.skip(Message("default.src.a", b"", sequence, 50.0))
        found_pairs = EVERY if skip is None else {one for one in skip if isinstance(one, tuple)}
        assert found_pairs == pairs


def test_nothing_there_is_nothing_to_take_over():
    assert decide(PLAN, Found(20, 1.0), 0.0) is None


@given(
    st.sets(st.integers(1, 12)), st.integers(0, 12), st.sets(st.integers(1, 12)), st.integers(0, 12)
)
def test_each_trigger_does_what_it_had_not_done(one_done, one_at, join_done, join_at):
    """The stream has events a 1 to 12; each trigger was handed those up to a place."""
    places = {"one": (one_done, one_at), "join": (join_done, join_at)}
    standings = []
    for name, (acknowledged, at) in places.items():
        left = frozenset(range(1, at + 1)) - acknowledged
        following = at + 1 if at < 12 else None
        standings.append(standing(name, "a", delivered=at, left=left, following=following))
    standings.append(standing("join", "b", delivered=12))
    takeover = decide(PLAN, Found(12, 100.0, {one.durable: one for one in standings}), 0.0)
    assert takeover is not None
    done = Done(PLAN, takeover.adopted)

    for name, (acknowledged, at) in places.items():
        owed = set(range(1, 13)) - {n for n in acknowledged if n <= at}
        does = set()
        for sequence in range(takeover.after + 1, 13):
            skip = done.skip(Message("default.src.a", b"", sequence, 50.0))
            if skip is not None and (name, "a") not in skip and "a" not in skip:
                does.add(sequence)
        assert does == owed


def test_what_is_of_a_stream_made_anew_is_not_skipped():
    found = Found(20, 100.0, {one.durable: one for one in CASES[0].standings})
    takeover = decide(PLAN, found, 0.0)
    assert takeover is not None

    done = Done(PLAN, takeover.adopted)

    assert done.skip(Message("default.src.a", b"", 5, 100.0)) is None
    assert done.skip(Message("default.src.a", b"", 5, 101.0)) == ()


def test_half_met_conditions_count_their_events():
    saved = Saved(Mark(7.5, 7), event_of("a"))
    text = {"join": " a&&b "}
    bucket = Bucket("KV_s", expressions=text, saved={("join", "a"): saved, ("one", "a"): saved})
    durables = {one.durable: one for one in CASES[0].standings}

    takeover = decide(PLAN, Found(20, 100.0, durables, bucket), 0.0)

    assert takeover is not None
    assert takeover.states.keys() == {"join"}
    state = takeover.states["join"]
    assert state.saved == {"a": saved}
    assert state.counted_of("a").covers(Mark(7.5, 7))
