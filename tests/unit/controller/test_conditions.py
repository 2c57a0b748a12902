"""Conditions keep the time of their last transition."""

from datetime import UTC, datetime

from controller.conditions import LONGEST, Condition, changed, conditions

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
YES, NO = Condition("True", "Fine"), Condition("False", "Wrong", "so wrong")


def test_a_condition_that_stays_keeps_its_time():
    before = conditions((), 1, EARLY, Ready=YES, Valid=YES)
    after = conditions(before, 2, LATE, Ready=NO, Valid=Condition("True", "FineToo", "x"))
    assert [(one["type"], one["lastTransitionTime"]) for one in after] == [
        ("Ready", "2026-02-01T00:00:00Z"),
        ("Valid", "2026-01-01T00:00:00Z"),
    ]
    assert {one["observedGeneration"] for one in after} == {2}


def test_what_says_nothing_new_is_the_same():
    before = conditions((), 1, EARLY, Ready=YES)
    assert conditions(before, 1, LATE, Ready=YES) == before


def test_only_another_status_or_reason_is_a_change():
    before = conditions((), 1, EARLY, Ready=NO, Valid=YES)
    after = conditions(
        before, 2, LATE, Ready=NO._replace(message="more"), Valid=Condition("True", "Other")
    )
    assert [one["type"] for one in changed(before, after)] == ["Valid"]


def test_a_message_is_bounded():
    (one,) = conditions((), 1, EARLY, Ready=NO._replace(message="x" * 10_000))
    assert len(one["message"]) == LONGEST
