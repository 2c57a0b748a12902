"""Retry decisions and rate limits."""

from dataclasses import dataclass

import pytest

from delivery.policy import DAY, PATIENT, Bucket, RateLimit, Retry
from spine.errors import BusError, ConfigError, ParameterError, TriggerError
from spine.runtime import Backoff

THREE = Retry.of(Backoff(duration=2.0, factor=3.0, jitter=0.0, steps=3))
PLAIN = Retry.of(None)


@dataclass(frozen=True)
class Case:
    name: str
    retry: Retry
    attempt: int
    error: BaseException
    least: float | None
    """Shortest wait; None: given up."""
    most: float = 0.0
    since: float = 0.0

    def __str__(self) -> str:
        return self.name


REFUSED = TriggerError("posting: 400", permanent=True)
BROKEN = TriggerError("posting: 503")
CASES = [
    Case("first wait is a second", PLAIN, 1, BROKEN, 1.0, 1.2),
    Case("doubles", PLAIN, 4, BROKEN, 8.0, 9.6),
    Case("five minutes at most", PLAIN, 40, BROKEN, 250.0, 300.0),
    Case("never mind how often", PLAIN, 5_000, BROKEN, 250.0, 300.0),
    Case("what was refused is given up", PLAIN, 1, REFUSED, None),
    Case("a network fault that nobody mapped", PLAIN, 1, ConnectionResetError("reset"), 1.0, 1.2),
    Case("a timeout that nobody mapped", PLAIN, 1, TimeoutError(), 1.0, 1.2),
    Case("another remote fault", PLAIN, 1, BusError("away"), 1.0, 1.2),
    Case("a bug is not retried", PLAIN, 1, ZeroDivisionError("x"), None),
    Case("nor a wrong event", PLAIN, 1, ParameterError("x"), None),
    Case("nor a wrong configuration", PLAIN, 1, ConfigError("x"), None),
    Case("asked to wait longer", PLAIN, 1, TriggerError("429", retry_after=77), 77, 77),
    Case("asked to wait shorter", PLAIN, 6, TriggerError("429", retry_after=1), 32, 39),
    Case("asked for nonsense", PLAIN, 1, TriggerError("429", retry_after=float("nan")), 1, 1.2),
    Case("after a day", PLAIN, 99, BROKEN, None, since=DAY),
    Case("asked to come after the day", PLAIN, 1, TriggerError("x", retry_after=DAY + 1), None),
    Case("written: first", THREE, 1, BROKEN, 2.0, 2.0),
    Case("written: second", THREE, 2, BROKEN, 6.0, 6.0),
    Case("written: attempts are used up", THREE, 3, BROKEN, None),
    Case("written: whatever failed", THREE, 1, REFUSED, 2.0, 2.0),
    Case("written: even a bug", THREE, 1, ZeroDivisionError("x"), 2.0, 2.0),
    Case("written: to the letter", THREE, 1, TriggerError("429", retry_after=77), 2.0, 2.0),
    Case("written: beyond a day", THREE, 2, BROKEN, 6.0, 6.0, since=9 * DAY),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_wait(case: Case) -> None:
    for _ in range(20):  # the jitter is random
        wait = case.retry.wait(case.attempt, case.since, case.error)

        if case.least is None:
            assert wait is None
        else:
            assert wait is not None
            assert case.least <= wait <= case.most


def test_one_attempt_written_out_is_one() -> None:
    assert Retry.of(Backoff(steps=1)).wait(1, 0, BROKEN) is None


def test_default_gives_up_after_a_day_of_attempts() -> None:
    now, attempt = 0.0, 0
    while True:
        attempt += 1
        wait = PLAIN.wait(attempt, now, BROKEN)
        if wait is None:
            break
        now += wait

    assert DAY - 300 <= now <= DAY
    assert attempt > DAY / (PATIENT.cap * 1.2)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_slots_are_evenly_spaced() -> None:
    clock = Clock()
    bucket = Bucket(RateLimit(requests=4), clock)

    assert [bucket.reserve() for _ in range(4)] == pytest.approx([0, 0.25, 0.5, 0.75])


def test_slots_of_a_minute() -> None:
    clock = Clock()
    bucket = Bucket(RateLimit(requests=2, unit=60), clock)
    bucket.reserve()
    clock.now += 10

    assert bucket.reserve() == pytest.approx(20)


def test_ten_unused_slots_are_saved_and_no_more() -> None:
    clock = Clock()
    bucket = Bucket(RateLimit(requests=1), clock)
    clock.now += 1_000

    waits = [bucket.reserve() for _ in range(13)]

    assert waits == pytest.approx([0] * 11 + [1, 2])


@pytest.mark.parametrize(("requests", "unit"), [(0, 1), (-1, 1), (1, 0)])
def test_a_rate_that_sends_nothing_is_refused(requests: float, unit: float) -> None:
    with pytest.raises(ConfigError, match="nothing would ever be sent"):
        RateLimit(requests, unit)
