"""The call to a service of one's own: opened, listened to, and its errors in our words."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eventsource.generic.protocol import METHOD, SERVICE, messages
from spine.errors import SourceError
from spine.http.tls import Tls
from spine.runtime import cancelled_at_exit

if TYPE_CHECKING:
    import grpc.aio

WITHIN = 20.0
"""Seconds for a connection."""
LARGEST = 16 * 1024 * 1024
"""Bytes of an event."""
SILENCE = 1.0
"""Seconds after which a service that says nothing is taken for one that listens: who refuses does
so at once, and many say nothing before there is an event."""
_OPTIONS = [
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 10_000),
    # a service that has gone without a word is noticed; most take more than this for an attack
    ("grpc.keepalive_time_ms", 330_000),
]
_HINTS = {
    "UNAUTHENTICATED": "check authSecret",
    "PERMISSION_DENIED": "check authSecret, and what its owner may do",
    "UNIMPLEMENTED": f"it must have the method {SERVICE}/{METHOD} of eventing.proto",
}


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to call, and how; TLS is None for a connection in plain text."""

    url: str
    tls: Tls | None
    token: str = field(default="", repr=False)


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator["grpc.aio.Channel"]:
    """Yield a channel that is connected. Raises SourceError for whatever gRPC says in the block."""
    await asyncio.to_thread(messages)  # the import takes a while
    import grpc.aio

    doing = f"calling {target.url}"
    async with _channel(target) as channel:
        try:
            async with asyncio.timeout(WITHIN):
                await _until_ready(channel, doing)
            yield channel
        except TimeoutError as exc:
            raise SourceError(f"{doing}: no connection within {WITHIN:g} s") from exc
        except grpc.aio.AioRpcError as exc:
            status, details = exc.code().name, exc.details() or "no reason given"
            raise SourceError(f"{doing}: {status}: {details}", hint=_HINTS.get(status, "")) from exc


async def listen(
    channel: "grpc.aio.Channel",
    target: Target,
    asked: dict[str, Any],
    up: Callable[[], None],
    take: Callable[[bytes], Any],
) -> None:
    """Call, and `await take(data)` for each event until the service ends it. Raises AioRpcError."""
    known = messages()
    method = channel.unary_stream(
        f"/{SERVICE}/{METHOD}",
        request_serializer=known["EventSource"].SerializeToString,
        response_deserializer=known["Event"].FromString,
    )
    metadata = (("authorization", f"Bearer {target.token}"),) if target.token else ()
    call = method(known["EventSource"](**asked), metadata=metadata)
    announcing = asyncio.create_task(_announce(call, up), name="generic up")
    try:
        async with cancelled_at_exit(announcing):
            async for event in call:
                up()
                await take(event.payload)
    finally:
        call.cancel()


async def _announce(call: Any, up: Callable[[], None]) -> None:
    """Say that events come in, unless the call is refused."""
    greeting = asyncio.ensure_future(call.initial_metadata())
    async with cancelled_at_exit(greeting):
        await asyncio.wait({greeting}, timeout=SILENCE)
    if not call.done():
        up()


async def _until_ready(channel: "grpc.aio.Channel", doing: str) -> None:
    """Wait for a connection; a first attempt that fails is enough to know."""
    import grpc

    bad = {grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN}
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state in bad:
            raise SourceError(f"{doing}: no connection", hint="is the service there, with TLS?")
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


def _channel(target: Target) -> "grpc.aio.Channel":
    import grpc
    import grpc.aio

    if target.tls is None:
        return grpc.aio.insecure_channel(target.url, options=_OPTIONS)
    tls = grpc.ssl_channel_credentials(
        root_certificates=target.tls.ca.encode() or None,
        private_key=target.tls.key.encode() or None,
        certificate_chain=target.tls.certificate.encode() or None,
    )
    return grpc.aio.secure_channel(target.url, tls, options=_OPTIONS)
