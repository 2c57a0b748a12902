"""What is to be done, and what came of it.

An Action is everything that an attempt needs, rendered: the events are not looked at again. It
holds no secret, only where secrets are, because it is stored on the bus when it cannot be done
at once, and shown by `tocsin dlq` and `tocsin tail`.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from spine.errors import TriggerError


class Failure(msgspec.Struct, frozen=True):
    """One failed attempt."""

    at: float
    """Unix seconds."""
    message: str


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One firing of a trigger."""

    key: str
    """Idempotency key: equal for the same trigger and the same events."""
    sensor: str
    trigger: str
    kind: str
    """Key of the trigger's type in YAML, such as `http`."""
    content: dict[str, Any]
    """What the sender of that kind needs; JSON only."""
    events: dict[str, str] = {}
    """Dependency -> id of its event."""
    at: dict[str, int] = {}
    """Dependency -> position of its event in the stream; without those of `batch`, which are many,
    and of events whose position is not known."""
    event_time: float = 0.0
    """Unix seconds of the newest event, for latency."""
    order: str = ""
    """Actions of a trigger that bear the same text are done one after another; empty: any time."""
    claim: str = ""
    """Hash of its idempotency key: of a trigger's actions with the same, only the first is done.
    Empty: no such key."""
    claimed_for: float = 0.0
    """Seconds for which the claim holds."""
    attempt: int = 1
    """Number of the next attempt, from 1."""
    due: float = 0.0
    """Unix seconds before which the next attempt must not begin."""
    first: float = 0.0
    """Unix seconds of the first attempt; 0 before it."""
    failures: tuple[Failure, ...] = ()
    """The latest failed attempts, newest last, at most five."""
    fallback: "Action | None" = None
    """What to do once all attempts are used up (`dlqTrigger`)."""
    postponed: int = 0
    """How often it was put off without an attempt."""
    redriven: int = 0
    """Number of the dead letter from which it was put back on its way; 0 where it never died."""

    @property
    def pause(self) -> float:
        """Seconds between the latest failure and the next attempt, infinite where not known.

        Both moments are of one clock. Nobody waits longer, whatever another clock says.
        """
        if not self.failures or self.postponed:
            return math.inf
        return self.due - self.failures[-1].at


def action_key(sensor: str, trigger: str, events: Mapping[str, str]) -> str:
    """Return the idempotency key of a trigger fired by these events (dependency -> id)."""
    text = f"{sensor}\x00{trigger}"
    for name in sorted(events) if len(events) > 1 else events:
        text += f"\x00{name}\x01{events[name]}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Postponed(Exception):
    """A sender may not act just now, such as above a limit: no attempt is counted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"put off for {seconds:g} s")
        self.seconds = seconds


class PartlyDone(TriggerError):
    """Some of an action was done, such as telling three of five people.

    `left` is the content of what is not done yet: the next attempt, a dead letter and its redrive
    are of that alone, so that nothing is done twice.
    """

    def __init__(
        self,
        message: str,
        left: dict[str, Any],
        *,
        retry_after: float | None = None,
        permanent: bool = False,
    ) -> None:
        super().__init__(message, retry_after=retry_after, permanent=permanent)
        self.left = left


class Outcome(msgspec.Struct, frozen=True):
    """What a successful attempt gave."""

    summary: str
    """One line for logs and `tocsin tail`, such as `200 OK`."""
    detail: dict[str, Any] = {}
    effect: bool = True
    """False: it was only said what would be done."""


class Sender(Protocol):
    """Does actions of one trigger; opened once, used by many tasks at a time."""

    async def send(self, action: Action, attempt: int) -> Outcome:
        """Do it. Raises TriggerError for every failure of the outside world, and Postponed."""
        ...
