"""Old shapes of EventBuses."""

from collections.abc import Iterator

from spine.compat.row import Row


def rows() -> Iterator[Row]:
    """Yield them."""
    bus, native = "EventBus", "spec.nats.native"
    yield Row(bus, f"{native}.size", f"{native}.replicas", "v0.16", "write replicas")
    volume = f"{native}.persistence"
    yield Row(bus, f"{volume}.size", f"{volume}.volumeSize", "v0.16", "write volumeSize")
    yield Row(bus, f"{native}.antiAffinity", None, "v1.4", "write affinity")
    group = "spec.kafka.consumerGroup"
    yield Row(bus, f"{group}.startOldest", f"{group}.oldest", "v1.9.0", "write oldest")
