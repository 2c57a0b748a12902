"""The NATS JetStream bus on nats-py's core connection."""

from eventbus.jetstream.bus import JetStreamBus, connect
from eventbus.jetstream.connection import Options

__all__ = ["JetStreamBus", "Options", "connect"]
