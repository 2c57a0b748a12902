"""Forgets EventSources that are gone: what they have told, and where they would go on.

A folder of files or a bucket may leave megabytes in the bus's store, which nobody would read again.
"""

from eventbus.bus import Bus
from eventbus.kept import forget as forget_kept
from eventbus.kept import key_token
from eventsource.spec import kinds


async def forget(bus: Bus, name: str) -> None:
    """Remove all that an EventSource has on a bus but its events. Raises BusError."""
    for kind in kinds().values():
        await forget_kept(bus, f"{kind.type}.{key_token(name)}")
