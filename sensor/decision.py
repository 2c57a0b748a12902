"""What follows from an event, as a tree of verdicts, actions, faults and the new state."""

from typing import Literal

import msgspec

from delivery.action import Action
from sensor.reason import Reason
from sensor.state import State
from sensor.trace import DependencyTrace, Mismatch, TriggerTrace
from spine.event import Event

Skip = tuple[str | tuple[str, str], ...]
"""What an event is not for: dependencies, or (trigger, dependency) for that trigger alone."""


PASSED = "Passed"
"""Code of a dependency that an event passed."""


class DependencyVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a dependency made of the event."""

    name: str
    passed: bool
    code: str
    """Passed, a code of `filters.Reason`, or the code of a fault."""
    reason: Reason | None = None
    message: str = ""
    """What the fault was."""
    trace: DependencyTrace | None = None

    @property
    def detail(self) -> str:
        """One line for people; empty where the event passed."""
        return self.message or (self.reason.text if self.reason is not None else "")


TriggerCode = Literal[
    "Fired",
    "Skipped",
    "Waiting",
    "Gathered",
    "Repeated",
    "Superseded",
    "Late",
    "Faulted",
]


class TriggerVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a trigger made of the event."""

    name: str
    code: TriggerCode
    """Fired; Skipped: its `if` is false; Waiting for others; Gathered: held by `debounce` or
    `batch`; Repeated: a firing that was not known to be on the bus; Superseded: counted before,
    or a newer event was; Late: it came before the last reset; Faulted: the action could not be
    made."""
    dependency: str
    """The one that the event passed; of what fires by time, that of the newest event."""
    key: str = ""
    """Key of its action."""
    missing: tuple[str, ...] = ()
    """Dependencies of its conditions that have not come."""
    message: str = ""
    """What the fault was."""
    since: dict[str, float] = {}
    """Dependency -> when the event of it that is kept came, in unix seconds."""
    reset: float = 0.0
    """When its conditions were last reset, in unix seconds; 0 for never."""
    gathered: int = 0
    """Events that are held together, or that fired together."""
    due: float = 0.0
    """When it fires without any further event, in unix seconds; 0 for never."""
    early: str = ""
    """Why it did not wait as long as it might have; empty where it did."""
    trace: TriggerTrace | None = None

    @property
    def detail(self) -> str:
        """One line for people."""
        if self.message:
            return self.message
        if self.missing:
            return f"waits for {', '.join(self.missing)}"
        if self.code == "Gathered":
            return f"holds {self.gathered} event{'s' if self.gathered != 1 else ''}"
        return "came before the last reset of the conditions" if self.code == "Late" else self.early


class EventFault(msgspec.Struct, frozen=True):
    """Something that can never be done with this event: a dead letter."""

    place: str
    """Such as `dependencies.orders` or `triggers.notify`."""
    code: str
    message: str
    dependency: str = ""
    trigger: str = ""
    events: dict[str, Event] = {}
    """Events of the firing whose action could not be made; `refire` makes it of them."""
    key: str = ""
    """Key of that action."""


class Decision(msgspec.Struct):
    """Everything that follows from one event, or from the passing of time."""

    state: State
    known: bool = True
    """False: the event is not one that this Sensor reads; another generation of it may."""
    dependencies: list[DependencyVerdict] = []
    triggers: list[TriggerVerdict] = []
    actions: list[Action] = []
    faults: list[EventFault] = []
    changed: frozenset[str] = frozenset()
    """Triggers whose state is another one now."""
    others: list[Mismatch] = []
    """Dependencies that do not mean the event; of a trace only."""
