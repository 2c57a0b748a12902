"""The connection to NATS: found again for ever, with credentials read anew each time.

The client library can reconnect by itself, but it gives up for good on some errors of a server
(expired credentials, a changed password) and keeps what it read at the start. So it is told not
to, and a new client is made after each loss: listeners are subscribed again, and those who
registered with `on_up` do what is left to do, such as sending again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from eventbus.jetstream.dialing import Options, dial, speaks_tls
from eventbus.jetstream.direct import Delivered, Direct, DirectClient, command_of, plain_of
from spine.errors import BusError, ConfigError, RemoteError
from spine.nats_tcp import close, drop
from spine.runtime import Backoff, cancellation_kept

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

log = logging.getLogger(__name__)

RECONNECT = Backoff(duration=0.1, factor=2.0, jitter=0.5, steps=0, cap=5.0)
"""Waits between attempts; short, as everything in the process waits for the bus."""
CLOSED_SECONDS = 0.5
"""How often it is looked whether the client was closed without a word."""

Callback = Callable[["Msg"], Awaitable[None]]


class NoAnswererError(BusError):
    """Nobody listens on the subject of a request: JetStream, a stream or a consumer is missing."""


@dataclass(eq=False, slots=True)
class Listening:
    """A subscription that outlives connections."""

    subject: str
    callback: Callback
    direct: Direct | None = None
    """Called instead of `callback`, straight from the socket."""
    subscription: "Subscription | None" = None


_NOT_YET = "not connected yet"


@dataclass(slots=True)
class _State:
    """What is known about being connected."""

    problem: str = _NOT_YET
    servers: str = ""
    """Those of the present connection or the one before, for messages."""
    lost: float = 0.0
    """Loop time when the connection went away."""
    up: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class Connection:
    """A NATS connection as an async context manager. One task owns the client."""

    def __init__(
        self, options: Callable[[], Options], *, give_up_after: float | None = None
    ) -> None:
        self._options = options
        self._give_up_after = give_up_after
        self._state = _State()
        self._client: DirectClient | None = None
        self._listeners: list[Listening] = []
        self._on_up: list[Callable[[], None]] = []
        self._first: asyncio.Future[None] | None = None
        self._owner: asyncio.Task[None] | None = None
        self._errors: list[Exception] = []
        self._warned = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._state.lost = loop.time()
        self._first = loop.create_future()
        self._owner = loop.create_task(self._own(), name="bus connection")
        try:
            async with asyncio.timeout(self._give_up_after):
                await asyncio.shield(self._first)
        except TimeoutError:
            await self.__aexit__()
            raise BusError(self._state.problem, hint="is the bus running and reachable?") from None
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._owner is not None
        self._owner.cancel()
        await asyncio.gather(self._owner, return_exceptions=True)
        if self._first is not None and not self._first.done():
            self._first.cancel()

    # ------------------------------------------------------------------------ state

    @property
    def problem(self) -> str:
        """Why there is no connection; empty where there is one."""
        if self.is_up:
            return ""
        return self._lost_it if self._client is not None else self._state.problem

    @property
    def _lost_it(self) -> str:
        at = f" at {self._state.servers}" if self._state.servers else ""
        return f"the connection to the bus{at} was lost"

    @property
    def is_up(self) -> bool:
        """Whether there is a connection just now."""
        return self._client is not None and self._client.is_connected

    @property
    def down_for(self) -> float:
        """Seconds without a connection; 0 with one, and with one that was lost a moment ago."""
        if self._client is not None:
            return 0.0
        return asyncio.get_running_loop().time() - self._state.lost

    @property
    def max_payload(self) -> int:
        """Bytes of a message with its headers that the server takes."""
        return self._client.max_payload if self._client is not None else 1024 * 1024

    @property
    def client(self) -> DirectClient:
        """The present client. Raises BusError while there is none."""
        if self._client is None or not self._client.is_connected:
            raise BusError(f"using the bus: {self._state.problem}")
        return self._client

    def on_up(self, callback: Callable[[], None]) -> None:
        """Have a function called after each connect but the first."""
        self._on_up.append(callback)

    def off_up(self, callback: Callable[[], None]) -> None:
        """Take back `on_up`."""
        with suppress(ValueError):
            self._on_up.remove(callback)

    # ------------------------------------------------------------------------ traffic

    async def send(
        self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send a message. Raises BusError without a connection, or what the library raises."""
        client = self.client
        command = command_of(subject, data, reply, headers) if headers and reply else None
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        if command is None or not client.is_connected:
            await client.publish(subject, data, reply=reply, headers=headers)
        else:  # a third of what the library's own checks and header handling take
            await client._send_command(command)  # noqa: SLF001 -- nats-py is pinned for this
            if client._flush_queue is not None and client._flush_queue.empty():  # noqa: SLF001
                await client._flush_pending()  # noqa: SLF001
        if task is not None and task.cancelling() > before:  # the library swallowed it
            raise asyncio.CancelledError

    def post(self, subject: str, data: bytes, reply: str = "") -> bool:
        """Put a message on its way without waiting; return False where there is none to go."""
        client = self._client
        return client is not None and client.post(plain_of(subject, data, reply))

    def post_with(self, subject: str, data: bytes, reply: str, headers: dict[str, str]) -> bool:
        """Put a message with headers on its way; return False where `send` has to do it."""
        client = self._client
        if client is None:
            return False
        command = command_of(subject, data, reply, headers)
        return command is not None and client.post(command)

    async def listen_directly(self, subject: str, callback: Direct) -> Listening:
        """Subscribe like `listen`, for a callback that is quick: it is called at once."""

        async def early(message: "Msg") -> None:
            """Take what came before the subscription was known to be direct."""
            callback(Delivered(message.subject, message.reply, message.data, message.headers))

        return await self._listen(Listening(subject, early, callback))

    async def listen(self, subject: str, callback: Callback) -> Listening:
        """Subscribe now and after each reconnect."""
        return await self._listen(Listening(subject, callback))

    async def _listen(self, listening: Listening) -> Listening:
        self._listeners.append(listening)
        if self.is_up:
            with suppress(NatsError, OSError):  # lost this moment: subscribed with the next client
                await self._subscribe(self.client, listening)
        return listening

    async def unlisten(self, listening: Listening, *, drain: float = 0.0) -> None:
        """End a subscription; with `drain`, what is under way still reaches its callback.

        `drain` is the number of seconds to wait for it.
        """
        with suppress(ValueError):
            self._listeners.remove(listening)
        if not self.is_up or listening.subscription is None:
            return
        with suppress(NatsError, OSError, TimeoutError):
            if drain:
                async with asyncio.timeout(drain):
                    await listening.subscription.drain()  # type: ignore[no-untyped-call]  # the library has no types there
            else:
                await listening.subscription.unsubscribe()
        if self._client is not None:
            self._client.direct.pop(listening.subscription._id, None)  # noqa: SLF001 -- as the server calls it

    async def request(self, subject: str, data: bytes, *, seconds: float, what: str) -> "Msg":
        """Send a request and return its answer; waits for the connection if there is none.

        Raises BusError when no answer comes in time; `what` says what was being done.
        """
        try:
            with cancellation_kept():
                async with asyncio.timeout(seconds):
                    await self._state.up.wait()
                    return await self.client.request(subject, data, timeout=seconds + 1)
        except TimeoutError as exc:
            why = self.problem or f"no answer within {seconds:g} s"
            raise BusError(f"{what}: {why}") from exc
        except NoRespondersError as exc:
            raise NoAnswererError(
                f"{what}: JetStream does not answer",
                hint="enable it in the server's configuration (jetstream {}), or wait for it",
            ) from exc
        except (NatsError, OSError) as exc:
            raise BusError(f"{what}: {exc}") from exc

    # ------------------------------------------------------------------------ life

    async def _own(self) -> None:
        try:
            attempt = 0
            while True:
                attempt += 1
                with cancellation_kept():  # else a process that is told to stop goes on for ever
                    is_up = await self._try(attempt)
                if is_up:
                    attempt = 0
                    await self._lost()
                    self._went_down()
                else:
                    await asyncio.sleep(RECONNECT.wait(attempt))
        finally:
            self._state.up.clear()
            client, self._client = self._client, None
            if client is not None:
                await close(client)

    async def _lost(self) -> None:
        """Wait until the client is closed.

        The library breaks off its own closing where the last flush fails, and then calls nobody,
        so its state is looked at as well.
        """
        client = self._client
        while client is not None and not client.is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSED_SECONDS):
                    await self._state.closed.wait()
                    return

    async def _try(self, attempt: int) -> bool:
        """Connect once; say whether that worked."""
        self._state.closed = asyncio.Event()
        self._errors.clear()
        try:
            options = self._options()
            if self._state.problem == _NOT_YET:
                self._state.problem = f"connecting to {options.shown}: no answer yet"
            client = await dial(options, self._state.closed, self._errors)
        except ConfigError as exc:
            if self._first is not None and not self._first.done():
                self._first.set_exception(exc)
            self._failed(str(exc), attempt)
            return False
        except RemoteError as exc:
            self._failed(str(exc), attempt)
            return False
        self._client, self._state.servers = client, options.shown
        await self._came_up(options)
        return True

    def _failed(self, why: str, attempt: int) -> None:
        self._state.problem = why
        log.warning("the bus is away: %s", why, extra={"attempt": attempt})

    async def _came_up(self, options: Options) -> None:
        assert self._client is not None
        for listening in list(self._listeners):
            with suppress(NatsError, OSError):
                await self._subscribe(self._client, listening)
        if not self._warned and speaks_tls(self._client) and not options.verified:
            self._warned = True
            log.warning(
                "the certificate of the bus at %s is not verified; give tls.caCertSecret",
                options.shown,
            )
        again = self._first is not None and self._first.done()
        log.info("connected to the bus at %s", options.shown)
        self._state.up.set()
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        if again:
            for callback in list(self._on_up):
                callback()

    def _went_down(self) -> None:
        self._state.up.clear()
        client, self._client = self._client, None
        if client is not None:
            client.answer_no_more(ConnectionResetError(self._lost_it))
            drop(client)
        self._state.lost = asyncio.get_running_loop().time()
        why = f": {self._errors[-1]}" if self._errors else ""
        self._state.problem = f"{self._lost_it}{why}"
        log.warning(self._state.problem)

    @staticmethod
    async def _subscribe(client: DirectClient, listening: Listening) -> None:
        listening.subscription = await client.subscribe(
            listening.subject,
            cb=listening.callback,
            pending_msgs_limit=0,  # bounded by what we ask for; a limit here would drop messages
            pending_bytes_limit=0,
        )
        if listening.direct is not None:
            client.direct[listening.subscription._id] = listening.direct  # noqa: SLF001 -- as the server calls it
