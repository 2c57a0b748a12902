"""The event bus: its contract (`bus`), JetStream, and a memory one for tests."""

from eventbus.opening import open_bus

__all__ = ["open_bus"]
