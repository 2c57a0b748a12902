"""A connection ends when it is told to, whatever the client library makes of that."""

import asyncio
from typing import Any

import pytest
from nats.errors import TimeoutError as NatsTimeoutError

from eventbus.jetstream.connection import Connection
from eventbus.jetstream.dialing import Options
from spine.errors import BusError

pytestmark = pytest.mark.looptime


async def swallows(*_: Any, **__: Any) -> None:
    """Take being cancelled for a server that does not answer, as nats-py does now and then."""
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        raise NatsTimeoutError from None


async def test_being_told_to_end_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nats.aio.client.Client.connect", swallows)
    options = Options(servers=("nats://127.0.0.1:4222",))

    with pytest.raises(BusError):
        async with asyncio.timeout(60), Connection(lambda: options, give_up_after=3):
            pytest.fail("it is not connected")
