"""Puts messages on their way: at once, after quiet hours, or gathered in a digest.

A message is on the bus before its object is remembered as told; a crash in between puts it there
once more, with the same key.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from delivery.action import Action
from notifier.config import Configuration
from notifier.digests import Held
from notifier.evaluate import Notification, Seen
from notifier.plan import Plan
from notifier.sending import Sent, Target, content


class Deliver(Protocol):
    """Stores an action on the bus."""

    async def __call__(self, action: Action) -> None:
        """Return once it is stored. Waits for the bus."""
        ...


class Gathering(Protocol):
    """Keeps messages for digests."""

    async def gather(self, action: Action, configuration: Configuration) -> Held | None:
        """Return what tells it with others, None where it stands alone. Waits for the bus."""
        ...

    async def posted(self, action: Action) -> None:
        """Note that what tells others lies on the bus. Waits for it."""
        ...


class Post:
    """The way of all messages of one Notifier to the bus."""

    def __init__(
        self, owner: str, deliver: Deliver, gathering: Gathering, clock: Callable[[], float]
    ) -> None:
        self._owner, self._clock = owner, clock
        self._deliver, self._gathering = deliver, gathering

    async def put(self, plan: Plan, seen: Seen, record: str, sent: Notification) -> bool:
        """Put a message on its way; return False where quiet hours drop it."""
        quiet = quiet_until(plan.configuration, sent, self._clock())
        if quiet == 0:
            return False
        action = self._action(plan, seen, record, sent, quiet or 0.0)
        held = None
        if not sent.resolved:
            held = await self._gathering.gather(action, plan.configuration)
        if held is None:
            await self._deliver(action)
        elif not held.posted:
            await self._deliver(held.action)
            await self._gathering.posted(held.action)
        return True

    def _action(
        self, plan: Plan, seen: Seen, record: str, sent: Notification, due: float
    ) -> Action:
        meta = seen.meta
        where = f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name
        lane = f"{plan.place}/{sent.service}" if plan.place else sent.service
        found = plan.configuration.services[sent.service]
        held = Sent(
            service=sent.service,
            recipient=sent.recipient,
            message=sent.message,
            trigger=sent.trigger,
            condition=sent.condition,
            number=sent.number,
            object=f"{plan.watch.kind} {where}",
            record=record,
            version=meta.resource_version,
            once=sent.once,
            resolved=sent.resolved,
            place=plan.place,
            gone=seen.type == "DELETED",
            target=Target(plan.number, meta.namespace, meta.name) if plan.writes else None,
        )
        return Action(
            key=sent.key,
            sensor=self._owner,
            trigger=lane,
            kind=found.kind,
            content=content(held),
            events={sent.trigger: held.object},
            event_time=self._clock(),
            due=due,
        )


def quiet_until(configuration: Configuration, sent: Notification, now: float) -> float | None:
    """Return when a message may go, in unix seconds: None at once, 0 never."""
    moment = datetime.fromtimestamp(now, UTC)
    for quiet in configuration.quiet:
        if quiet.covers(sent.service, sent.recipient, sent.trigger):
            ends = quiet.ends(moment)
            if ends is not None:
                return ends.timestamp() if quiet.then == "hold" else 0.0
    return None
