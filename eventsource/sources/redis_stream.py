"""Redis streams: an event for each entry, of a consumer group that replicas share.

An entry is acknowledged after its event is on the bus. What a replica had in hand when it died is
claimed by another, or by itself when it is back, and the event of an entry has the same id
whoever handles it. The group is made where it is missing, and made again, without a gap, where
it was deleted.
"""

from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from typing_extensions import override

from eventsource.bodies import metadata_member
from eventsource.redisdb import OnRedis
from eventsource.redisstream.entry import StreamEntry
from eventsource.redisstream.group import Group, Reading
from eventsource.sessions import stay
from eventsource.source import Emit, EventSourceFilter, Payload
from eventsource.taking import Taker
from spine.fields import Int32
from spine.runtime import Env

COUNT = 10
GROUP = "argo-events-cg"


class EntryFilter(EventSourceFilter):
    """Which entries are sent on; `values` are the fields of the entry."""

    members: ClassVar[frozenset[str]] = frozenset({"values"})


class RedisStream(OnRedis):
    """Receives the entries of streams."""

    type: ClassVar[str] = "redisStream"
    example: ClassVar[Payload] = StreamEntry(
        "orders",
        "1732179000125-0",
        b'{"customer":"Ada","order":"42"}',
        b',"metadata":{"team":"web"}',
    )
    streams: list[str]
    """Names of the streams; one that does not exist is made, empty."""
    max_msg_count_per_read: Int32 = COUNT
    """Entries of each stream that are taken in one go; 10 where it is 0."""
    consumer_group: str = GROUP
    """The group whose members share the entries. A new one begins with entries that come then."""
    claim_after: Annotated[Int32, Field(ge=1, le=86_400)] = 30
    """Ours: seconds without a sign of life after which what a member of the group had in hand is
    taken over."""

    filter: EntryFilter | None = None
    """Which entries become events."""

    @field_validator("streams")
    @classmethod
    def _some(cls, streams: list[str]) -> list[str]:
        if not streams or not all(streams):
            raise ValueError("write the names of the streams to read")
        return list(dict.fromkeys(streams))

    @field_validator("consumer_group")
    @classmethod
    def _default_group(cls, name: str) -> str:
        return name or GROUP

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        taker = Taker(env.name, emit)
        reading = Reading(
            group=self.consumer_group,
            streams=tuple(self.streams),
            place=(env.object, env.name),
            metadata=metadata_member(self.metadata),
            count=self.max_msg_count_per_read if self.max_msg_count_per_read > 0 else COUNT,
            claim_after=self.claim_after,
        )
        group = Group(reading, taker)
        names = " ".join(f"~{stream}" for stream in self.streams)
        grant = f"+xgroup +xinfo +xreadgroup +xack +xclaim +xautoclaim {names}"
        try:
            await stay(
                lambda up: group.session(lambda: self.connection(env, grant), up), env, taker, None
            )
        finally:
            await taker.finish()
            await group.finish(lambda: self.connection(env, grant))
