"""Staying connected: what is tried again, and when the source counts as down."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from eventsource.sessions import AGAIN, HEALTHY, asked, stay
from eventsource.taking import Taker
from spine.errors import ConfigError, SourceError
from spine.retrying import RetryBackoff

pytestmark = pytest.mark.looptime


async def emit(*_: Any, **__: Any) -> None: ...


class Sessions:
    """Does one thing after the other: an error to raise, or seconds to last."""

    def __init__(self, *plan: Any) -> None:
        self.plan = list(plan)
        self.began: list[float] = []

    async def __call__(self, up: Any) -> None:
        self.began.append(round(asyncio.get_running_loop().time(), 1))
        next_one = self.plan.pop(0)
        if isinstance(next_one, Exception):
            raise next_one
        up()
        await asyncio.sleep(next_one)


async def run(env: Any, sessions: Sessions, backoff: RetryBackoff | None = None) -> Exception:
    with pytest.raises((SourceError, ConfigError)) as caught:
        await stay(sessions, env, Taker("ev", emit), backoff)
    return caught.value


AWAY = SourceError("nobody there")


async def test_a_first_session_that_fails_is_told_at_once(env):
    sessions = Sessions(AWAY)
    assert await run(env, sessions) is AWAY
    assert len(sessions.began) == 1


async def test_what_never_can_be_is_told_at_once(env):
    wrong = ConfigError("wrong")
    assert await run(env, Sessions(wrong)) is wrong


async def test_a_session_that_ends_is_followed_by_others_with_growing_waits(env):
    sessions = Sessions(HEALTHY + 1, *[AWAY] * 20)
    assert await run(env, sessions) is AWAY
    waits = [b - a for a, b in zip(sessions.began[1:], sessions.began[2:], strict=False)]
    assert len(sessions.began) == 1 + AGAIN.steps - 1
    assert waits == sorted(waits)


async def test_a_healthy_session_makes_up_for_failures(env):
    sessions = Sessions(*[1, AWAY, AWAY, AWAY, HEALTHY + 1] * 3, *[AWAY] * 9)
    await run(env, sessions)
    assert len(sessions.began) > 15


async def test_sessions_that_end_soon_are_failures(env):
    sessions = Sessions(*[1] * 100)
    assert "the connection ended" in str(await run(env, sessions))
    assert len(sessions.began) == AGAIN.steps


async def test_a_secret_that_is_gone_for_a_while_is_waited_for(env):
    sessions = Sessions(1, ConfigError("no such key"), HEALTHY + 1, *[AWAY] * 9)
    assert await run(env, sessions) is AWAY


async def test_a_backoff_that_is_written_is_kept_to_from_the_start(env):
    backoff = RetryBackoff(duration="10s", factor=2.0, jitter=0.0, steps=3)
    sessions = Sessions(*[AWAY] * 3)
    await run(env, sessions, backoff)
    assert [b - sessions.began[0] for b in sessions.began] == [0, 10, 30]


async def test_what_is_in_hand_is_brought_to_its_end_before(env):
    stored = asyncio.Event()
    told: list[str] = []

    async def slow(*_: Any, **__: Any) -> None:
        await stored.wait()
        told.append("stored")

    taker = Taker("ev", slow)

    class One:
        def encode(self) -> bytes:
            return b""

    from eventsource.taking import Taken

    await taker.begin(Taken(One, One, "one", 1))
    running = asyncio.create_task(stay(Sessions(AWAY), env, taker, None))
    await asyncio.sleep(1)
    assert not running.done()
    stored.set()
    with pytest.raises(SourceError):
        await running
    assert told == ["stored"]


async def test_listening_is_said(env):
    heard: list[int] = []
    env = replace(env, listening=lambda: heard.append(1))
    await run(env, Sessions(1, *[AWAY] * 9))
    assert heard == [1]


async def test_a_call_that_swallows_its_cancellation():
    async def swallowing() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "as if nothing had happened"
        return ""

    task = asyncio.create_task(asked(swallowing()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
