"""A connection to a broker, on which we say ourselves when a message has arrived.

paho speaks MQTT; here it is tied to the event loop. Reading can be paused, and the broker waits.
"""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from eventsource.mqtt.patient import ANSWER_SECONDS, Login, client
from eventsource.mqtt.place import Place
from spine.errors import SourceError
from spine.runtime import cancelled_at_exit

if TYPE_CHECKING:
    import socket

    from paho.mqtt.client import MQTTMessage

KEEP_ALIVE = 30
"""Seconds without traffic after which broker and client make sure of each other."""
LAST_WORD = 0.2
"""Seconds for what is still to be sent at the end."""
_NONE = -1
"""The number of a file that is not open."""
_AT_ONCE = 50
"""Messages that are read before others have their turn."""


class Hearer(Protocol):
    """Who is told what a broker sends, at once."""

    def welcomed(self, remembered: bool) -> None:
        """Hear that the broker has taken us in, and whether it remembers us."""
        ...

    def received(self, message: "MQTTMessage") -> None:
        """Hear of a message."""
        ...


class Link:
    """An open connection."""

    def __init__(self, place: Place, paho: Any, hearer: Hearer) -> None:
        self._place, self._paho, self._hearer = place, paho, hearer
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._file = _NONE
        self._paused = self._dropped = False
        self._seen = 0
        self._connected: asyncio.Future[bool] = self._loop.create_future()
        self._closed: asyncio.Future[str] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[list[Any]]] = {}
        paho.on_connect, paho.on_disconnect = self._on_connect, self._on_disconnect
        paho.on_subscribe = self._on_subscribe
        paho.on_unsubscribe = self._on_unsubscribe
        paho.on_message = self._on_message
        paho.on_socket_open, paho.on_socket_close = self._on_open, self._on_close
        paho.on_socket_register_write = self._on_wants_to_write
        paho.on_socket_unregister_write = self._on_wrote

    # ------------------------------------------------------------------------ doing

    async def open(self) -> bool:
        """Connect; return whether the broker remembers us. Raises SourceError."""
        host, port = self._place.host, self._place.port
        connecting = self._loop.run_in_executor(
            None, lambda: self._paho.connect(host, port, KEEP_ALIVE)
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.shield(connecting)
                return await self._connected
        except TimeoutError:
            raise self.fault("no answer in time") from None
        except ssl.SSLCertVerificationError as exc:
            raise self.fault(str(exc), "give the CA in tls.caCertSecret") from exc
        except ConnectionRefusedError as exc:
            raise self.fault("nothing listens there") from exc
        except (OSError, ValueError) as exc:
            raise self.fault(str(exc) or type(exc).__name__) from exc
        finally:
            if not connecting.done():
                connecting.add_done_callback(_forget)

    def fault(self, why: str, hint: str = "") -> SourceError:
        """Return an error of this connection."""
        return SourceError(f"connecting to MQTT at {self._place.shown}: {why}", hint=hint)

    async def subscribe(self, topic: str, qos: int) -> int:
        """Subscribe; return the QoS that is granted. Raises SourceError."""
        (granted,) = await self._ask(f"subscribing to {topic}", self._paho.subscribe, topic, qos)
        if granted.is_failure:
            raise SourceError(
                f"subscribing to {topic} of MQTT at {self._place.shown}: the broker refuses",
                hint="allow this user to read and subscribe to the topic",
            )
        return int(granted.value)

    async def unsubscribe(self, topic: str) -> None:
        """Take a subscription back. Raises SourceError."""
        await self._ask(f"leaving {topic}", self._paho.unsubscribe, topic)

    async def _ask(self, what: str, do: Callable[..., Any], *words: Any) -> list[Any]:
        _, number = do(*words)
        if number is None:
            raise self.fault(f"{what}: the connection ended")
        answer = self._answers[number] = self._loop.create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.wait({answer, self._closed}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise self.fault(f"{what}: no answer in time") from None
        finally:
            del self._answers[number]
        if not answer.done():
            raise self.fault(f"{what}: {self._closed.result()}")
        codes: list[Any] = answer.result()
        return codes

    def acknowledge(self, message: "MQTTMessage") -> bool:
        """Say that a message has arrived; return whether that could be sent."""
        if self._closed.done():
            return False
        from paho.mqtt.client import MQTT_ERR_SUCCESS

        return bool(self._paho.arrived(message) == MQTT_ERR_SUCCESS)

    def pause(self) -> None:
        """Read no more, so that the broker waits."""
        self._paused = True
        if self._file != _NONE:
            self._loop.remove_reader(self._file)

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._file != _NONE:
            self._loop.add_reader(self._file, self._read)
            self._loop.call_soon(self._read)  # what TLS has decoded already
        self._paused = False

    async def until_closed(self) -> None:
        """Wait for the end of the connection. Raises SourceError."""
        why = await asyncio.shield(self._closed)
        raise self.fault(why, "if that goes on, look for another client with the same clientId")

    async def keep_alive(self) -> None:
        """Send signs of life, until cancelled."""
        while True:
            await asyncio.sleep(1)
            if self._paused:  # the answer to the last one is yet to be read
                self._paho._ping_t = 0  # noqa: SLF001 -- paho has no other way to be told
            self._paho.loop_misc()

    async def close(self) -> None:
        """Send what is left, say goodbye, and close."""
        if self._file != _NONE and not self._closed.done():
            self._paho.disconnect()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD):
                    await asyncio.shield(self._closed)
        self.drop()

    def drop(self) -> None:
        """Close without a word."""
        self._dropped = True
        self._let_go()
        if (sock := self._paho.socket()) is not None:
            sock.close()
        for future in (self._connected, self._closed):
            future.cancel()

    def _let_go(self) -> None:
        file, self._file = self._file, _NONE
        if file != _NONE:
            self._loop.remove_reader(file)
            self._loop.remove_writer(file)

    # ------------------------------------------------------------------------ what paho tells

    def _on_open(self, *told: Any) -> None:
        self._soon(self._opened, told[2])

    def _opened(self, sock: "socket.socket") -> None:
        if self._dropped:
            sock.close()
            return
        self._file = sock.fileno()
        self._loop.add_reader(self._file, self._read)

    def _soon(self, do: Callable[..., None], *words: Any) -> None:
        """Do something in the loop: at once where it runs, as the order counts."""
        if threading.get_ident() == self._thread:
            do(*words)
            return
        with suppress(RuntimeError):  # paho connects in a thread, which may outlive the loop
            self._loop.call_soon_threadsafe(do, *words)

    def _on_close(self, *_: Any) -> None:
        self._let_go()

    def _on_wants_to_write(self, *_: Any) -> None:
        self._soon(self._wants_to_write)

    def _wants_to_write(self) -> None:
        if self._file != _NONE:
            self._loop.add_writer(self._file, self._write)

    def _on_wrote(self, *_: Any) -> None:
        if self._file != _NONE:
            self._loop.remove_writer(self._file)

    def _read(self) -> None:
        try:
            for _ in range(_AT_ONCE):
                before = self._seen
                self._paho.loop_read()
                if self._seen == before or self._paused:
                    break
        except Exception as exc:  # noqa: BLE001 -- paho lets through whatever a socket raises
            self._over(str(exc) or type(exc).__name__)
            return
        pending = getattr(self._paho.socket(), "pending", None)
        if pending is not None and pending() and not self._paused:
            self._loop.call_soon(self._read)  # decoded already: the socket will not tell

    def _write(self) -> None:
        try:
            self._paho.loop_write()
        except Exception as exc:  # noqa: BLE001 -- paho lets through whatever a socket raises
            self._over(str(exc) or type(exc).__name__)

    def _over(self, why: str) -> None:
        if not self._closed.done():
            self._closed.set_result(why)

    def _on_connect(self, *told: Any) -> None:
        _, _, flags, reason, _ = told
        if self._connected.done():
            return
        if reason.is_failure:
            hint = "check auth" if reason.value in _LOGIN else ""
            self._connected.set_exception(self.fault(str(reason).lower(), hint))
        else:
            remembered = bool(flags.session_present)
            self._hearer.welcomed(remembered)
            self._connected.set_result(remembered)

    def _on_disconnect(self, *told: Any) -> None:
        reason = told[3]
        self._over(f"the connection ended: {str(reason).lower()}")
        if not self._connected.done():
            self._connected.set_exception(self.fault(str(reason).lower()))

    def _on_subscribe(self, *told: Any) -> None:
        self._answered(told[2], told[3])

    def _on_unsubscribe(self, *told: Any) -> None:
        self._answered(told[2], told[3])

    def _answered(self, number: int, codes: list[Any]) -> None:
        answer = self._answers.get(number)
        if answer is not None and not answer.done():
            answer.set_result(codes)

    def _on_message(self, *told: Any) -> None:
        self._seen += 1
        self._hearer.received(told[2])


_LOGIN = {0x86, 0x87}
"""What a broker says of a wrong password and of somebody who may not come in."""


def _forget(connecting: "asyncio.Future[Any]") -> None:
    """Take note of the end of what nobody waits for."""
    if not connecting.cancelled():
        connecting.exception()


@asynccontextmanager
async def linked(
    place: Place,
    login: Login,
    tls: ssl.SSLContext | None,
    hearer: Hearer,
) -> AsyncIterator[Link]:
    """Yield a link that is yet to be opened; it is closed in the end.

    Raises ConfigError where the library is missing.
    """
    link = Link(place, client(place, login, tls), hearer)
    try:
        async with cancelled_at_exit(asyncio.create_task(link.keep_alive(), name="mqtt alive")):
            try:
                yield link
            finally:
                await link.close()
    finally:
        link.drop()
