"""What the server says in the reply subject and the headers of a delivered message.

The reply subject is `$JS.ACK.` with stream, consumer, deliveries, sequence, consumer sequence,
nanoseconds and pending; newer servers put domain and account before the stream, and a random
token at the end.
Format: ADR-15 of the NATS architecture notes.
"""

from typing import TYPE_CHECKING

from eventbus.bus import Message

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from eventbus.jetstream.direct import Delivered

_SHORT = 9
_LONG = 11


def message_of(msg: "Msg | Delivered") -> Message:
    """Return a delivered message. Raises ValueError for a reply that is no acknowledgement's."""
    tokens = msg.reply.split(".")
    if len(tokens) == _SHORT:
        deliveries, sequence, number, stored, pending = tokens[4:]
    elif len(tokens) >= _LONG:
        deliveries, sequence, number, stored, pending = tokens[6:11]
    else:
        raise ValueError(f"no acknowledgement subject: {msg.reply!r}")
    return Message(
        msg.subject,
        msg.data,
        int(sequence),
        int(stored) / 1e9,
        int(deliveries),
        int(pending),
        msg.headers or {},
        int(number),
    )
