"""A bus in memory."""

import pytest

from eventbus.memory import MemoryBus


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()
