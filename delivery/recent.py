"""What was finished a while ago: messages whose acknowledgement the bus may not have got.

A bus that goes away takes acknowledgements with it that were on their way, and delivers those
messages again when it is back. The process that finished them knows better.
"""

from eventbus.bus import Message

REMEMBERED = 20_000
"""Messages: some seconds at full speed, which is how long acknowledgements travel at most."""


class Recent:
    """Remembers the messages of one stream that were finished last."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._finished: dict[int, float] = {}

    def add(self, message: Message) -> None:
        """Note that a message is finished."""
        finished = self._finished
        finished[message.sequence] = message.stored
        if len(finished) > self._most:
            del finished[next(iter(finished))]

    def has(self, message: Message) -> bool:
        """Return whether this message, and none of a stream made anew, was finished.

        How often it was delivered tells nothing: a server that was killed may have forgotten.
        """
        return self._finished.get(message.sequence) == message.stored
