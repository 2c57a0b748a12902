"""Fixtures for everything."""

import asyncio

import pytest

from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

asyncio.set_event_loop(None)  # otherwise the asyncio plugin makes a loop that nobody closes


@pytest.fixture
async def env():
    """The surroundings of a component named `beep` in `uploads`, on loopback."""
    async with Shared() as shared:
        yield Env("uploads", "beep", "ns", GivenSecrets(), shared, host="127.0.0.1")
