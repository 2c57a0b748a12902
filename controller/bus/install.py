"""What is to be installed for a bus, read off the EventBus object and fitted to its size.

`jetstream` and `nats.native` come to the same here. What the object asks for that cannot be, such
as more copies than servers or a stream larger than its disk, is fitted, and a note says so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from controller.bus.versions import Settings, Version
from eventbus.settings import StreamSettings, size
from eventbus.spec import (
    ContainerTemplate,
    EventBusSpec,
    JetStream,
    NatsNative,
    Persistence,
    PodSettings,
)
from spine.errors import ConfigError
from spine.runtime import seconds

REPLICAS = 3
MOST_COPIES = 5
"""Copies that JetStream keeps of a stream."""
VOLUME = "20Gi"
"""Size of a claim where the object does not say."""
BOUND = 10 * 1024**3
"""Bytes that a store without a claim takes of a node's disk."""
FILLED = 0.85
"""Part of a volume that the store may fill; the rest is for the server's own files."""
EVENTS_SHARE = 0.5
"""Part of the store for events that nobody has bounded."""
EVENTS_MOST = 0.75
"""The most of it; dead letters have a fifth of what events have."""
MEMORY = "256MB"
"""Of streams in memory: what is kept of decisions takes 64 MB."""
PAYLOAD = 8 * 1024**2
PAYLOAD_MOST = 64 * 1024**2
"""What the server takes at most."""


@dataclass(frozen=True, slots=True)
class Install:
    """A JetStream cluster."""

    version: Version
    replicas: int
    pod: PodSettings
    stream: StreamSettings
    store: str
    """Text for the `jetstream {}` block."""
    max_payload: int
    start_args: Sequence[str] = ()
    reloader: ContainerTemplate | None = None
    notes: list[str] = field(default_factory=list)
    """What has to be said of what was asked for."""

    @property
    def persistence(self) -> Persistence | None:
        """The claim of each server."""
        return self.pod.persistence

    @property
    def stream_config(self) -> str:
        """The limits of the stream, as the text of a `streamConfig`."""
        stream = self.stream
        return (
            f"discard: {('old', 'new').index(stream.discard)}\n"
            f"duplicates: {stream.duplicates:g}s\n"
            f"maxage: {int(stream.max_age)}s\n"
            f"maxbytes: {stream.max_bytes}\n"
            f"maxmsgs: {stream.max_msgs}\n"
            f"replicas: {stream.replicas}\n"
            f"retention: {('limits', 'interest').index(stream.retention)}\n"
        )


def install(bus: EventBusSpec, settings: Settings) -> Install:
    """Return what is to be installed. Raises ConfigError for a version that is not known."""
    if bus.kind == "jetstream":
        assert bus.jetstream is not None
        return _of_jetstream(bus.jetstream, bus, settings)
    assert bus.nats is not None
    assert bus.nats.native is not None
    return _of_native(bus.nats.native, settings)


def _of_jetstream(asked: JetStream, bus: EventBusSpec, settings: Settings) -> Install:
    version = settings.version(asked.version)
    store = _store(asked.persistence)
    text = asked.settings
    if text is not None:
        store = _limit(text, store)
    replicas = asked.replicas or REPLICAS
    notes = [version.note] if version.note else []
    stream = fitted(bus.settings(_stream(replicas, store)), replicas, store, notes)
    return Install(
        version,
        replicas,
        asked,
        stream,
        text if text is not None else _block(store),
        _payload(asked.max_payload, notes),
        tuple(asked.start_args or ()),
        asked.reloader_container_template,
        notes,
    )


def _of_native(asked: NatsNative, settings: Settings) -> Install:
    """Serve a NATS Streaming bus: what it says of its channel is said of the stream."""
    notes = ["NATS Streaming ended in 2023; JetStream serves this bus: write jetstream"]
    replicas = max(asked.replicas or 0, REPLICAS)
    store = _store(asked.persistence)
    stream = _stream(replicas, store)
    if asked.max_age is not None:
        stream = replace(stream, max_age=seconds(asked.max_age))
    if asked.max_msgs is not None:
        stream = replace(stream, max_msgs=asked.max_msgs or -1)
    if asked.max_bytes is not None:
        stream = replace(stream, max_bytes=size("maxBytes", asked.max_bytes))
    return Install(
        settings.version("latest"),
        replicas,
        asked,
        fitted(stream, replicas, store, notes),
        _block(store),
        _payload(asked.max_payload, notes),
        notes=notes,
    )


# ---------------------------------------------------------------------------- sizes


def _store(persistence: Persistence | None) -> int:
    """Return the bytes of a server's store."""
    if persistence is None:
        return BOUND
    try:
        volume = size("volumeSize", persistence.volume_size or VOLUME)
    except ConfigError:  # a unit that no disk has
        return BOUND
    return int(volume * FILLED) if volume > 0 else BOUND


def _limit(text: str, store: int) -> int:
    """Return the bytes of the store where the object has a text of its own for it."""
    match = re.search(r"\bmax_file(?:_store)?\s*[:=]?\s*\"?([0-9]+[A-Za-z]*)", text)
    if match is None:
        return store
    try:
        return min(size("max_file_store", match[1]), store)
    except ConfigError:  # the server says what is wrong with it
        return store


def _block(store: int) -> str:
    return f"max_memory_store: {MEMORY}\nmax_file_store: {store}"


def _stream(replicas: int, store: int) -> StreamSettings:
    """Return our limits for a bus of that size."""
    return StreamSettings(replicas=min(replicas, REPLICAS), max_bytes=int(store * EVENTS_SHARE))


def fitted(stream: StreamSettings, replicas: int, store: int, notes: list[str]) -> StreamSettings:
    """Return limits that servers of that number and size can keep to; `notes` says what changed."""
    most = min(replicas, MOST_COPIES)
    if stream.replicas > most:
        notes.append(
            f"streamConfig.replicas: {stream.replicas} copies need as many servers; {most} is used"
        )
        stream = replace(stream, replicas=most)
    room = int(store * EVENTS_MOST)
    if stream.max_bytes > room:
        notes.append(
            f"streamConfig.maxBytes: {stream.max_bytes} do not fit the store; {room} is used"
        )
        stream = replace(stream, max_bytes=room)
    return stream


def _payload(asked: str | int | None, notes: list[str]) -> int:
    found = size("maxPayload", asked) if asked is not None else PAYLOAD
    if found <= 0:
        return PAYLOAD
    if found > PAYLOAD_MOST:
        notes.append(f"maxPayload: {asked} is more than the server takes; 64MB is used")
        return PAYLOAD_MOST
    return found


def kept_to(wanted: Install, before: int | None) -> Install:
    """Return what is to be installed where there are servers already; `before` is their number.

    A single server does not know the streams of a cluster, nor a cluster those of a single
    server, which it deletes; and servers that are taken away take a majority with them. So a
    cluster can only grow.
    """
    alone = before == 1 and wanted.replicas > 1
    if before is None or not (alone or before > wanted.replicas):
        return wanted
    note = (
        f"replicas: {before} servers are kept, as with {wanted.replicas} events would be lost; "
        "to change it, delete the EventBus and make it anew"
    )
    stream = wanted.stream
    if alone:
        stream = replace(stream, replicas=1)
    return replace(wanted, replicas=before, stream=stream, notes=[*wanted.notes, note])
