"""Threads: how long they are kept, and how many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services_kit import Kept

from services import slack_threads
from services.slack_threads import DAYS, THREADS, Threads

DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000 * DAY

    def __call__(self) -> float:
        return self.now


async def begin(threads: Threads, key: str, ts: str) -> None:
    async with threads.one("C1", key) as thread:
        assert await thread.begin("C1", ts) == []


async def place(threads: Threads, key: str, channel: str = "C1") -> tuple[str, str] | None:
    async with threads.one(channel, key) as thread:
        return thread.place


@pytest.fixture
def one_part(monkeypatch):
    monkeypatch.setattr(slack_threads, "PARTS", 1)


async def test_thread_ends_a_month_after_its_latest_message() -> None:
    memory, clock = Kept(), Clock()
    threads = Threads(memory, "slack", clock)
    await begin(threads, "a", "1")
    for _ in range(3):
        clock.now += DAYS * DAY
        assert await place(threads, "a") == ("C1", "1")
    clock.now += (DAYS + 1) * DAY
    assert await place(threads, "a") is None


async def test_of_too_many_the_oldest_go(one_part) -> None:
    memory = Kept()
    threads = Threads(memory, "slack", Clock())
    for number in range(THREADS + 2):
        await begin(threads, str(number), "1")
    assert await place(threads, "0") is None
    assert await place(threads, "1") is None
    assert await place(threads, "2") == ("C1", "1")
    (part,) = memory.parts.values()
    assert len(part.value or b"") < 16_000


async def test_services_and_channels_do_not_mix() -> None:
    memory = Kept()
    await begin(Threads(memory, "one", Clock()), "a", "1")
    assert await place(Threads(memory, "other", Clock()), "a") is None
    assert await place(Threads(memory, "one", Clock()), "a", "C2") is None
    assert await place(Threads(memory, "one", Clock()), "a") == ("C1", "1")


async def test_value_of_another_version_is_no_thread(one_part) -> None:
    memory = Kept()
    memory.part("threads-0").value = b"\xc1 nonsense"
    threads = Threads(memory, "slack", Clock())
    assert await place(threads, "a") is None
    await begin(threads, "a", "1")
    assert await place(threads, "a") == ("C1", "1")


async def test_locks_do_not_pile_up() -> None:
    threads = Threads(None, "slack", Clock())
    for number in range(100):
        await begin(threads, str(number), "1")
    assert len(threads._locks) <= 1


@given(st.text(max_size=50), st.text(max_size=50))
async def test_any_channel_and_key(channel: str, key: str) -> None:
    threads = Threads(None, "slack", Clock())
    async with threads.one(channel, key) as thread:
        await thread.begin("C1", "1")
    assert await place(threads, key, channel) == ("C1", "1")
