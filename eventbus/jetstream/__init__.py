"""The NATS JetStream bus on nats-py's core connection."""

from spine.lazily import later

with later("aiohttp", "multidict"):  # for ws:// alone
    import nats.aio.client  # noqa: F401 -- loaded here, so that all others find it as it is now

from eventbus.jetstream.bus import JetStreamBus, connect
from eventbus.jetstream.dialing import Options

__all__ = ["JetStreamBus", "Options", "connect"]
