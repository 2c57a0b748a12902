"""Connections to NATS servers, for triggers and services that publish.

A connection that breaks is thrown away and made anew by the next message: nothing is held back in
a buffer of the library, so a message that was not confirmed is tried again by who keeps it.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import msgspec

from spine.errors import ConfigError, RemoteError, TriggerError
from spine.nats_server import CONNECT_TIMEOUT, Login, Server, close, connect, of_the_library, why
from spine.runtime import cancellation_kept

if TYPE_CHECKING:
    from nats.aio.client import Client

__all__ = ["Login", "Message", "Peers", "Server", "Stored"]

T = TypeVar("T")

PUBLISH_TIMEOUT = 10
"""Seconds in which a server must have confirmed a message."""
_KEPT = 16
"""Connections kept; each server, account and certificate has its own."""
_REFUSALS = 32
"""Refusals remembered for each connection, between a message and its confirmation."""


class Message(NamedTuple):
    """What is published."""

    subject: str
    body: bytes
    headers: Mapping[str, str] = {}


class Stored(msgspec.Struct, frozen=True):
    """What JetStream says of a message that it has."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    """Whether it had one with this `Nats-Msg-Id` already, and kept that one alone."""
    error: dict[str, Any] | None = None


class Peers:
    """Connections by server, opened when they are needed and closed with the sender."""

    def __init__(self) -> None:
        self._open: dict[Server, _Peer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for peer in self._open.values():
            await peer.close()

    async def publish(self, server: Server, message: Message) -> None:
        """Publish, and return once the server has the message. Raises TriggerError."""
        peer = await self._peer(server)
        what = f"publishing to {message.subject} on {server.shown}"
        await self._through(peer, what, peer.publish(message))

    async def store(self, server: Server, message: Message) -> Stored:
        """Publish, and return once a stream has the message. Raises TriggerError."""
        peer = await self._peer(server)
        what = f"publishing to {message.subject} on {server.shown}"
        return await self._through(peer, what, peer.store(message))

    async def _peer(self, server: Server) -> "_Peer":
        peer = self._open.pop(server, None) or _Peer(server)
        self._open[server] = peer  # the latest stands last
        if len(self._open) > _KEPT:
            await self._open.pop(next(iter(self._open))).close()
        return peer

    async def _through(self, peer: "_Peer", what: str, sending: Coroutine[Any, Any, T]) -> T:
        """Await what a peer does, and put its failures into our words."""
        try:
            with cancellation_kept():
                async with asyncio.timeout(CONNECT_TIMEOUT + PUBLISH_TIMEOUT):
                    return await sending
        except TriggerError as exc:
            raise TriggerError(
                f"{what}: {exc.message}", hint=exc.hint, permanent=exc.permanent
            ) from exc
        except ConfigError as exc:
            raise TriggerError(f"{what}: {exc}") from exc
        except TimeoutError as exc:
            await peer.close()
            raise TriggerError(f"{what}: no answer in time") from exc
        except Exception as exc:
            if not of_the_library(exc):
                raise
            await peer.close()
            raise TriggerError(f"{what}: {why(exc, peer.server.settings)}") from exc


class _Peer:
    """One connection."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client: Client | None = None
        self._opening = asyncio.Lock()
        self._refusals: list[str] = []

    async def publish(self, message: Message, reply: str = "") -> None:
        client, body = await self._connected(), message.body
        if len(body) > client.max_payload:
            raise TriggerError(
                f"{len(body)} bytes are more than the {client.max_payload} that the server takes",
                permanent=True,
            )
        headers = dict(message.headers) or None
        await client.publish(message.subject, body, reply, headers)
        await client._flush_pending(force_flush=True)  # noqa: SLF001 -- else flush overtakes it
        await client.flush(PUBLISH_TIMEOUT)
        quoted = f'"{message.subject}"'.lower()
        refusal = next((text for text in self._refusals if quoted in text.lower()), "")
        if refusal:
            self._refusals.remove(refusal)
            raise TriggerError(refusal, permanent=True)

    async def store(self, message: Message) -> Stored:
        client = await self._connected()
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox, max_msgs=1)
        try:
            await self.publish(message, inbox)
            answer = await answers.next_msg(PUBLISH_TIMEOUT)
        finally:
            with suppress(Exception):  # the connection may be gone, and the subscription with it
                await answers.unsubscribe()
        if (answer.headers or {}).get("Status") == _NOBODY:
            raise TriggerError(
                "no stream takes this subject", hint="make one, or leave jetStream out"
            )
        try:
            stored = msgspec.json.decode(answer.data, type=Stored)
        except msgspec.DecodeError as exc:
            raise TriggerError("who answered is no stream", permanent=True) from exc
        if stored.error is not None or not stored.stream:
            raise _refused(stored.error or {})
        return stored

    async def _connected(self) -> "Client":
        async with self._opening:
            if self._client is None or not self._client.is_connected:
                await self.close()
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> "Client":
        from nats.aio.client import Client

        client = Client()
        try:
            await connect(client, self.server, self._refused)
        except RemoteError as exc:
            raise TriggerError(exc.message, hint=exc.hint) from exc
        return client

    async def _refused(self, text: str) -> None:
        self._refusals = [*self._refusals[-_REFUSALS:], text]

    async def close(self) -> None:
        client, self._client = self._client, None
        self._refusals = []
        if client is not None:
            await close(client)


_NOBODY = "503"
"""What the server answers for whom nobody listens to."""


def _refused(error: Mapping[str, Any]) -> TriggerError:
    """Return why a stream does not take a message: one that is full may have room later."""
    why = str(error.get("description") or "it gave no reason")
    code = error.get("code")
    return TriggerError(
        f"the stream refused it: {why}",
        permanent=isinstance(code, int) and code < 500,  # noqa: PLR2004 -- as in HTTP
    )
