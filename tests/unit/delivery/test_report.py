"""Records of decisions: which are kept, and where they go."""

import asyncio

import msgspec
import pytest

from delivery.report import DECISIONS_KEPT, Decided, Reporter, Sampling
from delivery.subjects import decided_subject
from eventbus.bus import DECISIONS
from eventbus.memory import MemoryBus
from spine.errors import ConfigError


def kept(setting: str, outcomes: str) -> str:
    now = 0.0

    def clock() -> float:
        return now

    sampling, out = Sampling(setting, clock=clock), ""
    for outcome in outcomes:
        if outcome == "|":
            now += 1
        elif sampling.passes(outcome):
            out += outcome
    return f"{out} {sampling.skipped()}"


@pytest.mark.parametrize(
    ("setting", "outcomes", "wanted"),
    [
        ("off", "aab", " 3"),
        ("0", "aab", " 3"),
        ("all", "aab", "aab 0"),
        ("2", "aaaabaa", "aab 4"),
        ("2", "aaa|aaa", "aaaa 2"),
    ],
)
def test_of_equal_outcomes_the_first_of_each_second_are_kept(setting, outcomes, wanted):
    assert kept(setting, outcomes) == wanted


@pytest.mark.parametrize("setting", ["some", "-1", "1.5"])
def test_what_is_no_setting_is_refused(setting):
    with pytest.raises(ConfigError, match="not off, all, or a number"):
        Sampling(setting)


async def test_a_decision_goes_where_no_trigger_reports_and_counts_those_left_out(monkeypatch):
    monkeypatch.setenv(DECISIONS_KEPT, "1")
    bus = MemoryBus()
    reporter, made = Reporter(bus, "s"), []

    def make() -> Decided:
        made.append(1)
        return Decided(1.0, "s", "src", "e", "id")

    running = asyncio.create_task(reporter.run())
    reporter._sampling = Sampling("1", clock=lambda: 0.0)
    for outcome in ("a", "a", "a", "b"):
        reporter.decided(outcome, make)
    await asyncio.sleep(0.01)
    running.cancel()

    found = [m async for m in bus.read(DECISIONS, [decided_subject("s")])]
    records = [msgspec.json.decode(m.data, type=Decided) for m in found]
    assert [one.skipped for one in records] == [0, 2]
    assert len(made) == 2
    assert decided_subject("s").endswith(".@decided")


async def test_what_waits_to_be_told_is_bounded(monkeypatch):
    monkeypatch.setenv(DECISIONS_KEPT, "all")
    reporter = Reporter(MemoryBus(), "s")
    for _ in range(reporter.WAITING + 5):
        reporter.decided("a", lambda: Decided(1.0, "s", "src", "e", "id"))
    assert len(reporter._waiting) == reporter.WAITING
    reporter.tell("t", "done", lambda: pytest.fail("it is not made"))
    assert reporter._skipped == {"t": 1}
