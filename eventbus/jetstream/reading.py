"""Reading stored messages without a durable: for tools, dead letters and replay.

A short-lived consumer that acknowledges nothing is made, and made again after the last message
read if it or the connection goes away. A work queue allows no such consumer: its messages, few by
nature, are looked up one by one.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from eventbus.bus import Message
from eventbus.jetstream.api import NO_MESSAGE, NO_STREAM, Api, ApiError, nanoseconds, rfc3339, unix
from eventbus.jetstream.connection import Connection, Listening
from eventbus.jetstream.replies import message_of
from eventbus.subjects import collapse, matches_any
from spine.errors import BusError, RemoteError
from spine.event import new_id
from spine.runtime import RECONNECT

if TYPE_CHECKING:
    from nats.aio.msg import Msg

BATCH = 256
BATCH_BYTES = 16 * 1024 * 1024
IDLE_SECONDS = 60.0
"""The server drops a consumer that nobody has asked for so long."""
ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.5
AGAIN_SECONDS = 0.05


async def read(
    api: Api, stream: str, subjects: Sequence[str], start: str | float, *, follow: bool
) -> AsyncIterator[Message]:
    """Yield messages; see `Bus.read`."""
    info = await api.stream(stream)
    if info is None and not follow:
        return
    last = 0 if info is None else info["state"]["last_seq"]
    end = None if follow else last
    if info is not None and info["config"]["retention"] == "workqueue":
        found = _steps(api, stream, subjects, start, end)
    else:
        found = _consumed(api, stream, subjects, start, end)
    async with aclosing(found) as messages:
        async for message in messages:
            yield message


async def _consumed(
    api: Api, stream: str, subjects: Sequence[str], start: str | float, last: int | None
) -> AsyncGenerator[Message, None]:
    """Read with consumers, one after the other, up to sequence `last`, or (None) for ever."""
    position, attempt, created = _position(start), 0, ""
    while True:
        try:
            info = await api.call(f"STREAM.INFO.{stream}", what=f"reading stream {stream}")
            if created not in {"", info["created"]}:
                position = {"deliver_policy": "all"}  # it is another one, and counts from 1
            created = info["created"]
            async with aclosing(_once(api, stream, subjects, position, last)) as messages:
                async for message in messages:
                    attempt = 0
                    position = {
                        "deliver_policy": "by_start_sequence",
                        "opt_start_seq": message.sequence + 1,
                    }
                    yield message
        except ApiError as exc:
            if exc.reason != NO_STREAM or last is not None:
                raise
            created = created or "none"  # what comes will be new
        except BusError:
            if last is not None:
                raise
        if last is not None:
            return
        attempt += 1
        await asyncio.sleep(RECONNECT.wait(min(attempt, 8)))


async def _steps(
    api: Api, stream: str, subjects: Sequence[str], start: str | float, last: int | None
) -> AsyncGenerator[Message, None]:
    """Look up message after message up to sequence `last`, or (None) for ever."""
    since = start if isinstance(start, float | int) else 0.0
    sequence = 1
    if start == "new":
        info = await api.stream(stream)
        sequence = info["state"]["last_seq"] + 1 if info else 1
    while last is None or sequence <= last:
        message = await _first(api, stream, collapse(subjects) or (">",), sequence)
        if message is not None and (last is None or message.sequence <= last):
            sequence = message.sequence + 1
            if message.stored >= since and matches_any(subjects, message.subject):
                yield message
        elif last is not None:
            return
        else:
            await asyncio.sleep(POLL_SECONDS)


async def _first(api: Api, stream: str, subjects: Sequence[str], sequence: int) -> Message | None:
    """Return the first message of any of the subjects from a sequence on."""
    found: Message | None = None
    for subject in subjects:
        message = await _get(api, stream, {"seq": sequence, "next_by_subj": subject})
        if message is not None and (found is None or message.sequence < found.sequence):
            found = message
    return found


def _position(start: str | float) -> dict[str, Any]:
    if isinstance(start, str):
        return {"deliver_policy": start}
    return {"deliver_policy": "by_start_time", "opt_start_time": rfc3339(start)}


async def _once(
    api: Api, stream: str, subjects: Sequence[str], position: dict[str, Any], last: int | None
) -> AsyncGenerator[Message, None]:
    """Read with one consumer up to sequence `last`, or (None) until something breaks."""
    name = f"read-{new_id()}"
    config = {
        "name": name,
        "ack_policy": "none",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": nanoseconds(IDLE_SECONDS),
        "filter_subjects": list(collapse(subjects)),
        **position,
    }
    what = f"reading stream {stream}"
    body = {"stream_name": stream, "config": config}
    info = await api.call(f"CONSUMER.CREATE.{stream}.{name}", body, what=what)
    if last is not None and not info["num_pending"]:
        return
    incoming: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = f"_INBOX.{new_id()}"
    listening = await api.connection.listen(inbox, incoming.put)
    try:
        pulled = _pulled(api.connection, f"{stream}.{name}", inbox, incoming, last)
        async with aclosing(pulled) as messages:
            async for message in messages:
                if last is not None and message.sequence > last:
                    return
                if matches_any(subjects, message.subject):
                    yield message
                if last is not None and (message.sequence >= last or not message.pending):
                    return
    except (NatsError, OSError) as exc:
        raise BusError(f"{what}: {exc}") from exc
    finally:
        await _end(api, listening, f"CONSUMER.DELETE.{stream}.{name}")


async def _pulled(
    connection: Connection,
    consumer: str,
    inbox: str,
    incoming: "asyncio.Queue[Msg]",
    last: int | None,
) -> AsyncGenerator[Message, None]:
    wait = {"no_wait": True} if last is not None else {"expires": nanoseconds(IDLE_SECONDS / 2)}
    ask = {"batch": BATCH, "max_bytes": BATCH_BYTES, **wait}
    if last is None:
        ask["idle_heartbeat"] = nanoseconds(ANSWER_SECONDS / 2)
    late = asyncio.get_running_loop().time() + ANSWER_SECONDS
    while True:
        await connection.send(f"$JS.API.CONSUMER.MSG.NEXT.{consumer}", orjson.dumps(ask), inbox)
        for _ in range(BATCH):
            msg = await _next(incoming)
            if msg.reply.startswith("$JS.ACK."):
                yield message_of(msg)
                continue
            status = (msg.headers or {}).get("Status")
            if status == "404" and last is not None:
                return
            if status == "100":
                continue
            if status == "503" and asyncio.get_running_loop().time() < late:
                await asyncio.sleep(AGAIN_SECONDS)  # made, but not yet up at its server
                break
            if status in {"408", "404"} or (status == "409" and _goes_on(msg)):
                break
            raise BusError(f"reading {consumer}: {(msg.headers or {}).get('Description', status)}")


def _goes_on(msg: "Msg") -> bool:
    return "Deleted" not in (msg.headers or {}).get("Description", "")


async def _next(incoming: "asyncio.Queue[Msg]") -> "Msg":
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await incoming.get()
    except TimeoutError:
        raise BusError("reading from the bus: no answer") from None


async def _end(api: Api, listening: Listening, method: str) -> None:
    await api.connection.unlisten(listening)
    if api.connection.is_up:
        try:
            async with asyncio.timeout(2):
                await api.call(method, what="ending a read")
        except (RemoteError, TimeoutError):
            return  # the server drops it by itself


async def get(api: Api, stream: str, sequence: int) -> Message | None:
    """Return one message; see `Bus.get`."""
    return await _get(api, stream, {"seq": sequence})


async def _get(api: Api, stream: str, body: dict[str, Any]) -> Message | None:
    what = f"reading message {body['seq']} of stream {stream}"
    try:
        answer = await api.call(f"STREAM.MSG.GET.{stream}", body, what=what)
    except ApiError as exc:
        if exc.reason in {NO_MESSAGE, NO_STREAM}:
            return None
        raise
    found = answer["message"]
    return Message(
        found["subject"],
        b64decode(found.get("data", "")),
        found["seq"],
        unix(found["time"]),
        headers=Client._parse_header_lines(b64decode(found.get("hdrs", ""))),  # noqa: SLF001 -- the library's reader of the same lines
    )
