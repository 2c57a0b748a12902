"""Listening to a bucket, and making up for what was not heard.

The server sends a line for each thing that happens, to whoever listens just then, and to a slow
listener not even that. So the time up to which all is on the bus is remembered, and with each new
connection a listing tells of objects that were made since; nobody can tell what else happened.
"""

import asyncio
import html
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus

from eventsource.bodies import metadata_member
from eventsource.buckets.notification import (
    S3,
    Bucket,
    Notification,
    Object,
    Record,
    Unread,
    id_of,
    records_of,
)
from eventsource.buckets.position import Position
from eventsource.buckets.server import Place, Query, RefusedError, Server, open_server
from eventsource.source import Payload
from eventsource.taking import Taken, Taker
from spine.errors import EventError, SourceError
from spine.runtime import Env, cancelled_at_exit

log = logging.getLogger(__name__)

LISTEN, LIST = "s3:ListenBucketNotification", "s3:ListBucket"
LONGEST = 4 * 1024 * 1024
"""Bytes of a line, beyond which it is not one of MinIO's."""
SLOW = 1.0
"""Seconds that a line may wait for the bus before the server is taken to have dropped others."""
_ENTRY = re.compile(rb"<Contents>(.*?)</Contents>", re.DOTALL)
_FIELD = re.compile(rb"<(Key|LastModified|ETag|Size)>([^<]*)</")
_MORE = re.compile(rb"<NextContinuationToken>([^<]+)</")


@dataclass(frozen=True)
class Wanted:
    """What becomes events."""

    events: tuple[str, ...]
    prefix: str
    suffix: str
    metadata: Mapping[str, str]
    catchup: bool

    def query(self) -> Query:
        """Return the query of a listener; a sign of life each second is asked for."""
        limits = (("prefix", self.prefix), ("suffix", self.suffix), ("ping", "1"))
        return [*limits, *(("events", name) for name in self.events)]

    def made(self, tag: str) -> str:
        """Return the event of a new object that is wanted; empty where none is."""
        how = "CompleteMultipartUpload" if "-" in tag else "Put"
        name = f"s3:ObjectCreated:{how}"
        return name if {name, "s3:ObjectCreated:*"} & set(self.events) else ""


class Listener:
    """Listens to one bucket."""

    def __init__(
        self, place: Place, wanted: Wanted, env: Env, taker: Taker, position: Position
    ) -> None:
        self._place, self._wanted, self._env = place, wanted, env
        self._taker, self._position = taker, position
        self._member = metadata_member(wanted.metadata)
        self._missed = asyncio.Event()

    async def session(self, listening: Callable[[], None]) -> None:
        """Listen until the connection ends or the keys change. Raises SourceError, ConfigError."""
        clock = asyncio.get_running_loop().time
        async with (
            open_server(self._place, self._env.secrets) as server,
            server.get(self._wanted.query(), "listening to", LISTEN) as answer,
        ):
            known = self._position.until
            self._position.listens_since(_server_time(answer.headers.get("Date", "")))
            if known:
                self._doubt()
            catching_up = asyncio.create_task(self._catch_up(server), name="list the bucket")
            async with cancelled_at_exit(catching_up):
                listening()
                async for line in _lines(answer.content.iter_any()):
                    began = clock()
                    await self._take(line)
                    if clock() - began > SLOW:
                        self._doubt()
                    if self._place.keys(self._env.secrets) != server.keys:
                        return

    async def _take(self, line: bytes) -> None:
        """Begin with a line."""
        try:
            records = records_of(line)
        except EventError as exc:
            await self._taker.begin(self._unread(line, exc))
            return
        if records:
            await self._tell(records, len(line))

    async def _tell(self, records: list[Record], size: int, *, unless_told: bool = False) -> None:
        known = id_of((self._env.object, self._env.name), records)
        if unless_told and known in self._position.told:
            return
        moment = max((one.moment for one in records if one.made), default=0)
        taken = Taken(
            form=lambda: Notification(records, self._member),
            as_it_is=lambda: Notification(records, self._member),
            what="a notification of MinIO",
            size=size,
            id=known,
        )
        await self._taker.begin(taken, self._position.begin(known, moment))

    def _unread(self, line: bytes, why: EventError) -> Taken:
        def form() -> Payload:
            raise why

        what = "a notification of MinIO"
        return Taken(form, lambda: Unread(line, self._member), what, len(line))

    # ------------------------------------------------------------------------ what was missed

    def _doubt(self) -> None:
        if self._wanted.catchup:
            self._position.doubt()
            self._missed.set()

    async def _catch_up(self, server: Server) -> None:
        """List the bucket whenever something may have been missed."""
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                await self._list(server, self._position.since)
            except RefusedError as exc:
                extra = {"eventName": self._env.name, "error": str(exc)}
                log.warning("objects that were made meanwhile are not looked for", extra=extra)
            except SourceError as exc:  # the next connection tries again
                log.debug("listing the bucket", extra={"error": str(exc)})
                continue
            if not self._missed.is_set():
                self._position.settle()

    async def _list(self, server: Server, since: int) -> None:
        """Tell of objects that were made since. Raises SourceError."""
        if not (self._wanted.made("") or self._wanted.made("-")):
            return
        query = [("list-type", "2"), ("encoding-type", "url"), ("prefix", self._wanted.prefix)]
        more = ""
        while True:
            page = [*query, ("continuation-token", more)] if more else query
            async with server.get(page, "listing", LIST) as answer:
                content = await answer.read()
            for entry in _ENTRY.findall(content):
                record = self._record(dict(_FIELD.findall(entry)))
                if record is not None and record.moment >= since:
                    await self._tell([record], len(entry), unless_told=True)
            found = _MORE.search(content)
            if found is None:
                return
            more = html.unescape(found[1].decode())

    def _record(self, fields: Mapping[bytes, bytes]) -> Record | None:
        """Return the record of an object of a listing, None where it is not wanted."""
        key = unquote_plus(fields.get(b"Key", b"").decode())
        tag = html.unescape(fields.get(b"ETag", b"").decode()).strip('"')
        name = self._wanted.made(tag)
        moment = _milliseconds(fields.get(b"LastModified", b"").decode())
        if not name or not key.endswith(self._wanted.suffix) or not moment:
            return None
        time = fields[b"LastModified"].decode()
        bucket = Bucket(self._place.bucket, arn=f"arn:aws:s3:::{self._place.bucket}")
        made = Object(
            key=key,
            size=int(fields.get(b"Size", b"0")),
            e_tag=tag,
            sequencer=f"{moment * 1_000_000:X}",
        )
        s3 = S3(schema_version="1.0", configuration_id="Config", bucket=bucket, object=made)
        return Record("2.0", "minio:s3", "", time, name, s3=s3)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a stream, signs of life among them. Raises SourceError."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.strip() or b"{}"
        rest = rest.lstrip()  # a space is a sign of life of older servers
        if not rest and not lines:
            yield b"{}"
        if len(rest) > LONGEST:
            raise SourceError(f"listening: a line of more than {LONGEST >> 20} MiB")


def _milliseconds(time: str) -> int:
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return 0


def _server_time(date: str) -> int:
    """Return milliseconds of Unix time of a header `Date`, else of our clock."""
    try:
        return round(parsedate_to_datetime(date).timestamp() * 1000)
    except (ValueError, TypeError):
        return round(datetime.now(UTC).timestamp() * 1000)
