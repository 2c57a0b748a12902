"""Messages in hand, across connections: which were received, and which the broker is to be told of.

What the broker sends again while it is in hand is the same message. A number means something
only as long as the broker remembers us: where it does not, nothing is acknowledged.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from eventsource.mqtt.link import Hearer, Link
from eventsource.taking import Taken, Taker

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage


class _Held:
    """A message that the broker keeps until it is told."""

    __slots__ = ("done", "message")

    def __init__(self, message: "MQTTMessage") -> None:
        self.message, self.done = message, False

    def is_of(self, other: "MQTTMessage") -> bool:
        """Whether another one may be this one that was sent again."""
        one = self.message
        return (one.topic, one.payload, one.qos) == (other.topic, other.payload, other.qos)


class Hands(Hearer):
    """All that is in hand."""

    def __init__(self, taker: Taker, taken: Callable[["MQTTMessage"], Taken]) -> None:
        self._taker, self._taken = taker, taken
        self._held: dict[int, _Held] = {}
        self._link: Link | None = None
        self._full = asyncio.Event()

    def use(self, link: Link | None) -> None:
        """Take the connection on which the broker is told; None: there is none."""
        self._link = link

    async def pace(self) -> None:
        """Let the broker wait while the hands are full, until cancelled."""
        while True:
            await self._full.wait()
            await self._taker.until_room()
            self._full.clear()
            if self._link is not None:
                self._link.resume()

    @override
    def welcomed(self, remembered: bool) -> None:
        if not remembered:
            self._held.clear()  # their events are on their way all the same

    @override
    def received(self, message: "MQTTMessage") -> None:
        if message.qos == 0:
            self._taker.begin_now(self._taken(message))
        elif (held := self._held.get(message.mid)) is not None and held.is_of(message):
            if held.done:
                self._tell(held)
        else:
            held = self._held[message.mid] = _Held(message)
            self._taker.begin_now(self._taken(message), partial(self._done, held))
        if self._taker.room <= 0 and self._link is not None:
            self._link.pause()
            self._full.set()

    def _done(self, held: _Held) -> None:
        held.done = True
        if self._held.get(held.message.mid) is held:
            self._tell(held)

    def _tell(self, held: _Held) -> None:
        if self._link is not None and self._link.acknowledge(held.message):
            del self._held[held.message.mid]
