"""A client of the library that was closed, and that told nobody."""

import asyncio

import pytest

from eventbus.jetstream.connection import CLOSED_SECONDS, Connection
from eventbus.jetstream.dialing import Options


class Closing:
    """A client that breaks off its closing before it calls back."""

    is_closed = is_connected = False
    _transport = None

    def answer_no_more(self, why: Exception) -> None:
        """End requests: it has none."""


@pytest.mark.looptime
async def test_client_that_was_closed_without_a_word_is_noticed() -> None:
    connection = Connection(lambda: Options(servers=("nats://127.0.0.1:1",)))
    client = Closing()
    connection._client = client  # type: ignore[assignment]  # all of it that is looked at
    connection._state.closed = asyncio.Event()
    asyncio.get_running_loop().call_later(3, lambda: setattr(client, "is_closed", True))

    await connection._lost()

    assert 3 <= asyncio.get_running_loop().time() <= 3 + CLOSED_SECONDS


@pytest.mark.looptime
async def test_client_that_tells_is_believed_at_once() -> None:
    connection = Connection(lambda: Options(servers=("nats://127.0.0.1:1",)))
    connection._client = Closing()  # type: ignore[assignment]  # as above
    connection._state.closed = asyncio.Event()
    asyncio.get_running_loop().call_later(3, connection._state.closed.set)

    await connection._lost()

    assert asyncio.get_running_loop().time() == pytest.approx(3)


@pytest.mark.looptime
async def test_what_was_lost_a_moment_ago_is_not_away_for_long() -> None:
    """Or whatever is published just then would be refused, though another server is there."""
    connection = Connection(lambda: Options(servers=("nats://127.0.0.1:1",)))
    connection._client = Closing()  # type: ignore[assignment]  # as above
    await asyncio.sleep(3600)

    assert not connection.is_up
    assert connection.down_for == 0.0
    assert connection.problem == "the connection to the bus was lost"

    connection._went_down()
    await asyncio.sleep(3)
    assert connection.down_for == pytest.approx(3)
