"""A connection to NATS, and what ends it: its loss, or what the server does not allow."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from eventsource.nats.message import client
from eventsource.sessions import asked
from spine.errors import ConfigError, RemoteError, SourceError
from spine.nats_server import Server, close, connect, of_the_library, why
from spine.runtime import cancellation_kept

if TYPE_CHECKING:
    from nats.aio.client import Client

ANSWER_SECONDS = 5

log = logging.getLogger(__name__)


class Session:
    """An open connection."""

    def __init__(self, nats: "Client", server: Server) -> None:
        self.nats, self.server = nats, server
        self.refused = ""
        """The latest that the server does not allow us."""
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def publish(self, subject: str, data: bytes, reply: str = "") -> None:
        """Send a message."""
        await asked(self.nats.publish(subject, data, reply))

    async def flush(self) -> None:
        """Wait until the server has all that was sent."""
        await asked(self.nats.flush(ANSWER_SECONDS))

    async def hear(self, text: str) -> None:
        """Take note of what the server refuses; to have no right to listen ends the session."""
        if "permissions violation" in text.lower():
            self.refused = text
            if "for subscription" in text.lower():
                self._end(text)
        else:
            log.debug("NATS: %s", text)

    async def closed(self) -> None:
        """Take note of the end of the connection."""
        self._end("the connection ended")

    def _end(self, text: str) -> None:
        if not self._over.done():
            self._over.set_result(text)

    async def until_over(self) -> None:
        """Wait until nothing comes any more. Raises SourceError."""
        raise self.fault(await asyncio.shield(self._over))

    def check(self) -> None:
        """Raise SourceError if nothing comes any more."""
        if self._over.done():
            raise self.fault(self._over.result())

    def fault(self, text: str) -> SourceError:
        """Return an error of this session, with the way out where a right is missing."""
        hint = ""
        if "permissions violation" in text.lower():
            verb = "subscribe" if "for subscription" in text.lower() else "publish"
            hint = f"allow this user to {verb} to it"
        return SourceError(f"listening to NATS at {self.server.shown}: {text}", hint=hint)


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[Session]:
    """Yield a session on a server; it is closed in the end.

    Raises SourceError for whatever server or connection do in the block, ConfigError for
    settings that cannot work.
    """
    nats = client()
    session = Session(nats, server)
    try:
        try:
            with cancellation_kept():
                await connect(nats, server, session.hear, session.closed)
            yield session
        finally:
            await close(nats)
    except (SourceError, ConfigError):
        raise
    except RemoteError as exc:
        raise session.fault(exc.message) from exc
    except Exception as exc:
        if not of_the_library(exc):
            raise
        text = why(exc, server.settings)
        if isinstance(exc, TimeoutError):
            text = session.refused or "no answer in time"
        raise session.fault(text) from exc
