"""Events of one Kubernetes object, one after another.

An ADD and a DELETE that are handled side by side may leave behind what the DELETE was to take
away. So an event of an object waits until the one before it is done: acted on, stored for a
later attempt, or a dead letter. Beyond a failed attempt only `orderBy` keeps the order.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakValueDictionary

from spine.event import Event
from spine.lang import gjson
from spine.lang.gjson import Document

_UID = gjson.compile("body.metadata.uid").get
_KIND = "resource"


class Objects:
    """Turns of events that are handled in one process."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, event: Event) -> AbstractAsyncContextManager[object]:
        """Return what is to be entered at once: turns come in the order of entering."""
        found = _UID(Document(event.data)) if event.type == _KIND and event.data else None
        if found is None:
            return nullcontext()
        key = f"{event.source}/{event.subject}/{found.raw}"
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = asyncio.Lock()
        return turn
