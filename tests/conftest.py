"""Fixtures for everything."""

import pytest

from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets


@pytest.fixture
async def env():
    """The surroundings of a component named `beep` in `uploads`, on loopback."""
    async with Shared() as shared:
        yield Env("uploads", "beep", "ns", GivenSecrets(), shared, host="127.0.0.1")
