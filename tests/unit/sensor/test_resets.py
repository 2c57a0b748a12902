"""Resets of conditions: whenever an event is looked at, and in whatever order."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_kit import dependency, event, plan, trigger

from sensor.evaluate import Decision, evaluate, unfinished
from sensor.plan import Plan
from sensor.resets import Resets, compile_schedule
from sensor.state import EMPTY, State, join, split
from spine.errors import ConfigError

HOUR = 3600.0
DAY = 24 * HOUR
NIGHT = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
"""A midnight in UTC."""


def joining(*resets: dict[str, Any], conditions: str = "a && b") -> Plan:
    entry = trigger("join", conditions)
    entry["template"]["conditionsReset"] = [{"byTime": reset} for reset in resets]
    return plan(dependency("a"), dependency("b"), dependency("c"), triggers=[entry])


NIGHTLY = joining({"cron": "0 0 * * *"})


def come(made: Plan, state: State, name: str, at: float, sequence: int) -> tuple[State, Decision]:
    """Let an event come, and what fires be on the bus."""
    one = event(name, id=f"{name}{sequence}")
    decided = evaluate(made, state, one, at, sequence=sequence, stored=at)
    keys = [action.key for action in decided.actions]
    return decided.state.finish("join", keys), decided


def run(made: Plan, *arrivals: tuple[str, float, int]) -> tuple[list[dict[str, str]], list[str]]:
    """Return what fired, and the codes of the verdicts."""
    state, fired, codes = EMPTY, [], []
    for name, at, sequence in arrivals:
        state, decided = come(made, state, name, at, sequence)
        fired += [action.events for action in decided.actions]
        codes += [verdict.code for verdict in decided.triggers]
    return fired, codes


def test_what_came_before_a_reset_is_forgotten() -> None:
    fired, codes = run(NIGHTLY, ("a", NIGHT - 60, 1), ("b", NIGHT + 60, 2), ("a", NIGHT + 70, 3))
    assert fired == [{"a": "a3", "b": "b2"}]
    assert codes == ["Waiting", "Waiting", "Fired"]


def test_an_event_at_the_very_moment_comes_after_it() -> None:
    assert run(NIGHTLY, ("a", NIGHT, 1), ("b", NIGHT + 60, 2))[0] == [{"a": "a1", "b": "b2"}]
    assert run(NIGHTLY, ("a", NIGHT - 0.001, 1), ("b", NIGHT, 2))[0] == []


def test_only_what_is_older_is_forgotten() -> None:
    made = joining({"cron": "0 0 * * *"}, conditions="a && b && c")
    arrivals = [("a", NIGHT - 60, 1), ("b", NIGHT + 1, 3), ("c", NIGHT + 2, 4), ("a", NIGHT + 9, 5)]
    assert run(made, *arrivals)[0] == [{"a": "a5", "b": "b3", "c": "c4"}]


def test_a_day_without_events_is_no_matter() -> None:
    assert run(NIGHTLY, ("a", NIGHT - 60, 1), ("b", NIGHT + 9 * DAY, 2))[0] == []


def test_both_before_it_fire_however_late_they_are_looked_at() -> None:
    state, _ = come(NIGHTLY, EMPTY, "a", NIGHT - 60, 1)
    one = event("b", id="b2")
    decided = evaluate(NIGHTLY, state, one, NIGHT + DAY, sequence=2, stored=NIGHT - 30)
    assert [action.events for action in decided.actions] == [{"a": "a1", "b": "b2"}]


def test_an_event_that_another_replica_overtook_does_not_count() -> None:
    """b of after midnight was quicker than a of before it: they do not belong together."""
    fired, codes = run(NIGHTLY, ("b", NIGHT + 1, 2), ("a", NIGHT - 1, 1), ("a", NIGHT + 5, 3))
    assert fired == [{"a": "a3", "b": "b2"}]
    assert codes == ["Waiting", "Late", "Fired"]


def test_a_late_event_that_comes_again_is_known() -> None:
    codes = run(NIGHTLY, ("b", NIGHT + 1, 2), ("a", NIGHT - 1, 1), ("a", NIGHT - 1, 1))[1]
    assert codes == ["Waiting", "Late", "Superseded"]


def test_the_verdict_tells_since_when_and_the_last_reset() -> None:
    state, decided = come(NIGHTLY, EMPTY, "a", NIGHT + 60, 1)
    (verdict,) = decided.triggers
    assert (verdict.since, verdict.reset) == ({"a": NIGHT + 60}, NIGHT)
    assert verdict.missing == ("b",)
    late = evaluate(NIGHTLY, state, event("b"), NIGHT, sequence=0, stored=NIGHT + DAY).triggers[0]
    assert (late.code, late.since, late.reset) == ("Waiting", {"b": NIGHT + DAY}, NIGHT + DAY)


def test_a_clock_that_goes_back_loses_nothing() -> None:
    """The bus thought it was next year: what it stores now is not late."""
    fired, codes = run(
        NIGHTLY, ("a", NIGHT + 365 * DAY, 1), ("b", NIGHT + 60, 2), ("a", NIGHT + 70, 3),
        ("b", NIGHT + 80, 4),
    )  # fmt: skip
    assert fired == [{"a": "a1", "b": "b2"}, {"a": "a3", "b": "b4"}]
    assert "Late" not in codes


def test_a_stream_that_was_made_anew_counts() -> None:
    fired, codes = run(
        NIGHTLY, ("a", NIGHT + 60, 900), ("b", NIGHT + DAY + 1, 1), ("a", NIGHT + DAY + 2, 2)
    )
    assert fired == [{"a": "a2", "b": "b1"}]
    assert codes == ["Waiting", "Waiting", "Fired"]


def test_a_firing_is_never_forgotten() -> None:
    """It was decided, and is not yet on the bus."""
    state, _ = come(NIGHTLY, EMPTY, "a", NIGHT - 60, 1)
    first = evaluate(NIGHTLY, state, event("b"), 0.0, sequence=2, stored=NIGHT - 30)
    later = evaluate(NIGHTLY, first.state, event("a", id="x"), 0.0, sequence=3, stored=NIGHT + 1)
    assert unfinished(NIGHTLY, later.state) == (first.actions, [])
    again = evaluate(NIGHTLY, later.state, event("b"), 0.0, sequence=2, stored=NIGHT - 30)
    assert [verdict.code for verdict in again.triggers] == ["Repeated"]
    assert again.actions == first.actions


def test_a_restart_forgets_nothing_and_remembers_the_reset() -> None:
    state, _ = come(NIGHTLY, EMPTY, "b", NIGHT + 1, 2)
    value, bodies = split(state.of("join"))
    restarted = State({"join": join(value, bodies)})
    assert restarted == state
    assert come(NIGHTLY, restarted, "a", NIGHT - 1, 1)[1].triggers[0].code == "Late"


def test_several_entries_and_zones() -> None:
    oslo = {"cron": "0 6 * * MON-FRI", "timezone": "Europe/Oslo"}
    made = joining(oslo, {"cron": "CRON_TZ=Asia/Tokyo 0 0 * * *"})
    resets = made.triggers["join"].resets
    assert resets is not None
    noon = NIGHT + 12 * HOUR  # of a Saturday
    assert resets.last(noon) == NIGHT - 9 * HOUR, "midnight in Tokyo"
    assert resets.last(NIGHT - 10 * HOUR) == NIGHT - 19 * HOUR, "Friday at six in Oslo"


def test_every_counts_from_1970() -> None:
    made = joining({"cron": "@every 6h"})
    resets = made.triggers["join"].resets
    assert resets is not None
    assert resets.last(NIGHT + 7 * HOUR) == NIGHT + 6 * HOUR
    assert resets.last(NIGHT + 6 * HOUR) == NIGHT + 6 * HOUR
    assert resets.last(NIGHT - 1) == NIGHT - 6 * HOUR


@pytest.mark.parametrize(
    ("reset", "problem"),
    [
        ({"cron": "nightly"}, "conditionsReset[0].byTime: reading schedule 'nightly'"),
        ({"cron": "0 24 * * *"}, "24 is not within 0 and 23"),
        ({"cron": "0 0 * * *", "timezone": "No/Where"}, "reading timezone 'No/Where'"),
    ],
)
def test_what_can_never_work_is_found_at_once(reset: dict, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        joining(reset)
    assert problem in str(caught.value)


def test_what_is_of_no_effect_is_told() -> None:
    made = joining({"cron": "0 0 * * *"}, conditions="a || b")
    (warning,) = [w for w in made.warnings if "conditionsReset" in str(w)]
    assert "there is no && in the conditions" in str(warning)
    assert made.triggers["join"].resets is None
    never = joining({"cron": "0 0 31 2 *"})
    (warning,) = [w for w in never.warnings if "conditionsReset" in str(w)]
    assert "no date ever fits '0 0 31 2 *'" in str(warning)


@given(st.lists(st.floats(NIGHT - 3 * DAY, NIGHT + 3 * DAY), min_size=1, max_size=6))
def test_the_order_of_questions_is_no_matter(moments: list[float]) -> None:
    def fresh() -> Resets:
        schedules = [compile_schedule("0 */8 * * *", ""), compile_schedule("30 6 * * *", "")]
        return Resets([one for one in schedules if one is not None])

    asked = fresh()
    assert [asked.last(moment) for moment in moments] == [fresh().last(m) for m in moments]
    assert all(asked.last(moment) <= moment for moment in moments)


NAMES = "abc"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 40)), max_size=30),
    st.randoms(use_true_random=False),
    st.integers(0, 6),
)
def test_events_of_two_days_never_fire_together(
    arrivals: list[tuple[str, int]], dice: random.Random, spread: int
) -> None:
    """In any order, with redeliveries; and in the order of the stream, exactly as the rule says."""
    made = joining({"cron": "0 0 * * *"}, conditions="a && b && c")
    at, stream = NIGHT - DAY, []
    for sequence, (name, hours) in enumerate(arrivals, 1):
        at += hours * HOUR / 2
        stream.append((name, at, sequence))
    when = {f"{name}{sequence}": int(at // DAY) for name, at, sequence in stream}

    expected, saved = [], {}
    for name, at, sequence in stream:
        saved = {n: i for n, i in saved.items() if when[i] == int(at // DAY)}
        saved[name] = f"{name}{sequence}"
        if len(saved) == len(NAMES):
            expected.append(saved)
            saved = {}
    assert run(made, *stream)[0] == expected

    mixed = sorted(stream, key=lambda one: one[2] + dice.random() * spread)
    mixed += dice.sample(mixed, len(mixed) // 2)  # handed out once more
    fired = run(made, *mixed)[0]
    assert all(len({when[i] for i in events.values()}) == 1 for events in fired)
    used = [i for events in fired for i in events.values()]
    assert len(set(used)) == len(used)
