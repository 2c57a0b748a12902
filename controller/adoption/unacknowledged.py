"""Which events a durable has handed out and nobody has acknowledged.

A server tells how many there are, and never which. But it hands them out again once their time is
up: so they are asked for, noted and given back at once. Nothing is acknowledged by that, and where
the durable stands is not changed.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from nats.errors import Error as NatsError

from eventbus.bus import EVENTS
from eventbus.jetstream.api import NANO, Api, nanoseconds
from eventbus.jetstream.replies import message_of
from spine.errors import BusError
from spine.event import new_id

if TYPE_CHECKING:
    from nats.aio.msg import Msg

ASK = 1.0
"""Seconds that one question waits for events."""
AGAIN = 2.0
"""Seconds after which an event that was only looked at is handed out again."""
MARGIN = 20.0
"""Seconds beyond the durable's own patience."""
BATCH = 256
ACK_WAIT = 30.0
"""Seconds of patience where a durable does not say."""
_NAK = b'-NAK {"delay": %d}' % nanoseconds(AGAIN)


async def unacknowledged(api: Api, info: dict[str, Any]) -> frozenset[int]:
    """Return the sequences of what is in nobody's hands, up to the newest that was handed out.

    `info` is what the server says of the durable. Raises BusError where somebody holds on to it.
    """
    if not info["num_ack_pending"]:
        return frozenset()
    name, newest = info["name"], info["delivered"]["stream_seq"]
    loop = asyncio.get_running_loop()
    patience = info["config"].get("ack_wait", ACK_WAIT * NANO) / NANO + MARGIN
    until, seen, others = loop.time() + patience, set[int](), set[int]()
    incoming: asyncio.Queue[Msg] = asyncio.Queue()
    inbox = f"_INBOX.{new_id()}"
    listening = await api.connection.listen(inbox, incoming.put)
    try:
        while len(seen) < await _outstanding(api, name) - len(others):
            if loop.time() > until:
                raise BusError(
                    f"reading durable {name}: events that it handed out do not come back",
                    hint="is a pod of Argo Events still at work on them?",
                )
            batch = min(info["num_ack_pending"] - len(seen) + len(others), BATCH)
            for sequence in await _ask(api, name, inbox, incoming, max(batch, 1)):
                (seen if sequence <= newest else others).add(sequence)
    except (NatsError, OSError) as exc:
        raise BusError(f"reading durable {name}: {exc}") from exc
    finally:
        await api.connection.unlisten(listening)
    return frozenset(seen)


async def _outstanding(api: Api, name: str) -> int:
    info = await api.consumer(EVENTS, name)
    return 0 if info is None else int(info["num_ack_pending"])


async def _ask(
    api: Api, name: str, inbox: str, incoming: "asyncio.Queue[Msg]", batch: int
) -> list[int]:
    """Return the sequences of events that are handed out within a moment; they go back."""
    ask = {"batch": batch, "expires": nanoseconds(ASK)}
    method = f"$JS.API.CONSUMER.MSG.NEXT.{EVENTS}.{name}"
    await api.connection.send(method, orjson.dumps(ask), inbox)
    found: list[int] = []
    while len(found) < batch:
        try:
            async with asyncio.timeout(2 * ASK):
                msg = await incoming.get()
        except TimeoutError:
            break
        if not msg.reply.startswith("$JS.ACK."):
            break  # the question is over
        found.append(message_of(msg).sequence)
        await api.connection.send(msg.reply, _NAK)
    return found
