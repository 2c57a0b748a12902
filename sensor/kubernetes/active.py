"""Bounds how many objects of one trigger run at a time; those that have ended do not count.

Whoever makes objects asks for room right before. The objects in the cluster are counted, by the
labels that they were made with, so the bound holds over restarts, and for what somebody else
deletes or ends. Only one replica makes objects of such a trigger, and here one at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from delivery.action import Action, Postponed
from sensor.kubernetes.marks import SENSOR, TRIGGER, Mark, labels_of, mark_of
from spine.kube import Kube, Resource

LOOK = 1.0
"""Seconds between looks for room."""
PATIENCE = 15.0
"""Seconds of looking after which an action goes back to the bus, so that a replica can stop."""
AGAIN = 5.0
"""Seconds after which it comes again."""
_ENDED = frozenset({"Succeeded", "Failed", "Error"})
_SELECT = {"Workflow": ",workflows.argoproj.io/completed!=true"}
"""Further labels by which the API server itself leaves out what has ended."""


def ended(live: Mapping[str, Any]) -> bool:
    """Return whether an object has ended: by phase, by condition, or by its time of completion."""
    status = live.get("status") or {}
    if status.get("phase") in _ENDED or status.get("completionTime"):
        return True
    return any(
        one.get("type") in {"Complete", "Failed", "Succeeded"} and one.get("status") == "True"
        for one in status.get("conditions") or ()
        if isinstance(one, Mapping)
    )


class Active:
    """The bound of one trigger."""

    def __init__(self, kube: Kube) -> None:
        self.most: int | None = None
        """How many may run; None: any number."""
        self._kube = kube
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def room(self, resource: Resource, namespace: str, action: Action) -> AsyncIterator[None]:
        """Enter when one more may run, to make it within.

        Raises Postponed where none may for long, and KubeError where they cannot be counted.
        """
        if self.most is None:
            yield
            return
        try:
            async with asyncio.timeout(PATIENCE) as patience:
                await self._turn.acquire()
                try:
                    await self._until_room(self.most, resource, namespace, action)
                    patience.reschedule(None)
                except BaseException:
                    self._turn.release()
                    raise
        except TimeoutError:
            raise Postponed(AGAIN) from None
        try:
            yield
        finally:
            self._turn.release()

    async def _until_room(
        self, most: int, resource: Resource, namespace: str, action: Action
    ) -> None:
        while await self._running(resource, namespace, action) >= most:  # noqa: ASYNC110 -- others end them
            await asyncio.sleep(LOOK)

    async def _running(self, resource: Resource, namespace: str, action: Action) -> int:
        """Count what this trigger has made and has not ended; not what this action made before."""
        own, token, count = Mark.of(action), "", 0
        wanted = labels_of(action)
        selector = f"{SENSOR}={wanted[SENSOR]},{TRIGGER}={wanted[TRIGGER]}"
        query = {"labelSelector": selector + _SELECT.get(resource.kind, "")}
        while True:
            more = {"continue": token} if token else {}
            listed = await self._kube.page(resource, namespace, query={**query, **more})
            for raw in listed.items:
                live = orjson.loads(bytes(raw))
                mark = mark_of(live)
                mine = mark is not None and mark.same_maker(own) and mark.key != own.key
                count += mine and not ended(live)
            token = listed.metadata.continue_
            if not token:
                return count
