"""The contract of every bus: publish, read, keep.

A handler need not acknowledge: a message is done when the handler returns, and comes back when
it raises. Nothing here knows what an EventSource or a Sensor is. `tests/conformance/test_buses`
holds every implementation to this file.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from spine.event import Event

EVENTS = "default"
"""Stream of events, subjects `default.EVENTSOURCE.EVENT`."""
ACTIONS = "tocsin-actions"
"""Work queue of actions that are not done yet, subjects `tocsin-actions.SENSOR.TRIGGER`."""
DEAD = "tocsin-dead"
"""What can never pass, with its reason, subjects `tocsin-dead.KIND.OBJECT.NAME`."""
DECISIONS = "tocsin-decisions"
"""What sensors did, for `tocsin tail`: short-lived, subjects `tocsin-decisions.SENSOR.TRIGGER`."""
STREAMS = (EVENTS, ACTIONS, DEAD, DECISIONS)

STATE = "tocsin-state"
"""Bucket of conditions."""
LEASES = "tocsin-leases"
"""Bucket of leases; its keys expire."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a dependency names. `*` stands for any."""

    source: str
    """EventSource."""
    name: str
    """Event in it."""

    @property
    def subject(self) -> str:
        """The subject of its events in the stream EVENTS."""
        return f"{EVENTS}.{self.source}.{self.name}"


@dataclass(frozen=True, slots=True)
class Reader:
    """A durable position in a stream, shared by all replicas that name it."""

    durable: str
    subjects: tuple[str, ...]
    stream: str = EVENTS
    start: str | float = "new"
    """Where a first durable begins: `new`, `all`, or a moment in unix seconds."""
    after: int | None = None
    """Sequence after which a first durable begins, instead of `start`."""
    ack_wait: float = 30.0
    """Seconds without a sign of life after which a message is delivered elsewhere."""
    max_ack_pending: int = 10_000
    """Messages that all replicas together may hold."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Kept with the durable, such as the generation of the Sensor."""


async def _nothing() -> None:
    pass


@dataclass(slots=True)
class Message:
    """A stored message on its way through a handler."""

    subject: str
    data: bytes
    sequence: int
    """Position in the stream, from 1."""
    stored: float
    """When the bus took it, in unix seconds."""
    deliveries: int = 1
    """How often it was handed out, this time included."""
    pending: int = 0
    """Messages of the reader that wait behind it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    """Which delivery of its durable this is; consecutive, so whoever reads alone sees that one went
    missing. 0 where no durable handed it out."""
    settle: Callable[[], Awaitable[None]] = field(default=_nothing, repr=False, compare=False)
    """Acknowledges it now, and returns when the bus knows, as long as that may take: for a handler
    after whose work something begins that must not come before it again. Once called it is done,
    whatever becomes of the handler."""


Handle = Callable[[Message], Awaitable[None]]
"""Handles one message; many run at once, begun in the order of the stream.

Returning acknowledges. RemoteError brings the message back after its `retry_after` (1 s where
it has none); being cancelled brings it back at once; anything else is a bug, is logged with its
traceback, and brings it back after 30 s.
"""


@dataclass(frozen=True, slots=True)
class ReaderInfo:
    """Where a durable stands."""

    durable: str
    pending: int
    """Messages not handed out yet; one that was stored a moment ago may not be counted."""
    in_flight: int
    """Messages handed out and not acknowledged."""
    acknowledged: int
    """Sequence up to which all is acknowledged."""
    metadata: Mapping[str, str]
    subjects: tuple[str, ...]


class Store(ABC):
    """Small values that all replicas see."""

    @abstractmethod
    async def get(self, key: str) -> tuple[bytes, int] | None:
        """Return a value and its revision. Never an older one than this process wrote."""

    @abstractmethod
    async def put(self, key: str, value: bytes, *, revision: int | None) -> int:
        """Write a value over the revision it was read at (None: where there is none).

        Returns the new revision. Raises ConflictError if somebody else was faster.
        """

    @abstractmethod
    async def delete(self, key: str, *, revision: int | None = None) -> None:
        """Remove a key; no error where there is none.

        With a revision, only if nobody has written it since then.
        """

    @abstractmethod
    async def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a prefix."""


class Bus(ABC):
    """A connection to a bus. All methods may be called by many tasks at once.

    Every method raises BusError when the bus does not answer in time or refuses.
    """

    @property
    @abstractmethod
    def problem(self) -> str:
        """Why the bus cannot be used just now; empty when it can. For readiness."""

    @abstractmethod
    async def publish(self, event: Event) -> None:
        """Store an event under its topic; an event of the same `message_id` is stored once.

        Returns once the bus has it. An event above `max_payload` raises EventError.
        """

    @abstractmethod
    async def append(self, stream: str, subject: str, data: bytes, *, message_id: str = "") -> int:
        """Store a message in a stream and return its sequence; equal ids are stored once."""

    @abstractmethod
    async def ensure(self, reader: Reader) -> None:
        """Create the durable, or bring an existing one to these subjects and metadata.

        The position of an existing durable never changes.
        """

    @abstractmethod
    async def consume(self, reader: Reader, handle: Handle, *, in_flight: int) -> None:
        """Hand messages to a handler until cancelled, at most `in_flight` at a time.

        Ensures the reader first. No more is taken from the bus than can start, and what is taken
        is kept from being delivered elsewhere while it is handled. When cancelled, running
        handlers are cancelled and their messages come back at once.
        """

    @abstractmethod
    def read(
        self,
        stream: str,
        subjects: Sequence[str] = (),
        *,
        start: str | float = "all",
        follow: bool = False,
    ) -> AsyncIterator[Message]:
        """Yield stored messages without a durable and without acknowledging anything.

        `start` is `all`, `new`, or unix seconds. Ends at the present end, or, with `follow`, never.
        """

    @abstractmethod
    async def get(self, stream: str, sequence: int) -> Message | None:
        """Return one message of a stream."""

    @abstractmethod
    async def delete(self, stream: str, sequence: int) -> None:
        """Remove one message of a stream; no error where there is none."""

    @abstractmethod
    async def counts(self, stream: str) -> Mapping[str, int]:
        """Return how many messages of a stream there are under each subject."""

    @abstractmethod
    async def readers(self, stream: str) -> list[ReaderInfo]:
        """Return the durables of a stream."""

    @abstractmethod
    async def remove_reader(self, stream: str, durable: str) -> None:
        """Delete a durable; no error where there is none."""

    @abstractmethod
    def store(self, name: str) -> Store:
        """Return a key-value store: STATE or LEASES."""

    @property
    def evicted(self) -> int:
        """About how many events went from the bus before all had read them, as far as known."""
        return 0

    @property
    @abstractmethod
    def max_payload(self) -> int:
        """Bytes of an encoded message that the bus takes."""
